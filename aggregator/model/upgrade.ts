/** A rollout: how the sensors of a fleet come to run another version, a part of them first.
 *
 * Invariant: of all rollouts the newest alone is offered to sensors, and only while it runs or after it is done, for
 * those that come later. @module */

/** `halted`: it stopped by itself, as sensors failed. */
export const rolloutStates = ["running", "paused", "halted", "done", "cancelled"] as const;
export type RolloutState = typeof rolloutStates[number];

export interface RolloutRow {
  /** Rising. */
  id: number;
  version: string;
  /** Who is first: `tag=NAME` or `percent=N` of the fleet. */
  canary: string;
  /** How long the canaries must have gone well, at least. */
  canary_ms: number;
  /** Then this share of the fleet more, each time that `step_ms` have passed and all is well. */
  step_percent: number;
  step_ms: number;
  /** The version may be older than what a sensor runs. */
  allow_older: boolean;
  state: RolloutState;
  /** Share of the fleet it has come to; 0 = the canaries alone. */
  percent: number;
  /** When it came to that. */
  stage_ms: number;
  /** Rises with each resumption after a halt, so that who failed tries again. */
  attempt: number;
  /** Why it halted; null = it did not. */
  reason: string | null;
  created_ms: number;
  created_by: string;
}

/** The share that canaries are, when nobody says who they are. */
export const rolloutLimits = { rolloutsMax: 200, reasonCharactersMax: 400 } as const;

export const canaryPattern = /^(tag=[A-Za-z0-9][A-Za-z0-9._-]{0,62}|percent=([1-9][0-9]?|100))$/;

/** What changes of a rollout. */
export type RolloutChange = Partial<
  Pick<RolloutRow, "state" | "percent" | "stage_ms" | "attempt" | "reason">
>;
