/** The shipping loop: head of the spool to the transport, and only then out of the spool.
 *
 * In: a spool, a transport, a wake-up when batches were spooled. Out: an emptier spool, or the reason why it is not.
 * Invariant: a batch leaves the spool after the other side has it, or after it was set aside and counted.
 * Nothing here stops capture.
 * Waiting: doubling from `backoffMinMs` to `backoffMaxMs` while sends fail, each time a random half of it, so that a
 * fleet does not come back in one wave. A retry is not a drop. With a limit on octets a second, each send is followed
 * by as long a wait as it may take, for at most {@link paceMsMax}. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { PackedBatch } from "./packed_batch.ts";
import type { Spool, SpoolEntry } from "./spool.ts";
import type { SendProblem, Transport } from "./transport.ts";

export interface ShipperOptions {
  /** @default 500 */
  backoffMinMs?: number;
  /** @default 30000 */
  backoffMaxMs?: number;
  /** @default 8 */
  inFlightBatchesMax?: number;
  /** Octets on disk of the batches in flight. @default 4194304 */
  inFlightBytesMax?: number;
}

export interface ShipperDeps {
  spool: Spool;
  transport: Transport;
  identity: { sensor: string; key: string };
  clock: Clock;
  reporter: Reporter;
  /** 0 <= value < 1; comes from the edge. */
  random: () => number;
}

export class Shipper {
  #deps: ShipperDeps;
  #options: Required<ShipperOptions>;
  #stopping = new AbortController();
  #nap = new AbortController();
  #isWoken = false;
  #running: Promise<void> | null = null;
  #failures = 0;
  #sent = 0;
  #pausedFor: string | null = null;
  /** Octets a second, 0 = no limit. */
  #bytesPerS = 0;
  #isPacing = false;
  #lastProblem: { code: SendProblem; message: string } | null = null;

  /** @throws {RangeError} when a limit is below 1. */
  constructor(options: ShipperOptions, deps: ShipperDeps) {
    this.#options = {
      backoffMinMs: 500,
      backoffMaxMs: 30_000,
      inFlightBatchesMax: 8,
      inFlightBytesMax: 4 * 1024 * 1024,
      ...options,
    };
    for (const [name, value] of Object.entries(this.#options)) {
      if (value >= 1) continue;
      throw new RangeError(`Cannot ship batches as "${name}" must be >= 1: current value is ${value}`);
    }
    this.#deps = deps;
  }

  /** Batches that the other side took. */
  get sentBatches(): number {
    return this.#sent;
  }

