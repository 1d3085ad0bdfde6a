/** When a report is due: each day or each week, at a time of day where people are.
 *
 * In: a schedule, the time. Out: the last moment at which one was due.
 * Invariant: one moment a day, also on days on which clocks change: a time of day that is left out is the one after the
 * gap, and of one that comes twice the first counts. @module */

export const weekdays = [
  "sunday",
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
] as const;

export interface Schedule {
  every: "day" | "week";
  /** Of a weekly report. */
  day: typeof weekdays[number];
  /** "07:00" */
  at: string;
  zone: string;
}

const dayMs = 86_400_000;

/** Epoch milliseconds, at most `nowMs`. */
export function lastDue({ every, day, at, zone }: Schedule, nowMs: number): number {
  const [hours, minutes] = at.split(":").map(Number);
  const local = nowMs + offsetOf(zone, nowMs);
  const midnight = Math.floor(local / dayMs) * dayMs;
  for (let back = 0; back <= 8; back++) {
    const wanted = midnight - back * dayMs + (hours * 60 + minutes) * 60_000;
    if (every === "week" && weekdays[new Date(wanted).getUTCDay()] !== day) continue;
    const ms = momentOf(zone, wanted);
    if (ms <= nowMs) return ms;
  }
  throw new Error(`Cannot find when a report was due in ${zone}`);
}

/** The length of what a report tells of. */
export function spanMs({ every }: Schedule): number {
  return every === "day" ? dayMs : 7 * dayMs;
}

/** The moment at which clocks of the zone show `local`, given as if it were UTC. */
function momentOf(zone: string, local: number): number {
  // Of the two offsets around a change one is right, or none in a gap.
  const offsets = [local - dayMs, local + dayMs].map((ms) => offsetOf(zone, ms));
  const right = offsets.map((offset) => local - offset).filter((ms) => ms + offsetOf(zone, ms) === local);
  return right.length > 0 ? Math.min(...right) : local - Math.min(...offsets);
}

/** What clocks of the zone are ahead of UTC, to the minute. */
function offsetOf(zone: string, ms: number): number {
  const minute = Math.floor(ms / 60_000) * 60_000;
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(minute);
  const part = (type: string) => Number(parts.find((one) => one.type === type)!.value);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute")) - minute;
}
