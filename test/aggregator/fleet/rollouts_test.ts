/** Tests of rollouts in force: read every two seconds, stepped by themselves, and what fails is tried again. @module */

import { assert, assertEquals } from "@std/assert";
import { ReleaseFolder } from "../../../aggregator/fleet/release_folder.ts";
import { Rollouts } from "../../../aggregator/fleet/rollouts.ts";
import type { RolloutRow } from "../../../aggregator/model/upgrade.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../api/fixture.ts";

const rollout: RolloutRow = {
  id: 1,
  version: "1.1.0",
  canary: "percent=5",
  canary_ms: 0,
  step_percent: 25,
  step_ms: 0,
  allow_older: false,
  state: "running",
  percent: 100,
  stage_ms: 0,
  attempt: 1,
  reason: null,
  created_ms: 0,
  created_by: "ann",
};

function world() {
  const clock = new TestClock(), lines: string[] = [];
  const reporter = createReporter({ component: "test", write: (line) => lines.push(line), clock });
  const changes: unknown[] = [];
  const seen = { reads: 0, fails: false };
  const store = {
    addRollout: () => Promise.resolve(1),
    readRollouts: () => {
      seen.reads++;
      return seen.fails ? Promise.reject(new Error("gone away")) : Promise.resolve([rollout]);
    },
    changeRollout: (_was: unknown, change: unknown) => {
      changes.push(change);
      return Promise.resolve(false);
    },
  };
  const releases = new ReleaseFolder("/nonexistent/releases");
  const directory = { all: () => Promise.resolve([]) };
  const rollouts = new Rollouts({}, { store, directory, releases, reporter });
  const counter = (name: string) => reporter.snapshot().get(name) ?? 0;
  return { clock, rollouts, seen, changes, counter, lines };
}

Deno.test("the rollout in force is read again after 2 s, or when one was changed", async () => {
  const { rollouts, seen } = world();
  const at = (nowMs: number) => rollouts.wantedBy("s1", { version: "1.0.0", upgrade: undefined }, nowMs);
  for (const [nowMs, reads] of [[0, 1], [1_999, 1], [2_000, 2]]) {
    assertEquals(await at(nowMs), null);
    assertEquals(seen.reads, reads);
  }
  rollouts.forget();
  await at(2_001);
  assertEquals(seen.reads, 3);
});

Deno.test("a look that fails is counted and said, and the next one is five seconds later", async () => {
  const { clock, rollouts, seen, changes, counter, lines } = world();
  const turn = () => new Promise((resolve) => setTimeout(resolve, 10));
  seen.fails = true;
  rollouts.start(clock);
  await turn();
  assertEquals([counter("upgrade_step_errors_total"), changes.length], [1, 0]);
  assert(lines.some((line) => line.includes("gone away")));
  seen.fails = false;
  clock.advance(4_999);
  await turn();
  assertEquals(changes.length, 0);
  clock.advance(1);
  await turn();
  assertEquals(changes, [{ state: "done" }]);
  assertEquals(counter('upgrade_steps_total{step="done"}'), 0, "another aggregator was faster");
  await rollouts.stop();
});
