/** How far a rollout has come, sensor by sensor, and what it does next.
 *
 * In: the rollout, the sensors with their last check-in, the releases there are, `nowMs`.
 * Out: each sensor's state, with the reason where it failed or cannot; the next step, or none.
 * Rule: the canaries come first. When they have run the version for `canary_ms` and none failed, the rest follows by
 * `step_percent` of the fleet every `step_ms`. One canary that fails halts it; later, more than one sensor in ten (and
 * more than one) of those that tried. A sensor that fell silent while it changed programs has failed.
 * Invariant: a sensor that is offline, or cannot upgrade, is named and never waited for; a sensor that has begun stays
 * in. The order of sensors depends on the rollout's id, so that it is not always the same ones that come first.
 * @module */

import { compareVersions, isVersion, releaseKeyId } from "../../shared/release.ts";
import type { SensorRow } from "../model/sensor.ts";
import type { RolloutChange, RolloutRow } from "../model/upgrade.ts";
import { fleetLimits } from "./limits.ts";
import type { Releases } from "./release_folder.ts";

export const sensorUpgradeStates = [
  "failed",
  "unable",
  "trial",
  "switching",
  "downloading",
  "offered",
  "offline",
  "waiting",
  "done",
] as const;
export type SensorUpgradeState = typeof sensorUpgradeStates[number];

export interface SensorUpgrade {
  sensor_id: string;
  name: string;
  state: SensorUpgradeState;
  /** The version that it runs; null = it never checked in. */
  actual: string | null;
  /** Why it failed, cannot, or is out of contact; null = nothing is wrong. */
  reason: string | null;
  isCanary: boolean;
  /** It is this one's turn. */
  isIn: boolean;
}

/** `key` is its id. */
type Known = Pick<Releases, "key" | "rows">;

const silentMsMax = 600_000;
/** After that much of a stage nobody waits any more for one that takes the offer slowly, or not at all. */
const slowMsMax = 3_600_000;
const failedShareMax = 0.1;

export function offerId({ id, attempt }: Pick<RolloutRow, "id" | "attempt">): string {
  return `${id}.${attempt}`;
}

/** Every sensor that counts, the worst first. */
export function sensorUpgrades(
  rollout: RolloutRow,
  sensors: readonly SensorRow[],
  releases: Releases,
  nowMs: number,
): SensorUpgrade[] {
  const known = { rows: releases.rows, key: releases.key && releaseKeyId(releases.key) };
  const candidates = sensors
    .filter((row) => row.revoked_ms === null && row.approved_ms !== null && row.quarantined_ms === null)
    .map((row) => ({ row, ...outlook(rollout, row, known, nowMs) }))
    .map((one) => ({
      ...one,
      rank: rankOf(one.state, hasBegun(rollout, one.row)),
      at: placeOf(rollout, one.row),
    }))
    .sort((a, b) => a.rank - b.rank || a.at - b.at || (a.row.sensor_id < b.row.sensor_id ? -1 : 1));
  const share = (percent: number) => Math.ceil(candidates.length * percent / 100);
  const [kind, value] = rollout.canary.split("=");
  const canaries = kind === "percent" ? share(Number(value)) : 0;
  const reached = share(rollout.percent);
  return candidates.map(({ row, state, reason }, index): SensorUpgrade => {
    const isCanary = kind === "tag" ? row.tags.includes(value) : index < canaries;
    const isIn = isCanary || index < reached;
    return {
      sensor_id: row.sensor_id,
      name: row.name,
      state: state === "offered" && !isIn ? "waiting" : state,
      actual: row.check_in?.version ?? null,
      reason,
      isCanary,
      isIn,
    };
  }).sort((a, b) =>
    sensorUpgradeStates.indexOf(a.state) - sensorUpgradeStates.indexOf(b.state) || (a.name < b.name ? -1 : 1)
  );
}

