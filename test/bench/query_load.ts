/** What slow questions cost those who ask nothing of the kind.
 *
 *     deno run -A test/bench/query_load.ts [--flows 200000] [--searchers 40] [--seconds 10]
 *
 * Method: a real aggregator over a SQLite store of that many flows. Health, readiness, batches of a hundred segments,
 * and two pages that people look at are asked for in turn, first alone, then while clients search all flows for a name
 * that none has. Both are done twice, and the better of each is kept, so that neither a cold start nor a busy moment
 * decides.
 * Out: p50 and p99 of each kind of request, alone and beside the searches, and their ratio;
 * searches answered and interrupted.
 * Aim: the p99 of others moves by less than 20 %. @module */

import { zstdCompressSync } from "node:zlib";
import { Ingest } from "../../aggregator/ingest/ingest.ts";
import { openStore } from "../../aggregator/store/open.ts";
import { serveOptions } from "../../aggregator/options/serve_options.ts";
import { writeHeader } from "../../shared/batch.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { spawnProgram } from "../aggregator/commands/harness.ts";
import { bodyOf, getterOf, nowMs, segment, TestSensor } from "../aggregator/ingest/fleet.ts";

const flows = option("--flows", 200_000), searchers = option("--searchers", 40);
const seconds = option("--seconds", 10);
const batchFlows = 2_000, pauseMs = 10;
const sensor = new TestSensor("bench");
const folder = await Deno.makeTempDir({ prefix: "picket-bench-query-" });
let made = 0;

try {
  await fill();
  const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0"]);
  child.stderr.pipeTo(new WritableStream()).catch(() => {});
  const ready = child.stdout.getReader();
  try {
    const { listening, key_file } = JSON.parse(new TextDecoder().decode((await ready.read()).value));
    await compare(listening, (await Deno.readTextFile(key_file)).trim());
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await ready.cancel();
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function fill(): Promise<void> {
  const reporter = createReporter({ component: "bench", write: () => {} });
  const store = openStore(`sqlite:${folder}/picket.db`, { reporter });
  await store.start();
  await sensor.enrol(store);
  const ingest = new Ingest({ buckets: serveOptions.buckets.default }, {
    store,
    reporter,
    clock: systemClock,
  });
  await ingest.start();
  while (made < flows) {
    const batches = seal(batchFlows);
    await Promise.all(batches.map((batch) => ingest.submit(getterOf(batch), bodyOf(batch))));
  }
  await ingest.stop();
  await store.stop();
}

/** Batches of new flows, each with a name. */
function seal(count: number) {
  return sensor.seal(Array.from({ length: count }, () => {
    const i = made++;
    const start = nowMs / 1_000 - 86_400 + i / 10;
    const facts = { tls: { sni: `host${i % 977}.example.org` } };
    return segment({ src_port: 1_024 + i % 60_000, tcp_isn: i, start, end: start + 1, facts });
  }));
}

async function compare(url: string, key: string): Promise<void> {
  const ask = async (path: string) => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
    await response.body?.cancel();
    return response.status;
  };
  const kinds: Record<string, () => Promise<unknown>> = {
    healthz: () => ask("/healthz"),
    readyz: () => ask("/readyz"),
    latest: () => ask("/api/v1/flows/latest"),
    hosts: () => ask("/api/v1/hosts"),
    batch: async () => {
      for (const { header, value } of seal(100)) {
        const headers = { ...writeHeader(header), "content-encoding": "zstd" };
        const body = zstdCompressSync(value);
        const response = await fetch(`${url}/api/v1/batches`, { method: "POST", headers, body });
        if (response.status !== 200) throw new Error(`Cannot store batch: ${await response.text()}`);
        await response.body?.cancel();
      }
    },
  };
  const alone = better(await rounds(kinds), await rounds(kinds));
  const ended = new AbortController();
  const outcomes = new Map<number, number>();
  const searching = Array.from({ length: searchers }, async () => {
    while (!ended.signal.aborted) {
      const status = await ask("/api/v1/flows/search?name=nobody.invalid");
      outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
    }
  });
  const beside = better(await rounds(kinds), await rounds(kinds));
  ended.abort();
  await Promise.all(searching);
  say(`${flows} flows, ${searchers} clients that search, ${seconds} s a round; ms`);
  say("request   alone p50     p99   beside p50     p99   ratio p50   p99");
  for (const name of Object.keys(kinds)) {
    const [a, b] = [alone[name], beside[name]];
    const ratio = (part: "p50" | "p99") => (b[part] / a[part]).toFixed(2).padStart(6);
    const row = [a.p50, a.p99, b.p50, b.p99].map((ms) => ms.toFixed(1).padStart(9)).join("");
    say(`${name.padEnd(10)}${row}${ratio("p50").padStart(10)}${ratio("p99")}`);
  }
  const searches = [...outcomes].map(([status, count]) => `${count} with ${status}`).join(", ");
  say(`searches answered: ${searches || "none"}`);
}

type Times = Record<string, { p50: number; p99: number }>;

async function rounds(kinds: Record<string, () => Promise<unknown>>): Promise<Times> {
  const taken: Record<string, number[]> = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
  for (const endMs = performance.now() + seconds * 1_000; performance.now() < endMs;) {
    for (const [name, work] of Object.entries(kinds)) {
      const beganMs = performance.now();
      await work();
      taken[name].push(performance.now() - beganMs);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return Object.fromEntries(
    Object.entries(taken).map(([name, all]) => {
      all.sort((a, b) => a - b);
      return [name, { p50: all[all.length >> 1], p99: all[Math.floor(all.length * 0.99)] }];
    }),
  );
}

function better(one: Times, two: Times): Times {
  return Object.fromEntries(
    Object.keys(one).map((name) => [name, one[name].p99 < two[name].p99 ? one[name] : two[name]]),
  );
}

function option(name: string, standard: number): number {
  const at = Deno.args.indexOf(name);
  return at < 0 ? standard : Number(Deno.args[at + 1]);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
