/** Spans of time in words. @module */

/** A time span in the largest unit that keeps two digits: "45 s", "12 min", "30 h", "4 d". */
export function span(ms: number): string {
  const s = ms / 1_000;
  if (s < 10) return `${Math.round(s * 10) / 10} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} d`;
}
