/** How long and how much the merger remembers. @module */

export interface MergeOptions {
  /** Flows remembered. @default 500000 */
  flowsMax: number;
  /** Facts remembered, over all flows, to know them again from another sensor. @default 1000000 */
  factsMax: number;
  /** A flow is forgotten after this time without news, on the aggregator's clock. @default 3600000 */
  keepMs: number;
  /** Times this close count as overlapping: clocks are corrected to a few milliseconds, not to none. @default 5000 */
  slackMs: number;
  /** Longer than the 60 s between segments of a long flow, and their way here. @default 90000 */
  silenceMs: number;
}

export const mergeDefaults: MergeOptions = {
  flowsMax: 500_000,
  factsMax: 1_000_000,
  keepMs: 3_600_000,
  slackMs: 5_000,
  silenceMs: 90_000,
};
