/** Reading the file of sinks again: nothing goes untold meanwhile, and no sender is left behind. @module */

import { assertEquals } from "@std/assert";
import { Sinks, type SinksDeps } from "../../../aggregator/sinks/sinks.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { threat } from "../store/rows.ts";
import { withWorld, type World } from "./world.ts";

async function withSinks(
  change: (store: Store) => Partial<Store>,
  work: (sinks: Sinks, world: World, lines: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const lines = `${folder}/lines.ndjson`;
  await Deno.writeTextFile(
    `${folder}/sinks.json`,
    JSON.stringify({ sinks: [{ name: "lines", kind: "file", path: lines }] }),
  );
  try {
    await withWorld(async (world) => {
      const { store, clock, reporter } = world;
      const changed = change(store);
      const deps: SinksDeps = {
        store: new Proxy(store, {
          get: (_, name) => {
            const own = (changed as Record<PropertyKey, unknown>)[name] ?? Reflect.get(store, name);
            return typeof own === "function" ? own.bind(store) : own;
          },
        }),
        holder: "a",
        clock,
        reporter,
        sensor: (id) => ({ name: id, tags: [] }),
        randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
        env: () => undefined,
        hostname: () => "gate",
        makeReport: () => Promise.reject(new Error("no report is asked for")),
      };
      await work(new Sinks(`${folder}/sinks.json`, deps), world, lines);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lets time pass until it is so. */
async function until(what: string, { clock }: World, is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await is()) return;
    clock.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`Cannot go on as there must be ${what}`);
}

Deno.test("what changes while the sinks are read again is told all the same", () => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  return withSinks(
    (store) => ({
      releaseLease: async (name, holder) => {
        if (name === "sink.lines") await held;
        await store.releaseLease(name, holder);
      },
    }),
    async (sinks, world, lines) => {
      const { store, clock } = world;
      await sinks.start();
      await until(
        "a start",
        world,
        async () => (await store.takeLease("sinks", "a", 60_000))?.position !== "",
      );
      const reloading = sinks.reload();
      await store.saveThreats([threat("a", { stored_ms: clock.ms, updated_ms: clock.ms })]);
      await until("nothing to tell", world, async () => (await store.readSinkChanges(1)).length === 0);
      letGo();
      await reloading;
      await until("a line", world, () => Deno.stat(lines).then(({ size }) => size > 0, () => false));
      assertEquals((await Deno.readTextFile(lines)).trim().split("\n").length, 1);
      await sinks.stop();
    },
  );
});

Deno.test("of two reloads at once no sender is left behind", () =>
  withSinks(() => ({}), async (sinks, { clock }) => {
    await sinks.start();
    await Promise.all([sinks.reload(), sinks.reload()]);
    await sinks.stop();
    assertEquals(clock.asleep, 0);
  }));
