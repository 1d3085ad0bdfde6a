/** Time and chance of a simulation: one queue of sleepers, one seeded source of numbers, nothing of the real clock.
 *
 * In: a seed. Out: processes with clocks of their own that can be paused, killed and set wrong;
 * `run` wakes one sleeper after another.
 * Invariant: between two sleepers everything settles that waits for nothing but the event loop,
 * so the same seed gives the same order.
 * Why sleeps are late by chance: nobody may rely on a timer that is on time,
 * and a simulated minute costs fewer wakings. @module */

import type { Clock } from "../../shared/clock.ts";
import { prng } from "../sensor/ship/helpers.ts";

interface Sleeper {
  process: Process;
  dueMs: number;
  wake: () => void;
}

/** A wall clock that several processes of one machine share. */
export interface Host {
  offsetMs: number;
}

const beginMs = Date.UTC(2026, 0, 15, 12);
const failuresMax = 5;

export class World {
  ms = 0;
  readonly random: () => number;
  /** What a process rejected with that nobody handled. */
  readonly failures: string[] = [];
  #sleepers: Sleeper[] = [];
  /** Wakings and faults in their order, to compare two runs. */
  #trace = 0;

  constructor(seed: number) {
    this.random = prng(seed);
  }

  get trace(): number {
    return this.#trace;
  }
  chance(probability: number): boolean {
    return this.random() < probability;
  }
  between(from: number, to: number): number {
    return from + this.random() * (to - from);
  }
  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)];
  }

  /** Work that nobody waits for; what it rejects with ends the simulation. */
  spawn(process: Process, work: Promise<unknown>): void {
    work.catch((error) => {
      if (process.isAlive && this.failures.length < failuresMax) {
        this.failures.push(`${process.name}: ${(error as Error).stack ?? error}`);
      }
    });
  }

  add(sleeper: Sleeper): void {
    this.#sleepers.push(sleeper);
  }
  remove(isGone: (sleeper: Sleeper) => boolean): void {
    this.#sleepers = this.#sleepers.filter((sleeper) => !isGone(sleeper));
  }

  /** Wakes, in the order of their times, everybody who is due within `forMs`. */
  async run(forMs: number): Promise<void> {
    const endMs = this.ms + forMs;
    for (;;) {
      await settle();
      let next: Sleeper | null = null;
      for (const sleeper of this.#sleepers) {
        if (!sleeper.process.isPaused && (next === null || sleeper.dueMs < next.dueMs)) next = sleeper;
      }
      if (next === null || next.dueMs > endMs) break;
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1);
      this.ms = Math.max(this.ms, next.dueMs);
      this.#trace = Math.imul(this.#trace ^ Math.round(this.ms * 1e3), 0x01000193) >>> 0;
      next.wake();
    }
    this.ms = endMs;
  }
}

/** One run of a program. Dead, it never goes on: what it waits for does not come. */
export class Process implements Clock {
  isAlive = true;
  isPaused = false;

  /** `lateMs`: by how much a sleep may be late. */
  constructor(
    readonly world: World,
    readonly name: string,
    readonly host: Host = { offsetMs: 0 },
    readonly lateMs = 0,
  ) {}

  nowMs(): number {
    return Math.floor(beginMs + this.world.ms + this.host.offsetMs);
  }
  monotonicMs(): number {
    return this.world.ms;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (!this.isAlive) return new Promise(() => {});
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const abort = () => {
        this.world.remove((other) => other === sleeper);
        resolve();
      };
      const wake = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const dueMs = this.world.ms + ms + this.world.random() * this.lateMs;
      const sleeper: Sleeper = { process: this, dueMs, wake };
      this.world.add(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }
  /** A moment of disk, database or network. */
  moment(msMax = 5): Promise<void> {
    if (!this.isAlive) return new Promise(() => {});
    return new Promise((wake) => {
      this.world.add({ process: this, dueMs: this.world.ms + this.world.random() * msMax, wake });
    });
  }
  kill(): void {
    this.isAlive = false;
    this.world.remove(({ process }) => process === this);
  }
}

/** Everything runs that waits for nothing but the event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
