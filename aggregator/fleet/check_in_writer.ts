/** Stores check-ins, many in one transaction.
 *
 * In: check-ins that were accepted. Out: rows; whether the store takes them.
 * Invariant: at most one check-in a sensor waits, its latest, for at most `everyMs` while the store answers; what an
 * operator has to see at once waits for `gatherMs` at most, and is answered once it is stored. While the store refuses
 * them this is said to whoever checks in, and the latest ones are kept and tried again.
 * Why: 1,000 sensors check in 100 times a second, and each transaction waits for the disk.
 * A crash costs a second of health.
 * Why urgent ones are gathered too: after an outage all of a fleet are urgent, and a program that writes each apart
 * falls behind, takes the delay for clocks that step, and finds the next ones urgent for that.
 * Why a transaction as soon as there are `fullAt`: writing a thousand at once holds up everybody who checks in
 * meanwhile. @module */

import type { Clock } from "../../shared/clock.ts";
import type { CheckInWrite } from "../model/sensor.ts";
import type { IdentityStore } from "../store/store.ts";

/** Ended epochs that wait with a check-in; the store keeps no more. */
const endedMax = 8;

export interface CheckInWriterOptions {
  /** @default 1000 */
  everyMs?: number;
  /** Least time between a write and the next one that is urgent. @default 100 */
  gatherMs?: number;
  /** Check-ins that are written before their time. @default 100 */
  fullAt?: number;
}

export class CheckInWriter {
  #options: Required<CheckInWriterOptions>;
  #store: Pick<IdentityStore, "saveCheckIns">;
  #clock: Clock;
  #waiting = new Map<string, CheckInWrite>();
  /** Why the last write failed; null = it did not. */
  #failure: unknown = null;
  #writing: Promise<void> | null = null;
  /** The next write for those who are urgent. */
  #gathering: Promise<void> | null = null;
  #writtenMs = -Infinity;
  #ended = new AbortController();
  #loop: Promise<void> | null = null;

  constructor(
    options: CheckInWriterOptions,
    deps: { store: Pick<IdentityStore, "saveCheckIns">; clock: Clock },
  ) {
    this.#options = { everyMs: 1_000, gatherMs: 100, fullAt: 100, ...options };
    this.#store = deps.store;
    this.#clock = deps.clock;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Writes what waits. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#loop;
    await this.#flush().catch(() => undefined); // Said already, to those who checked in.
  }

  /** Takes one in. `isUrgent`: returns when it is stored. @throws what the store threw, now or at the last try. */
  async keep(write: CheckInWrite, isUrgent: boolean): Promise<void> {
    const before = this.#waiting.get(write.sensorId);
    this.#waiting.set(write.sensorId, before === undefined ? write : later(before, write));
    if (isUrgent) return await this.#flushSoon();
    if (this.#failure !== null) throw this.#failure;
    if (this.#waiting.size >= this.#options.fullAt && this.#writing === null) {
      this.#flush().catch(() => undefined); // Kept in `#failure` for the next one who checks in.
    }
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#clock.sleep(this.#options.everyMs, this.#ended.signal);
      await this.#flush().catch(() => undefined); // Kept in `#failure` for the next one who checks in.
    }
  }

  #flushSoon(): Promise<void> {
    const waitMs = this.#writtenMs + this.#options.gatherMs - this.#clock.monotonicMs();
    if (waitMs <= 0) return this.#flush();
    return this.#gathering ??= this.#clock.sleep(waitMs, this.#ended.signal).then(() => {
      this.#gathering = null;
      return this.#flush();
    });
  }

  /** Callers that come while one write runs wait for the next. */
  async #flush(): Promise<void> {
    while (this.#writing) await this.#writing.catch(() => undefined);
    if (this.#waiting.size === 0) return;
    this.#writing = this.#write();
    try {
      await this.#writing;
    } finally {
      this.#writing = null;
    }
  }

  async #write(): Promise<void> {
    const writes = this.#waiting;
    this.#waiting = new Map();
    try {
      await this.#store.saveCheckIns([...writes.values()]);
      this.#failure = null;
      this.#writtenMs = this.#clock.monotonicMs();
    } catch (error) {
      for (const [sensorId, before] of writes) {
        const meanwhile = this.#waiting.get(sensorId);
        this.#waiting.set(sensorId, meanwhile === undefined ? before : later(before, meanwhile));
      }
      this.#failure = error;
      throw error;
    }
  }
}

/** The newer of two check-ins of one sensor, with the epochs that either ended. */
function later(before: CheckInWrite, write: CheckInWrite): CheckInWrite {
  return { ...write, ended: [...before.ended, ...write.ended].slice(-endedMax) };
}
