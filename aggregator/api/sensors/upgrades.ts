/** Upgrades: rollouts of a version to the sensors, begun, watched, and held up.
 *
 * In: a version, who is first, how fast the rest follows. Out: how each sensor took it.
 * Invariant: a version without a release is not rolled out, and no second rollout begins while one runs or is paused. A
 * rollout that halted goes on only when a person says so, and then those that failed try again. @module */

import { isVersion } from "../../../shared/release.ts";
import { z } from "../../../shared/schema.ts";
import { sensorUpgradeStates } from "../../fleet/rollout.ts";
import type { AuditAction } from "../../model/audit.ts";
import {
  canaryPattern,
  type RolloutChange,
  rolloutLimits,
  type RolloutRow,
  rolloutStates,
} from "../../model/upgrade.ts";
import type { Capabilities } from "../capabilities.ts";
import { ApiError } from "../errors.ts";
import { actorOf, type Call, type Resource, resource } from "../route.ts";
import { pageRowsMax } from "../schemas.ts";

const daysMax = 30;
const seconds = z.int().min(0).max(daysMax * 86_400);
const percent = z.int().min(1).max(100);
const rolloutAnswer = z.object({
  id: z.int().min(1),
  version: z.string(),
  canary: z.string(),
  canary_s: seconds,
  step_percent: percent,
  step_s: seconds,
  allow_older: z.boolean(),
  state: z.enum(rolloutStates).describe("halted: it stopped by itself, as sensors failed"),
  percent: z.int().min(0).max(100).describe("Share of the fleet it has come to; 0: the canaries alone"),
  stage_ms: z.number().describe("When it came to that"),
  attempt: z.int().min(1),
  reason: z.string().nullable(),
  created_ms: z.number(),
  created_by: z.string(),
});
const counts = z.record(z.enum(sensorUpgradeStates), z.int().min(0)).describe("Sensors by state");
const sensorAnswer = z.object({
  sensor_id: z.string(),
  name: z.string(),
  state: z.enum(sensorUpgradeStates).describe(
    "waiting: it is not its turn yet; unable: it takes no upgrades",
  ),
  wanted: z.string(),
  actual: z.string().nullable().describe("null: it never checked in"),
  reason: z.string().nullable(),
  canary: z.boolean(),
});

const needs = ["rollouts", "rolloutStore"] as const;

export const upgrades = resource({
  summary: "Rollouts of versions to the sensors, the newest first",
  isQuery: true,
  answer: z.object({ rows: z.array(rolloutAnswer) }),
  needs: ["rolloutStore"],
  async handle(_call, { rolloutStore }) {
    return { json: { rows: (await rolloutStore.readRollouts(rolloutLimits.rolloutsMax)).map(answerOf) } };
  },
});

export const upgrade = resource({
  summary: "One rollout, and how each sensor took it, the worst first",
  isQuery: true,
  answer: z.object({ rollout: rolloutAnswer, counts, sensors: z.array(sensorAnswer) }),
  needs,
  async handle({ params, nowMs }, { rollouts, rolloutStore }) {
    const row = await theRollout(params.id, { rolloutStore });
    const sensors = await rollouts.look(row, nowMs);
    const count = (state: string) => sensors.filter((one) => one.state === state).length;
    return {
      json: {
        rollout: answerOf(row),
        counts: Object.fromEntries(sensorUpgradeStates.map((state) => [state, count(state)])),
        sensors: sensors.slice(0, pageRowsMax).map((
          { sensor_id, name, state, actual, reason, isCanary },
        ) => ({
          sensor_id,
          name,
          state,
          wanted: row.version,
          actual,
          reason,
          canary: isCanary,
        })),
      },
    };
  },
});

