/** Whether a sensor's canaries arrive: what a look at the stored flows changes, and how it is put in words.
 *
 * In: a sensor's row, the Community IDs of canaries that are stored. Out: the next state; sentences.
 * Rule: a canary has arrived when the flow of every interface that could send one is stored. One that has not after
 * {@link canaryLimits.patienceMs} is missed, unless the sensor says why it is late: nothing is captured, or batches
 * that are older wait in its spool. It counts all the same when it comes.
 * Invariant: one missed canary is no reason for anything: a restart or a moment without power costs one.
 * @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { CanaryState, SensorRow } from "../model/sensor.ts";
import { span } from "./span.ts";

export const canaryLimits = {
  /** From the check-in that announced it. Flow table, sealing and transport take 5 s when all is well, and a Kafka
   * that is busy a minute. */
  patienceMs: 300_000,
  /** Whoever has not heard the question by then is not asked any more. */
  askedMs: 600_000,
} as const;

type Canary = NonNullable<CheckInRequest["canary"]>;

/** Flows of its newest canary that should be found. */
export function flowsOf(
  { check_in }: Pick<SensorRow, "check_in">,
): { interface: string; community_id: string }[] {
  return (check_in?.canary?.flows ?? []).flatMap(({ interface: name, community_id }) =>
    community_id === null ? [] : [{ interface: name, community_id }]
  );
}

/** Somebody may still find it; batches of others are nothing to wait for. */
export function isAwaited(sensor: SensorRow, state: CanaryState | null): boolean {
  const isHeard = sensor.revoked_ms === null && sensor.quarantined_ms === null && sensor.approved_ms !== null;
  const sentMs = sensor.check_in?.canary?.sent_ms;
  return isHeard && sentMs !== undefined && flowsOf(sensor).length > 0 && state?.arrived_sent_ms !== sentMs;
}

/** The state after a look at what is stored; null = it is as before. */
export function canaryStep(
  sensor: SensorRow,
  before: CanaryState | null,
  stored: ReadonlySet<string>,
  nowMs: number,
): CanaryState | null {
  if (!isAwaited(sensor, before)) return null;
  const { sent_ms } = sensor.check_in!.canary!;
  const state = before?.sent_ms === sent_ms ? before : announced(sent_ms, before, nowMs);
  const missing = flowsOf(sensor).filter(({ community_id }) => !stored.has(community_id))
    .map(({ interface: name }) => name);
  if (missing.length === 0) {
    return { ...state, missing, is_missed: false, missed: 0, arrived_ms: nowMs, arrived_sent_ms: sent_ms };
  }
  const isOver = !state.is_missed && nowMs - state.announced_ms >= canaryLimits.patienceMs &&
    !isExcused(sensor.check_in!, nowMs - state.announced_ms);
  const now = { ...state, missing, ...isOver && { is_missed: true, missed: state.missed + 1 } };
  return before !== null && JSON.stringify(now) === JSON.stringify(before) ? null : now;
}

function announced(sent_ms: number, before: CanaryState | null, nowMs: number): CanaryState {
  return {
    sent_ms,
    announced_ms: nowMs,
    missing: [],
    is_missed: false,
    missed: before?.missed ?? 0,
    arrived_ms: before?.arrived_ms ?? null,
    arrived_sent_ms: before?.arrived_sent_ms ?? null,
  };
}

/** The sensor itself says why it is not here yet. */
function isExcused({ capture, spool }: CheckInRequest, waitedMs: number): boolean {
  return capture.state !== "capturing" || (spool.batches > 0 && spool.oldest_s * 1_000 >= waitedMs);
}

/** The question for the answer to a check-in; null = there is none. */
export function questionFor(
  { canary_asked_ms }: Pick<SensorRow, "canary_asked_ms">,
  { canary }: Pick<CheckInRequest, "canary">,
  nowMs: number,
): number | null {
  if (canary_asked_ms === null || nowMs - canary_asked_ms > canaryLimits.askedMs) return null;
  return canary?.asked === canary_asked_ms ? null : canary_asked_ms;
}

/** Why its canaries do not arrive, and what to do; null = they do, or it is too early to say so. */
export function canaryReason(sensor: SensorRow, nowMs: number, missedMin: number): string | null {
  const { canary: state } = sensor;
  if (state === null || state.missed < missedMin || flowsOf(sensor).length === 0) return null;
  const { missed, missing, arrived_ms } = state;
  const last = arrived_ms === null
    ? "none ever arrived"
    : `the last to arrive did so ${span(nowMs - arrived_ms)} ago`;
  return `Its last ${missed === 1 ? "canary" : `${missed} canaries`} did not arrive (${
    missing.join(", ")
  }; ${last}): flows get lost on the way. Is its capture well (picket-sensor doctor), its spool empty (picket-sensor status), Kafka's lag small, and are batches refused (dead letters)?`;
}

/** How the newest canary fares, for people; null = it never checked in, or a replay, which sends none. */
export function canaryText({ check_in, canary: state }: SensorRow, nowMs: number): string | null {
  if (check_in === null) return null;
  const { canary, capture } = check_in;
  if (!canary) {
    return capture.state === "replaying" || capture.state === "idle" ? null : "no canary was sent yet";
  }
  if (canary.flows.every(({ problem }) => problem !== null)) return `not possible: ${problemsOf(canary)}`;
  const isArrived = state !== null && state.arrived_sent_ms === canary.sent_ms;
  const last = state === null || state.arrived_ms === null
    ? "none arrived before"
    : `the last one that did arrived ${span(nowMs - state.arrived_ms)} ago`;
  const words = isArrived
    ? `arrived ${span(nowMs - state.arrived_ms!)} ago`
    : state?.sent_ms === canary.sent_ms && state.is_missed
    ? `did not arrive (${state.missing.join(", ")}), ${state.missed} in a row; ${last}`
    : `sent ${
      span(Math.max(0, check_in.sent_ms - canary.sent_ms))
    } before its last check-in, not arrived yet; ${last}`;
  const problems = problemsOf(canary);
  return problems === "" ? words : `${words}; not possible: ${problems}`;
}

function problemsOf({ flows }: Canary): string {
  return flows.flatMap(({ interface: name, problem }) => problem === null ? [] : [`${name}: ${problem}`])
    .join("; ");
}
