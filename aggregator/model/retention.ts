/** How long data is kept: days of flows, and series that get coarser with age.
 * Days are UTC and named by their first second. @module */

/** What a day holds, each with a lifetime of its own. */
export const dayParts = ["flows", "seconds", "tens", "minutes", "hours"] as const;
export type DayPart = typeof dayParts[number];

export interface StoredDay {
  /** Epoch seconds of its midnight. */
  day: number;
  /** Flows that were stored under it. */
  flows: number;
  /** Aggregator's clock when the last of them came, ms. */
  stored_ms: number;
  /** Parts that were dropped. */
  gone: DayPart[];
}

export const dayS = 86_400;
