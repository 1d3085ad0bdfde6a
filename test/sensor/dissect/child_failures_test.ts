/** Failures of the dissector: those of the last ten minutes, bounded. @module */

import { assertEquals } from "@std/assert";
import { ChildFailures } from "../../../sensor/dissect/child_failures.ts";

Deno.test("a failure counts as late for ten minutes, and of many the last hundred are kept", () => {
  const failures = new ChildFailures();
  assertEquals([failures.total, failures.lately(0), failures.words], [0, 0, ""]);
  failures.add("exit status 1", 1_000);
  assertEquals([failures.lately(600_999), failures.lately(601_000)], [1, 0]);
  for (let i = 0; i < 250; i++) failures.add("x".repeat(300), 700_000 + i);
  assertEquals([failures.total, failures.lately(700_250), failures.words.length], [251, 100, 200]);
});
