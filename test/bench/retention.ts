/** What it costs ingest that a day is archived, and that it leaves, in one run.
 *
 * Use: `deno run -A test/bench/retention.ts [--flows N] [--quiet-s N] [--store sqlite|mariadb]`. Both stores are
 * measured unless one is named; a MariaDB is started for it.
 * What is compared: the time of transactions of 200 new flows of today, one every 50 ms, first with nothing beside
 * them, then while a day of N flows is archived by the thread that `serve` uses, then while it is dropped.
 * Commits are durable.
 * Out: seconds of archive and drop, octets a flow in the archive, p50 and p99 of the transactions in each part,
 * and the ratios of p99.
 * What it does not mean: the flows are alike, so the archive packs them better than real ones;
 * there are no sensors and no detectors. @module */

import { parseArgs } from "@std/cli/parse-args";
import { ArchiveThread } from "../../aggregator/archive/archive_thread.ts";
import type { StoredDay } from "../../aggregator/model/retention.ts";
import { openStore } from "../../aggregator/store/open.ts";
import type { Store } from "../../aggregator/store/store.ts";
import { createReporter } from "../../shared/reporter.ts";
import { flowsOf, flowWrite, nothing, sighting } from "../aggregator/store/rows.ts";
import { createDatabase, mariadb } from "../services/mariadb.ts";

const everyMs = 50;
const flowsPerWrite = 200;
const flowsPerFill = 10_000;
/** Keeps the times of flows of one day within it, whatever their number. */
const dayS = 86_400;
const day = 1_768_435_200;
const reporter = createReporter({ component: "bench", write: () => {} });
const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

/** Flows of a day, number `from` on; each its own address and port, a tenth of them seen twice. */
function writes(at: number, from: number, count: number, ofAll: number) {
  return flowsOf(Array.from({ length: count }, (_, i) => {
    const n = from + i, start = at + Math.floor(n / ofAll * dayS * 1e6) / 1e6;
    const write = flowWrite(0, {
      flow_id: idAt(start, n),
      start,
      end: start + (n % 977) / 10,
      src_ip: `10.${n % 7}.${n % 251}.${n % 241}`,
      dst_ip: `192.0.${n % 13}.${n % 199}`,
      src_port: 1_024 + n * 7_919 % 60_000,
      fwd_bytes: 60 + n * 31 % 100_000,
      bwd_bytes: 60 + n * 17 % 1_000_000,
      facts: n % 3 === 0 ? { dns: [{ name: `host-${n % 5_003}.example.com`, type: "A" }] } : null,
      stored_ms: start * 1e3,
      updated_ms: start * 1e3,
    });
    return n % 10 === 0 ? { ...write, sightings: [sighting("s-one"), sighting("s-two")] } : write;
  }));
}

function idAt(start: number, n: number): string {
  const us = Math.round(start * 1e6);
  return (BigInt(us) * 2_048n + BigInt(n % 2_048)).toString(16).padStart(16, "0");
}

/** Writes flows of today until `until` settles; milliseconds of each transaction. */
class Writer {
  #next = 0;

  constructor(readonly store: Store, readonly today: number) {}

  async beside<Result>(until: Promise<Result>): Promise<{ ms: number[]; wallS: number; result: Result }> {
    const ms: number[] = [], begin = performance.now();
    let isOver = false;
    const ended = until.finally(() => isOver = true);
    while (!isOver || ms.length < 20) {
      const due = performance.now();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      const write = { ...nothing(), ...writes(this.today, this.#next, flowsPerWrite, 50_000_000) };
      this.#next += flowsPerWrite;
      await this.store.ingest(write);
      // From when it was due: what keeps the thread busy keeps a batch waiting too.
      ms.push(performance.now() - due - everyMs);
    }
    return { ms, wallS: (performance.now() - begin) / 1e3, result: await ended };
  }
}

function quantile(ms: readonly number[], q: number): number {
  return ms.toSorted((a, b) => a - b)[Math.min(ms.length - 1, Math.floor(ms.length * q))];
}

async function timed<Result>(work: Promise<Result>): Promise<{ seconds: number; value: Result }> {
  const begin = performance.now();
  const value = await work;
  return { seconds: (performance.now() - begin) / 1e3, value };
}

async function bench(
  name: string,
  url: string,
  folder: string,
  flows: number,
  quietS: number,
): Promise<void> {
  const store = openStore(url, { reporter });
  await store.start();
  await store.prepareDays(day * 1e3);
  const fill = await timed((async () => {
    for (let n = 0; n < flows; n += flowsPerFill) {
      await store.ingest({ ...nothing(), ...writes(day, n, Math.min(flowsPerFill, flows - n), flows) });
    }
  })());
  print(`${name}: ${flows} flows of one day, written in ${fill.seconds.toFixed(1)} s`);
  const writer = new Writer(store, day + dayS);
  const quiet = await writer.beside(new Promise((resolve) => setTimeout(resolve, quietS * 1e3)));
  const stored = (await store.readDays()).find((one) => one.day === day) as StoredDay;
  const thread = new ArchiveThread({ url, password: "", ca: null, folder, bucket: null });
  const archive = await writer.beside(timed(thread.keep(stored, true, new AbortController().signal)));
  const { rows, octets } = archive.result.value;
  const drop = await writer.beside(timed(store.dropDay(day, "flows")));
  if (rows !== flows || (await store.sumDay(day)).flows !== 0) throw new Error("the day is not what it was");
  const p99 = quantile(quiet.ms, 0.99);
  const line = (what: string, ms: number[]) =>
    print(
      `  ${what.padEnd(34)} p50 ${quantile(ms, 0.5).toFixed(1).padStart(7)} ms  p99 ${
        quantile(ms, 0.99).toFixed(1).padStart(7)
      } ms  ${(quantile(ms, 0.99) / p99).toFixed(2)} x quiet  (${ms.length})`,
    );
  line("ingest, nothing beside it", quiet.ms);
  line(`ingest, archive of ${archive.result.seconds.toFixed(1)} s`, archive.ms);
  line(`ingest, drop of ${drop.result.seconds.toFixed(2)} s`, drop.ms);
  const us = archive.result.seconds / flows * 1e6;
  print(`  archive: ${us.toFixed(1)} us and ${(octets / flows).toFixed(1)} octets a flow`);
  await store.stop();
}

const options = parseArgs(Deno.args, {
  string: ["flows", "quiet-s", "store"],
  default: { flows: "1000000", "quiet-s": "20", store: "" },
});
const folder = await Deno.makeTempDir({ prefix: "picket-bench-" });
const [flows, quietS] = [Number(options.flows), Number(options["quiet-s"])];
print(`load before: ${Deno.loadavg()[0].toFixed(2)} on ${navigator.hardwareConcurrency} cores`);
if (options.store !== "mariadb") {
  await bench("sqlite", `sqlite:${folder}/picket.db`, `${folder}/sqlite`, flows, quietS);
}
if (options.store !== "sqlite") {
  const service = await mariadb.start();
  const url = await createDatabase(service.address, "bench_retention");
  await bench("mariadb", url, `${folder}/mariadb`, flows, quietS);
  await service.stop();
}
print(`load after: ${Deno.loadavg()[0].toFixed(2)}`);
await Deno.remove(folder, { recursive: true });
