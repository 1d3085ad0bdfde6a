/** What the batch check lets through can be stored, read back, and started on again:
 * the largest times, counts, factors and sums. @module */

import { assert, assertEquals } from "@std/assert";
import { Ingest } from "../../../aggregator/ingest/ingest.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { bodyOf, buckets, getterOf, segment, TestClock, TestSensor } from "./fleet.ts";

const mariadb = await useMariadb();
const last = 4_503_599_627.370496;

/** Each a segment of its own flow; times in seconds. */
const extremes: Partial<Segment>[] = [
  { start: 0, end: 0, flow_start: 0 },
  { start: 0, end: last, flow_start: 0 },
  { start: last, end: last, flow_start: last },
  { start: last, end: last, flow_start: 0 },
  { fwd_bytes: 17_592_186_044_416, bwd_bytes: 17_592_186_044_416 },
  { fwd_packets: 17_592_186_044_416, bwd_packets: 17_592_186_044_416 },
  { factor: 65_536, fwd_bytes: 1_000_000, bwd_bytes: 0, fwd_packets: 1, bwd_packets: 0 },
  { interarrival_us_max: 9_007_199_254_740_991, interarrival_us_deviation: 1e-300 },
  { segment: 17_592_186_044_416, packet_length_max: 17_592_186_044_416 },
  { handshake_rtt_us: 17_592_186_044_416, fwd_syn_count: 17_592_186_044_416 },
];

async function survives(url: string): Promise<void> {
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = new TestClock();
  clock.isImpatient = true;
  const sensor = new TestSensor("one");
  let store = openStore(url, { reporter, clock });
  await store.start();
  await sensor.enrol(store);
  let flows = 0;
  for (const [i, extreme] of extremes.entries()) {
    const ingest = new Ingest({ buckets }, { store, reporter, clock });
    await ingest.start();
    const rows = [segment({ src_port: 5_000 + i, tcp_isn: i, ...extreme })];
    for (const batch of sensor.seal(rows)) {
      const outcome = await ingest.submit(getterOf(batch), bodyOf(batch));
      assertEquals(outcome, { outcome: "stored" }, JSON.stringify(extreme));
    }
    flows++;
    await ingest.stop();
    await store.stop();
    store = openStore(url, { reporter, clock });
    await store.start();
    const page = await store.readFlows({}, { limit: 1_000 });
    assertEquals(page.rows.length, flows, JSON.stringify(extreme));
    assertEquals((await store.readTotals()).flows >= flows, true);
    assert((await store.readProtocols({})).length > 0);
    await store.readTopTalkers({}, 10);
    await store.readSeries({ from: 0, to: 3_600 }, 60);
  }
  await store.stop();
}

Deno.test("sqlite: the extremes of a batch are stored, read back and started on again", async () => {
  const folder = await Deno.makeTempDir();
  await survives(`sqlite:${folder}/picket.db`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "mariadb: the extremes of a batch are stored, read back and started on again",
  ignore: mariadb.ignore,
  fn: async () => survives(await createDatabase(mariadb.address)),
});
