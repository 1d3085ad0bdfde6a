/** What one update adds to a flood of any protocol.
 *
 * In: an update. Out: its shares, none when no flood is made of such flows.
 * Invariant: a conversation adds nothing to a flood of packets; half-open connections are the SYN flood's, unasked
 * answers the reflection's. A carrier of tunnels sends one way by its nature and adds nothing either.
 * Sources: RFC 4861 (neighbour discovery), RFC 2644 (why no router passes directed broadcasts on). @module */

import type { Facts } from "../../../shared/facts.ts";
import type { Opening, PreparedUpdate } from "../prepared.ts";

/** `connections`: complete ones to a web server. `held`: web requests that are kept open and never finished.
 * `smurf`: pings of all hosts at once, which answer whoever is named as their source. `router`, `neighbour`, `solicit`:
 * IPv6 announcements of routers and of hosts, questions for hosts. `mac`: packets of senders that nobody knows. */
export type FloodKind =
  | "udp"
  | "icmp"
  | "tcp"
  | "ip"
  | "connections"
  | "held"
  | "smurf"
  | "router"
  | "neighbour"
  | "solicit"
  | "mac";

export interface FloodShare {
  kind: FloodKind;
  /** What the kind counts: packets, or flows of TCP. */
  amount: number;
  octets: number;
  /** The server sent payload back. */
  isAnswered: boolean;
  /** The request went on in small pieces. */
  isTrickle?: true;
}

const syn = 2, rst = 4;
/** VXLAN, Linux VXLAN, Geneve, GTP-U, Teredo: each direction has flows of its own. */
const carrierPorts = new Set([4789, 8472, 6081, 2152, 3544]);
/** Errors that routers and hosts send about the packets of others. */
const icmpErrors: Readonly<Record<string, readonly number[]>> = { icmp: [3, 4, 5, 11], icmp6: [1, 2, 3, 4] };
/** Neighbour discovery, RFC 4861; questions for routers and redirects make no flood. */
const neighbourKinds: Readonly<Record<number, FloodKind | null>> = {
  133: null,
  134: "router",
  135: "solicit",
  136: "neighbour",
  137: null,
};
const echoRequest: Readonly<Record<string, number>> = { icmp: 8, icmp6: 128 };
const webPorts = new Set([80, 443, 8000, 8080, 8443]);
const webApps = new Set(["http", "tls"]);
/** Packets sent for one that comes back: below that it is a conversation.
 * QUIC and TCP acknowledge every second to tenth packet. */
const oneWayRatio = 20;
/** A web client that has said nothing complete for so long is not at work: Apache and nginx give a request's header 20
 * to 60 s. One that goes on in small pieces shows earlier what it is about. */
const heldS = 20, trickleS = 10;
/** SYN, ACK, the request's beginning and at least three pieces more; less than a slow upload sends in the time. */
const tricklePacketsMin = 6, trickleOctetsMax = 16_384;

const none: readonly FloodShare[] = [];
const ofStranger: FloodShare = { kind: "mac", amount: 1, octets: 0, isAnswered: false };
const strangerAlone: readonly FloodShare[] = [ofStranger];

export function readFloodShares(update: PreparedUpdate): readonly FloodShare[] {
  const share = readFloodShare(update, update.segment.facts), isStranger = isOfStranger(update);
  if (share === null) return isStranger ? strangerAlone : none;
  return isStranger ? [share, ofStranger] : [share];
}

