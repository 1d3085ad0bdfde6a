/** The rate limit alone: when a try comes back, and whom it remembers. @module */

import { assertEquals } from "@std/assert";
import { RateLimit } from "../../../aggregator/api/rate_limit.ts";

Deno.test("a try comes back after its time, not before, and never more than at first", () => {
  const limit = new RateLimit({ burst: 2, refillMs: 10_000 });
  assertEquals([0, 0, 0].map((ms) => limit.take("192.0.2.1", ms)), [null, null, 10]);
  assertEquals(limit.take("192.0.2.1", 9_000), 1);
  assertEquals(limit.take("192.0.2.1", 10_000), null);
  assertEquals([1e9, 1e9, 1e9].map((ms) => limit.take("192.0.2.1", ms)), [null, null, 10]);
});

Deno.test("a rate limit tells what is left and when there is one more", () => {
  const limit = new RateLimit({ burst: 2, refillMs: 10_000 });
  const left = (ms: number) => limit.headers("tries", "192.0.2.1", ms)["ratelimit"];
  assertEquals(left(0), '"tries";r=2;t=0');
  limit.take("192.0.2.1", 0);
  assertEquals([left(0), left(9_000), left(10_000)], [
    '"tries";r=1;t=10',
    '"tries";r=1;t=1',
    '"tries";r=2;t=0',
  ]);
  assertEquals(limit.headers("tries", "192.0.2.1", 10_000)["ratelimit-policy"], '"tries";q=2;w=20');
});

Deno.test("a rate limit remembers so many sources, and forgets the one not heard from for longest", () => {
  const limit = new RateLimit({ burst: 1, refillMs: 10_000, sourcesMax: 2 });
  const tries = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3", "192.0.2.2", "192.0.2.3"];
  assertEquals(tries.map((source) => limit.take(source, 0)), [null, null, 10, null, null, 10]);
});
