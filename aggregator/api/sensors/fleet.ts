/** The fleet: who is late, blind or lossy; a list by the page, and one sensor with all that is known of it. @module */

import { z } from "../../../shared/schema.ts";
import { type FleetHealth, fleetHealth, sensorHealth } from "../../fleet/fleet.ts";
import { sensorStatuses } from "../../fleet/reasons.ts";
import { fleetPage } from "../../fleet/page.ts";
import type { Position } from "../../fleet/conservation.ts";
import type { SensorRow } from "../../model/sensor.ts";
import { problemOf } from "../admin/health.ts";
import type { Capabilities } from "../capabilities.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";
import { theSensor } from "./change.ts";
import { fleetAnswer, name, pageQuery, pageRowsMax, sensorAnswer } from "../schemas.ts";

/** Counting a sensor's batches is a query of its own; a larger fleet shows them on the sensor's own page. */
const countedSensorsMax = 32;

/** Health of all sensors, as the API, the metrics and the dashboard show it. */
export async function readFleet(
  has: Pick<Capabilities, "directory" | "ingestStore" | "identityStore">,
  nowMs: number,
): Promise<FleetHealth> {
  const sensors = await has.directory.all(nowMs);
  const gaps = await has.ingestStore.readGaps({ open: true }, pageRowsMax);
  const positions = new Map<string, readonly Position[]>();
  if (sensors.length <= countedSensorsMax) {
    for (const sensor of sensors) {
      if (sensor.check_in) positions.set(sensor.sensor_id, await readPositions(sensor, has));
    }
  }
  return fleetHealth(sensors, gaps, positions, nowMs, await has.identityStore.readEndedEpochs());
}

async function readPositions(
  sensor: SensorRow,
  { ingestStore }: Pick<Capabilities, "ingestStore">,
): Promise<readonly Position[]> {
  return await ingestStore.readPositions(sensor.sensor_id, sensor.check_in!.epoch);
}

export const fleet = resource({
  summary: "Health of the sensors, those in trouble first; counts by status are those of the whole fleet",
  query: z.strictObject({
    ...pageQuery,
    limit: pageQuery.limit.default(100),
    status: z.enum(sensorStatuses).optional(),
    tag: name.optional(),
    site: name.optional(),
    search: z.string().min(1).max(100).optional().describe("Part of a name, id, site, tag or reason"),
  }),
  isPolled: true,
  isQuery: true,
  answer: fleetAnswer,
  needs: ["progress", "archiveProblem", "directory", "ingestStore", "identityStore"],
  async handle({ query, nowMs }, { progress, archiveProblem, ...has }) {
    const unarchived = archiveProblem();
    const problem = problemOf(progress(), nowMs) ??
      (unarchived && `A day of flows cannot be archived: ${unarchived}`);
    const page = fleetPage(await readFleet(has, nowMs), query, query);
    if (page === null) {
      throw new ApiError("bad_parameter", 'Cannot read page as "cursor" must be one that a page gave', {
        field: "cursor",
      });
    }
    return { json: { ...page, problem } };
  },
});

export const sensor = resource({
  summary: "Health of one sensor, by id or name",
  isPolled: true,
  isQuery: true,
  answer: sensorAnswer,
  needs: ["directory", "ingestStore", "identityStore"],
  async handle({ params, nowMs }, has) {
    const row = await theSensor(params.id, nowMs, has);
    const gaps = await has.ingestStore.readGaps({ sensor_id: row.sensor_id, open: true }, pageRowsMax);
    const positions = row.check_in ? await readPositions(row, has) : null;
    const ended = await has.identityStore.readEndedEpochs(row.sensor_id);
    return { json: sensorHealth(row, gaps, positions, nowMs, ended) };
  },
});
