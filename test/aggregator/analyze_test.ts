/** The whole path over capture files: each labelled attack is found with its attacker and victim, ordinary traffic stays quiet.
 *
 * The captures of ../shared/data/pcap are not part of the repository: where they are absent, their tests are skipped and say so; those over
 * our own capture run everywhere. @module */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createReporter } from "../../shared/reporter.ts";
import { type Analysis, analyzeFile, renderAnalysis } from "../../aggregator/analyze.ts";
import { severities } from "../../aggregator/model/threat.ts";
import type { TriageModel } from "../../aggregator/triage/model.ts";
import { skipLoudly } from "../services/services.ts";
import { sampleAnswer } from "./triage/sample_threat.ts";

const captures = new URL("../../../shared/data/pcap/", import.meta.url).pathname;
const demo = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;

function analyze(path: string, model: TriageModel | null = null): Promise<Analysis> {
  return analyzeFile(path, { reporter: createReporter({ component: "test", write: () => {} }), model });
}

const hasCaptures = await Deno.stat(`${captures}MANIFEST.tsv`).then(() => true, () => false);
const overCaptures = hasCaptures
  ? { ignore: false }
  : skipLoudly("detection over real captures", "../shared/data is absent");

/** detector, attacker, victim, port; null = many or none. */
const attacks: Record<string, [string, string | null, string | null, number | null]> = {
  "attack-portscan-syn.pcap": ["port_scan_vertical", "172.16.0.8", "64.13.134.52", null],
  "attack-portscan-lan.pcapng": ["port_scan_vertical", "192.168.1.205", "192.168.1.195", null],
  "attack-ssh-bruteforce.pcap": ["password_guessing", "147.32.80.40", "147.32.80.37", 902],
  "attack-ftp-bruteforce.pcap": ["password_guessing", "10.234.125.254", "10.121.70.151", 21],
  "attack-synflood-spoofed.pcap": ["syn_flood", null, "10.10.10.10", 25_565],
  "attack-dns-tunnel-iodine.pcap": ["dns_tunnel", "10.0.2.30", "10.0.2.20", 53],
  "attack-dns-tunnel-dns2tcp.pcapng": ["dns_tunnel", "192.168.68.114", "198.46.158.57", 53],
  "attack-arp-scan.pcap": ["host_sweep", "192.168.1.247", null, null],
  "attack-icmp-tunnel.pcap": ["icmp_tunnel", "192.168.5.208", "192.168.5.217", null],
  "attack-dns-amplification-frag.pcap": ["amplification", null, "10.10.10.10", null],
  "attack-dga-tinba.pcap": ["nxdomain_burst", "10.0.2.108", null, 53],
  "attack-beacon-2s.pcap": ["beacon", "147.32.80.37", "141.193.213.21", 443],
};

Deno.test(
  "analyze finds each labelled attack, its attacker and victim, and nothing else above low",
  overCaptures,
  async () => {
    for (const [file, [detector, attacker, victim, port]] of Object.entries(attacks)) {
      const { threats } = await analyze(captures + file);
      const found = threats.filter((threat) => isAboveLow(threat.severity));
      assertEquals(
        found.map((
          threat,
        ) => [threat.detector, threat.src_ip ?? null, threat.dst_ip ?? null, threat.dst_port]),
        [[detector, attacker, victim, port]],
        file,
      );
    }
  },
);

Deno.test("analyze finds nothing above low in ordinary traffic", overCaptures, async () => {
  const rows = (await Deno.readTextFile(`${captures}MANIFEST.tsv`)).split("\n").map((row) => row.split("\t"));
  const normal = rows.filter((row) => row[10] === "normal").map((row) => row[0]);
  assert(normal.length > 30);
  for (const file of normal) {
    const { threats, capture } = await analyze(captures + file);
    const found = threats.filter((threat) => isAboveLow(threat.severity));
    assertEquals(found.map((threat) => [threat.detector, threat.explanation]), [], file);
    const leftOut = Object.values(capture.left_out).reduce((sum, packets) => sum + packets, 0);
    assertEquals(capture.packets, capture.in_flows + leftOut, file);
  }
});

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
