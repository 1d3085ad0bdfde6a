/** The references of options and metrics: made from the tables that the programs run on, so that they cannot drift.
 *
 * Use: `deno test -A test/references_test.ts -- --write` writes sensor/OPTIONS.md,
 * aggregator/OPTIONS.md and aggregator/METRICS.md anew.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { metricHelp } from "../aggregator/api/admin/metric_help.ts";
import { metricType } from "../aggregator/api/admin/metrics.ts";
import { program as aggregator } from "../aggregator/main.ts";
import { program as sensor } from "../sensor/main.ts";
import type { Program } from "../shared/dispatch.ts";
import { defaultText, type Option, usageOf } from "../shared/options.ts";

const root = new URL("../", import.meta.url).pathname;
const hint = (test: string) => `<!-- Made from the source: \`deno test -A ${test} -- --write\` -->\n`;
const self = "test/references_test.ts";

interface Row {
  name: string;
  option: Option;
  commands: string[];
}

/** One row for each definition; an option that means the same to several commands has one. */
function rowsOf({ commands }: Program): Row[] {
  const rows = new Map<string, Row>();
  for (const command of commands) {
    for (const [name, option] of Object.entries(command.options)) {
      const key = JSON.stringify([name, option]);
      const row = rows.get(key) ?? { name, option, commands: [] };
      row.commands.push(command.name);
      rows.set(key, row);
    }
  }
  return [...rows.values()].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function allowed(option: Option): string {
  if (option.kind === "text") return option.choices?.map((choice) => `\`${choice}\``).join(", ") ?? "";
  if (option.kind !== "number") return "";
  const { min, max } = option;
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  return min !== undefined ? `>= ${min}` : max !== undefined ? `<= ${max}` : "";
}

const code = (text: string) => text === "" ? "" : `\`${text}\``;
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "\\<").replaceAll("\n", " ");

function optionsReference(program: Program): string {
  const rows = rowsOf(program).map(({ name, option, commands }) => {
    const of = commands.length === program.commands.length ? "all" : commands.join(", ");
    const usage = code(usageOf(name, option));
    return `| ${[usage, code(defaultText(option)), allowed(option), cell(option.help), of].join(" | ")} |`;
  });
  return `# Options of ${program.name}

${hint(self)}
\`--idle-timeout-ms N\` can also be set as \`PICKET_IDLE_TIMEOUT_MS\` in the environment, or as \`idleTimeoutMs\` in
the JSON file that \`--config\` names (\`${program.configPath}\` when it is there). An argument wins over the environment, that over the
file. A flag \`--no-NAME\` is on unless given, and is called \`NAME\` elsewhere. What is shown in capitals alone is a secret: it is
taken from the environment only. \`${program.name} config\` prints what is in force.

| Option | Default | Allowed | Meaning | Commands |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function metricsReference(): string {
  const rows = Object.entries(metricHelp).map(([name, [sentence, ...labels]]) =>
    `| \`picket_${name}\` | ${metricType(name)} | ${labels.map(code).join(", ")} | ${cell(sentence)} |`
  );
  return `# Metrics of picket-aggregator

${hint(self)}
\`GET /metrics\` answers in Prometheus' text format; its key needs the role viewer. A series appears when it is first counted.
Counters begin at 0 with each start of the aggregator. What stands under \`picket_sensor_\` is a gauge even where it only grows, as it
begins anew when that sensor restarts.

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

const references: Readonly<Record<string, string>> = {
  "sensor/OPTIONS.md": optionsReference(sensor),
  "aggregator/OPTIONS.md": optionsReference(aggregator),
  "aggregator/METRICS.md": metricsReference(),
};

for (const [path, text] of Object.entries(references)) {
  Deno.test(`${path} is what the source says`, async () => {
    if (Deno.args.includes("--write")) {
      await Deno.writeTextFile(root + path, text);
      await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", root + path] }).output();
      return;
    }
    // The formatter aligns tables and breaks lines.
    const rows = (markdown: string) =>
      markdown.replace(/-{2,}/g, "-").replace(/\s+/g, " ").trim().split(/ (?=\| [`-])/);
    const kept = rows(await Deno.readTextFile(root + path).catch(() => "")), wanted = rows(text);
    const stale = kept.filter((row) => !wanted.includes(row));
    const missing = wanted.filter((row) => !kept.includes(row));
    assertEquals({ stale, missing }, { stale: [], missing: [] }, `run \`deno test -A ${self} -- --write\``);
    assertEquals(kept.length, wanted.length);
  });
}

// Goal: no metric without its HELP line, and no line for a metric that is gone.
// Method: every name that the source counts or sets.
Deno.test("every metric of the aggregator has its sentence, and every sentence its metric", async () => {
  const names = new Set<string>();
  for (const path of await sourceFiles("aggregator/", "shared/")) {
    if (path.endsWith("/metric_help.ts")) continue;
    const text = await Deno.readTextFile(root + path);
    for (const [, name] of text.matchAll(/"([a-z_]+_total)"/g)) names.add(name);
    for (const [, name] of text.matchAll(/\b(?:gauge|observe)\(\s*"([a-z_]+)"/g)) names.add(name);
    if (!path.endsWith("/metrics.ts")) continue;
    for (const [, name] of text.matchAll(/"((?:sensor|fleet)_[a-z_]+)"/g)) names.add(name);
  }
  assertEquals(Object.keys(metricHelp).sort(), [...names].sort());
});

Deno.test("every label of a metric is named where it is counted", async () => {
  let checked = 0;
  for (const path of await sourceFiles("aggregator/", "shared/")) {
    const text = await Deno.readTextFile(root + path);
    for (const [, name, object] of text.matchAll(/\bcount\(\s*"([a-z_]+)",\s*\{([^}]*)\}/g)) {
      const labels = [...object.matchAll(/(?:^|,)\s*([a-z_]+)\s*(?=[:,]|$)/g)].map(([, label]) => label);
      const [, ...known] = metricHelp[name] ?? [];
      assertEquals(labels.sort(), [...known].sort(), `${path}: ${name}`);
      checked++;
    }
  }
  assert(checked >= 20, `${checked} counters with labels were found`);
});

async function sourceFiles(...folders: string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const folder of folders) {
    for await (const { name, isDirectory, isFile } of Deno.readDir(root + folder)) {
      if (isDirectory) paths.push(...await sourceFiles(`${folder}${name}/`));
      if (isFile && name.endsWith(".ts")) paths.push(folder + name);
    }
  }
  return paths;
}
