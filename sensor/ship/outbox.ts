/** The way out of a sensor: sealing, spool and shipper as one sink for segments.
 *
 * In: pages of exported segments. Out: signed batches on disk as soon as {@link Sealer} says, then on the other side.
 * Invariant: rows taken = rows in spooled batches + rows open. Live, capture waits for sealing thread and disk
 * only while they owe `parcelsWait` parcels, or `unwrittenBatchesWait` batches are not on disk; a replay waits for the
 * transport too, since a file can. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { SegmentPage } from "../flow/segment_page.ts";
import type { BatchFile } from "./packed_batch.ts";
import type { SealThread } from "./seal_thread.ts";
import type { Shipper } from "./shipper.ts";
import type { Spool } from "./spool.ts";

export interface OutboxDeps {
  sealing: Pick<SealThread, "start" | "stop" | "add" | "seal" | "renew">;
  spool: Spool;
  shipper: Shipper;
  clock: Clock;
  reporter: Reporter;
}

const unwrittenBatchesWait = 32;
/** How long a stop waits for batches that only memory has. */
const unwrittenWaitMs = 3_000;
/** Of 150 kB and their facts, mostly half as much and 1.1 MB at most, see parcel.ts. */
const parcelsWait = 32;
const sealTickMs = 25;
/** Share of the spool's limit at which a replay waits for the transport instead of dropping its own oldest batches. */
const replayFillMax = 0.8;

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #live: boolean;
  #stopping = new AbortController();
  #ticking: Promise<void> | null = null;
  /** Parcels on their way to the spool, oldest first. */
  #parcels: Promise<void>[] = [];
  #failure: unknown = null;

  constructor(options: { live: boolean }, deps: OutboxDeps) {
    this.#deps = deps;
    this.#live = options.live;
  }

  /** Opens the spool, then begins to seal by age and to ship. */
  async start(): Promise<void> {
    const { sealing, spool, shipper, reporter } = this.#deps;
    sealing.start();
    await spool.start();
    if (spool.batches > 0) {
      reporter.info("found batches of an earlier run", { batches: spool.batches, bytes: spool.bytes });
    }
    shipper.start();
    this.#ticking = this.#tick();
  }

  /** Copies the page. Rejects when the sealing thread has ended. */
  async take(page: SegmentPage): Promise<void> {
    const { sealing, spool, clock } = this.#deps;
    const sealed = sealing.add(page, clock.nowMs());
    if (sealed !== null) this.#follow(sealed.then((files) => this.#put(files)));
    if (this.#failure !== null) throw this.#failure;
    while (this.#parcels.length > parcelsWait) await this.#parcels[0];
    if (spool.unwritten > unwrittenBatchesWait) await this.#put([]);
    if (!this.#live) await this.#waitForRoom();
  }

  /** Seals and spools what is open. */
  async flush(): Promise<void> {
    const { sealing, clock } = this.#deps;
    await this.#put(await sealing.seal(clock.nowMs(), true));
    await Promise.all(this.#parcels);
  }

  /** Seals what is open in the epoch there was, and all that follows in this one. */
  async renew(epoch: number): Promise<void> {
    const { sealing, clock } = this.#deps;
    await this.#put(await sealing.renew(epoch, clock.nowMs()));
  }

  /** Resolves true when everything is on the other side,
   * false when `signal` aborts first or nothing can be shipped any more. */
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
    try {
      await this.flush();
      await this.#shipUnwritten();
    } finally {
      this.#deps.sealing.stop();
      await this.#deps.shipper.stop();
    }
    const { spool, reporter } = this.#deps;
    if (spool.unwritten === 0) return;
    reporter.count("batches_dropped_total", { reason: "unwritable" }, spool.unwritten);
    reporter.error("the disk did not take these batches, they are lost", {
      batches: spool.unwritten,
      why: spool.problem,
    });
  }

  /** What the disk refuses has only this way left. */
  async #shipUnwritten(): Promise<void> {
    const { spool, shipper, clock } = this.#deps;
    const untilMs = clock.monotonicMs() + unwrittenWaitMs;
    while (spool.unwritten > 0 && shipper.problem === null && clock.monotonicMs() < untilMs) {
      await clock.sleep(50);
      await this.#put([]);
    }
  }

  async #tick(): Promise<void> {
    const { sealing, clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      // One question at a time: a thread that is busy is not asked again.
      const due = await sealing.seal(clock.nowMs()).catch((error) => {
        this.#failure = error;
        return [];
      });
      await this.#put(due);
      await clock.sleep(sealTickMs, this.#stopping.signal);
    }
  }

  /** Spools the files, and what the disk refused before. */
  async #put(files: BatchFile[]): Promise<void> {
    const { spool, shipper } = this.#deps;
    if (files.length === 0 && spool.unwritten === 0) return;
    await spool.put(files);
    shipper.wake();
  }

  /** Keeps a parcel until it has passed, and its failure for the next `take`. */
  #follow(parcel: Promise<void>): void {
    const followed = parcel.catch((error) => void (this.#failure = error)).then(() => {
      this.#parcels.splice(this.#parcels.indexOf(followed), 1);
    });
    this.#parcels.push(followed);
  }

  async #waitForRoom(): Promise<void> {
    const { spool, clock, reporter } = this.#deps;
    const isFull = () => spool.bytes > spool.bytesMax * replayFillMax;
    if (isFull()) reporter.info("spool is nearly full, replay waits until batches are shipped");
    while (isFull() && !this.#stopping.signal.aborted) await clock.sleep(100, this.#stopping.signal);
  }
}
