/** Overload guard: up within seconds, down within minutes, and never because of a clock. @module */

import { assertEquals, assertThrows } from "@std/assert";
import { OverloadGuard, overloadLimits } from "../../../sensor/prefilter/overload.ts";

const bufferBytes = 32 * 1024 * 1024;

/** A guard that lives through whole seconds. */
function watched(levelMax = 10) {
  const guard = new OverloadGuard({ bufferBytes, levelMax });
  let ms = 0, bytesRead = 0, evicted = 0, opened = 0;
  guard.judge({ bytesRead, evicted, opened }, ms);
  return {
    guard,
    /** `seconds` with chunks that late, at that many octets a second. */
    pass(seconds: number, lagsMs: number[], bytes = 1e6, flows = { opened: 10, evicted: 0 }) {
      for (let i = 0; i < seconds; i++) {
        for (const lag of lagsMs) guard.chunk(lag);
        ms += 1_000;
        bytesRead += bytes;
        opened += flows.opened;
        evicted += flows.evicted;
        guard.judge({ bytesRead, evicted, opened }, ms);
      }
      return guard.level;
    },
  };
}

Deno.test("overload guard goes up when half of the buffer waits for two seconds, and again until it no longer does", () => {
  const { pass } = watched();
  assertEquals(pass(10, [3, 120, 250]), 0);
  // 300 ms at 80 MB a second are 24 MB that wait.
  assertEquals(pass(1, [300, 450], 80e6), 0);
  assertEquals(pass(1, [300, 450], 80e6), 1);
  assertEquals(pass(4, [300, 450], 80e6), 3);
  assertEquals(pass(100, [300, 450], 80e6), 10);
});

Deno.test("overload guard takes the same lag for none when little traffic waits in it", () => {
  const { pass } = watched();
  pass(1, [3]);
  assertEquals(pass(100, [300, 450], 1e6), 0);
});

Deno.test("overload guard goes up when packets come late, however few", () => {
  const { pass } = watched();
  pass(1, [3]);
  assertEquals(pass(2, [1_600], 10_000), 1);
});

Deno.test("overload guard takes one pause for a pause: the least lag of a second counts", () => {
  const { pass } = watched();
  pass(1, [3]);
  for (let round = 0; round < 20; round++) {
    pass(1, [5_000], 80e6);
    assertEquals(pass(1, [5_000, 4_000, 3], 80e6), 0);
  }
});

Deno.test("overload guard goes up when the flow table evicts", () => {
  const { pass } = watched();
  assertEquals(pass(2, [3], 1e6, { opened: 100_000, evicted: 50_000 }), 1);
  assertEquals(pass(2, [3], 1e6, { opened: 100_000, evicted: 100 }), 1);
});

Deno.test("overload guard comes down a level after half a minute of calm, later when that was too early", () => {
  const { pass } = watched();
  pass(1, [3]);
  assertEquals(pass(4, [2_000]), 2);
  assertEquals(pass(overloadLimits.calmS - 1, [5]), 2);
  assertEquals(pass(1, [5]), 1);
  // Back up at once: the next calm must last twice as long.
  assertEquals(pass(2, [2_000]), 2);
  assertEquals(pass(2 * overloadLimits.calmS - 1, [5]), 2);
  assertEquals(pass(1, [5]), 1);
  assertEquals(pass(2 * overloadLimits.calmS, []), 0);
});

Deno.test("overload guard stays where it is between calm and overload", () => {
  const { pass } = watched();
  pass(1, [3]);
  pass(2, [2_000]);
  assertEquals(pass(1_000, [800], 1e5), 1);
});

Deno.test("overload guard is not moved by a clock that steps or stamps that are off", () => {
  const hour = 3_600_000;
  const { pass } = watched();
  // Packets of before the step come out after it, for less than two seconds.
  assertEquals(pass(1, [hour, hour]), 0);
  assertEquals(pass(5, [3]), 0);
  assertEquals(pass(5, [-hour]), 0);
  assertEquals(pass(60, [3, 200]), 0);
  const off = watched();
  assertEquals(off.pass(600, [7_000, 7_200], 80e6), 0);
});

Deno.test("overload guard leaves nothing out when it must not", () => {
  assertEquals(watched(0).pass(100, [9_000], 80e6), 0);
  assertThrows(
    () => new OverloadGuard({ bufferBytes, levelMax: 11 }),
    RangeError,
    `"levelMax" must be 0 to 10`,
  );
  assertThrows(() => new OverloadGuard({ bufferBytes: 0 }), RangeError, `"bufferBytes"`);
});

Deno.test("overload guard comes down at once to another highest level, and goes no higher", () => {
  const guard = new OverloadGuard({ bufferBytes: 1_000_000 });
  guard.level = 5;
  guard.limit(2);
  assertEquals(guard.level, 2);
  guard.limit(10);
  assertEquals(guard.level, 2);
  assertThrows(() => guard.limit(11), RangeError, '"levelMax" must be 0 to 10');
});
