/** Judges how our flows and those of argus agree, conversation by conversation.
 *
 * In: both meters' flows of a capture, and its frames.
 * Out: a verdict for each conversation, and what nobody can explain.
 * Invariant: every verdict but `fuzzed`, `not_ip` and that on the outer header of a `tunnel` rests on equal packet
 * counts; octets are brought to one unit by adding up the link headers.
 * Why argus: it is older than NetFlow, reads packets by itself, and knows no word of Picket. @module */

import { type Frame, type MeterFlow, sentBy } from "./meters.ts";

/** Why meters count the same packets differently. */
export const argusExplanations = {
  cuts:
    "time-outs cut the conversation at different silences; packets, octets each way, first and last time are equal",
  turned:
    "the same flow, whose first packet is an answer: Picket names the asker as its initiator, argus the first sender",
  arp_pairs: "argus puts an answer into the flow of its question; here each sender's claim is its own flow",
  fragments:
    "argus books later fragments apart, IPv6 ones under ports read from their payload; sums by address are equal",
  icmp_errors: "argus lets an ICMP error prolong the flow it complains about; counts are equal",
  not_ip: "no network header: argus makes flows of it, Picket counts it as left out, by class",
  order:
    "packets are out of order: argus starts at the first in the file, Picket at the earliest; counts are equal",
  igmp: "argus garbles the group's address; sums by sender are equal",
  tunnel: "argus looks through GRE; the same flow is there at depth 2",
  fuzzed: "headers changed at random, judged differently",
} as const;
type Explanation = keyof typeof argusExplanations;
export type Verdict = "equal" | Explanation | "unexplained";

/** What argus's word for a connection may be in Zeek's. */
const statesOfArgus: Record<string, readonly string[]> = {
  "tcp REQ": ["S0"],
  "tcp ACC": ["S1", "OTH"],
  // One side only: Zeek does not call a connection established on the word of one end.
  "tcp CON": ["S1", "OTH", "S0"],
  "tcp FIN": ["SF", "S2", "S3", "SH", "SHR"],
  "tcp CLO": ["SF", "OTH"],
  "tcp RST": ["RSTO", "RSTR", "REJ", "RSTOS0", "RSTRH", "SF"],
  "udp CON": ["SF"],
  "udp INT": ["S0"],
  "udp RSP": ["SHR"],
};

/** Octets of every frame that argus does not count: the header that the capturing machine made up. */
export const madeUpBytes: Record<string, number> = {
  "link-sll-kakaotalk.pcap": 16,
  "link-radiotap-http.pcap": 36,
};

/** A capture, and the flows that one conversation has in either meter. */
export interface Capture {
  frames: Map<string, Frame[]>;
  isFuzzed: boolean;
  /** Of the octets of a frame beside its IP packet, those that the other meter leaves out. */
  madeUpBytes: number;
  ours: Map<string, MeterFlow[]>;
  inner: Map<string, MeterFlow[]>;
  theirs: Map<string, MeterFlow[]>;
}

export function endsOf(key: string): string[] {
  return [...new Set(key.split(" ").slice(1))];
}

export function extent(flows: readonly MeterFlow[]): [number, number] {
  return [Math.min(...flows.map((f) => f.startUs)), Math.max(...flows.map((f) => f.endUs))];
}

/** argus keeps a duration in 24 bits. */
function isTimeEqual(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] === b[0] && Math.abs(a[1] - b[1]) <= 1 + (b[1] - b[0]) * 2 ** -23;
}

function linkBytes(capture: Capture, key: string, end: string): number {
  const frames = (capture.frames.get(key) ?? []).filter((frame) => frame.src === end);
  return frames.reduce((sum, frame) => sum + frame.linkBytes - capture.madeUpBytes, 0);
}

function isSumEqual(capture: Capture, key: string, unit: "packets" | "bytes"): boolean {
  return endsOf(key).every((end) => {
    const ours = sentBy(capture.ours.get(key) ?? [], end)[unit];
    const link = unit === "bytes" ? linkBytes(capture, key, end) : 0;
    return ours + link === sentBy(capture.theirs.get(key) ?? [], end)[unit];
  });
}

function arePacketsEqual(ours: MeterFlow, theirs: MeterFlow): boolean {
  return [ours.src, ours.dst].every((end) => sentBy([ours], end).packets === sentBy([theirs], end).packets);
}

function isFlowEqual(ours: MeterFlow, theirs: MeterFlow): boolean {
  return isTimeEqual([ours.startUs, ours.endUs], [theirs.startUs, theirs.endUs]) &&
    arePacketsEqual(ours, theirs);
}

/** The address of "10.0.0.1:80", or of what has no port. */
function addressOf(key: string, end: string): string {
  return /^(tcp|udp) /.test(key) ? end.slice(0, end.lastIndexOf(":")) : end;
}

/** Packets and octets that `address` sent to the other address of `key`, over all flows of the protocol,
 * whatever the ports. */
function addressSum(capture: Capture, key: string, address: string, meter: "ours" | "theirs") {
  const addresses = endsOf(key).map((end) => addressOf(key, end));
  const [protocol] = key.split(" ");
  let packets = 0, bytes = 0;
  for (const [other, flows] of capture[meter]) {
    if (!other.startsWith(protocol + " ")) continue;
    const ends = endsOf(other);
    if (!ends.every((end) => addresses.includes(addressOf(other, end)))) continue;
    for (const end of ends.filter((end) => addressOf(other, end) === address)) {
      const sent = sentBy(flows, end);
      packets += sent.packets;
      bytes += sent.bytes;
    }
  }
  return { packets, bytes };
}

