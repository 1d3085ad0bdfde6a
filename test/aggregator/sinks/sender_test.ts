/** At least once, whatever the receiver does, and no sink waits for another one. @module */

import { assert, assertEquals } from "@std/assert";
import { blankMessage } from "../../../aggregator/sinks/message.ts";
import { type Receiver, Refused } from "../../../aggregator/sinks/sender.ts";
import { collector, withWorld, type World } from "./world.ts";

async function put(world: World, sink: string, ids: readonly string[]): Promise<void> {
  const { store, clock: { ms } } = world;
  const lease = (await store.takeLease("sinks", "a", 60_000))!;
  const messages = ids.map((id) => ({
    sink,
    id,
    state: "waiting" as const,
    made_ms: ms,
    due_ms: ms,
    attempts: 0,
    reason: "",
    message: blankMessage(id, "test", ms),
  }));
  await store.noteForSinks("sinks", lease, { position: "", told: [], messages }, []);
}

const ids = (messages: readonly { id: string }[]) => messages.map(({ id }) => id).sort();
/** Lets everything run that waits for no time. */
const settle = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
};

Deno.test("an hour of errors, of silence and of lost answers: nothing lost, and other sinks do not notice", () =>
  withWorld(async (world) => {
    const { clock, store } = world;
    const tries: number[] = [], taken: string[] = [];
    const startMs = clock.ms, hour = 3_600_000;
    const flaky: Receiver = {
      send(message) {
        tries.push(clock.ms - startMs);
        const minute = (clock.ms - startMs) / 60_000;
        if (minute < 20) return Promise.reject(new Error("the receiver answered 500"));
        if (minute < 40) return new Promise(() => {}); // It hangs.
        taken.push(message.id);
        // It took the message, and the answer was lost.
        return minute < 60 ? Promise.reject(new Error("reset")) : Promise.resolve();
      },
    };
    const good = collector();
    const senders = [world.sender(flaky, "chat"), world.sender(good, "mail")];
    await put(world, "chat", ["m1", "m2", "m3"]);
    await put(world, "mail", ["m1", "m2", "m3"]);
    for (const sender of senders) sender.start();
    await settle();
    assertEquals(ids(good.taken), ["m1", "m2", "m3"], "at once");
    for (let ms = 0; ms < 1.5 * hour; ms += 5_000) {
      clock.advance(5_000);
      await settle();
    }
    for (const sender of senders) {
      await Promise.all([
        sender.stop(),
        settle().then(() => clock.advance(3_000)),
      ]);
    }
    assertEquals([...new Set(taken)].sort(), ["m1", "m2", "m3"]);
    assertEquals(good.taken.length, 3);
    const afterHour = tries.filter((ms) => ms >= hour);
    assertEquals(afterHour.length, 3, "sent once each when the answers come");
    assert(tries.length < 40, `${tries.length} tries`);
    const pauses = tries.slice(1).map((ms, i) => ms - tries[i]);
    assert(
      pauses[0] <= 5_000 && Math.max(...pauses) <= 330_000 && Math.max(...pauses) >= 240_000,
      `${pauses}`,
    );
    assertEquals((await store.countMessages()).map(({ waiting, dead }) => [waiting, dead]), [[0, 0], [0, 0]]);
  }));

Deno.test("what the receiver refuses is a dead letter, and the next one is sent", () =>
  withWorld(async (world) => {
    const good = collector();
    const sender = world.sender({
      send: (message, signal) =>
        message.id === "m1"
          ? Promise.reject(new Refused("the receiver answered 400"))
          : good.send(message, signal),
    });
    await put(world, "chat", ["m1", "m2"]);
    assertEquals(await sender.turn(), "idle");
    assertEquals(ids(good.taken), ["m2"]);
    const dead = await world.store.readDeadMessages("chat", 10);
    assertEquals(dead.map(({ id, reason }) => [id, reason]), [["m1", "the receiver answered 400"]]);
    assertEquals(world.counted("sink_dead_total"), 1);
  }));

