/** Loss of the last minute: what shows in a fleet while it happens, and is gone when it is over.
 *
 * In: totals of capture with a monotonic time, at each report. Out: their growth since the oldest total at hand.
 * Bound: totals are kept at least `stepMs` apart, none older than a minute but the last before it.
 * Why not the share since the start: after a week a loss of minutes is too small a part of it to be seen. @module */

import type { CheckInRequest } from "../../shared/control.ts";

export interface CaptureTotals {
  packets: number;
  dropped: number;
  card_dropped: number;
}

type Recent = NonNullable<CheckInRequest["capture"]["recent"]>;

const spanMs = 60_000;
const stepMs = 1_000;

export class RecentLoss {
  #samples: (CaptureTotals & { atMs: number })[] = [];

  /** Takes the totals of now; returns how much they grew lately. */
  take(totals: CaptureTotals, monotonicMs: number): Recent {
    const samples = this.#samples;
    const last = samples.at(-1);
    if (last === undefined || monotonicMs - last.atMs >= stepMs) {
      samples.push({ ...totals, atMs: monotonicMs });
    }
    while (samples.length > 1 && samples[1].atMs <= monotonicMs - spanMs) samples.shift();
    const from = samples[0];
    return {
      seconds: Math.round(monotonicMs - from.atMs) / 1_000,
      packets: totals.packets - from.packets,
      dropped: totals.dropped - from.dropped,
      card_dropped: totals.card_dropped - from.card_dropped,
    };
  }
}
