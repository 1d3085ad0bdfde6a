/** The delivery path of a whole fleet under every fault there is, from seeds:
 * nothing lost, nothing doubled, what is missing is named.
 *
 * In: 50 seeds in the gate; nightly 1,000. Out: for a seed that fails, what differs and the command that runs it again.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { simulate } from "./fleet.ts";
import { replayOf } from "./replay.ts";

const isNightly = Deno.env.get("PICKET_TEST_NIGHTLY") === "1";
const seedsCount = isNightly ? 1_000 : 50;

Deno.test(`${seedsCount} simulated fleets deliver what was spooled, once, or name it as a gap`, async () => {
  const failed: string[] = [];
  const faults = new Set<string>(), ways = new Set<string>();
  let batches = 0, destroyed = 0;
  for (let seed = 1; seed <= seedsCount && failed.length < 3; seed++) {
    const outcome = await simulate(seed);
    if (outcome.differences.length > 0) failed.push(replayOf(outcome));
    for (const fault of Object.keys(outcome.faults)) faults.add(fault);
    ways.add(outcome.way);
    batches += outcome.batches;
    destroyed += outcome.destroyed;
  }
  assertEquals(failed, [], failed.join("\n"));
  // Else it would prove little.
  assertEquals([ways.size, faults.size], [2, 15]);
  assert(batches > 50 * seedsCount, `${batches} batches`);
  assert(destroyed > 5 * seedsCount, `${destroyed} batches destroyed`);
});

Deno.test("a simulation is the same each time it runs", async () => {
  for (const seed of [2, 5]) assertEquals(await simulate(seed), await simulate(seed));
  assert((await simulate(2)).trace !== (await simulate(3)).trace);
});
