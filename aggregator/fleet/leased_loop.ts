/** A look at the whole fleet, again and again, by one aggregator at a time.
 *
 * In: what looks, under which lease. Out: a look every so often for as long as this aggregator holds the lease.
 * Invariant: nobody looks without the lease; whoever lost it is told so, as what it remembers is old by then. A look
 * that fails is handed to `failed`, and the next one comes all the same. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Store } from "../store/store.ts";

export interface LeasedLoopDeps {
  store: Pick<Store, "takeLease" | "releaseLease">;
  /** Of this process. */
  holder: string;
  clock: Clock;
}

/** What one aggregator at a time does for the whole fleet. */
export interface LeasedWork {
  readonly lease: string;
  /** Longer than `everyMs`, so that one slow look costs nothing. */
  readonly leaseMs: number;
  readonly everyMs: number;
  look(): Promise<void>;
  /** Another aggregator looks. */
  lost(): void;
  failed(error: Error): void;
}

export class LeasedLoop {
  readonly #work: LeasedWork;
  readonly #deps: LeasedLoopDeps;
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(work: LeasedWork, deps: LeasedLoopDeps) {
    this.#work = work;
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    // A store that is away gives the lease to another one when its time is over.
    await this.#deps.store.releaseLease(this.#work.lease, this.#deps.holder).catch(() => undefined);
  }

  /** Looks once, unless another aggregator does. */
  async turn(): Promise<void> {
    const { lease, leaseMs } = this.#work;
    if (await this.#deps.store.takeLease(lease, this.#deps.holder, leaseMs) === null) this.#work.lost();
    else await this.#work.look();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.turn();
      } catch (error) {
        this.#work.failed(error as Error);
      }
      await this.#deps.clock.sleep(this.#work.everyMs, this.#stopping.signal);
    }
  }
}
