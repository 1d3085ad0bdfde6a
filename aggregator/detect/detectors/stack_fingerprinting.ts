/** Stack fingerprinting: one host sends another packets that no program sends, to tell its system by how it answers.
 *
 * In: beginnings of TCP flows with flags that contradict each other, ICMP questions that systems no longer ask, and
 * SYN-ACKs that nobody asked for, from changing ports.
 * Out: one finding for each pair of hosts, and another for the last.
 * Invariant: one odd kind alone is none:
 * a damaged packet, a stealth scan of ports (found as such), a clock asked by timestamp.
 * Unasked SYN-ACKs to a service come from no server: they ask a host for its IP numbers, by which an idle scan reads
 * what came of questions that were sent in that host's name.
 * Sources: nmap's second-generation probes (T2 without flags, T3 with SYN, FIN, PSH and URG, T7 with FIN, PSH and URG;
 * IE with code 9); Arkin, "ICMP Usage in Scanning" (2001), for xprobe; RFC 6918, which deprecates ICMP's information
 * and address mask requests. @module */

import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";

const syn = 2, fin = 1, rst = 4, psh = 8, urg = 32, synAck = 18;
const idleForth = by.pair.after("idle"), idleBack = by.pair.after("idle_back");

export const stackFingerprinting = detector({
  name: "stack_fingerprinting",
  technique: "T1595",
  title: "Stack fingerprinting",
  about: "One host sends another packets that no program sends, to tell its system by the answers.",
  limits: {
    kindsMin: { value: 2, unit: "kinds", why: "of odd packets; one kind may be damage, or a port scan's" },
    manyKindsMin: { value: 3, unit: "kinds", why: "nmap sends four, xprobe three" },
    idlePortsMin: {
      value: 4,
      unit: "ports",
      why: "from which SYN-ACKs came to one service; nmap tries an idle host with six before it scans",
    },
  },
  window: {
    quietS: { value: 60, unit: "s", why: "tools send all of them within seconds" },
    ageS: { value: 600, unit: "s", why: "odd packets of an hour do not add up" },
  },
  keysMax: 5_000,
  key(update) {
    if (oddKindOf(update) !== null) return by.pair;
    const port = idlePortOf(update);
    return port === 0 ? null : port === update.segment.src_port ? idleForth : idleBack;
  },
  open(update) {
    const { src, dst, segment: { src_port, dst_port } } = update;
    const port = oddKindOf(update) === null ? idlePortOf(update) : 0;
    const isForth = port === 0 || port === src_port;
    return {
      src: isForth ? src : dst,
      dst: isForth ? dst : src,
      /** Of the idle host; 0 = this is no idle scan. */
      service: port === 0 ? 0 : isForth ? dst_port : src_port,
      kinds: new Distinct<string>(16),
      ports: new Distinct<number>(64),
      packets: 0,
    };
  },
  step(probe, update) {
    if (probe.service > 0) {
      probe.ports.add(idlePortOf(update));
      probe.packets++;
      return;
    }
    probe.kinds.add(oddKindOf(update)!);
    probe.packets += update.segment.fwd_packets;
  },
  isThreat: ({ kinds, ports }, { kindsMin, idlePortsMin }) =>
    kinds.size >= kindsMin || ports.size >= idlePortsMin,
  finding(probe, { kindsMin, manyKindsMin, idlePortsMin }) {
    if (probe.service > 0) return ofIdle(probe, idlePortsMin);
    const evidence = {
      kinds: field("kinds of odd packets", probe.kinds.size),
      names: field("which are", [...probe.kinds].join(", ")),
      packets: field("packets", probe.packets),
    };
    return {
      src_ips: [probe.src.ip],
      dst_ips: [probe.dst.ip],
      dst_port: null,
      count: probe.packets,
      summary:
        `${probe.src.ip} sent ${probe.dst.ip} ${evidence.kinds} kinds of packets that no program sends: ${evidence.names}.`,
      reasons: [reason(
        "odd_packets",
        probe.kinds.size >= manyKindsMin ? 50 : 40,
        `${evidence.kinds} kinds of odd packets; ${kindsMin} are the threshold`,
      )],
      evidence,
    };
  },
  meaning:
    "Which system a machine runs says which weaknesses it may have: this comes before an attack on it.",
  action: (_evidence, _finding, { src, dst, service }) =>
    `${findOut(src, "probes")}${
      service > 0 ? ` A port scan that names ${dst.ip} as its source at this time is that host's, too.` : ""
    }`,
  falseAlarm: "Network inventory and vulnerability scanners of your own tell systems apart in this way, too.",
});

interface Idle {
  src: Address;
  dst: Address;
  service: number;
  ports: Distinct<number>;
  packets: number;
}

function ofIdle({ src, dst, service, ports, packets }: Idle, idlePortsMin: number) {
  const evidence = {
    kinds: field<number>("kinds of odd packets", 1),
    names: field("which are", "SYN-ACKs that nobody asked for"),
    packets: field("packets", packets),
  };
  return {
    title: "Idle scan through another host",
    src_ips: [src.ip],
    dst_ips: [dst.ip],
    dst_port: service,
    count: packets,
    summary:
      `${src.ip} sent ${dst.ip} (port ${service}) ${evidence.packets} SYN-ACKs that nobody asked for, from ${ports.count} ports; by the numbers of the answers it can scan others in the name of ${dst.ip}.`,
    reasons: [reason(
      "idle_probes",
      45,
      `SYN-ACKs from ${ports.count} ports to one service; ${idlePortsMin} are the threshold, as a server has one port`,
    )],
    evidence,
  };
}

/** The port that an unasked SYN-ACK came from, to a service, which refused it or said nothing; 0 = there is none. */
function idlePortOf({ begins, first, dst, segment }: PreparedUpdate): number {
  if (segment.protocol !== "tcp" || !first || dst.isGroup) return 0;
  const { fwd_tcp_flags, bwd_tcp_flags, src_port, dst_port, fwd_payload_bytes, bwd_payload_bytes } = segment;
  if (fwd_payload_bytes + bwd_payload_bytes > 0) return 0;
  if (begins && fwd_tcp_flags === synAck && isRefusal(bwd_tcp_flags)) {
    return src_port >= 1_024 && dst_port < 1_024 ? src_port : 0;
  }
  // What was refused may stand for the question.
  if (bwd_tcp_flags !== synAck || fwd_tcp_flags !== rst) return 0;
  return dst_port >= 1_024 && src_port < 1_024 ? dst_port : 0;
}

function isRefusal(flags: number): boolean {
  return flags === 0 || flags === rst;
}

/** What is odd about how a flow begins; null = nothing. */
function oddKindOf({ begins, dst, segment }: PreparedUpdate): string | null {
  if (!begins || dst.isGroup) return null;
  const { protocol, src_port, dst_port, fwd_tcp_flags, fwd_payload_bytes } = segment;
  if (protocol === "tcp") {
    if (fwd_payload_bytes > 0) return null;
    const flags = fwd_tcp_flags & 63;
    if (flags === 0) return "TCP without flags";
    if (flags === (fin | psh | urg)) return "TCP with FIN, PSH and URG";
    // One packet with both; of a flow that began and ended in order there is an acknowledgement as well.
    return (flags & (syn | fin | rst)) === (syn | fin) && (flags & 16) === 0 ? "TCP with SYN and FIN" : null;
  }
  if (protocol !== "icmp") return null;
  if (src_port === 8) return dst_port === 0 ? null : "ping with a code";
  return src_port === 13
    ? "ICMP timestamp request"
    : src_port === 15
    ? "ICMP information request"
    : src_port === 17
    ? "ICMP address mask request"
    : null;
}
