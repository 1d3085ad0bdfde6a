/** Microseconds since 1970 as the date text that MariaDB takes and gives, in UTC. @module */

/** Dates that the server's TIMESTAMP can hold; a time beyond them is the nearest of these. */
const usMin = 1e6, usMax = 2_147_483_646_999_999;

export function dateText(us: number): string {
  const bounded = Math.min(usMax, Math.max(usMin, us));
  const second = Math.floor(bounded / 1e6);
  return `${secondText(second)}.${String(bounded - second * 1e6).padStart(6, "0")}`;
}

/** "2026-01-15 12:00:00" */
export function secondText(second: number): string {
  return new Date(second * 1e3).toISOString().slice(0, 19).replace("T", " ");
}

export function clampDate(us: number): number {
  return Math.min(usMax, Math.max(usMin, us));
}
