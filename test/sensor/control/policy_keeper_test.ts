/** Tests of keeping to the fleet's policy: applied, tried, rolled back, remembered; over restarts too. @module */

import { assertEquals, assertMatch } from "@std/assert";
import type { PolicySettings } from "../../../shared/policy.ts";
import { PolicyKeeper } from "../../../sensor/control/policy_keeper.ts";
import { FakeDisk } from "../ship/fake_disk.ts";
import { counted, FakeClock, silentReporter } from "../ship/helpers.ts";

function machine(own: string[] = []) {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const applied: PolicySettings[] = [];
  const world = {
    refusal: (_settings: PolicySettings): string | null => null,
    captureProblem: null as string | null,
    checkInProblem: null as string | null,
  };
  const begin = async () => {
    const keeper = new PolicyKeeper({ own, trialMs: 60_000 }, {
      disk,
      folder: "/state",
      clock,
      reporter,
      apply: (settings) => {
        applied.push(settings);
        return Promise.resolve(world.refusal(settings));
      },
      captureProblem: () => world.captureProblem,
      checkInProblem: () => world.checkInProblem,
    });
    await keeper.start();
    return keeper;
  };
  const end = async (keeper: PolicyKeeper) => {
    const stopped = keeper.stop();
    await clock.advance(1_000);
    await stopped;
  };
  return { disk, clock, reporter, applied, world, begin, end };
}

const policy = (version: number, settings: PolicySettings = { snaplen: 100 + version }) => ({
  name: "office",
  version,
  settings,
});
const seen = (keeper: PolicyKeeper) => {
  const { wanted, actual, problem } = keeper.state!;
  return [wanted, actual, problem];
};

Deno.test("a policy is applied once, however often it is offered, and holds after its trial and a restart", async () => {
  const { clock, applied, begin, end } = machine();
  const keeper = await begin();
  assertEquals(keeper.state, undefined);
  for (let i = 0; i < 8; i++) {
    await keeper.offer(policy(1));
    await clock.advance(10_000);
  }
  assertEquals([applied, seen(keeper)], [[{ snaplen: 101 }], [1, 1, null]]);
  await end(keeper);
  const again = await begin();
  assertEquals([applied.length, applied[1]], [2, { snaplen: 101 }]);
  assertEquals(again.state?.actual, 1);
  await again.offer(null);
  assertEquals([applied[2], again.state?.actual, again.state?.name], [{}, 0, null]);
  await again.offer(undefined);
  assertEquals(applied.length, 3);
  await end(again);
});

