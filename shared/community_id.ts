/** Community ID v1, seed 0: one name for a flow that every tool computes alike.
 *
 * In: protocol number, addresses as bytes, ports (for ICMP: type and code).
 * Out: the SHA-1 digest, its text, its bucket.
 * Invariant: both directions of a flow have one digest; one-way ICMP types keep their direction.
 * Source: github.com/corelight/community-id-spec, README and reference implementation (ICMP tables as there).
 * @module */

import { Buffer } from "node:buffer";
import { parseIp } from "./ip.ts";
import { arpProtocol, protocolNumber } from "./protocols.ts";
import { sha1Into } from "./sha1.ts";

/** ICMP types that are answered by another type; all others are one-way. */
const icmpCounterparts = new Map([[8, 0], [0, 8], [13, 14], [14, 13], [15, 16], [16, 15], [10, 9], [9, 10], [
  17,
  18,
], [
  18,
  17,
]]);
const icmp6Counterparts = new Map([
  [128, 129],
  [129, 128],
  [133, 134],
  [134, 133],
  [135, 136],
  [136, 135],
  [130, 131],
  [131, 130],
  [144, 145],
  [145, 144],
  [139, 140],
  [140, 139],
]);

/** Type that answers an ICMP type, -1 for a one-way type. `protocol` is 1 or 58. */
export function icmpCounterpart(protocol: number, type: number): number {
  return (protocol === 1 ? icmpCounterparts : icmp6Counterparts).get(type) ?? -1;
}

const data = new Uint8Array(40);
const pair = new Uint8Array(32);

/** 20-byte digest. Addresses have 4 or 16 bytes, both the same.
 * For protocols 1 and 58 the ports are ICMP type and code. */
export function communityIdDigest(
  protocol: number,
  src: Uint8Array,
  dst: Uint8Array,
  srcPort: number,
  dstPort: number,
): Uint8Array {
  const digest = new Uint8Array(20);
  pair.set(src, 0);
  pair.set(dst, 16);
  communityIdInto(protocol, pair, 0, src.length, srcPort, dstPort, digest, 0);
  return digest;
}

/** The same of two addresses of `length` octets at `at` and 16 octets further on, written to `out`. */
export function communityIdInto(
  protocol: number,
  ips: Uint8Array,
  at: number,
  length: number,
  srcPort: number,
  dstPort: number,
  out: Uint8Array,
  outAt: number,
): void {
  let oneWay = false;
  if (protocol === 1 || protocol === 58) {
    const counterpart = icmpCounterpart(protocol, srcPort);
    oneWay = counterpart < 0;
    if (!oneWay) dstPort = counterpart;
  }
  const hasPorts = protocol === 1 || protocol === 6 || protocol === 17 || protocol === 58 || protocol === 132;
  let order = 0;
  for (let i = 0; i < length && order === 0; i++) order = ips[at + i] - ips[at + 16 + i];
  const swap = !oneWay && (order > 0 || (order === 0 && hasPorts && srcPort > dstPort));
  const first = swap ? at + 16 : at, second = swap ? at : at + 16;
  data[0] = data[1] = 0;
  for (let i = 0; i < length; i++) {
    data[2 + i] = ips[first + i];
    data[2 + length + i] = ips[second + i];
  }
  let end = 2 + 2 * length;
  data[end++] = protocol;
  data[end++] = 0;
  if (hasPorts) {
    const low = swap ? dstPort : srcPort, high = swap ? srcPort : dstPort;
    data[end++] = low >> 8;
    data[end++] = low;
    data[end++] = high >> 8;
    data[end++] = high;
  }
  sha1Into(data, end, out, outAt);
}

/** "1:" and the digest in base64. */
export function formatCommunityId(digest: Uint8Array): string {
  return "1:" + Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString("base64");
}

/** Community ID of a flow given in words; "" for ARP and for what is not a pair of addresses of one family.
 *
 * @example Both directions have one name, the one that Zeek, Suricata and Wireshark print.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { communityId } from "./community_id.ts";
 *
 * const there = { protocol: "tcp", src_ip: "128.232.110.120", dst_ip: "66.35.250.204", src_port: 34855, dst_port: 80 };
 * const back = { protocol: "tcp", src_ip: "66.35.250.204", dst_ip: "128.232.110.120", src_port: 80, dst_port: 34855 };
 * assertEquals(communityId(there), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
 * assertEquals(communityId(back), communityId(there));
 * ``` */
export function communityId(
  flow: { protocol: string; src_ip: string; dst_ip: string; src_port: number; dst_port: number },
): string {
  const digest = flowDigest(flow);
  return digest === null || flow.protocol === "arp" ? "" : formatCommunityId(digest);
}

/** Digest that places a flow in a bucket: the Community ID's; for ARP one over both addresses in the same way. */
export function flowDigest(
  flow: { protocol: string; src_ip: string; dst_ip: string; src_port: number; dst_port: number },
): Uint8Array | null {
  const protocol = protocolNumber(flow.protocol);
  const src = parseIp(flow.src_ip), dst = parseIp(flow.dst_ip);
  if (protocol < 0 || !src || !dst || src.length !== dst.length) return null;
  // A question and its answer lie in one bucket, whatever they ask.
  if (protocol === arpProtocol) return communityIdDigest(0, src, dst, 0, 0);
  return communityIdDigest(protocol, src, dst, flow.src_port, flow.dst_port);
}

/** Bucket of a digest: its first four bytes, big-endian, modulo `buckets`. Equal on every sensor of a fleet.
 *
 * @example All sightings of one flow meet in one bucket.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bucketOf, flowDigest } from "./community_id.ts";
 *
 * const flow = { protocol: "udp", src_ip: "10.0.0.5", dst_ip: "10.0.0.1", src_port: 5353, dst_port: 53 };
 * const answer = { protocol: "udp", src_ip: "10.0.0.1", dst_ip: "10.0.0.5", src_port: 53, dst_port: 5353 };
 * assertEquals(bucketOf(flowDigest(flow)!, 4), bucketOf(flowDigest(answer)!, 4));
 * ``` */
export function bucketOf(digest: Uint8Array, buckets: number): number {
  return ((digest[0] << 24 | digest[1] << 16 | digest[2] << 8 | digest[3]) >>> 0) % buckets;
}
