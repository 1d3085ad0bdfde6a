/** Words, numbers and times as people read them.
 *
 * Invariant: times are local, and whoever shows one says the zone once on the page. @module */

const hostile = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const depthMax = 12, listedMax = 30;

/** Wire strings, inert and visible. */
export function inert(text: string): string {
  return text.replace(hostile, (c) => c === "\n" ? c : `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** The same value, every string in it inert. */
export function inertAll(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return inert(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > depthMax) return null;
  if (Array.isArray(value)) return value.map((part) => inertAll(part, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [inert(name), inertAll(part, depth + 1)]),
  );
}

/** 12345 -> "12.3 k". */
export function count(n: number): string {
  if (Math.abs(n) < 10_000) return String(Math.round(n));
  const units = ["", "k", "M", "G", "T", "P"];
  const power = Math.min(5, Math.floor(Math.log10(Math.abs(n)) / 3));
  return `${(n / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

export function bytes(n: number): string {
  return count(n) + (Math.abs(n) < 10_000 ? " B" : "B");
}

/** Of octets in a step of so many seconds. */
export function rate(octets: number, seconds: number): string {
  const bits = octets * 8 / Math.max(1e-9, seconds);
  return count(bits) + (bits < 10_000 ? " bit/s" : "bit/s");
}

/** As {@link rate}, for an axis: no digits that say nothing. */
export function axisRate(octets: number, seconds: number): string {
  return rate(octets, seconds).replace(/\.(\d*?)0+ /, (_, digits) => digits === "" ? " " : `.${digits} `);
}

export function plural(n: number, word: string, many = `${word}s`): string {
  return `${count(n)} ${n === 1 ? word : many}`;
}

/** A span in the largest unit that keeps two digits: "45 s", "12 min", "30 h", "4 d". */
export function span(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 0.001) return s === 0 ? "0 s" : "< 1 ms";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${Math.round(s * 10) / 10} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} d`;
}

const clock: Intl.DateTimeFormatOptions = {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
};
const date: Intl.DateTimeFormatOptions = { year: "numeric", month: "short", day: "2-digit" };
const clockFormat = new Intl.DateTimeFormat("en-GB", clock);
const dateFormat = new Intl.DateTimeFormat("en-GB", { ...date, ...clock });
const dayFormat = new Intl.DateTimeFormat("en-GB", {
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const minuteFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hour12: false });
const zoneFormat = new Intl.DateTimeFormat("en-GB", { timeZoneName: "longOffset" });

/** "14:03:22". */
export function clockTime(seconds: number): string {
  return clockFormat.format(seconds * 1000);
}

/** "14:03". */
export function minuteTime(seconds: number): string {
  return minuteFormat.format(seconds * 1000);
}

/** "28 Nov 2026, 14:03:22". */
export function fullTime(seconds: number): string {
  return dateFormat.format(seconds * 1000);
}

/** "28 Nov, 14:03". */
export function dayTime(seconds: number): string {
  return dayFormat.format(seconds * 1000);
}

/** "Europe/Berlin, UTC+01:00". */
export function zone(atMs: number): string {
  const { timeZone } = zoneFormat.resolvedOptions();
  const offset = zoneFormat.formatToParts(atMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const short = offset.replace("GMT", "UTC");
  return timeZone === "UTC" || short === "" ? timeZone : `${timeZone}, ${short}`;
}

const tickSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200];
const dayS = 86_400;

/** Round local times within a span, at most `most` of them. */
export function roundTimes(start: number, end: number, most: number): number[] {
  const span = end - start;
  const step = tickSteps.find((one) => span / one <= most) ?? Math.ceil(span / most / dayS) * dayS;
  const offset = new Date(start * 1000).getTimezoneOffset() * -60;
  const first = Math.ceil((start + offset) / step) * step - offset;
  const times: number[] = [];
  // The first and the last part have no room for the words; the fewer they are, the wider is each.
  const margin = span * 0.3 / Math.max(1, most);
  for (let time = first; time < end && times.length < most; time += step) {
    if (time - start > margin && end - time > margin) times.push(time);
  }
  return times;
}

/** "2026-11-28T14:03" of the local zone, as `<input type="datetime-local">` has it, and back to epoch seconds. */
export function toLocalInput(seconds: number): string {
  const at = new Date(seconds * 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function fromLocalInput(text: string): number | null {
  const ms = new Date(text).getTime();
  return Number.isFinite(ms) ? ms / 1000 : null;
}

/** What stands behind {@link someOf}, one a line; "" where it says all. */
export function allOf(list: readonly string[]): string {
  if (list.length < 2) return "";
  const shown = list.slice(0, listedMax);
  return [...shown, ...list.length > listedMax ? [`and ${count(list.length - listedMax)} more`] : []].join(
    "\n",
  );
}

/** "10.0.0.5", "10.0.0.5 and 3 more", "unknown". */
export function someOf(list: readonly string[], none = "unknown"): string {
  if (list.length === 0) return none;
  return list.length === 1 ? list[0] : `${list[0]} and ${count(list.length - 1)} more`;
}