Deno.test("what cannot be applied is rolled back at once, remembered over a restart, and tried again with another version", async () => {
  const { clock, reporter, applied, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  await keeper.offer(policy(1));
  await clock.advance(61_000);
  world.refusal = ({ filter }) => filter === "nonsense" ? "dumpcap: syntax error" : null;
  await keeper.offer(policy(2, { filter: "nonsense" }));
  assertEquals(seen(keeper), [2, 1, "dumpcap: syntax error"]);
  assertEquals(applied.at(-1), { snaplen: 101 });
  const before = applied.length;
  await keeper.offer(policy(2, { filter: "nonsense" }));
  assertEquals(applied.length, before);
  await end(keeper);
  const again = await begin();
  await again.offer(policy(2, { filter: "nonsense" }));
  assertEquals(seen(again), [2, 1, "dumpcap: syntax error"]);
  assertEquals(applied.length, before + 1);
  await again.offer(policy(3, { filter: "ip" }));
  assertEquals([seen(again), again.state?.filtered], [[3, 3, null], true]);
  assertEquals(counted(reporter, "policy_offers_total", "rolled_back"), 1);
  await end(again);
});

Deno.test("a policy under which nothing is captured for 10 s of its trial is rolled back, a short break is not", async () => {
  const { clock, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  world.captureProblem = "dumpcap ended";
  await clock.advance(9_000);
  world.captureProblem = null;
  await clock.advance(2_000);
  assertEquals(seen(keeper), [1, 1, null]);
  world.captureProblem = "dumpcap ended";
  await clock.advance(12_000);
  assertEquals(seen(keeper), [1, 0, "capture broke: dumpcap ended"]);
  await end(keeper);
});

Deno.test("after its trial a policy is no longer to blame for a capture that breaks", async () => {
  const { clock, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  await keeper.offer(policy(1));
  await clock.advance(62_000);
  world.captureProblem = "interface is gone";
  await clock.advance(600_000);
  assertEquals(seen(keeper), [1, 1, null]);
  await end(keeper);
});

Deno.test("a policy after which no check-in got through for 60 s is rolled back, with one it is not", async () => {
  const { clock, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  world.checkInProblem = "connection refused";
  await clock.advance(58_000);
  assertEquals(seen(keeper), [1, 1, null]);
  await clock.advance(4_000);
  assertEquals(seen(keeper), [1, 0, "no check-in got through for 60 s: connection refused"]);
  await keeper.offer(policy(2));
  await keeper.offer(policy(2));
  await clock.advance(120_000);
  assertEquals(seen(keeper), [2, 2, null]);
  await end(keeper);
});

Deno.test("a sensor that ended during a trial has gone back; one that was told to end tries anew", async () => {
  const { disk, clock, reporter, applied, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  await keeper.offer(policy(1));
  await clock.advance(61_000);
  await keeper.offer(policy(2));
  const crashed = await begin();
  assertEquals(applied.at(-1), { snaplen: 101 });
  await crashed.offer(policy(2));
  assertEquals(seen(crashed), [2, 1, "the sensor ended while it was tried"]);
  await crashed.offer(policy(3));
  await end(crashed);
  const told = await begin();
  assertEquals(applied.at(-1), { snaplen: 101 });
  await told.offer(policy(3));
  assertEquals(seen(told), [3, 3, null]);
  await end(told);
  await end(keeper);
  await disk.write("/state/policy.json", new TextEncoder().encode('{"held": {"version": "x"}, "refused": 3'));
  assertEquals(counted(reporter, "policy_read_errors_total"), 0);
  assertEquals((await begin()).state, undefined, "a damaged file is none");
  assertEquals(counted(reporter, "policy_read_errors_total"), 1);
});

Deno.test("fields of the sensor's own options are kept, and an odd offer changes nothing", async () => {
  const { reporter, applied, begin, end } = machine(["filter"]);
  const keeper = await begin();
  await keeper.offer(policy(1, { filter: "ip", snaplen: 256 }));
  assertEquals(applied, [{ snaplen: 256 }]);
  assertEquals([keeper.state?.kept, keeper.state?.filtered], [["filter"], false]);
  for (const odd of [1, "x", {}, { name: "office", version: 2, settings: { snaplen: 1 } }]) {
    await keeper.offer(odd);
  }
  assertEquals([seen(keeper), applied.length], [[1, 1, null], 1]);
  assertEquals(counted(reporter, "policy_offers_total", "malformed"), 4);
  await end(keeper);
});

Deno.test("a way back that fails is tried again until it does not, and meanwhile what holds is said", async () => {
  const { clock, reporter, applied, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  await keeper.offer(policy(1));
  await clock.advance(61_000);
  await keeper.offer(policy(2));
  world.refusal = ({ snaplen }) => snaplen === 101 ? "no memory" : null;
  world.captureProblem = "dumpcap ended";
  await clock.advance(14_000);
  assertEquals(seen(keeper), [2, 2, "capture broke: dumpcap ended"]);
  world.captureProblem = null;
  world.refusal = () => null;
  await clock.advance(2_000);
  assertEquals([seen(keeper), applied.at(-1)], [[2, 1, "capture broke: dumpcap ended"], { snaplen: 101 }]);
  assertEquals(counted(reporter, "policy_offers_total", "rolled_back"), 1);
  assertEquals(counted(reporter, "policy_offers_total", "stuck") > 1, true);
  await end(keeper);
});

Deno.test("a policy that cannot be left holds, and is left with a later check-in", async () => {
  const { reporter, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1, { filter: "ip" }));
  world.refusal = ({ filter }) => filter === undefined ? "no memory" : null;
  await keeper.offer(null);
  assertEquals([keeper.state?.actual, keeper.state?.filtered], [1, true]);
  assertEquals(counted(reporter, "policy_offers_total", "stuck"), 1);
  world.refusal = () => null;
  await keeper.offer(null);
  assertEquals([keeper.state?.actual, keeper.state?.filtered], [0, false]);
  await end(keeper);
});

Deno.test("settings that throw are rolled back like those that are refused", async () => {
  const { world, begin, end } = machine();
  const keeper = await begin();
  world.refusal = ({ snaplen }) => {
    if (snaplen === 101) throw new RangeError("out of range");
    return null;
  };
  await keeper.offer(policy(1));
  assertEquals(seen(keeper), [1, 0, "out of range"]);
  await end(keeper);
});

Deno.test("a disk that takes no file keeps no policy from holding", async () => {
  const { disk, reporter, begin, end } = machine();
  const keeper = await begin();
  disk.write = () => Promise.reject(new Error("No space left"));
  await keeper.offer(policy(1));
  assertEquals(seen(keeper), [1, 1, null]);
  assertMatch(String(counted(reporter, "policy_write_errors_total")), /^[1-9]/);
  await end(keeper);
});

Deno.test("one that comes while another is on trial goes back to what held before both", async () => {
  const { clock, applied, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  await keeper.offer(policy(1));
  await clock.advance(61_000);
  await keeper.offer(policy(2));
  world.refusal = ({ snaplen }) => snaplen === 103 ? "no" : null;
  await keeper.offer(policy(3));
  assertEquals([seen(keeper), applied.at(-1)], [[3, 1, "no"], { snaplen: 101 }]);
  await end(keeper);
});

Deno.test("a version of another fleet, or of a restored database, is another policy though its number is the same", async () => {
  const { applied, world, begin, end } = machine();
  const keeper = await begin();
  await keeper.offer(policy(1));
  await keeper.offer(policy(1, { snaplen: 999 }));
  await keeper.offer({ ...policy(1, { snaplen: 999 }), name: "other" });
  assertEquals([applied.length, keeper.state?.name], [3, "other"]);
  world.refusal = ({ filter }) => filter === undefined ? null : "no";
  await keeper.offer(policy(2, { filter: "a" }));
  const before = applied.length;
  await keeper.offer(policy(2, { filter: "a" }));
  assertEquals(applied.length, before);
  await keeper.offer(policy(2, { snaplen: 100 }));
  assertEquals([seen(keeper), applied.at(-1)], [[2, 2, null], { snaplen: 100 }]);
  await end(keeper);
});
