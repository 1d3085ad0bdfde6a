/** Ingest over a real SQLite store in memory, for tests: what is submitted, told and stored.
 *
 * Out: {@link withIngest}, and sums of what is stored by counting, not by the running sums. @module */

import { Ingest, type IngestDeps, type IngestOptions } from "../../../aggregator/ingest/ingest.ts";
import type { Flow, FlowUpdate } from "../../../aggregator/model/flow.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import type { Batch } from "../../../shared/batch.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import { bodyOf, buckets, getterOf, segment, t0, TestClock, type TestSensor, udpSegment } from "./fleet.ts";

export interface Bench {
  store: Store;
  clock: TestClock;
  ingest: Ingest;
  updates: FlowUpdate[];
  counter(name: string): number;
  submit(batch: Batch): ReturnType<Ingest["submit"]>;
  /** A new ingest over the same store: what was only in memory is gone. */
  restart(): Promise<void>;
}

export async function withIngest(
  sensors: TestSensor[],
  work: (bench: Bench) => Promise<void>,
  options: Partial<IngestOptions> = {},
  wrap: (store: Store) => Store = (store) => store,
  url = "sqlite::memory:",
  onStored?: IngestDeps["onStored"],
): Promise<void> {
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = new TestClock();
  const store = openStore(url, { reporter, clock });
  await store.start();
  for (const sensor of sensors) await sensor.enrol(store);
  const updates: FlowUpdate[] = [];
  const deps: IngestDeps = {
    store: wrap(store),
    reporter,
    clock,
    onStored: onStored ?? ((more) => void updates.push(...more)),
  };
  const bench: Bench = {
    store,
    clock,
    ingest: new Ingest({ buckets, ...options }, deps),
    updates,
    counter: (name) => reporter.snapshot().get(name) ?? 0,
    submit: (batch) => bench.ingest.submit(getterOf(batch), bodyOf(batch)),
    async restart() {
      await bench.ingest.stop();
      bench.ingest = new Ingest({ buckets, ...options }, deps);
      await bench.ingest.start();
    },
  };
  await bench.ingest.start();
  try {
    await work(bench);
  } finally {
    await bench.ingest.stop();
    await store.stop();
  }
}

/** Flows of one capture, some of them long, TCP and UDP. */
export function capture(flows: number): Segment[] {
  return Array.from({ length: flows }, (_, i) => {
    const make = i % 3 === 0 ? udpSegment : segment;
    return make({
      src_port: 1_024 + i,
      start: t0 + i / 10,
      end: t0 + i / 10 + 3,
      ...(i % 3 ? { tcp_isn: i } : {}),
    });
  });
}

export const packetsOf = (segments: readonly Segment[]) =>
  segments.reduce((sum, one) => sum + one.fwd_packets + one.bwd_packets, 0);
export const outcomes = (all: { outcome: string }[]) => all.map(({ outcome }) => outcome);

export async function totals(store: Store) {
  const { flows, packets, bytes, sightings } = await store.readTotals();
  return { flows, packets, bytes, sightings };
}

/** Totals by counting what is stored, not by the running sums. */
export async function counted(store: Store) {
  const flows: Flow[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.readFlows({}, { limit: 100, ...(cursor ? { cursor } : {}) });
    flows.push(...page.rows);
    cursor = page.next_cursor;
  } while (cursor);
  const sum = (of: (flow: Flow) => number) => flows.reduce((total, flow) => total + of(flow), 0);
  return {
    flows: flows.length,
    packets: sum((flow) => flow.total_packets),
    bytes: sum((flow) => flow.total_bytes),
    sightings: sum((flow) => flow.seen_by.length),
    seenPackets: sum((flow) => flow.seen_by.reduce((all, one) => all + one.fwd_packets + one.bwd_packets, 0)),
    rows: flows,
  };
}
