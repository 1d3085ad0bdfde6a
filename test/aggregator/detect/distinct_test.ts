/** Counting of different values, up to a bound. @module */

import { assertEquals } from "@std/assert";
import { Distinct } from "../../../aggregator/detect/signs/distinct.ts";

Deno.test("distinct values are counted once, and told apart up to the bound", () => {
  const ports = new Distinct<number>(3);
  assertEquals([ports.size, ports.count, ports.has(0), [...ports]], [0, 0, false, []]);
  assertEquals([ports.add(0), ports.add(0), ports.add(80)], [true, false, true]);
  assertEquals([ports.size, ports.count, ports.isFull, [...ports]], [2, 2, false, [0, 80]]);
  assertEquals([ports.add(443), ports.add(22), ports.has(22), ports.has(443)], [true, false, false, true]);
  assertEquals([ports.size, ports.count, ports.isFull], [3, "at least 3", true]);
});
