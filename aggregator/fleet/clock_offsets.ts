/** How far each sensor's clock is from the aggregator's, estimated from its check-ins.
 *
 * In: the stamp a sensor put on a check-in and the aggregator's clock when it came.
 * Out: sensor minus aggregator, milliseconds.
 * Invariant: at most `sensorsMax` sensors are remembered, 8 check-ins each.
 * Why the largest of the last few: every difference is too small by the time the request was under way, which is never
 * negative, so the fastest request of the window is the best witness. @module */

const windowMax = 8;

export class ClockOffsets {
  #sensorsMax: number;
  #recent = new Map<string, { epoch: number; differences: number[] }>();

  constructor({ sensorsMax = 10_000 }: { sensorsMax?: number } = {}) {
    this.#sensorsMax = sensorsMax;
  }

  /** Takes one check-in in; returns the estimate. A new epoch or a step of the clock starts afresh. */
  note(sensorId: string, epoch: number, sentMs: number, receivedMs: number): number {
    const difference = sentMs - receivedMs;
    const known = this.#recent.get(sensorId);
    const isFresh = !known || known.epoch !== epoch ||
      Math.abs(known.differences.at(-1)! - difference) > stepMs;
    const differences = isFresh ? [difference] : [...known.differences, difference].slice(-windowMax);
    this.#recent.delete(sensorId);
    this.#recent.set(sensorId, { epoch, differences });
    if (this.#recent.size > this.#sensorsMax) this.#recent.delete(this.#recent.keys().next().value!);
    return Math.max(...differences);
  }
}

/** A change larger than any ordinary network delay means that a clock was set. */
const stepMs = 10_000;
