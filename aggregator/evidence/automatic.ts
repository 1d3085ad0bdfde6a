/** Asks for the packets of severe threats without being told to.
 *
 * In: threats, as often as they grow. Out: one request for each, soon, as a sensor's ring reaches back only minutes.
 * Invariant: detection never waits for it. Bounds: threats that wait, threats remembered, `burst` requests at once and
 * then one every `refillMs`; what exceeds a bound is counted, and an analyst can still ask. A threat that was asked for
 * before a restart is not asked for again. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";

export interface AutomaticOptions {
  /** @default 30 */
  burst?: number;
  /** @default 60000 */
  refillMs?: number;
  /** Threats that wait. @default 200 */
  waitingMax?: number;
  /** The flows of a threat are stored, and the first of its packets are in the ring,
   * before anybody asks. @default 1000 */
  everyMs?: number;
}

export interface AutomaticDeps {
  ask(subject: string, flowIds: readonly string[], nowMs: number): Promise<unknown>;
  isAsked(subject: string): Promise<boolean>;
  clock: Clock;
  reporter: Reporter;
}

const rememberedMax = 10_000;

export class AutomaticRequests {
  #options: Required<AutomaticOptions>;
  #deps: AutomaticDeps;
  #waiting = new Map<string, readonly string[]>();
  #done = new Set<string>();
  #tokens: number;
  #filledMs: number;
  #stopping = new AbortController();
  #loop: Promise<void> | null = null;

  constructor(options: AutomaticOptions, deps: AutomaticDeps) {
    this.#options = { burst: 30, refillMs: 60_000, waitingMax: 200, everyMs: 1_000, ...options };
    this.#deps = deps;
    this.#tokens = this.#options.burst;
    this.#filledMs = deps.clock.monotonicMs();
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  offer(subject: string, flowIds: readonly string[]): void {
    if (flowIds.length === 0 || this.#done.has(subject) || this.#waiting.has(subject)) return;
    if (this.#waiting.size >= this.#options.waitingMax) {
      this.#deps.reporter.count("packet_requests_total", { outcome: "crowded_out" });
      return;
    }
    this.#waiting.set(subject, flowIds);
  }

  async #run(): Promise<void> {
    const { clock, reporter } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(this.#options.everyMs, this.#stopping.signal);
      for (const [subject, flowIds] of this.#waiting) {
        if (this.#stopping.signal.aborted) return;
        this.#waiting.delete(subject);
        this.#remember(subject);
        try {
          await this.#ask(subject, flowIds);
        } catch (error) {
          // The next time it grows it is tried again.
          this.#done.delete(subject);
          reporter.count("packet_requests_total", { outcome: "failed" });
          reporter.warn("cannot ask for packets", { subject, error });
        }
      }
    }
  }

  async #ask(subject: string, flowIds: readonly string[]): Promise<void> {
    const { ask, isAsked, clock, reporter } = this.#deps;
    if (await isAsked(subject)) return;
    const { burst, refillMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const refilled = Math.floor((nowMs - this.#filledMs) / refillMs);
    this.#tokens = Math.min(burst, this.#tokens + refilled);
    this.#filledMs += refilled * refillMs;
    if (this.#tokens < 1) {
      reporter.count("packet_requests_total", { outcome: "over_rate" });
      return;
    }
    this.#tokens--;
    await ask(subject, flowIds, clock.nowMs());
  }

  #remember(subject: string): void {
    this.#done.add(subject);
    if (this.#done.size > rememberedMax) this.#done.delete(this.#done.values().next().value!);
  }
}
