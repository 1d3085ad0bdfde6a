/** What has to be dropped, and why.
 *
 * In: the days that are stored, the octets they take, the limits, the time.
 * Out: parts of days to drop, oldest first, each with a reason.
 * Invariant: a part is dropped when its day is over and nothing was added to it for its lifetime: an old capture lives
 * as long as one of today. When disk space is short, flows are dropped before anything else, oldest day first, but
 * never those of the newest day; then the fine series.
 * Why two watermarks: one drop makes room for a while, so that drops are rare. @module */

import { type DayPart, dayParts, dayS, type StoredDay } from "../model/retention.ts";

export interface RetentionLimits {
  /** Days that flows are kept. */
  flowDays: number;
  /** Octets of everything stored; 0 = no limit. */
  bytesMax: number;
}

export interface Drop {
  day: number;
  part: DayPart;
  reason: "age" | "disk";
}

/** Of this part of the limit flows leave until only so much is left. */
const lowWatermark = 0.9;
const hourMs = 3_600_000, dayMs = 24 * hourMs;
/** Finer series live shorter. */
const lifetimesMs: Record<Exclude<DayPart, "flows">, number> = {
  seconds: hourMs,
  tens: dayMs,
  minutes: 7 * dayMs,
  hours: 365 * dayMs,
};

export function planDrops(
  days: readonly StoredDay[],
  bytes: number,
  limits: RetentionLimits,
  nowMs: number,
): Drop[] {
  const drops: Drop[] = [];
  for (const { day, stored_ms, gone } of days) {
    const idleMs = nowMs - Math.max((day + dayS) * 1e3, stored_ms);
    for (const part of dayParts) {
      const lifetimeMs = part === "flows" ? limits.flowDays * dayMs : lifetimesMs[part];
      if (!gone.includes(part) && idleMs >= lifetimeMs) drops.push({ day, part, reason: "age" });
    }
  }
  return [...drops, ...forDisk(days, drops, bytes, limits.bytesMax)];
}

function forDisk(
  days: readonly StoredDay[],
  drops: readonly Drop[],
  bytes: number,
  bytesMax: number,
): Drop[] {
  if (bytesMax === 0 || bytes <= bytesMax) return [];
  const isLeaving = (day: number) => drops.some((drop) => drop.day === day && drop.part === "flows");
  const held = days.filter(({ gone }) => !gone.includes("flows"));
  const flows = held.reduce((sum, one) => sum + one.flows, 0);
  // Flows are nearly all of it, so a day takes the share of its flows.
  const bytesOf = ({ flows: some }: StoredDay) => bytes * some / Math.max(1, flows);
  let left = held.filter(({ day }) => isLeaving(day)).reduce((sum, one) => sum - bytesOf(one), bytes);
  const found: Drop[] = [];
  for (const one of held.slice(0, -1)) {
    if (left <= bytesMax * lowWatermark) break;
    if (isLeaving(one.day)) continue;
    found.push({ day: one.day, part: "flows", reason: "disk" });
    left -= bytesOf(one);
  }
  return found;
}

/** Whether nothing of a day is left. */
export function isEmpty(day: StoredDay): boolean {
  return dayParts.every((part) => day.gone.includes(part)) && !isLeaving(day);
}

/** Whether its flows are hidden, and some of them are still there: a drop broke off. */
export function isLeaving({ flows, gone }: StoredDay): boolean {
  return gone.includes("flows") && flows > 0;
}
