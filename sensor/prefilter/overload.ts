/** Overload: from how far the sensor is behind to how many flows it keeps.
 *
 * In: the lag of each chunk of packets (wall clock minus the stamp of its last packet), octets read, flows evicted;
 * every second a verdict. Out: a sampling level, see flow/sampling.ts. Pure; all times are arguments.
 * Rule: octets that wait = lag x octets per second (Little's law). When more than half of the kernel's buffer waited
 * during two whole seconds, or packets came late by `lagMsMax`, or the flow table evicts, one level up; after `calmS`
 * seconds of calm one level down.
 * Why lag: the kernel tells its drops only to the process that captures, and dumpcap tells them only at its end; the
 * stamps are there all the time, and show the queue before it overflows. Why the least lag of a second: one pause is no
 * overload, a queue that is never empty is.
 * Why not the spool: it grows when the aggregator is away, and that must not blind the sensor.
 * Invariant: a clock that steps, or stamps of another clock, cannot cause a level: negative lags count as none, the
 * least lag ever seen is taken as the way itself, and a jump lasts less than two seconds. @module */

import { samplingLevelMax } from "../flow/sampling.ts";

export interface OverloadOptions {
  /** Octets of the kernel's capture buffer. */
  bufferBytes: number;
  /** Highest level; 0 = never leave flows out. @default 10 */
  levelMax: number;
}

/** Thresholds, each with its unit. */
export const overloadLimits = {
  backlogShareMax: 0.5,
  lagMsMax: 1_500,
  /** Evicted flows as a share of those opened. */
  evictedShareMax: 0.05,
  /** Seconds in a row before the first step up, and between two. */
  overS: 2,
  /** Below these shares of the limits above it is calm. */
  calmShare: 0.2,
  calmS: 30,
  /** After a step down that was too early the calm must last twice as long, up to this. */
  calmSMax: 480,
} as const;

export class OverloadGuard {
  level = 0;
  #options: OverloadOptions;
  #leastLagMs = Infinity;
  #wayMs = Infinity;
  #chunks = 0;
  #overS = 0;
  #calmS = 0;
  #calmNeededS: number = overloadLimits.calmS;
  #fellLast = false;
  #bytesThen = 0;
  #evictedThen = 0;
  #openedThen = 0;
  #thenMs: number | null = null;

  /** @throws {RangeError} when an option is out of range. */
  constructor(options: Partial<OverloadOptions> & Pick<OverloadOptions, "bufferBytes">) {
    this.#options = { levelMax: samplingLevelMax, ...options };
    check("bufferBytes", this.#options.bufferBytes, 1, Number.MAX_SAFE_INTEGER);
    check("levelMax", this.#options.levelMax, 0, samplingLevelMax);
  }

  /** Another highest level; a level above it is left at once. */
  limit(levelMax: number): void {
    check("levelMax", levelMax, 0, samplingLevelMax);
    this.#options = { ...this.#options, levelMax };
    this.level = Math.min(this.level, levelMax);
  }

  /** A chunk was handed on; its last packet is `lagMs` old. */
  chunk(lagMs: number): void {
    this.#chunks++;
    const lag = Math.max(0, lagMs);
    if (lag < this.#leastLagMs) this.#leastLagMs = lag;
  }

  /** To be asked often; judges once a second. The counts are totals. Returns the level. */
  judge(totals: { bytesRead: number; evicted: number; opened: number }, monotonicMs: number): number {
    if (this.#thenMs === null) this.#thenMs = monotonicMs;
    const elapsedMs = monotonicMs - this.#thenMs;
    if (elapsedMs < 1_000) return this.level;
    const load = this.#load(totals, elapsedMs);
    this.#thenMs = monotonicMs;
    this.#bytesThen = totals.bytesRead;
    this.#evictedThen = totals.evicted;
    this.#openedThen = totals.opened;
    this.#leastLagMs = Infinity;
    this.#chunks = 0;
    if (load > 1) this.#over();
    else if (load < overloadLimits.calmShare) this.#calm();
    else this.#overS = this.#calmS = 0;
    return this.level;
  }

  /** How near the sensor is to its nearest limit; above 1 it is overloaded. */
  #load(totals: { bytesRead: number; evicted: number; opened: number }, elapsedMs: number): number {
    const evicted = totals.evicted - this.#evictedThen, opened = totals.opened - this.#openedThen;
    const eviction = opened > 0 ? evicted / opened / overloadLimits.evictedShareMax : 0;
    // In a second without packets nothing waits.
    if (this.#chunks === 0) return eviction;
    this.#wayMs = Math.min(this.#wayMs, this.#leastLagMs);
    const queueMs = this.#leastLagMs - this.#wayMs;
    const bytesPerMs = (totals.bytesRead - this.#bytesThen) / elapsedMs;
    const backlog = queueMs * bytesPerMs / (this.#options.bufferBytes * overloadLimits.backlogShareMax);
    return Math.max(eviction, backlog, queueMs / overloadLimits.lagMsMax);
  }

  #over(): void {
    this.#calmS = 0;
    if (++this.#overS < overloadLimits.overS || this.level >= this.#options.levelMax) return;
    this.#overS = 0;
    this.level++;
    if (this.#fellLast) this.#calmNeededS = Math.min(overloadLimits.calmSMax, this.#calmNeededS * 2);
    this.#fellLast = false;
  }

  #calm(): void {
    this.#overS = 0;
    if (++this.#calmS < this.#calmNeededS) return;
    this.#calmS = 0;
    if (this.level === 0) {
      this.#calmNeededS = overloadLimits.calmS;
      this.#fellLast = false;
      return;
    }
    this.level--;
    this.#fellLast = true;
  }
}

function check(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot watch for overload as "${name}" must be ${min} to ${max}: current value is ${value}`,
  );
}
