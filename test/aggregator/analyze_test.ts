/** The whole path over the bundled capture: its attacks are found, explained, and the same each time.
 *
 * The captures of others are in test/quality. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createReporter } from "../../shared/reporter.ts";
import { type Analysis, analyzeFile, renderAnalysis, renderTimeline } from "../../aggregator/analyze.ts";
import { severities } from "../../aggregator/model/threat.ts";
import type { TriageModel } from "../../aggregator/triage/model.ts";
import { sampleAnswer } from "./triage/sample_threat.ts";

const demo = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;

function analyze(path: string | string[], model: TriageModel | null = null): Promise<Analysis> {
  return analyzeFile(path, { reporter: createReporter({ component: "test", write: () => {} }), model });
}

Deno.test("analyze finds the four attacks of the bundled capture and explains them", async () => {
  const analysis = await analyze(demo);
  const found = analysis.threats.map(({ detector, src_ip, dst_ip, dst_port }) =>
    [detector, src_ip, dst_ip, dst_port].join(" ")
  );
  assertEquals(found.sort(), [
    "beacon 192.168.10.14 198.51.100.23 443",
    "dns_tunnel 192.168.10.15 192.168.10.2 53",
    "password_guessing 203.0.113.77 192.168.10.8 22",
    "port_scan_vertical 192.168.10.66 192.168.10.5 ",
  ]);
  for (const threat of analysis.threats) {
    assert(isAboveLow(threat.severity), threat.detector);
    assert(threat.explanation.length > 200 && threat.suggested_action.length > 50);
    assertEquals(threat.engine, "rules");
    assert(threat.reasons.length > 0 && /^[0-9a-f]{16}$/.test(threat.id));
  }
  assertEquals(analysis.flows.packets, analysis.capture.packets);
  assert(renderAnalysis(analysis).includes("4 threat(s) found"));
});

Deno.test("analyze gives the same answer each time", async () => {
  const [first, second] = [await analyze(demo), await analyze(demo)];
  const known = ({ threats }: Analysis) =>
    threats.map(({ id, score, count, explanation }) => [id, score, count, explanation]);
  assertEquals(known(first), known(second));
});

Deno.test("analyze lets a model explain and keeps the severity of the rules", async () => {
  const model: TriageModel = {
    name: "fake:model",
    ask: () =>
      Promise.resolve({
        ok: true,
        text: sampleAnswer({ severity: "info", claims: [{ text: "x", evidence_ids: ["e1"] }] }),
        inputTokens: 1,
        outputTokens: 1,
        tries: 1,
      }),
  };
  const ruled = await analyze(demo), asked = await analyze(demo, model);
  assertEquals(
    asked.threats.map((threat) => threat.severity),
    ruled.threats.map((threat) => threat.severity),
  );
  assert(
    asked.threats.some((threat) =>
      threat.engine === "fake:model" && threat.explanation.includes("192.168.10.")
    ),
  );
});

Deno.test("analyze says what is wrong with a file", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "this is no capture, but long enough to be looked at");
  await assertRejects(() => analyze(path), Error, "not a capture file");
  await Deno.remove(path);
  await assertRejects(() => analyze(path), Error, "no such file");
});

Deno.test("analyze of a capture cut short says so and uses the rest", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcap" });
  await Deno.writeFile(path, (await Deno.readFile(demo)).subarray(0, 100_000));
  const { capture } = await analyze(path);
  await Deno.remove(path);
  assertEquals(capture.note, "cut_capture");
  assert(capture.packets > 500);
});

function isAboveLow(severity: string): boolean {
  return severities.indexOf(severity as "low") > severities.indexOf("low");
}

Deno.test("analyze reads the parts of a capture as one, and finds what it finds in the whole", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const whole = await Deno.readFile(demo);
    const [first, second] = cutInTwo(whole);
    const parts = [`${folder}/1.pcap`, `${folder}/2.pcap`];
    await Deno.writeFile(parts[0], first);
    await Deno.writeFile(parts[1], second);
    const [one, both] = [await analyze(demo), await analyze(parts)];
    assertEquals(both.capture.packets, one.capture.packets);
    assertEquals([both.capture.first, both.capture.last], [one.capture.first, one.capture.last]);
    assertEquals(both.capture.file, parts.join(", "));
    const names = ({ threats }: Analysis) =>
      threats.map(({ detector, src_ip, dst_ip, severity }) => [detector, src_ip, dst_ip, severity].join(" "))
        .sort();
    assertEquals(names(both), names(one));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A little-endian pcap file as two, cut at the packet in its middle. */
function cutInTwo(pcap: Uint8Array): [Uint8Array, Uint8Array] {
  const view = new DataView(pcap.buffer, pcap.byteOffset);
  let at = 24;
  while (at < pcap.length / 2) at += 16 + view.getUint32(at + 8, true);
  return [pcap.slice(0, at), Uint8Array.from([...pcap.subarray(0, 24), ...pcap.subarray(at)])];
}

Deno.test("the timeline is one line a threat, in the order in which they began", async () => {
  const analysis = await analyze(demo);
  const lines = renderTimeline(analysis).split("\n");
  assertEquals(lines.length, 4);
  assertEquals(lines, [...lines].sort());
  assert(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}[a-z]+ +\S.* \([a-z_]+\) {2}\S+ -> \S+/.test(lines[0]),
    lines[0],
  );
  assertEquals(renderTimeline({ ...analysis, threats: [] }), "No threats found.");
});
