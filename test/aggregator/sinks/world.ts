/** Sinks over a real store in memory, with receivers and a clock that the test owns. @module */

import type { SinkMessage } from "../../../aggregator/model/message.ts";
import type { Rules } from "../../../aggregator/sinks/rules.ts";
import { readSinkSettings } from "../../../aggregator/sinks/settings.ts";
import { type Receiver, Sender } from "../../../aggregator/sinks/sender.ts";
import { Teller } from "../../../aggregator/sinks/teller.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter, type Reporter } from "../../../shared/reporter.ts";
import { TestClock } from "../api/fixture.ts";

export type NamedRules = Rules & { name: string };

/** Settings of a sink as the file gives them. */
export function rules(change: Record<string, unknown> = {}): NamedRules {
  const sink = { name: "chat", kind: "file", path: "unused", ...change };
  const read = readSinkSettings(JSON.stringify({ sinks: [sink] }));
  if (!read.ok) throw new Error(read.problems.join());
  return read.sinks[0];
}

export interface World {
  store: Store;
  clock: TestClock;
  reporter: Reporter;
  /** Of one aggregator. */
  teller(sinks: readonly NamedRules[], holder?: string): Teller;
  sender(receiver: Receiver, sink?: string, holder?: string): Sender;
  counted(name: string): number;
}

export async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const clock = new TestClock();
  const reporter = createReporter({ component: "test", write: () => {}, clock });
  const store = openStore("sqlite::memory:", { reporter, clock });
  await store.start();
  const randomBytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const deps = { store, clock, reporter, randomBytes };
  const sensor = (id: string) => ({ name: `name of ${id}`, tags: id === "s-one" ? ["roof"] : [] });
  try {
    await work({
      store,
      clock,
      reporter,
      teller: (sinks, holder = "a") => new Teller({ ...deps, holder, sensor, sinks: () => sinks }),
      sender: (receiver, sink = "chat", holder = "a") => new Sender({ ...deps, holder, sink, receiver }),
      counted: (name) =>
        [...reporter.snapshot()].reduce(
          (sum, [key, value]) => key.split("{")[0] === name ? sum + value : sum,
          0,
        ),
    });
  } finally {
    await store.stop();
  }
}

/** Takes everything, and keeps it. */
export function collector(): Receiver & { taken: SinkMessage[] } {
  const taken: SinkMessage[] = [];
  return { taken, send: (message) => (taken.push(message), Promise.resolve()) };
}

/** Turns until nothing is left to tell. */
export async function tellAll(teller: Teller): Promise<void> {
  while (await teller.turn() === "more");
}
