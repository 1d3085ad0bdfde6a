/** The merger as tests ask it: segments as objects in, flows as objects out.
 *
 * In: segments of one sensor. Out: what each flow got by them.
 * Invariant: what is not inside a transaction is one of its own. @module */

import { Arrival } from "../../../aggregator/ingest/arrival.ts";
import { columnsOf, type SegmentColumns } from "../../../aggregator/ingest/columns.ts";
import type { Source } from "../../../aggregator/ingest/arrival.ts";
import { Merger } from "../../../aggregator/ingest/merge.ts";
import type { MergeOptions } from "../../../aggregator/ingest/merge_options.ts";
import { MergeWrite } from "../../../aggregator/ingest/merge_write.ts";
import { MergedUpdate } from "../../../aggregator/ingest/update.ts";
import type { Flow, FlowUpdate, Sighting } from "../../../aggregator/model/flow.ts";
import { flowIdText } from "../../../aggregator/model/flow_id.ts";
import type { TrafficRow } from "../../../aggregator/model/traffic.ts";
import type { Reporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import { nowMs } from "./fleet.ts";

export interface FlowWrite {
  kind: "insert" | "update";
  /** Counts are increments. */
  flow: Omit<Flow, "seen_by">;
  /** Rows to write; of a flow that one vantage alone saw, what follows from the flow. */
  sightings: Sighting[];
}

export interface Merged {
  writes: FlowWrite[];
  newSightings: number;
  updates: FlowUpdate[];
  traffic: TrafficRow[];
}

export class TestMerger {
  readonly merger: Merger;
  #write: MergeWrite | null = null;
  /** Flows as they were written last. */
  #known = new Map<string, Omit<Flow, "seen_by">>();

  constructor(options: Partial<MergeOptions>, deps: { reporter: Reporter }) {
    this.merger = new Merger(options, deps);
  }

  get size(): number {
    return this.merger.size;
  }

  begin(): void {
    this.merger.begin();
    this.#write = new MergeWrite({ tells: true });
  }

  commit(): void {
    this.merger.commit();
    this.#write = null;
  }

  rollback(): void {
    this.merger.rollback();
    this.#write = null;
  }

  learn(segments: readonly Segment[], source: Source): void {
    this.merger.learn(columnsOf(segments), source);
  }

  expire(nowMs: number): number {
    return this.merger.expire(nowMs);
  }

  restore(flows: readonly Flow[]): void {
    this.merger.restore(flows);
  }

  take(segments: readonly Segment[], source: Source, nowMs: number): Merged {
    const isAlone = this.#write === null;
    if (isAlone) this.begin();
    const write = this.#write!;
    this.merger.take(columnsOf(segments), source, nowMs, write);
    const merged = this.#mergedOf(write);
    if (isAlone) this.commit();
    return merged;
  }

  #mergedOf(write: MergeWrite): Merged {
    const sightings = sightingsOf(write);
    const writes = Array.from({ length: write.rows.size }, (_, i): FlowWrite => {
      const flow = write.rows.flowAt(i);
      this.#known.set(flow.flow_id, flow);
      const seen = sightings.get(flow.flow_id) ?? [onlySighting(write, i, flow)];
      sightings.delete(flow.flow_id);
      return { kind: write.rows.columns.isNew[i] ? "insert" : "update", flow, sightings: seen };
    });
    for (const [id, seen] of sightings) {
      const counts = {
        fwd_packets: 0,
        fwd_bytes: 0,
        bwd_packets: 0,
        bwd_bytes: 0,
        total_packets: 0,
        total_bytes: 0,
      };
      writes.push({ kind: "update", flow: { ...this.#known.get(id)!, ...counts }, sightings: seen });
    }
    const { newSightings, updates } = write;
    return { writes, newSightings, updates: [...updates ?? []], traffic: write.traffic.rows() };
  }
}

function sightingsOf({ sightings }: MergeWrite): Map<string, Sighting[]> {
  const found = new Map<string, Sighting[]>();
  const c = sightings.columns;
  for (let i = 0; i < sightings.size; i++) {
    const id = flowIdText(c.idUs[i], c.slot[i]);
    const one: Sighting = {
      sensor_id: sightings.sensor[i],
      vlan: c.vlan[i],
      ip_depth: c.ipDepth[i],
      start: c.startUs[i] / 1e6,
      end: c.endUs[i] / 1e6,
      fwd_packets: c.fwdPackets[i],
      fwd_bytes: c.fwdBytes[i],
      bwd_packets: c.bwdPackets[i],
      bwd_bytes: c.bwdBytes[i],
      segments: c.segments[i],
      clock_offset_ms: c.offsetUs[i] / 1e3,
    };
    found.set(id, [...found.get(id) ?? [], one]);
  }
  return found;
}

function onlySighting({ rows }: MergeWrite, i: number, flow: Omit<Flow, "seen_by">): Sighting {
  const c = rows.columns;
  return {
    sensor_id: flow.fwd_sensor || flow.bwd_sensor,
    vlan: flow.vlan,
    ip_depth: flow.ip_depth,
    start: (c.startUs[i] - c.offsetUs[i]) / 1e6,
    end: (c.endUs[i] - c.offsetUs[i]) / 1e6,
    fwd_packets: flow.fwd_packets,
    fwd_bytes: flow.fwd_bytes,
    bwd_packets: flow.bwd_packets,
    bwd_bytes: flow.bwd_bytes,
    segments: c.segments[i],
    clock_offset_ms: c.offsetUs[i] / 1e3,
  };
}

/** The rows of a batch as segments, by start. `isTurned`: of flows that have their ends the other way round. */
export function segmentsOf(columns: SegmentColumns, isTurned = false): Segment[] {
  return [...columns.order].map((row) => {
    const arrival = new Arrival();
    arrival.set(columns, row, 0, nowMs);
    arrival.orient(isTurned);
    const { connState } = arrival;
    const facts = columns.facts[row], factor = columns.numbers.factor[row];
    const whole = { hasFwd: true, hasBwd: true, first: true, network: "", sensors: [], idUs: 0, slot: 0 };
    return plain(new MergedUpdate(arrival, { ...whole, facts, connState, factor }).segment);
  });
}

/** With what is worked out on demand, as an object that compares. */
function plain(segment: Segment): Segment {
  const { community_id, src_mac, dst_mac, packet_length_mean, interarrival_us_mean } = segment;
  return { ...segment, community_id, src_mac, dst_mac, packet_length_mean, interarrival_us_mean };
}
