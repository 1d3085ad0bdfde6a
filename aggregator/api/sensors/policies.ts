/** Policies: what the fleet sets on its sensors, and how far each has come.
 *
 * In: a name, for whom, settings.
 * Out: the version it became; how many sensors should have it, have it, and rolled it back.
 * Invariant: settings are checked before they are stored, by the table of fields that the sensors use too.
 * A version is never changed.
 * @module */

import { checkPolicy, policyFields } from "../../../shared/policy.ts";
import { z } from "../../../shared/schema.ts";
import { policyFor, type PolicyInForce } from "../../fleet/policies.ts";
import { policyLimits, targetPattern } from "../../model/policy.ts";
import type { SensorRow } from "../../model/sensor.ts";
import type { Capabilities } from "../capabilities.ts";
import { ApiError } from "../errors.ts";
import { actorOf, resource } from "../route.ts";
import { name, pageRowsMax } from "../schemas.ts";

const count = z.int().min(0);
const version = z.int().min(1);
const to = z.string().max(80).regex(targetPattern, "must be all, tag=NAME or sensor=NAME");
const settings = z.record(z.string(), z.unknown()).describe(
  Object.keys(policyFields).join(", "),
);
const versionAnswer = z.object({
  name,
  version,
  target: z.string(),
  settings: settings.nullable().describe("null: the policy ended here"),
  created_ms: z.number(),
  created_by: z.string(),
});
const policyAnswer = versionAnswer.extend({
  wanted: count.describe("Sensors that should have it"),
  actual: count.describe("Those that have it"),
  rolled_back: count.describe("Those that tried it and went back"),
});
const sensorPolicyAnswer = z.object({
  sensor_id: z.string(),
  name: z.string(),
  wanted: version,
  actual: count.describe("0: its own options"),
  problem: z.string().nullable(),
  kept: z.array(z.string()).describe("Fields that its own options keep"),
});

const needs = ["policies", "directory"] as const;
type Needs = Pick<Capabilities, typeof needs[number]>;

export const policies = resource({
  summary: "Policies in force, and how many sensors have them",
  isQuery: true,
  answer: z.object({ rows: z.array(policyAnswer) }),
  needs,
  async handle({ nowMs }, has) {
    const wanted = await wantedByAll(nowMs, has);
    return { json: { rows: (await has.policies.inForce(nowMs)).map((row) => withCounts(row, wanted)) } };
  },
});

export const policy = resource({
  summary: "One policy: what is in force of it, and how each of its sensors took it",
  isQuery: true,
  answer: z.object({ rows: z.array(policyAnswer), sensors: z.array(sensorPolicyAnswer) }),
  needs,
  async handle({ params, nowMs }, has) {
    const rows = (await has.policies.inForce(nowMs)).filter(({ name }) => name === params.id);
    if (rows.length === 0) throw unknown();
    const wanted = await wantedByAll(nowMs, has);
    const sensors = wanted.filter(({ row }) => row.name === params.id).slice(0, pageRowsMax);
    return {
      json: {
        rows: rows.map((row) => withCounts(row, wanted)),
        sensors: sensors.map(({ sensor, row }) => ({
          sensor_id: sensor.sensor_id,
          name: sensor.name,
          wanted: row.version,
          actual: sensor.check_in?.policy?.actual ?? 0,
          problem: isRolledBack(sensor, row) ? sensor.check_in!.policy!.problem : null,
          kept: sensor.check_in?.policy?.kept ?? [],
        })),
      },
    };
  },
});

export const policyHistory = resource({
  summary: "Every version of a policy, the newest first",
  isQuery: true,
  answer: z.object({ rows: z.array(versionAnswer) }),
  needs: ["policies"],
  async handle({ params, nowMs }, { policies }) {
    const rows = (await policies.all(nowMs)).filter(({ name }) => name === params.id).toReversed();
    if (rows.length === 0) throw unknown();
    return { json: { rows } };
  },
});

export const addPolicy = resource({
  summary: "Adds a version of a policy; sensors that it is for are offered it at their next check-in",
  body: z.strictObject({ name, to: to.default("all"), settings }),
  answer: z.object({ name, version }),
  errors: ["too_many_policies"],
  needs: ["policies", "policyStore", "reporter"],
  async handle({ body, caller, nowMs }, { policies, policyStore, reporter }) {
    const checked = checkPolicy(body.settings);
    if (!checked.ok) throw new ApiError("bad_body", checked.message, { field: checked.field });
    const made = await policyStore.addPolicy({
      name: body.name,
      target: body.to,
      settings: checked.settings,
      created_ms: nowMs,
      created_by: caller?.name ?? "",
    }, actorOf(caller));
    if (made === null) throw tooMany();
    policies.forget();
    reporter.count("policy_changes_total", { change: "set" });
    reporter.info("policy set", { name: body.name, version: made, to: body.to, by: caller?.name });
    return { json: { name: body.name, version: made } };
  },
});

export const removePolicy = resource({
  summary: "Ends a policy; its sensors go back to their own options, or to another policy that is for them",
  answer: z.object({ name, version }),
  errors: ["too_many_policies"],
  needs: ["policies", "policyStore", "reporter"],
  async handle({ params, caller, nowMs }, { policies, policyStore, reporter }) {
    const isKnown = (await policies.inForce(nowMs)).some(({ name }) => name === params.id);
    if (!isKnown) throw unknown();
    const made = await policyStore.addPolicy({
      name: params.id,
      target: "all",
      settings: null,
      created_ms: nowMs,
      created_by: caller?.name ?? "",
    }, actorOf(caller));
    if (made === null) throw tooMany();
    policies.forget();
    reporter.count("policy_changes_total", { change: "remove" });
    reporter.info("policy removed", { name: params.id, by: caller?.name });
    return { json: { name: params.id, version: made } };
  },
});

function unknown(): ApiError {
  return new ApiError("not_found", "There is no policy of this name");
}

function tooMany(): ApiError {
  const { namesMax, versionsMax } = policyLimits;
  return new ApiError(
    "too_many_policies",
    `There may be ${namesMax} policies with ${versionsMax} versions each`,
  );
}

interface Wanted {
  sensor: SensorRow;
  row: PolicyInForce;
}

async function wantedByAll(nowMs: number, { policies, directory }: Needs): Promise<Wanted[]> {
  const inForce = await policies.inForce(nowMs);
  return (await directory.all(nowMs)).filter(({ revoked_ms }) => revoked_ms === null).flatMap((sensor) => {
    const row = policyFor(sensor, inForce);
    return row ? [{ sensor, row }] : [];
  });
}

function withCounts(row: PolicyInForce, all: readonly Wanted[]) {
  const mine = all.filter((one) => one.row.version === row.version);
  const having = mine.filter(({ sensor }) => sensor.check_in?.policy?.actual === row.version);
  return {
    ...row,
    wanted: mine.length,
    actual: having.length,
    rolled_back: mine.filter(({ sensor }) => isRolledBack(sensor, row)).length,
  };
}

function isRolledBack({ check_in }: SensorRow, row: PolicyInForce): boolean {
  return check_in?.policy?.wanted === row.version && check_in.policy.problem !== null;
}
