/** What is shipped for Grafana and Prometheus: its SQL runs on the real database, its PromQL names what `/metrics` has.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { metricHelp } from "../../aggregator/api/admin/metric_help.ts";
import { metricType } from "../../aggregator/api/admin/metrics.ts";
import { openStore } from "../../aggregator/store/open.ts";
import { createReporter } from "../../shared/reporter.ts";
import { startHostileWorld } from "../aggregator/dashboard/hostile.ts";
import { flowsOf, flowWrite, nothing, threat } from "../aggregator/store/rows.ts";
import { findProgram } from "../services/guarded_child.ts";
import { askMariadb } from "../services/mariadb.ts";
import { createDatabase, useMariadb } from "../services/services.ts";

const folder = new URL("../../deploy/", import.meta.url).pathname;
const mariadb = await useMariadb();
const promtool = await findProgram("promtool");
// A test above reads the rules without it, so that this is no failure where CI=true.
if (!promtool) {
  Deno.stderr.writeSync(new TextEncoder().encode("skipped: promtool is not installed (apt: prometheus)\n"));
}

interface Target {
  rawSql?: string;
  expr?: string;
}

interface Panel {
  id: number;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource: { uid: string };
  targets: Target[];
}

async function panelsOf(name: string): Promise<Panel[]> {
  const { panels, templating } = JSON.parse(await Deno.readTextFile(`${folder}grafana/${name}.json`));
  assertEquals(templating.list.map(({ name }: { name: string }) => name), ["datasource"]);
  return panels;
}

/** SQL as Grafana sends it: a day up to `nowS`, in steps of a minute. */
function expanded(sql: string, nowS: number): string {
  return sql
    .replace(
      /\$__timeFilter\(([a-z_]+)\)/g,
      `$1 BETWEEN FROM_UNIXTIME(${nowS - 86_400}) AND FROM_UNIXTIME(${nowS})`,
    )
    .replace(/\$__timeGroup\(([a-z_]+), \$__interval\)/g, "UNIX_TIMESTAMP($1) DIV 60 * 60")
    .replaceAll("$__unixEpochFrom()", `${nowS - 86_400}`)
    .replaceAll("$__unixEpochTo()", `${nowS}`);
}

Deno.test({
  name: "Grafana: every query of the MariaDB dashboard answers with rows",
  ignore: mariadb.ignore,
  fn: async () => {
    const nowS = Math.floor(Date.now() / 1e3);
    const url = await createDatabase(mariadb.address);
    const store = openStore(url, { reporter: createReporter({ component: "test", write: () => {} }) });
    await store.start();
    try {
      await store.prepareDays(nowS * 1e3);
      const base = flowWrite(0).flow.start;
      const writes = Array.from(
        { length: 6 },
        (_, i) => flowWrite(nowS - base - 60 * (i + 1), { protocol: "tcp" }),
      );
      await store.ingest({ ...nothing(), ...flowsOf(writes) });
      await store.saveThreats([
        threat("t1", { flow_ids: [writes[0].flow.flow_id], first_seen: nowS - 90, last_seen: nowS - 60 }),
      ]);
      let asked = 0;
      for (const { title, targets } of await panelsOf("mariadb")) {
        for (const { rawSql } of targets) {
          const rows = await askMariadb(url, expanded(rawSql!, nowS));
          assert(rows.length > 0, `${title}: no rows`);
          asked++;
        }
      }
      assertEquals(asked, 8);
    } finally {
      await store.stop();
    }
  },
});

/** Every PromQL expression that is shipped, with where it stands. */
async function expressions(): Promise<[where: string, expression: string][]> {
  const dashboard = (await panelsOf("prometheus"))
    .flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr!]));
  const rules = await Deno.readTextFile(`${folder}prometheus/picket.rules.yml`);
  const alerts = rules.split("- alert: ").slice(1).map((text): [string, string] => {
    const expression = /^\s+expr: (?:>-\n)?([^]*?)\n\s+(?:for|labels):/m.exec(text)![1];
    return [text.split("\n")[0], expression.replace(/\s+/g, " ").trim()];
  });
  return [...dashboard, ...alerts];
}

/** `/metrics` of an aggregator with sensors in which everything was counted once. */
async function metricsText(): Promise<string> {
  const { fixture, stop } = await startHostileWorld();
  try {
    const { reporter } = fixture.services;
    for (const [name, [, ...labels]] of Object.entries(metricHelp)) {
      if (/^(?:sensor_|fleet_)/.test(name)) continue;
      const given = Object.fromEntries(labels.map((label) => [label, "x"]));
      const type = metricType(name);
      if (type === "counter") reporter.count(name, given);
      else if (type === "gauge") reporter.gauge(name, 1, given);
      else reporter.observe(name, 1, given);
    }
    return (await fixture.ask("GET", "/metrics", { role: "viewer" })).text;
  } finally {
    await stop();
  }
}

Deno.test("Prometheus: every expression names series and labels that /metrics has", async () => {
  const series = new Map<string, Set<string>>();
  for (const [, name, labels = ""] of (await metricsText()).matchAll(/^(picket_[a-z0-9_]+)(\{.*\})? /gm)) {
    const known = series.get(name) ?? new Set();
    for (const [, label] of labels.matchAll(/[{,]([a-z_]+)="/g)) known.add(label);
    series.set(name, known);
  }
  const found = await expressions();
  assertEquals(found.length, 15 + 10);
  for (const [where, expression] of found) {
    const names = [...expression.matchAll(/\bpicket_[a-z0-9_]+/g)].map(([name]) => name);
    if (where !== "PicketDown") assert(names.length > 0, where);
    for (const name of names) {
      assert(series.has(name), `${where}: ${name} is not in /metrics`);
      const selected = [...expression.matchAll(/\{([^}]*)\}/g)].flatMap(([, text]) =>
        [...text.matchAll(/([a-z_]+)(?:=~|!~|!=|=)/g)].map(([, label]) => label)
      );
      const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, text]) => text.split(", "));
      for (const label of [...selected, ...grouped]) {
        assert(series.get(name)!.has(label), `${where}: ${name} has no label ${label}`);
      }
    }
  }
});

Deno.test("Grafana: panels have ids of their own, one data source to choose, and do not overlap", async () => {
  for (const name of ["mariadb", "prometheus"]) {
    const panels = await panelsOf(name);
    assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
    assertEquals(new Set(panels.map(({ datasource }) => datasource.uid)), new Set(["${datasource}"]));
    const taken = new Set<string>();
    for (const { title, gridPos: { x, y, w, h } } of panels) {
      assert(x + w <= 24, title);
      for (let cell = 0; cell < w * h; cell++) {
        const place = `${x + cell % w},${y + Math.floor(cell / w)}`;
        assert(!taken.has(place), `${title} at ${place}`);
        taken.add(place);
      }
    }
  }
});

Deno.test({
  name: "Prometheus: promtool takes the rules and the configuration",
  ignore: !promtool,
  fn: async () => {
    for (
      const args of [["check", "rules", "picket.rules.yml"], [
        "check",
        "config",
        "--syntax-only",
        "prometheus.yml",
      ]]
    ) {
      const { success, stderr } = await new Deno.Command(promtool!, { args, cwd: `${folder}prometheus` })
        .output();
      assert(success, new TextDecoder().decode(stderr));
    }
  },
});
