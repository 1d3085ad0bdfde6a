/** The way out of a sensor: sealer, spool and shipper as one sink for segments.
 *
 * In: exported rows. Out: signed batches on disk within `sealAgeMs`, then on the other side.
 * Invariant: rows taken = rows in spooled batches + rows open for less than `sealAgeMs`. Live, capture never waits for the disk
 * unless `unwrittenBatchesWait` batches do; a replay waits for disk and transport, since a file can. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { SealableRows, Sealer } from "./seal.ts";
import type { Shipper } from "./shipper.ts";
import type { Spool } from "./spool.ts";

export interface OutboxDeps {
  sealer: Sealer;
  spool: Spool;
  shipper: Shipper;
  clock: Clock;
  reporter: Reporter;
}

const unwrittenBatchesWait = 32;
const sealTickMs = 25;
/** Share of the spool's limit at which a replay waits for the transport instead of dropping its own oldest batches. */
const replayFillMax = 0.8;

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #live: boolean;
  #stopping = new AbortController();
  #ticking: Promise<void> | null = null;

  constructor(options: { live: boolean }, deps: OutboxDeps) {
    this.#deps = deps;
    this.#live = options.live;
  }

  /** Opens the spool, then begins to seal by age and to ship. */
  async start(): Promise<void> {
    const { spool, shipper, reporter } = this.#deps;
    await spool.start();
    if (spool.batches > 0) {
      reporter.info("found batches of an earlier run", { batches: spool.batches, bytes: spool.bytes });
    }
    shipper.start();
    this.#ticking = this.#tick();
  }

  /** Copies the rows out; the caller may forget them. */
  async take(rows: SealableRows): Promise<void> {
    const { sealer, spool, clock } = this.#deps;
    const batches = sealer.add(rows, clock.nowMs());
    if (batches.length > 0) {
      const written = this.#put(batches);
      if (!this.#live || spool.unwritten > unwrittenBatchesWait) await written;
    }
    if (!this.#live) await this.#waitForRoom();
  }

  /** Seals and spools what is open. */
  async flush(): Promise<void> {
    const { sealer, clock } = this.#deps;
    await this.#put(sealer.seal(clock.nowMs(), true));
  }

  /** Resolves true when everything is on the other side, false when `signal` aborts first or nothing can be shipped any more. */
  async drained(signal: AbortSignal): Promise<boolean> {
    const { spool, clock, shipper } = this.#deps;
    while (spool.batches > 0 || spool.unwritten > 0) {
      const code = shipper.problem?.code;
      if (signal.aborted || code === "not_accepted" || code === "paused") return false;
      if (spool.unwritten > 0) await this.#put([]);
      await clock.sleep(20, signal);
    }
    return true;
  }

  /** Seals and spools everything, ends the send under way, leaves the rest on disk. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ticking;
    await this.flush();
    await this.#deps.shipper.stop();
  }

  async #tick(): Promise<void> {
    const { sealer, spool, clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      const due = sealer.seal(clock.nowMs());
      if (due.length > 0 || spool.unwritten > 0) await this.#put(due);
      await clock.sleep(sealTickMs, this.#stopping.signal);
    }
  }

  async #put(batches: Parameters<Spool["put"]>[0]): Promise<void> {
    const { spool, shipper } = this.#deps;
    await spool.put(batches);
    shipper.wake();
  }

  async #waitForRoom(): Promise<void> {
    const { spool, clock, reporter } = this.#deps;
    const isFull = () => spool.bytes > spool.bytesMax * replayFillMax;
    if (isFull()) reporter.info("spool is nearly full, replay waits until batches are shipped");
    while (isFull() && !this.#stopping.signal.aborted) await clock.sleep(100, this.#stopping.signal);
  }
}
