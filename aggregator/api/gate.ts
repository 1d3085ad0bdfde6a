/** Bounds how much of one kind of work runs at once, so that slow callers cannot take the whole aggregator.
 *
 * In: a piece of work. Out: its result, or the error `busy` at once when too many already wait.
 * Invariant: at most `activeMax` run and `waitingMax` wait; the rest is refused and counted. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { ApiError } from "./errors.ts";

export interface GateOptions {
  /** Label of the counter: "query", "upload". */
  kind: string;
  activeMax: number;
  waitingMax: number;
}

export class Gate {
  #options: GateOptions;
  #reporter: Reporter;
  #active = 0;
  #waiting: (() => void)[] = [];

  constructor(options: GateOptions, deps: { reporter: Reporter }) {
    const { activeMax, waitingMax } = options;
    if (!(activeMax >= 1)) {
      throw new RangeError(`Cannot open gate as "activeMax" must be >= 1: current value is ${activeMax}`);
    }
    if (!(waitingMax >= 0)) {
      throw new RangeError(`Cannot open gate as "waitingMax" must be >= 0: current value is ${waitingMax}`);
    }
    this.#options = options;
    this.#reporter = deps.reporter;
  }

  /** Runs `work` when there is room. @throws {ApiError} `busy` */
  async run<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const { kind, activeMax, waitingMax } = this.#options;
    if (this.#active < activeMax) this.#active++;
    else if (this.#waiting.length < waitingMax) {
      // Whoever ends hands its place on, so the number of active ones does not change here.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#reporter.count("requests_refused_total", { kind });
      throw new ApiError("busy", `${activeMax} of kind ${kind} run and ${this.#waiting.length} wait`);
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#active--;
    }
  }
}
