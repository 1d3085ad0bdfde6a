/** Notices batches that a sensor sealed and that never came, also when none of an epoch did.
 *
 * In: the last check-in of each sensor, and how far the ledger is. Out: what ingest should expect: it opens a gap.
 * Rule: a sensor that says its spool is empty has handed over all it sealed. What the ledger still lacks {@link WatchOptions.graceMs} later,
 * without having come any further meanwhile, is missing: lost with a topic, or never read. It is closed like any gap when it comes after all.
 * Why the check-in: numbers that are missing between others show themselves; those at the end, or all of them, do not.
 * The epoch before a restart stays watched until it is complete or reported. Bound: {@link watchedMax} sequences, the oldest giving way.
 * @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { ExpectedBatches } from "../ingest/queue.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";

export interface WatchOptions {
  /** @default 120000 */
  graceMs: number;
  /** @default 30000 */
  sweepMs: number;
}

export interface WatchDeps {
  store: Pick<Store, "readSensors" | "readPositions">;
  /** Ingest's: it keeps the books of gaps. */
  expect: (batches: ExpectedBatches[]) => void;
  /** Whether batches are being read at all: while they are not, none is missing. */
  isReading: () => boolean;
  clock: Clock;
  reporter: Reporter;
}

interface Watched extends ExpectedBatches {
  /** Highest number stored when `sinceMs` began. */
  stored: number;
  sinceMs: number;
  isReported: boolean;
}

const watchedMax = 20_000;

export class EpochWatch {
  #options: WatchOptions;
  #deps: WatchDeps;
  #watched = new Map<string, Watched>();
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(options: Partial<WatchOptions>, deps: WatchDeps) {
    this.#options = { graceMs: 120_000, sweepMs: 30_000, ...options };
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Compares once. @throws {StoreUnavailable} */
  async sweep(nowMs: number): Promise<void> {
    if (!this.#deps.isReading()) {
      for (const one of this.#watched.values()) one.sinceMs = nowMs;
      return;
    }
    for (const { sensor_id, check_in } of await this.#deps.store.readSensors()) {
      // What is in the spool is on its way; batches of which epoch, it does not say.
      if (!check_in || check_in.spool.batches > 0) continue;
      for (const [bucket, seq] of Object.entries(check_in.sealed)) {
        if (seq > 0) {
          this.#watch({ sensor: sensor_id, epoch: check_in.epoch, bucket: Number(bucket), seq }, nowMs);
        }
      }
    }
    const epochs = new Map<string, Watched[]>();
    for (const one of this.#watched.values()) {
      const name = `${one.sensor}|${one.epoch}`;
      epochs.set(name, [...epochs.get(name) ?? [], one]);
    }
    const missing: ExpectedBatches[] = [];
    for (const all of epochs.values()) {
      const positions = await this.#deps.store.readPositions(all[0].sensor, all[0].epoch);
      for (const one of all) {
        const stored = positions.find(({ bucket }) => bucket === one.bucket)?.seq_max ?? 0;
        if (this.#isMissing(one, stored, nowMs)) missing.push(one);
      }
    }
    if (missing.length > 0) {
      this.#deps.expect(missing.map(({ sensor, epoch, bucket, seq }) => ({ sensor, epoch, bucket, seq })));
    }
  }

  #watch(expected: ExpectedBatches, nowMs: number): void {
    const name = `${expected.sensor}|${expected.epoch}|${expected.bucket}`;
    const known = this.#watched.get(name);
    if (known && !known.isReported) return;
    if (known && known.seq >= expected.seq) return;
    this.#watched.set(name, { ...expected, stored: -1, sinceMs: nowMs, isReported: false });
    if (this.#watched.size > watchedMax) this.#watched.delete(this.#watched.keys().next().value!);
  }

  /** Whether it is time to report; what came meanwhile begins a new wait, and what is complete is forgotten. */
  #isMissing(one: Watched, stored: number, nowMs: number): boolean {
    if (stored >= one.seq) {
      this.#watched.delete(`${one.sensor}|${one.epoch}|${one.bucket}`);
      return false;
    }
    if (stored !== one.stored) Object.assign(one, { stored, sinceMs: nowMs });
    // A clock that steps back makes the wait longer, never shorter.
    if (one.isReported || nowMs - one.sinceMs < this.#options.graceMs) return false;
    one.isReported = true;
    const { sensor, epoch, bucket, seq } = one;
    this.#deps.reporter.count("batches_never_arrived_total", undefined, seq - stored);
    this.#deps.reporter.error("batches that a sensor sealed and shipped never arrived", {
      sensor,
      epoch,
      bucket,
      from: stored + 1,
      to: seq,
    });
    return true;
  }

  async #run(): Promise<void> {
    const { clock, reporter } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(this.#options.sweepMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      try {
        await this.sweep(clock.nowMs());
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) {
          reporter.error("cannot look for missing batches", { error });
        }
      }
    }
  }
}
