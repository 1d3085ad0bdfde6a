/** One run of ingest in a process of its own, so that CPU and memory are its alone.
 *
 * Use: by ingest.ts. In: store URL, recording, number of sensors, "detect" or "". Out: one line of JSON.
 * What is in it: header, signature, zstd, hash, columns, merge, ledger, gaps, offsets, rollups, commit; with "detect"
 * all detectors and their threats too. A part of the batches goes into a store in memory before, to warm up. What is
 * not: the broker's own protocol. Batches are given as a consumer gives them, some hundred at once. @module */

import { Buffer } from "node:buffer";
import process from "node:process";
import { zstdCompressSync } from "node:zlib";
import { Detection } from "../../aggregator/detect/detection.ts";
import { Suppressor } from "../../aggregator/detect/suppressor.ts";
import { startDetectors } from "../../aggregator/detect/detectors/catalogue.ts";
import { Engine } from "../../aggregator/detect/engine.ts";
import { Ingest } from "../../aggregator/ingest/ingest.ts";
import { openStore } from "../../aggregator/store/open.ts";
import { explainByRules } from "../../aggregator/triage/rules.ts";
import { serveOptions } from "../../aggregator/options/serve_options.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { BenchSensor, readRecording } from "./recorded.ts";

const inFlightMax = 256;
const warmBatches = 30;

const [url, recording, sensorCount, detect] = Deno.args;
const reporter = createReporter({
  component: "bench",
  write: (line) => Deno.stderr.writeSync(Buffer.from(line)),
});
const store = openStore(url, { reporter });
await store.start();
const sensors = Array.from({ length: Number(sensorCount) }, (_, i) => new BenchSensor(`sensor${i}`, i + 1));
for (const sensor of sensors) await sensor.enrol(store, Date.now());
const batches = (await readRecording(recording)).flatMap((batch) =>
  sensors.map((sensor) => sensor.seal(batch, Date.now()))
).map(({ headers, value, flows }) => ({ headers, body: zstdCompressSync(value), flows }));
const detection = detect === "detect"
  ? new Detection({}, {
    engine: new Engine({}, { detectors: startDetectors(), reporter, explain: explainByRules }),
    store,
    suppressor: new Suppressor({ store, clock: systemClock, reporter }),
    clock: systemClock,
    reporter,
  })
  : null;
/** Code is compiled as it runs, so the first seconds of a process cost more than all that follow;
 * what is measured is the rest. */
async function warmUp(): Promise<void> {
  const other = openStore("sqlite::memory:", { reporter });
  await other.start();
  for (const sensor of sensors) await sensor.enrol(other, Date.now());
  const ingest = new Ingest({ buckets: serveOptions.buckets.default }, {
    store: other,
    reporter,
    clock: systemClock,
    ...detection ? { onStored: () => {} } : {},
  });
  await ingest.start();
  const some = batches.slice(0, warmBatches * sensors.length);
  await Promise.all(some.map(({ headers, body }) => ingest.submit((name) => headers[name], body)));
  await ingest.stop();
  await other.stop();
}

await warmUp();
const ingest = new Ingest({ buckets: serveOptions.buckets.default }, {
  store,
  reporter,
  clock: systemClock,
  ...detection ? { onStored: (updates, nowMs) => detection.take([...updates], nowMs) } : {},
});
await ingest.start();
await detection?.start();

let peak = 0;
const watch = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 20);
const cpuBefore = process.cpuUsage(), begin = performance.now();
const waiting = new Set<Promise<void>>();
for (const [offset, { headers, body }] of batches.entries()) {
  const position = {
    topic: "bench",
    partition: Number(headers["picket-bucket"]),
    offset: String(offset),
    mark: "",
  };
  const done = ingest.submit((name) => headers[name], body, position).then((outcome) => {
    if (outcome.outcome !== "stored") {
      throw new Error(`Cannot bench as a batch is ${outcome.outcome}: ${JSON.stringify(outcome)}`);
    }
    waiting.delete(done);
  });
  waiting.add(done);
  if (waiting.size >= inFlightMax) await Promise.race(waiting);
}
await Promise.all(waiting);
await ingest.stop();
const wallS = (performance.now() - begin) / 1e3, cpu = process.cpuUsage(cpuBefore);
clearInterval(watch);
const { flows, packets, sightings } = await store.readTotals();
await detection?.stop();
await store.stop();
const segments = batches.reduce((sum, batch) => sum + batch.flows, 0);
Deno.stdout.writeSync(
  Buffer.from(
    JSON.stringify({
      segments,
      wallS,
      cpuS: (cpu.user + cpu.system) / 1e6,
      peakMB: peak / 1e6,
      flows,
      packets,
      sightings,
    }) + "\n",
  ),
);
