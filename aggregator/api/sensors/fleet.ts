/** The fleet: who is late, blind or lossy. @module */

import { type FleetHealth, fleetHealth, sensorHealth } from "../../fleet/fleet.ts";
import type { Position } from "../../fleet/conservation.ts";
import type { SensorRow } from "../../model/sensor.ts";
import { problemOf } from "../admin/health.ts";
import { theSensor } from "./change.ts";
import { fleetAnswer, pageRowsMax, sensorAnswer } from "../schemas.ts";
import { resource, type Services } from "../route.ts";

/** Counting a sensor's batches is a query of its own; a larger fleet shows them on the sensor's own page. */
const countedSensorsMax = 32;

/** Health of all sensors, as the API, the metrics and the dashboard show it. */
export async function readFleet(services: Services, nowMs: number): Promise<FleetHealth> {
  const sensors = await services.directory.all(nowMs);
  const gaps = await services.store.readGaps({ open: true }, pageRowsMax);
  const positions = new Map<string, readonly Position[]>();
  if (sensors.length <= countedSensorsMax) {
    for (const sensor of sensors) {
      if (sensor.check_in) positions.set(sensor.sensor_id, await readPositions(sensor, services));
    }
  }
  return fleetHealth(sensors, gaps, positions, nowMs, (id) => services.holes.of(id, nowMs));
}

async function readPositions(sensor: SensorRow, { store }: Services): Promise<readonly Position[]> {
  return await store.readPositions(sensor.sensor_id, sensor.check_in!.epoch);
}

export const fleet = resource({
  summary: "Health of every sensor, with the packets that are accounted for",
  isQuery: true,
  answer: fleetAnswer,
  handle: async ({ nowMs }, services) => ({
    json: { ...await readFleet(services, nowMs), problem: problemOf(services.progress(), nowMs) },
  }),
});

export const sensor = resource({
  summary: "Health of one sensor, by id or name",
  isQuery: true,
  answer: sensorAnswer,
  async handle({ params, nowMs }, services) {
    const row = await theSensor(params.id, nowMs, services);
    const gaps = await services.store.readGaps({ sensor_id: row.sensor_id, open: true }, pageRowsMax);
    const positions = row.check_in ? await readPositions(row, services) : null;
    return { json: sensorHealth(row, gaps, positions, nowMs, services.holes.of(row.sensor_id, nowMs)) };
  },
});