  /** Why nothing is shipped at the moment; null = the last send went through. */
  get problem(): { code: SendProblem | "paused"; message: string } | null {
    return this.#pausedFor !== null ? { code: "paused", message: this.#pausedFor } : this.#lastProblem;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Ends the loop after the send under way, but does not wait for it longer than 3 s:
   * what it carries is still in the spool. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#nap.abort();
    const given = new AbortController();
    await Promise.race([this.#running, this.#deps.clock.sleep(stopTimeoutMs, given.signal)]);
    given.abort();
    await this.#deps.transport.close();
  }

  /** There is something new to send. Does not shorten the wait after a failure. */
  wake(): void {
    if (this.#failures > 0 || this.#isPacing) return;
    this.#isWoken = true;
    this.#nap.abort();
  }

  /** Sends so many octets of batches a second at most, in the mean; 0 = no limit. */
  limit(bytesPerS: number): void {
    this.#bytesPerS = bytesPerS;
  }

  get bytesPerS(): number {
    return this.#bytesPerS;
  }

  /** Keeps everything in the spool until `resume`. */
  pause(why: string): void {
    this.#pausedFor = why;
  }

  resume(): void {
    this.#pausedFor = null;
    this.#isWoken = true;
    this.#nap.abort();
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const waitMs = await this.turn();
      if (waitMs > 0) await this.#sleep(waitMs);
      this.#isPacing = false;
    }
  }

  /** Sends once. Returns how long to wait before the next turn, 0 = not at all. Never rejects. */
  async turn(): Promise<number> {
    if (this.#pausedFor !== null) return idleMs;
    const { spool } = this.#deps;
    const { inFlightBatchesMax, inFlightBytesMax } = this.#options;
    const bytesPerS = this.#bytesPerS;
    const entries = spool.lend(
      inFlightBatchesMax,
      bytesPerS > 0 ? Math.min(inFlightBytesMax, bytesPerS) : inFlightBytesMax,
    );
    if (entries.length === 0) return idleMs;
    let retryAfterMs = 0;
    try {
      retryAfterMs = await this.#sendEntries(entries);
    } catch (error) {
      // The disk failed; the batches are where they were, or the aggregator drops them as replays.
      this.#lastProblem = { code: "failed", message: `spool: ${messageOf(error)}` };
    } finally {
      for (const entry of entries) spool.giveBack(entry);
    }
    if (this.#lastProblem === null) {
      this.#failures = 0;
      if (bytesPerS === 0) return 0;
      this.#isPacing = true;
      this.#isWoken = false;
      const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
      return Math.min(paceMsMax, bytes / bytesPerS * 1_000);
    }
    this.#failures++;
    return Math.max(retryAfterMs, this.#backoffMs());
  }

  /** Returns how long the other side asked to be left alone. */
  async #sendEntries(entries: SpoolEntry[]): Promise<number> {
    const { spool, transport, identity, reporter } = this.#deps;
    const byBatch = new Map<PackedBatch, SpoolEntry>();
    let failure: unknown = null;
    for (const entry of entries) {
      try {
        const batch = await spool.read(entry, identity);
        if (batch) byBatch.set(batch, entry);
      } catch (error) {
        failure ??= error; // The others need not wait for this one.
        reporter.count("spool_read_errors_total");
        reporter.warn("cannot read a batch, will retry", { file: entry.name, error: messageOf(error) });
      }
    }
    if (byBatch.size === 0 && failure !== null) throw failure;
    if (byBatch.size === 0) {
      this.#lastProblem = null;
      return 0;
    }
    const { taken, refused, problem } = await transport.send([...byBatch.keys()]);
    this.#note(problem);
    for (const { batch, reason } of refused) await spool.quarantine(byBatch.get(batch)!, reason);
    // Last: a crash before this sends the batch again, and the aggregator's ledger drops it.
    for (const batch of taken) await spool.acknowledge(byBatch.get(batch)!);
    this.#sent += taken.length;
    reporter.count("batches_sent_total", undefined, taken.length);
    return problem?.retryAfterMs ?? 0;
  }

  #note(problem: { code: SendProblem; message: string } | null): void {
    const { reporter, spool } = this.#deps;
    if (problem) {
      reporter.count("send_errors_total", { code: problem.code });
      reporter.warn("cannot send batches, they stay in the spool, will retry", {
        problem: problem.message,
        spooled_batches: spool.batches,
      });
    } else if (this.#failures > 0) {
      reporter.info("sending again", { spooled_batches: spool.batches });
    }
    this.#lastProblem = problem;
  }

  #backoffMs(): number {
    const { backoffMinMs, backoffMaxMs } = this.#options;
    const fullMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failures - 1, 20));
    return fullMs / 2 + this.#deps.random() * fullMs / 2;
  }

  async #sleep(ms: number): Promise<void> {
    this.#nap = new AbortController();
    // A call to `wake` while a turn was under way must not be slept over.
    if (this.#stopping.signal.aborted || this.#isWoken) {
      this.#isWoken = false;
      return;
    }
    await this.#deps.clock.sleep(ms, this.#nap.signal);
  }
}

/** The largest batch at the smallest limit takes longer;
 * then the limit gives way, so that the spool does not stand still. */
const paceMsMax = 60_000;
/** How often an empty spool is looked at even without `wake`. */
const idleMs = 1_000;
const stopTimeoutMs = 3_000;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