function isAddressSumEqual(capture: Capture, key: string): boolean {
  return endsOf(key).map((end) => addressOf(key, end)).every((address) =>
    addressSum(capture, key, address, "ours").packets === addressSum(capture, key, address, "theirs").packets
  );
}

function isFragmented(capture: Capture, key: string): boolean {
  const addresses = endsOf(key).map((end) => addressOf(key, end));
  return [...capture.frames].some(([other, frames]) =>
    other.split(" ")[0] === key.split(" ")[0] && frames.some((frame) => frame.isFragment) &&
    endsOf(other).every((end) => addresses.includes(addressOf(other, end)))
  );
}

/** Where an ICMP error about either end came by at this moment. */
function hasIcmpAt(capture: Capture, key: string, timeUs: number, durationUs: number): boolean {
  const addresses = endsOf(key).map((end) => addressOf(key, end));
  return [...capture.frames].some(([other, frames]) =>
    other.startsWith("icmp") && endsOf(other).some((end) => addresses.includes(end)) &&
    frames.some((frame) => Math.abs(frame.timeUs - timeUs) <= 1 + durationUs * 2 ** -23)
  );
}

/** Where only one of both meters knows the conversation. */
function judgeAlone(capture: Capture, key: string): Verdict {
  const [protocol, ...ends] = key.split(" ");
  if (ends.every((end) => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(end))) return "not_ip";
  const theirs = capture.theirs.get(key) ?? [], inner = capture.inner.get(key) ?? [];
  if (protocol === "igmp") return isIgmpEqual(capture, key) ? "igmp" : "unexplained";
  if (isFragmented(capture, key) && isAddressSumEqual(capture, key)) return "fragments";
  const isFound = (flow: MeterFlow) =>
    inner.some((own) => own.startUs === flow.startUs && arePacketsEqual(own, flow));
  if (theirs.length > 0 && inner.length > 0 && theirs.every(isFound)) return "tunnel";
  if (theirs.length === 0 && protocol === "gre" && capture.inner.size > 0) return "tunnel";
  return "unexplained";
}

function isIgmpEqual(capture: Capture, key: string): boolean {
  const igmp = (meter: "ours" | "theirs") =>
    [...capture[meter]].filter(([other]) => other.startsWith("igmp ")).flatMap(([, flows]) => flows);
  const [{ src }] = [...capture.ours.get(key) ?? [], ...capture.theirs.get(key) ?? []];
  return sentBy(igmp("ours"), src).packets === sentBy(igmp("theirs"), src).packets;
}

/** Both know it: the strongest agreement that holds. */
function judgeBoth(capture: Capture, key: string): Verdict {
  const ours = capture.ours.get(key)!, theirs = capture.theirs.get(key)!;
  if (!isSumEqual(capture, key, "packets") || !isSumEqual(capture, key, "bytes")) {
    return isFragmented(capture, key) && isAddressSumEqual(capture, key) ? "fragments" : "unexplained";
  }
  const own = extent(ours), other = extent(theirs);
  if (!isTimeEqual(own, other)) {
    const isLonger = own[0] === other[0] && other[1] > own[1];
    if (isLonger && hasIcmpAt(capture, key, other[1], other[1] - other[0])) return "icmp_errors";
    return capture.frames.get(key)?.[0].timeUs === other[0] && other[0] > own[0] ? "order" : "unexplained";
  }
  if (ours.length === theirs.length && ours.every((flow, index) => isFlowEqual(flow, theirs[index]))) {
    return ours.every((flow, index) => flow.src === theirs[index].src) ? "equal" : "turned";
  }
  return key.startsWith("arp ") ? "arp_pairs" : "cuts";
}

/** States of flows that are equal but for them; a pair that {@link statesOfArgus} does not know is returned. */
function stateDifferences(capture: Capture, key: string): string[] {
  const theirs = capture.theirs.get(key)!;
  return capture.ours.get(key)!.flatMap((flow, index) => {
    const word = `${flow.protocol} ${theirs[index].state}`;
    if (flow.protocol !== "tcp" && flow.protocol !== "udp") return [];
    const isOneSided = flow.packets.includes(0);
    const isKnown = statesOfArgus[word]?.includes(flow.state) ?? false;
    if (isKnown && (flow.state !== "S0" || word !== "tcp CON" || isOneSided)) return [];
    return [`${key}: ${flow.state}, argus says ${word}`];
  });
}

/** Adds up the verdicts on all conversations of one capture. */
export function judge(capture: Capture): { counts: Map<Verdict, number>; unexplained: string[] } {
  const counts = new Map<Verdict, number>();
  const unexplained: string[] = [];
  for (const key of new Set([...capture.ours.keys(), ...capture.theirs.keys()])) {
    const isBoth = capture.ours.has(key) && capture.theirs.has(key);
    let verdict = isBoth ? judgeBoth(capture, key) : judgeAlone(capture, key);
    if (verdict === "unexplained" && capture.isFuzzed) verdict = "fuzzed";
    if (verdict === "unexplained") {
      const flows = [capture.ours.get(key) ?? [], capture.theirs.get(key) ?? []];
      unexplained.push(`${key}: ${JSON.stringify(flows).slice(-300)}`);
    } else if (verdict === "equal") unexplained.push(...stateDifferences(capture, key));
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  }
  return { counts, unexplained };
}
