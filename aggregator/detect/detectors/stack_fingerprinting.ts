/** Stack fingerprinting: one host sends another packets that no program sends, to tell its system by how it answers.
 *
 * In: beginnings of TCP flows with flags that contradict each other, and ICMP questions that systems no longer ask.
 * Out: one finding for each pair of hosts.
 * Invariant: one odd kind alone is none:
 * a damaged packet, a stealth scan of ports (found as such), a clock asked by timestamp.
 * Sources: nmap's second-generation probes (T2 without flags, T3 with SYN, FIN, PSH and URG, T7 with FIN, PSH and URG;
 * IE with code 9); Arkin, "ICMP Usage in Scanning" (2001), for xprobe; RFC 6918, which deprecates ICMP's information
 * and address mask requests. @module */

import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";

const syn = 2, fin = 1, rst = 4, psh = 8, urg = 32;

export const stackFingerprinting = detector({
  name: "stack_fingerprinting",
  technique: "T1595",
  title: "Stack fingerprinting",
  about: "One host sends another packets that no program sends, to tell its system by the answers.",
  limits: {
    kindsMin: { value: 2, unit: "kinds", why: "of odd packets; one kind may be damage, or a port scan's" },
    manyKindsMin: { value: 3, unit: "kinds", why: "nmap sends four, xprobe three" },
  },
  window: {
    quietS: { value: 60, unit: "s", why: "tools send all of them within seconds" },
    ageS: { value: 600, unit: "s", why: "odd packets of an hour do not add up" },
  },
  keysMax: 5_000,
  key: (update) => oddKindOf(update) === null ? null : by.pair,
  open: ({ src, dst }) => ({ src, dst, kinds: new Distinct<string>(16), packets: 0 }),
  step(probe, update) {
    probe.kinds.add(oddKindOf(update)!);
    probe.packets += update.segment.fwd_packets;
  },
  isThreat: ({ kinds }, { kindsMin }) => kinds.size >= kindsMin,
  finding(probe, { kindsMin, manyKindsMin }) {
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
  action: (_evidence, _finding, { src }) => findOut(src, "probes"),
  falseAlarm: "Network inventory and vulnerability scanners of your own tell systems apart in this way, too.",
});

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
