/** Golden check of flow features against two independent flow meters: argus and ipfixprobe, from ../shared/data/truth.
 *
 * Method: ipfixprobe's flows must be equal in all, to the microsecond and the octet, or turned round where the first
 * packet is an answer. argus's must be equal in initiator, start, end and packets each way, flow by flow; octets are
 * equal by conversation, since link headers are added up there; states are compared where all this is equal. Where both
 * cut a conversation at different silences, sums and extent are compared instead. What still differs must have a name,
 * see argus.ts. What this does not mean: `fuzzed`, `not_ip` and the outer header of a `tunnel` are named by what they
 * are, their numbers are not compared;
 * `icmp_errors` looks for an ICMP packet of either end at that moment, not into what it quotes. @module */

import { assertEquals } from "@std/assert";
import { skipLoudly } from "../services/services.ts";
import { argusExplanations, endsOf, extent, judge, madeUpBytes } from "./argus.ts";
import { readTable, runCapture } from "./conversations.ts";
import {
  byConversation,
  flowsOf,
  flowsOfArgus,
  flowsOfIpfixprobe,
  type MeterFlow,
  readFrames,
  sentBy,
} from "./meters.ts";

const data = new URL("../../../shared/data/", import.meta.url).pathname;

/** Unexplained differences shown of each capture. */
const shownMax = 3;
const explanations: Record<string, string> = {
  ...argusExplanations,
  icmp_ends: "ipfixprobe has one flow for all ICMP between two addresses; sums by address are equal",
  no_arp: "ipfixprobe exports no ARP",
};

function told(name: string, counts: Map<string, number>): string {
  const others = [...counts].filter(([verdict]) => verdict !== "equal");
  const words = others.map(([verdict, count]) => `${count} ${verdict}`).join(", ");
  return `${name.padEnd(35)} ${String(counts.get("equal") ?? 0).padStart(6)}  ${words}`;
}

/** The table, and what the names in it mean. */
function print(lines: readonly string[]): void {
  const table = lines.join("\n") + "\n";
  const used = Object.entries(explanations).filter(([name]) => new RegExp(`\\d ${name}\\b`).test(table));
  const names = used.map(([name, text]) => `${name}: ${text}\n`).join("");
  Deno.stdout.writeSync(new TextEncoder().encode(table + names));
}

const isAbsent = await Deno.stat(`${data}truth/argus`).then(() => false, () => true);
const { ignore } = isAbsent
  ? skipLoudly("golden flow meters", "../shared/data is absent")
  : { ignore: false };

Deno.test({
  name: "flows, durations, counts and states equal argus's, or differ for a named reason",
  ignore,
  fn: async () => {
    const lines = ["file                                 equal  other conversations"];
    const unexplained: string[] = [];
    let equal = 0;
    for (const { file, label } of await readTable(`${data}pcap/MANIFEST.tsv`) ?? []) {
      const table = await readTable(`${data}truth/argus/${file}.tsv`);
      if (table === null) continue;
      const { segments } = await runCapture(`${data}pcap/${file}`);
      const result = judge({
        frames: await readFrames(`${data}pcap/${file}`),
        isFuzzed: label === "unjudged",
        madeUpBytes: madeUpBytes[file] ?? 0,
        ours: byConversation(flowsOf(segments)),
        inner: byConversation(flowsOf(segments, 2)),
        theirs: byConversation(flowsOfArgus(table)),
      });
      equal += result.counts.get("equal") ?? 0;
      lines.push(told(file, result.counts));
      unexplained.push(...result.unexplained.slice(0, shownMax).map((text) => `${file}: ${text}`));
    }
    print(lines);
    assertEquals(unexplained, []);
    assertEquals(equal > 58_000, true, `only ${equal} conversations are equal`);
  },
});

Deno.test({
  name:
    "flows, times, packets and octets equal ipfixprobe's to the microsecond, or differ for a named reason",
  ignore,
  fn: async () => {
    const csv = await Deno.readTextFile(`${data}truth/ipfixprobe/ipfix-mixed.pcap--basic.csv`);
    const { segments } = await runCapture(`${data}pcap/ipfix-mixed.pcap`);
    const ours = byConversation(flowsOf(segments)), theirs = byConversation(flowsOfIpfixprobe(csv));
    const plain = (flows: MeterFlow[]) => JSON.stringify(flows.map(({ state: _, ...rest }) => rest));
    const counts = new Map<string, number>();
    const unexplained: string[] = [];
    for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
      const own = ours.get(key) ?? [], other = theirs.get(key) ?? [];
      let verdict = "unexplained";
      if (plain(own) === plain(other)) verdict = "equal";
      else if (plain(own.map(fromLower)) === plain(other.map(fromLower))) verdict = "turned";
      else if (key.startsWith("arp ") && other.length === 0) verdict = "no_arp";
      else if (key.startsWith("icmp") && areIcmpSumsEqual(key, own, other)) verdict = "icmp_ends";
      else unexplained.push(`${key}: ours ${plain(own)}, ipfixprobe ${plain(other)}`);
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    }
    print([
      "file                                 equal  other conversations",
      told("ipfix-mixed.pcap", counts),
    ]);
    assertEquals(unexplained, []);
    assertEquals(counts.get("equal")! >= 32, true, `only ${counts.get("equal")} conversations are equal`);
  },
});

/** The same flow as seen from the end that comes first in the alphabet. */
function fromLower(flow: MeterFlow): MeterFlow {
  if (flow.src < flow.dst) return flow;
  const { src, dst, packets, bytes } = flow;
  return { ...flow, src: dst, dst: src, packets: [packets[1], packets[0]], bytes: [bytes[1], bytes[0]] };
}

function areIcmpSumsEqual(key: string, ours: readonly MeterFlow[], theirs: readonly MeterFlow[]): boolean {
  const of = (flows: readonly MeterFlow[]) =>
    JSON.stringify([extent(flows), ...endsOf(key).map((end) => sentBy(flows, end))]);
  return of(ours) === of(theirs);
}
