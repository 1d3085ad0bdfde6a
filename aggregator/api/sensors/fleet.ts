/** The fleet: who is late, blind or lossy; and revoking a sensor. @module */

import { z } from "../../../shared/schema.ts";
import { type FleetHealth, fleetHealth, sensorHealth } from "../../fleet/fleet.ts";
import type { Position } from "../../fleet/conservation.ts";
import type { SensorRow } from "../../model/sensor.ts";
import { ApiError } from "../errors.ts";
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
  return fleetHealth(sensors, gaps, positions, nowMs);
}

async function readPositions(sensor: SensorRow, { store }: Services): Promise<readonly Position[]> {
  return await store.readPositions(sensor.sensor_id, sensor.check_in!.epoch);
}

export const fleet = resource({
  summary: "Health of every sensor, with the packets that are accounted for",
  isQuery: true,
  answer: fleetAnswer,
  handle: async ({ nowMs }, services) => ({ json: await readFleet(services, nowMs) }),
});

export const sensor = resource({
  summary: "Health of one sensor",
  isQuery: true,
  answer: sensorAnswer,
  async handle({ params, nowMs }, services) {
    const row = await services.directory.find(params.id, nowMs);
    if (!row) throw new ApiError("not_found", "There is no sensor with this id");
    const gaps = await services.store.readGaps({ sensor_id: row.sensor_id, open: true }, pageRowsMax);
    const positions = row.check_in ? await readPositions(row, services) : null;
    return { json: sensorHealth(row, gaps, positions, nowMs) };
  },
});

export const revoke = resource({
  summary: "Revokes a sensor: its batches and check-ins are refused within 5 s",
  answer: z.object({ sensor_id: z.string(), revoked: z.literal(true) }),
  async handle({ params, nowMs, caller }, { store, directory, reporter }) {
    const isKnown = await store.revokeSensor(params.id, nowMs);
    if (!isKnown) throw new ApiError("not_found", "There is no sensor with this id");
    directory.forget();
    reporter.count("sensors_revoked_total");
    reporter.info("sensor revoked", { sensor: params.id, by: caller?.name });
    return { json: { sensor_id: params.id, revoked: true } };
  },
});
