/** Why a packet is in no flow: the closed list of reasons, as numbers on the hot path and as words elsewhere.
 *
 * Invariant: the number of a reason is its index; 0 = in a flow.
 * The words are keys of `capture.left_out` and labels of counters.
 * What they do not mean: a reason of an inner header (see {@link innerFaults}) leaves its packet in the flow of the
 * outer header.
 * @module */

import { noiseClasses } from "../../shared/policy.ts";

export const leftOutReasons = [
  "",
  "link_type_unknown",
  /** The snapshot length ends before the addresses. */
  "cut_packet",
  "link_malformed",
  "ip_malformed",
  "arp_malformed",
  /** More VLAN tags or MPLS labels than anyone uses. */
  "tags_too_many",
  "stp",
  "lldp",
  "cdp",
  /** PPP and PPPoE packets that negotiate the link. */
  "ppp_control",
  /** 802.11 management, control and empty data frames. */
  "wlan_control",
  "wlan_encrypted",
  "other_ethertype",
  ...noiseClasses,
  /** Connections of the sensor itself to aggregator and brokers, which the kernel's filter let through. */
  "own_traffic",
  /** Flows not sampled under overload. */
  "not_sampled",
] as const;
export type LeftOutReason = typeof leftOutReasons[number];

export const reason = Object.fromEntries(leftOutReasons.map((name, index) => [name, index])) as {
  readonly [name in LeftOutReason]: number;
};

/** What stopped the walk into a tunnel. Counted, not left out. */
export const innerFaults = ["", "inner_malformed", "inner_cut", "inner_too_deep"] as const;
export const innerFault = { none: 0, malformed: 1, cut: 2, tooDeep: 3 } as const;
