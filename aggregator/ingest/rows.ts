/** The columns of a verified batch as segments, and the key by which sightings of one flow meet.
 *
 * In: a checked table. Out: segments with Community ID, and for each its 20-octet digest.
 * Invariant: a digest is equal for both directions of a flow, and for every sensor; ARP, whose flows have one direction and are told
 * apart by the sender's MAC, has one of its own. @module */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { flowDigest, formatCommunityId } from "../../shared/community_id.ts";
import { meansOf, type Segment, segmentColumnNames, type SegmentTable } from "../../shared/segment.ts";

export interface KeyedSegment {
  segment: Segment;
  /** Meets the same flow of other sensors. */
  key: Uint8Array;
}

/** `digests` are those that the bucket check made: one for each row, null where a row has none. Segments come back by start: in a
 * batch they stand as they compress best. */
export function readRows(table: Required<SegmentTable>, digests: (Uint8Array | null)[]): KeyedSegment[] {
  const start = table.start_us as number[];
  const order = digests.map((_, index) => index).sort((a, b) => start[a] - start[b]);
  return order.map((index) => {
    const digest = digests[index];
    const row: Record<string, unknown> = {};
    for (const name of segmentColumnNames) row[name] = table[name][index];
    const { start_us, duration_us, flow_age_us, ...rest } = row as Record<string, number>;
    const isNamed = digest !== null && row.protocol !== "arp";
    const segment = rest as unknown as Segment;
    Object.assign(segment, meansOf({ ...segment, duration_us }));
    segment.community_id = isNamed ? formatCommunityId(digest) : "";
    segment.start = start_us / 1e6;
    segment.end = (start_us + duration_us) / 1e6;
    segment.flow_start = (start_us - flow_age_us) / 1e6;
    return { segment, key: isNamed ? digest : ownKey(segment) };
  });
}

/** Community ID digest of each row; null where the addresses are not of one family. */
export function digestRows(table: Required<SegmentTable>, rows: number): (Uint8Array | null)[] {
  return Array.from({ length: rows }, (_, i) =>
    flowDigest({
      protocol: table.protocol[i] as string,
      src_ip: table.src_ip[i] as string,
      dst_ip: table.dst_ip[i] as string,
      src_port: table.src_port[i] as number,
      dst_port: table.dst_port[i] as number,
    }));
}

/** The key of a segment that did not come in a batch. */
export function keyOf(segment: Segment): Uint8Array {
  return segment.community_id === "" ? ownKey(segment) : Buffer.from(segment.community_id.slice(2), "base64");
}

function ownKey({ protocol, src_mac, src_ip, src_port, dst_ip, dst_port }: Segment): Uint8Array {
  const parts = [protocol, src_mac, src_ip, src_port, dst_ip, dst_port];
  return createHash("sha1").update(parts.join("|")).digest();
}