/** Null = nothing changes just now. */
export function nextStep(
  rollout: RolloutRow,
  sensors: readonly SensorUpgrade[],
  nowMs: number,
): RolloutChange | null {
  if (rollout.state !== "running") return null;
  const { percent, stage_ms, canary_ms, step_percent, step_ms } = rollout;
  const stageMs = nowMs - stage_ms;
  const those = sensors.filter(({ isIn }) => isIn);
  const failed = sensors.filter(({ state }) => state === "failed");
  const done = those.filter(({ state }) => state === "done");
  const isBusy = those.some(({ state }) =>
    state === "trial" || state === "switching" ||
    ((state === "offered" || state === "downloading") && stageMs < slowMsMax)
  );
  if (percent === 0) {
    if (failed.length > 0) {
      return { state: "halted", reason: `canary ${failed[0].name} failed: ${failed[0].reason}` };
    }
    if (isBusy || done.length === 0 || stageMs < canary_ms) return null;
    return { percent: Math.min(100, step_percent), stage_ms: nowMs };
  }
  if (failed.length > Math.max(1, (done.length + failed.length) * failedShareMax)) {
    const { name, reason } = failed[0];
    return {
      state: "halted",
      reason: `${failed.length} sensors failed, the first of them ${name}: ${reason}`,
    };
  }
  if (isBusy) return null;
  if (percent >= 100) return { state: "done" };
  if (stageMs < step_ms) return null;
  return { percent: Math.min(100, percent + step_percent), stage_ms: nowMs };
}

/** As if it were every sensor's turn. */
function outlook(
  rollout: RolloutRow,
  row: SensorRow,
  known: Known,
  nowMs: number,
): { state: SensorUpgradeState; reason: string | null } {
  const { check_in: checkIn, last_check_in_ms } = row;
  if (checkIn === null || last_check_in_ms === null) {
    return { state: "offline", reason: "it never checked in" };
  }
  const silentMs = nowMs - last_check_in_ms, isSilent = silentMs > fleetLimits.lateAfterMs;
  const silence = `no check-in for ${Math.round(silentMs / 1_000)} s`;
  const { upgrade, version } = checkIn;
  if (upgrade?.offer === offerId(rollout)) {
    if (upgrade.state === "failed") return { state: "failed", reason: upgrade.problem };
    if (upgrade.state === "switching" || upgrade.state === "trial") {
      if (silentMs <= silentMsMax) return { state: upgrade.state, reason: isSilent ? silence : null };
      return { state: "failed", reason: `${silence} since it began to start the new program` };
    }
    if (upgrade.state === "downloading" && !isSilent) return { state: "downloading", reason: null };
  }
  if (version === rollout.version && upgrade?.state !== "trial") return { state: "done", reason: null };
  const reason = inability(rollout, checkIn, known);
  if (reason !== null) return { state: "unable", reason };
  return isSilent ? { state: "offline", reason: silence } : { state: "offered", reason: null };
}

function inability(
  rollout: RolloutRow,
  { upgrade, version }: NonNullable<SensorRow["check_in"]>,
  { key, rows }: Known,
): string | null {
  if (!upgrade) return `its version ${version} takes no upgrades from the centre: upgrade it by hand once`;
  if (upgrade.state === "unable") return upgrade.problem ?? "it does not say why";
  if (key === null) return "this aggregator has no release key";
  if (upgrade.key !== key) {
    return `it trusts release key ${
      upgrade.key ?? "none"
    }, not ${key}: enrol it again, or give it this one with picket-sensor release-key`;
  }
  if (!rows.some(({ read }) => read.version === rollout.version && read.target === upgrade.target)) {
    return `there is no release ${rollout.version} for ${upgrade.target}`;
  }
  if (rollout.allow_older || !isVersion(version) || compareVersions(version, rollout.version) <= 0) {
    return null;
  }
  return `it runs version ${version}, which is newer`;
}

function hasBegun(rollout: RolloutRow, { check_in }: SensorRow): boolean {
  return check_in?.upgrade?.offer === offerId(rollout);
}

/** Who has begun, or is through, stays in; then who can begin now, then who has had it anyway, then who cannot. */
function rankOf(state: SensorUpgradeState, hasBegun: boolean): number {
  if (hasBegun) return 0;
  return state === "offered" ? 1 : state === "done" ? 2 : 3;
}

/** FNV-1a. Not a secret, only spread: a thousand sensors are looked at every few seconds. */
function placeOf({ id }: RolloutRow, { sensor_id }: SensorRow): number {
  let hash = 0x811c9dc5;
  for (const text of [String(id), sensor_id]) {
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  // The last digits alone would hardly move the upper bits.
  hash = Math.imul(hash ^ hash >>> 15, 0x85ebca6b);
  return (hash ^ hash >>> 13) >>> 0;
}
