/** The one time range of all pages.
 *
 * In: "24h" (up to the newest packet), "24h-now", "all", "1790000000..1790003600" (epoch seconds).
 * Out: `from` and `to` for the API.
 * Why up to the newest packet: what a sensor replays, and what reaches a stopped fleet, lies in the past. @module */

type Range =
  | { kind: "last"; seconds: number; end: "newest" | "now" }
  | { kind: "between"; from: number; to: number }
  | { kind: "all" };

export interface Bounds {
  from?: number;
  to?: number;
}

const units: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };
export const presets = ["15m", "1h", "6h", "24h", "7d", "30d"] as const;
export const standardRange = "24h";
const latest = 32_503_680_000;

export function readRange(text: string | undefined): Range {
  if (text === "all") return { kind: "all" };
  const between = /^(\d{1,11}(?:\.\d{1,6})?)\.\.(\d{1,11}(?:\.\d{1,6})?)$/.exec(text ?? "");
  if (between) {
    const [from, to] = [Number(between[1]), Number(between[2])];
    if (from < to && to <= latest) return { kind: "between", from, to };
  }
  const last = /^(\d{1,4})([mhd])(-now)?$/.exec(text ?? "") ?? /^(\d+)([mhd])(-now)?$/.exec(standardRange)!;
  return {
    kind: "last",
    seconds: Math.max(1, Number(last[1])) * units[last[2]],
    end: last[3] ? "now" : "newest",
  };
}

export function rangeBetween(from: number, to: number): string {
  return `${Math.round(from * 1000) / 1000}..${Math.round(to * 1000) / 1000}`;
}

/** What to ask the API for. `newest`: time of the newest packet stored, null = there is none. */
export function boundsOf(range: Range, newest: number | null, now: number): Bounds {
  if (range.kind === "all") return {};
  if (range.kind === "between") return { from: range.from, to: range.to };
  const end = range.end === "now" || newest === null ? now : newest;
  return { from: Math.max(0, end - range.seconds), to: end };
}