export const startUpgrade = resource({
  summary: "Begins to upgrade sensors to a version: the canaries first, then the rest step by step",
  body: z.strictObject({
    version: z.string().max(40).refine(isVersion, "must be like 1.2.3 or 1.2.3+4"),
    canary: z.string().max(80).regex(canaryPattern, "must be tag=NAME or percent=N").default("percent=5"),
    canary_s: seconds.default(3_600),
    step_percent: percent.default(25),
    step_s: seconds.default(3_600),
    allow_older: z.boolean().default(false),
  }),
  answer: z.object({ id: z.int(), version: z.string() }),
  errors: ["no_release", "upgrade_running"],
  needs: ["rollouts", "rolloutStore", "releases", "reporter"],
  async handle({ body, caller, nowMs }, { rollouts, rolloutStore, releases, reporter }) {
    const { rows } = await releases.all(nowMs);
    if (!rows.some(({ read }) => read.version === body.version)) {
      throw new ApiError("no_release", "Sign its programs and add them with: picket-aggregator release add", {
        field: "version",
      });
    }
    const { canary_s, step_s, ...rest } = body;
    const id = await rolloutStore.addRollout({
      ...rest,
      canary_ms: canary_s * 1_000,
      step_ms: step_s * 1_000,
      state: "running",
      percent: 0,
      stage_ms: nowMs,
      attempt: 1,
      reason: null,
      created_ms: nowMs,
      created_by: caller?.name ?? "",
    }, actorOf(caller));
    if (id === null) throw new ApiError("upgrade_running", "Wait until it is done, or cancel it");
    rollouts.forget();
    reporter.count("upgrade_changes_total", { change: "start" });
    reporter.info("rollout begins", { version: body.version, canary: body.canary, by: caller?.name });
    return { json: { id, version: body.version } };
  },
});

export const pauseUpgrade = changing(
  "Offers it to no more sensors until it is resumed",
  "upgrade_pause",
  (row) => row.state === "running" ? { state: "paused" } : null,
);
export const resumeUpgrade = changing(
  "Goes on; after a halt those that failed try again",
  "upgrade_resume",
  (row, nowMs) =>
    row.state === "paused"
      ? { state: "running" }
      : row.state === "halted"
      ? { state: "running", attempt: row.attempt + 1, reason: null, stage_ms: nowMs }
      : null,
);
export const cancelUpgrade = changing(
  "Ends it; sensors that have the version keep it",
  "upgrade_cancel",
  (row) => row.state === "cancelled" ? null : { state: "cancelled" },
);

function changing(
  summary: string,
  action: AuditAction,
  changeOf: (row: RolloutRow, nowMs: number) => RolloutChange | null,
): Resource {
  return resource({
    summary,
    answer: z.object({ id: z.int(), version: z.string(), state: z.enum(rolloutStates) }),
    errors: ["not_found", "wrong_state"],
    needs: ["rollouts", "rolloutStore", "reporter"],
    async handle({ params, caller, nowMs }: Call, { rollouts, rolloutStore, reporter }) {
      const row = await theRollout(params.id, { rolloutStore });
      const change = changeOf(row, nowMs);
      const by = { actor: actorOf(caller), action, nowMs };
      if (change === null || !await rolloutStore.changeRollout(row, change, by)) {
        throw new ApiError("wrong_state", `It is ${row.state}`);
      }
      rollouts.forget();
      reporter.count("upgrade_changes_total", { change: action.slice("upgrade_".length) });
      reporter.info("rollout changed", { version: row.version, state: change.state, by: caller?.name });
      return { json: { id: row.id, version: row.version, state: change.state ?? row.state } };
    },
  });
}

/** The rollout of an id, or the newest by the word "newest". @throws {ApiError} */
async function theRollout(
  id: string,
  { rolloutStore }: Pick<Capabilities, "rolloutStore">,
): Promise<RolloutRow> {
  const rows = await rolloutStore.readRollouts(id === "newest" ? 1 : rolloutLimits.rolloutsMax);
  const row = id === "newest" ? rows[0] : rows.find((one) => String(one.id) === id);
  if (!row) throw new ApiError("not_found", "There is no such rollout");
  return row;
}

function answerOf({ canary_ms, step_ms, ...row }: RolloutRow) {
  return { ...row, canary_s: canary_ms / 1_000, step_s: step_ms / 1_000 };
}
