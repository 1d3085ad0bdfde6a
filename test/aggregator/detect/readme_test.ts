/** The README of detection: its list of detectors is that of the catalogue, and its worked example runs.
 *
 * Use: `deno test -A test/aggregator/detect/readme_test.ts -- --write` writes the list anew. @module */

import { assert, assertEquals } from "@std/assert";
import { type CatalogueEntry, describeDetectors } from "../../../aggregator/detect/detectors/catalogue.ts";
import type { Declaration } from "../../../aggregator/detect/detector.ts";
import { loadCustomDetectors } from "../../../aggregator/detect/custom.ts";
import { portScanVertical } from "../../../aggregator/detect/detectors/port_scan_vertical.ts";
import { runOverCapture } from "./run_capture.ts";
import { run, severity, silent, times, update } from "./updates.ts";

const path = new URL("../../../aggregator/detect/README.md", import.meta.url);
const from = "<!-- detectors -->\n", to = "<!-- end -->";

Deno.test("the README lists every detector with technique, limits and units", async () => {
  const text = await Deno.readTextFile(path);
  const start = text.indexOf(from) + from.length, end = text.indexOf(to);
  assert(start >= from.length && end > start, "the marks of the list are there");
  const list = `\n${describeDetectors().map(entryText).join("\n")}\n`;
  if (Deno.args.includes("--write")) {
    await Deno.writeTextFile(path, text.slice(0, start) + list + text.slice(end));
    await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path.pathname] }).output();
    return;
  }
  // The formatter aligns tables and breaks lines.
  const rows = (markdown: string) =>
    markdown.replace(/-{2,}/g, "-").replace(/[ \n]+/g, " ").trim().split(" | | ");
  assertEquals(rows(text.slice(start, end)), rows(list), "run this test with -- --write");
});

function entryText({ name, title, technique, about, needs, limits }: CatalogueEntry): string {
  const needed = needs.length > 0 ? ` Needs facts: ${needs.join(", ")}.` : "";
  const rows = limits.map((limit) =>
    `| \`${limit.name}\` | ${limit.default} ${limit.unit} | ${limit.min} to ${limit.max} | ${limit.why} |`
  );
  return [
    `### ${name}`,
    "",
    `${title} (${technique}). ${about}${needed}`,
    "",
    "| Limit | Value | May be set to | Why |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

/** The worked example as a module, loaded as an operator's own. */
async function loadExample(): Promise<Declaration> {
  const text = await Deno.readTextFile(path);
  const code = /```ts ignore\n([\s\S]*?)```/.exec(text)![1]
    .replaceAll('"../', `"${new URL("./", path).href}`)
    .replace("export const remoteDesktopOutside", "export const detector_")
    .replace("import { detector }", "import { detector as declare }")
    .replace("= detector({", "= declare({");
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/example.ts`, code.replace("detector_", "detector"));
  const { declarations, problems } = await loadCustomDetectors(folder, []);
  await Deno.remove(folder, { recursive: true });
  assertEquals(problems, []);
  return declarations[0];
}

Deno.test("the worked example of the README finds what it says, on both sides of its limit", async () => {
  const example = await loadExample();
  const outside = { src_ip: "203.0.113.9", dst_ip: "10.0.0.9", dst_port: 3_389 };
  const [finding] = run(example, times(2, (i) => update(i, outside)));
  assertEquals([finding.dst_ips, finding.count, severity(finding)], [["10.0.0.9"], 2, "medium"]);
  assert(finding.words.action.includes("10.0.0.9 at the firewall unless you know who it is"));
  assertEquals(run(example, [update(0, outside)]), []);
  assertEquals(run(example, times(9, (i) => update(i, { ...outside, ...silent }))), [], "a scan");
  assertEquals(
    run(example, times(9, (i) => update(i, { ...outside, src_ip: "10.0.0.7" }))),
    [],
    "from inside",
  );
});

Deno.test("a detector runs over a capture, and its limits can be set", async () => {
  const demo = new URL("../../../deploy/demo/office-day.pcap", import.meta.url).pathname;
  const found = await runOverCapture(portScanVertical, demo);
  assertEquals(found.map(({ src_ip, dst_ip }) => [src_ip, dst_ip]), [["192.168.10.66", "192.168.10.5"]]);
  assertEquals(await runOverCapture(portScanVertical, demo, { tcpPortsMin: 1_500 }), []);
});