Deno.test("what fails for 72 hours is given up, one hour less is not", () =>
  withWorld(async (world) => {
    const sender = world.sender({ send: () => Promise.reject(new Error("no")) });
    await put(world, "chat", ["m1"]);
    world.clock.advance(71 * 3_600_000);
    assertEquals(await sender.turn(), "failed");
    assertEquals((await world.store.readDeadMessages("chat", 10)).length, 0);
    world.clock.advance(3_600_000);
    assertEquals(await sender.turn(), "failed");
    assertEquals((await world.store.readDeadMessages("chat", 10)).length, 1);
    assertEquals(sender.pauseAfter("failed"), 1_000);
    assertEquals(sender.pauseAfter("failed"), 2_000);
    for (let i = 0; i < 20; i++) sender.pauseAfter("failed");
    assertEquals([sender.pauseAfter("failed"), sender.isFailing], [300_000, true]);
    assertEquals([sender.pauseAfter("more"), sender.isFailing], [0, false]);
  }));

Deno.test("a sink that fails for days gives up a page of what is overdue at a time, and tries one of it", () =>
  withWorld(async (world) => {
    let tries = 0;
    const sender = world.sender({ send: () => (tries++, Promise.reject(new Error("no"))) });
    await put(world, "chat", Array.from({ length: 30 }, (_, i) => `old${i}`));
    world.clock.advance(72 * 3_600_000);
    await put(world, "chat", ["new1", "new2", "new3"]);
    const counts = async () => {
      const [{ waiting, dead }] = await world.store.countMessages();
      return [await sender.turn(), waiting, dead];
    };
    assertEquals(await counts(), ["failed", 33, 0]);
    assertEquals(await counts(), ["failed", 32, 1], "one at a time while it fails for the first time");
    for (let i = 0; i < 20; i++) sender.pauseAfter("failed");
    assertEquals(await counts(), ["failed", 31, 2]);
    assertEquals(await counts(), ["failed", 11, 22]);
    assertEquals(await counts(), ["failed", 3, 30], "what is not overdue stays");
    const { reason } = (await world.store.readDeadMessages("chat", 1))[0];
    assertEquals([reason, tries], ["no", 5]);
  }));

Deno.test("a try that the program's end cuts short is no failure of the sink", () =>
  withWorld(async (world) => {
    const sender = world.sender({ send: () => new Promise(() => {}) });
    await put(world, "chat", ["m1"]);
    sender.start();
    await settle();
    await sender.stop();
    const [{ waiting, reason }] = await world.store.countMessages();
    assertEquals([waiting, reason, world.counted("sink_failures_total")], [1, "", 0]);
  }));

Deno.test("what a receiver refused does not count as sent", () =>
  withWorld(async (world) => {
    const sender = world.sender({ send: () => Promise.reject(new Refused("the receiver answered 400")) });
    await put(world, "chat", ["m1"]);
    assertEquals(await sender.turn(), "idle");
    assertEquals((await world.store.countMessages()).map(({ last_sent_ms }) => last_sent_ms), [null]);
  }));

Deno.test("a message that fails does not keep the others back", () =>
  withWorld(async (world) => {
    const good = collector();
    const sender = world.sender({
      send: (message, signal) =>
        message.id === "m1" ? Promise.reject(new Error("500")) : good.send(message, signal),
    });
    await put(world, "chat", ["m1", "m2"]);
    assertEquals(await sender.turn(), "failed");
    assertEquals(await sender.turn(), "idle");
    assertEquals(ids(good.taken), ["m2"]);
  }));

Deno.test("of two aggregators one sends, and the next one goes on", () =>
  withWorld(async (world) => {
    const good = collector();
    const [a, b] = [world.sender(good, "chat", "a"), world.sender(good, "chat", "b")];
    await put(world, "chat", ["m1"]);
    assertEquals([await a.turn(), await b.turn()], ["idle", "standby"]);
    await a.stop();
    await put(world, "chat", ["m2"]);
    assertEquals(await b.turn(), "idle");
    assertEquals(ids(good.taken), ["m1", "m2"]);
  }));
