/** What an operator decides about a sensor: let in, let go on, named, tagged, sent away, forgotten.
 *
 * In: its id, or its name. Out: the sensor's id and name. Invariant: a name means the sensor that has it now; one that
 * was revoked is meant only where no other has its name. @module */

import { z } from "../../../shared/schema.ts";
import type { SensorChange, SensorRow } from "../../model/sensor.ts";
import { ApiError } from "../errors.ts";
import { name } from "../schemas.ts";
import type { Capabilities } from "../capabilities.ts";
import { actorOf, type Call, type Resource, resource } from "../route.ts";
import { tokenLimits } from "../admin/tokens.ts";

const changed = z.object({ sensor_id: z.string(), name: z.string() });

/** @throws {ApiError} when no sensor has this id or name. */
export async function theSensor(
  text: string,
  nowMs: number,
  { directory }: Pick<Capabilities, "directory">,
): Promise<SensorRow> {
  const row = await directory.resolve(text, nowMs);
  if (!row) throw new ApiError("not_found", "There is no sensor with this id or name");
  return row;
}

const needs = ["identityStore", "directory", "reporter"] as const;
type Needs = Pick<Capabilities, typeof needs[number]>;

async function apply(
  { params, nowMs, caller }: Pick<Call, "params" | "nowMs" | "caller">,
  change: SensorChange,
  { identityStore, directory, reporter }: Needs,
) {
  const sensor = await theSensor(params.id, nowMs, { directory });
  const outcome = await identityStore.changeSensor(sensor.sensor_id, change, nowMs, actorOf(caller));
  directory.forget();
  if (outcome === "unknown_sensor") {
    throw new ApiError("not_found", "There is no sensor with this id or name");
  }
  if (outcome === "name_taken") {
    throw new ApiError("name_taken", "Choose another name, or rename the other sensor");
  }
  reporter.count("sensor_changes_total", { change: change.kind });
  reporter.info("sensor changed", { sensor: sensor.sensor_id, change: change.kind, by: caller?.name });
  return {
    json: { sensor_id: sensor.sensor_id, name: change.kind === "rename" ? change.name : sensor.name },
  };
}

export const approve = plain("Takes a sensor in that waits for approval", "approve");
export const release = plain("Lifts the quarantine of a sensor", "release");
export const remove = plain("Forgets a sensor; its flows stay, and its name is free", "remove");

function plain(summary: string, kind: "approve" | "release" | "remove"): Resource {
  return resource({
    summary,
    answer: changed,
    errors: ["name_taken"],
    needs,
    handle: (call, has) => apply(call, { kind }, has),
  });
}

export const rename = resource({
  summary: "Gives a sensor another name",
  body: z.strictObject({ name }),
  answer: changed,
  errors: ["name_taken"],
  needs,
  handle: (call, has) => apply(call, { kind: "rename", name: call.body.name }, has),
});

export const tag = resource({
  summary: "Sets the tags of a sensor",
  body: z.strictObject({ tags: z.array(name).max(tokenLimits.tagsMax) }),
  answer: changed,
  needs,
  handle: (call, has) => apply(call, { kind: "tag", tags: call.body.tags }, has),
});

export const revoke = resource({
  summary: "Revokes a sensor: its batches and check-ins are refused within 5 s, and its name is free",
  answer: z.object({ sensor_id: z.string(), name: z.string(), revoked: z.literal(true) }),
  needs: ["identityStore", "directory", "reporter"],
  async handle({ params, nowMs, caller }, { identityStore, directory, reporter }) {
    const sensor = await theSensor(params.id, nowMs, { directory });
    await identityStore.revokeSensor(sensor.sensor_id, nowMs, actorOf(caller));
    directory.forget();
    reporter.count("sensors_revoked_total");
    reporter.info("sensor revoked", { sensor: sensor.sensor_id, by: caller?.name });
    return { json: { sensor_id: sensor.sensor_id, name: sensor.name, revoked: true } };
  },
});
