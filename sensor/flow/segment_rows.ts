/** Exported segments, column by column, as they are sealed into batches.
 *
 * In: the flow table appends rows. Out: columns for the sealer, objects for `replay --flows` and `analyze`.
 * Invariant: every column has `length` values; `community` has 20 bytes a row, all zero for ARP.
 * Bound: by the caller, which hands full rows on and starts new ones. @module */

import { formatCommunityId } from "../../shared/community_id.ts";
import type { Facts } from "../../shared/facts.ts";
import { type Segment, type SegmentColumn, segmentColumnNames } from "../../shared/segment.ts";

const digestBytes = 20;

export class SegmentRows {
  /** Wire columns as in shared/segment.ts; times in integer microseconds. */
  readonly columns = Object.fromEntries(segmentColumnNames.map((name) => [name, []])) as unknown as {
    [name in SegmentColumn]: unknown[];
  };
  /** 20-byte Community ID digests, one after the other. */
  community: Uint8Array = new Uint8Array(64 * digestBytes);
  length = 0;

  /** Digest of row `index`, a view that later appends may leave behind. */
  digest(index: number): Uint8Array {
    return this.community.subarray(index * digestBytes, (index + 1) * digestBytes);
  }

  /** Makes room for the digest of one more row and counts the row; the appender then pushes one value to each column. */
  addRow(): number {
    const index = this.length++;
    const needed = this.length * digestBytes;
    if (needed > this.community.length) {
      const grown = new Uint8Array(needed * 2);
      grown.set(this.community);
      this.community = grown;
    }
    return index * digestBytes;
  }

  /** Row `index` as an object, times in epoch seconds. */
  object(index: number): Segment {
    const row: Record<string, unknown> = {};
    for (const name of segmentColumnNames) row[name] = this.columns[name][index];
    const { start_us, duration_us, flow_age_us, ...rest } = row as Record<string, number>;
    const isArp = row.protocol === "arp";
    return {
      community_id: isArp ? "" : formatCommunityId(this.digest(index)),
      ...rest as unknown as Omit<Segment, "community_id" | "start" | "end" | "flow_start">,
      start: start_us / 1e6,
      end: (start_us + duration_us) / 1e6,
      flow_start: (start_us - flow_age_us) / 1e6,
    };
  }

  /** Writes what the deep lane read for row `index`. */
  setFacts(index: number, appProtocol: string, facts: Facts | null): void {
    this.columns.app_protocol[index] = appProtocol;
    this.columns.facts[index] = facts;
  }
}
