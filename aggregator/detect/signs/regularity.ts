/** How regular a series of calls is, in RITA's four sub-scores.
 *
 * In: times, gaps and sizes of calls. Out: {@link Regularity}. Invariant: every score is 0..1, never NaN; the order of
 * the input does not matter, except that of `gaps`.
 * Source: RITA v5 (github.com/activecm/rita): skew and deviation of intervals, the same of sizes, share of the time
 * covered, evenness of a histogram over the time, each a quarter of the whole. Jitter of implants is usually set to
 * 10-50 % of the interval; calls that are each late or early by up to half of it have a deviation of 25 %. @module */

import { bowleySkew, deviationOf, medianOf, sortedCopy } from "./statistics.ts";

/** Calls closer together than this are one call: a client opens several connections at once. */
const burstS = 0.5;
const binsMin = 4, binsMax = 24, callsPerBin = 4;

export interface Regularity {
  calls: number;
  periodS: number;
  durationS: number;
  /** Median absolute deviation of the intervals over their median. */
  jitter: number;
  interval: number;
  size: number;
  coverage: number;
  evenness: number;
  total: number;
}

/** Of calls that each have a time of their own. */
export function regularityOf(startsS: readonly number[], bytes: readonly number[]): Regularity {
  const starts = sortedCopy(startsS).filter((start, i, all) => i === 0 || start - all[i - 1] > burstS);
  const gaps = starts.slice(1).map((start, i) => start - starts[i]);
  return measure(starts, gaps, bytes);
}

/** Of calls inside one connection: gaps were measured, the calls' own times were not. */
export function regularityOfGaps(gaps: readonly number[], bytes: readonly number[]): Regularity {
  const starts = [0];
  for (const gap of gaps) starts.push(starts[starts.length - 1] + gap);
  return measure(starts, gaps, bytes);
}

function measure(starts: readonly number[], gaps: readonly number[], bytes: readonly number[]): Regularity {
  const periodS = medianOf(gaps);
  const jitter = periodS > 0 ? deviationOf(gaps, periodS) / periodS : 1;
  const interval = evenOf(gaps, jitter);
  const median = medianOf(bytes);
  const size = evenOf(bytes, median > 0 ? deviationOf(bytes, median) / median : 0);
  const durationS = starts.length > 1 ? starts[starts.length - 1] - starts[0] : 0;
  const coverage = periodS > 0 && durationS > 0 ? Math.min(1, gaps.length / (durationS / periodS)) : 0;
  const evenness = histogramScore(starts, durationS);
  const total = (interval + size + coverage + evenness) / 4;
  return { calls: starts.length, periodS, durationS, jitter, interval, size, coverage, evenness, total };
}

/** 0..1 from skew and spread. The skew of a spread of a few percent says nothing,
 * so it counts in full only from 20 % on. */
function evenOf(values: readonly number[], spread: number): number {
  const skew = Math.abs(bowleySkew(values)) * Math.min(1, 5 * spread);
  return (1 - skew + Math.max(0, 1 - 2 * spread)) / 2;
}

/** One minus the variation of the numbers of calls in equal parts of the time. */
function histogramScore(starts: readonly number[], durationS: number): number {
  if (durationS <= 0) return 0;
  const count = Math.min(binsMax, Math.max(binsMin, Math.floor(starts.length / callsPerBin)));
  const bins = new Array<number>(count).fill(0);
  for (const start of starts) {
    bins[Math.min(count - 1, Math.floor((start - starts[0]) / durationS * count))]++;
  }
  const mean = starts.length / count;
  const variance = bins.reduce((sum, bin) => sum + (bin - mean) ** 2, 0) / count;
  return Math.max(0, 1 - Math.sqrt(variance) / mean);
}