/** All but the stranger's. */
export function readFloodShare(update: Opening, facts: Facts | null): FloodShare | null {
  const { segment, dst, src } = update;
  const { protocol, fwd_packets, fwd_bytes, bwd_packets, factor } = segment;
  if (fwd_packets === 0 || protocol === "arp") return null;
  const share = { amount: fwd_packets * factor, octets: fwd_bytes * factor, isAnswered: bwd_packets > 0 };
  if (protocol === "icmp" || protocol === "icmp6") {
    const type = segment.src_port;
    if (dst.isGroup && type === echoRequest[protocol]) return { kind: "smurf", ...share };
    if (protocol === "icmp6" && type in neighbourKinds) {
      const kind = neighbourKinds[type];
      return kind === null || bwd_packets > 0 ? null : { kind, ...share };
    }
    return dst.isGroup && !isBroadcast(update) || icmpErrors[protocol].includes(type)
      ? null
      : { kind: "icmp", ...share };
  }
  // What goes to all fills the segment; what goes to a group is video.
  if (dst.isGroup && (protocol === "tcp" || !isBroadcast(update))) return null;
  if (protocol === "tcp") return readTcp(update, facts);
  if (fwd_packets < oneWayRatio * bwd_packets) return null;
  if (protocol === "udp") return carrierPorts.has(segment.dst_port) ? null : { kind: "udp", ...share };
  // Mirrored traffic (ERSPAN) and tunnels between own routers.
  return src.isOwn && dst.isOwn ? null : { kind: "ip", ...share };
}

/** IPv4's, of all networks or of one. */
function isBroadcast({ dst: { ipv4 } }: Opening): boolean {
  return ipv4 !== null && (ipv4 & 255) === 255 && ipv4 >>> 28 !== 14;
}

/** A single packet between two addresses that are not of this network, or from a hardware address that no card can have
 * (its group bit is set). */
function isOfStranger({ begins, segment, src, dst }: Opening): boolean {
  if (!begins || segment.fwd_packets !== 1 || segment.bwd_packets !== 0 || segment.src_mac === "") {
    return false;
  }
  return (!src.isPrivate && !dst.isPrivate) || (parseInt(segment.src_mac[1], 16) & 1) === 1;
}

function readTcp({ segment, first, begins }: Opening, facts: Facts | null): FloodShare | null {
  const { fwd_tcp_flags, bwd_tcp_flags, fwd_payload_bytes, bwd_payload_bytes, bwd_packets } = segment;
  const share = { amount: segment.factor, octets: segment.fwd_bytes * segment.factor, isAnswered: false };
  if ((fwd_tcp_flags & syn) === 0 && first) {
    const isRefused = (bwd_tcp_flags & rst) !== 0 && bwd_payload_bytes === 0;
    return begins && (bwd_packets === 0 || isRefused) ? { kind: "tcp", ...share } : null;
  }
  if (!begins || (bwd_tcp_flags & syn) === 0) return null;
  if (!webPorts.has(segment.dst_port) && !webApps.has(segment.app_protocol)) return null;
  const lastedS = segment.end - segment.start;
  if (lastedS >= trickleS && fwd_payload_bytes > 0 && isUnfinished(segment, facts)) {
    if (segment.fwd_packets >= tricklePacketsMin && fwd_payload_bytes <= trickleOctetsMax) {
      return { kind: "held", ...share, isTrickle: true };
    }
    if (lastedS >= heldS) return { kind: "held", ...share };
  }
  return { kind: "connections", ...share, isAnswered: bwd_payload_bytes > 0 };
}

/** No answer, or the one of a server that has waited long enough; a body of which less came than was announced, while
 * time went by for far more. */
function isUnfinished(
  { fwd_payload_bytes, bwd_payload_bytes }: Opening["segment"],
  facts: Facts | null,
): boolean {
  if (bwd_payload_bytes === 0) return true;
  const said = facts?.http;
  if (said === undefined) return false;
  let answers = 0, timeouts = 0, isHead = false;
  for (const { method, status, length = 0 } of said) {
    if (method !== undefined) {
      isHead ||= method === "HEAD";
      if (length > fwd_payload_bytes) return true;
    }
    if (status === undefined) continue;
    answers++;
    if (status === 408) timeouts++;
    const isCut = length > bwd_payload_bytes && bwd_payload_bytes <= trickleOctetsMax;
    if (isCut && !isHead && (status === 200 || status === 206)) return true;
  }
  return answers === 1 && timeouts === 1;
}
