/** A flow search over more candidates than one slice, whose matches are few and far behind. @module */

import { assertEquals } from "@std/assert";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Clock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { flowsOf, flowWrite, nothing } from "./rows.ts";

/** Of 20,050 flows of one source only the oldest goes to port 4444. */
async function pages(msPerLook: number, signal?: AbortSignal): Promise<number[][]> {
  let ms = 0;
  const clock: Clock = {
    nowMs: () => 1_768_478_460_000,
    monotonicMs: () => ms += msPerLook,
    sleep: () => Promise.resolve(),
  };
  const reporter = createReporter({ component: "test", write: () => {} });
  const store = openStore("sqlite::memory:", { reporter, clock });
  await store.start();
  try {
    const writes = Array.from(
      { length: 20_050 },
      (_, n) => flowWrite(n, { src_ip: "10.0.0.7", dst_ip: "10.0.0.8", dst_port: n === 0 ? 4_444 : 80 }),
    );
    await store.ingest({ ...nothing(), ...flowsOf(writes) });
    const found: number[][] = [];
    let cursor: string | undefined;
    do {
      const query = { src_ip: "10.0.0.7", dst_port: 4_444 };
      const page = await store.readFlows(query, {
        limit: 10,
        ...(cursor ? { cursor } : {}),
        ...(signal ? { signal } : {}),
      });
      found.push(page.rows.map((flow) => flow.dst_port));
      cursor = page.next_cursor;
    } while (cursor !== undefined && found.length < 10);
    return found;
  } finally {
    await store.stop();
  }
}

Deno.test("a search goes on behind its first slices of candidates", async () => {
  assertEquals(await pages(0), [[4_444]]);
});

Deno.test("a search that is cut after two seconds goes on where it was, by its cursors", async () => {
  // It looks at the clock after its first 1,000 candidates and after the next 4,000.
  assertEquals(await pages(999), [[4_444]]);
  assertEquals(await pages(1_000), [[], [], [], [], [4_444]]);
});

Deno.test("a search nobody waits for any more ends with its first slice", async () => {
  assertEquals(await pages(0, AbortSignal.abort()), new Array(10).fill([]));
  assertEquals(await pages(0, new AbortController().signal), [[4_444]]);
});
