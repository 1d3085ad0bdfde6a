/** Bounds how much of one kind of work runs at once, so that slow callers cannot take the whole aggregator.
 *
 * In: a piece of work, and whose it is. Out: its result, or the error `busy` at once when too many already wait.
 * Invariant: at most `activeMax` run, which cost `activeCostMax` together unless one alone costs more, of which at most
 * `activePerKeyMax` have one key; at most `waitingMax` wait, of which at most `waitingPerKeyMax` have one key; the rest
 * is refused and counted.
 * Who waits goes in order of arrival, but past those whose key has its full share already. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { ApiError } from "./errors.ts";

export interface ConcurrencyLimitOptions {
  /** Label of the counter: "query", "upload". */
  kind: string;
  activeMax: number;
  waitingMax: number;
  /** Share of one key. @default activeMax */
  activePerKeyMax?: number;
  /** @default waitingMax */
  waitingPerKeyMax?: number;
  /** In the unit that callers count in, such as octets. @default Infinity */
  activeCostMax?: number;
}

interface Waiter {
  key: string;
  cost: number;
  start: () => void;
}

export class ConcurrencyLimit {
  #options: Required<ConcurrencyLimitOptions>;
  #reporter: Reporter;
  #active = 0;
  #activeCost = 0;
  /** Keys that have something running, and how much. */
  #activeOf = new Map<string, number>();
  #waiting: Waiter[] = [];
  /** Keys that have something waiting, and how much. */
  #waitingOf = new Map<string, number>();

  constructor(options: ConcurrencyLimitOptions, deps: { reporter: Reporter }) {
    const {
      activeMax,
      waitingMax,
      activePerKeyMax = activeMax,
      waitingPerKeyMax = waitingMax,
      activeCostMax = Infinity,
    } = options;
    const check = (name: string, value: number, least: number) => {
      if (value >= least) return;
      throw new RangeError(`Cannot limit work as "${name}" must be >= ${least}: current value is ${value}`);
    };
    check("activeMax", activeMax, 1);
    check("activePerKeyMax", activePerKeyMax, 1);
    check("waitingMax", waitingMax, 0);
    check("waitingPerKeyMax", waitingPerKeyMax, 0);
    this.#options = { ...options, activePerKeyMax, waitingPerKeyMax, activeCostMax };
    this.#reporter = deps.reporter;
  }

  /** Runs `work` when there is room for one more of `key`, and for its cost. @throws {ApiError} `busy` */
  async run<Result>(work: () => Result | Promise<Result>, key = "", cost = 0): Promise<Result> {
    const { kind, activeMax, waitingMax, waitingPerKeyMax } = this.#options;
    if (this.#hasRoom(key, cost)) this.#enter(key, cost);
    else if (this.#waiting.length < waitingMax && (this.#waitingOf.get(key) ?? 0) < waitingPerKeyMax) {
      add(this.#waitingOf, key, 1);
      await new Promise<void>((start) => this.#waiting.push({ key, cost, start }));
    } else {
      this.#reporter.count("requests_refused_total", { kind });
      throw new ApiError("busy", `${activeMax} of kind ${kind} run and ${this.#waiting.length} wait`);
    }
    try {
      return await work();
    } finally {
      this.#leave(key, cost);
    }
  }

  #hasRoom(key: string, cost: number): boolean {
    const { activeMax, activePerKeyMax, activeCostMax } = this.#options;
    return this.#active < activeMax && (this.#activeOf.get(key) ?? 0) < activePerKeyMax &&
      (this.#active === 0 || this.#activeCost + cost <= activeCostMax);
  }

  #enter(key: string, cost: number): void {
    this.#active++;
    this.#activeCost += cost;
    add(this.#activeOf, key, 1);
  }

  #leave(key: string, cost: number): void {
    this.#active--;
    this.#activeCost -= cost;
    add(this.#activeOf, key, -1);
    // What cost much leaves room for several.
    for (;;) {
      const index = this.#waiting.findIndex((waiter) => this.#hasRoom(waiter.key, waiter.cost));
      if (index < 0) return;
      const [next] = this.#waiting.splice(index, 1);
      add(this.#waitingOf, next.key, -1);
      this.#enter(next.key, next.cost);
      next.start();
    }
  }
}

/** Keys of none are not held. */
function add(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
