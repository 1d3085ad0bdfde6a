/** Robust statistics of small lists: a few outliers change nothing.
 *
 * In: numbers in any order. Out: median, median absolute deviation, quartile skew, entropy.
 * Invariant: 0 for an empty list, never NaN. @module */

/** The value at `share` (0..1) of the sorted list, between neighbours in proportion. */
export function quantileOf(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return 0;
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

export function sortedCopy(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

export function medianOf(values: readonly number[]): number {
  return quantileOf(sortedCopy(values), 0.5);
}

/** Median absolute deviation from `median`. */
export function deviationOf(values: readonly number[], median = medianOf(values)): number {
  return medianOf(values.map((value) => Math.abs(value - median)));
}

/** Bowley's quartile skewness, -1..1; 0 for a symmetric list, and, as in RITA, where the median falls on a quartile:
 * it says nothing then. */
export function bowleySkew(values: readonly number[]): number {
  const sorted = sortedCopy(values);
  const low = quantileOf(sorted, 0.25), middle = quantileOf(sorted, 0.5), high = quantileOf(sorted, 0.75);
  return middle === low || middle === high ? 0 : (low + high - 2 * middle) / (high - low);
}

const counts = new Uint32Array(65_536);

/** Shannon entropy of the characters of `text`, bits a character. */
export function entropyOf(text: string): number {
  const { length } = text;
  for (let i = 0; i < length; i++) counts[text.charCodeAt(i)]++;
  let bits = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i), count = counts[code];
    if (count > 0) bits -= count / length * Math.log2(count / length);
    counts[code] = 0;
  }
  return bits;
}
