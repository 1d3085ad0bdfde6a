/** `picket-aggregator sensors` and `revoke`: who is enrolled, how they are, and ending it. @module */

import { escapeLine } from "../../shared/escape.ts";
import { type FleetHealth, fleetHealth } from "../fleet/fleet.ts";
import type { Store } from "../store/store.ts";
import { openClient } from "../cli/api_client.ts";
import {
  type Command,
  command,
  CommandError,
  exitCodes,
  noOperands,
  onlyOperand,
} from "../../shared/command.ts";
import { generalOptions, remoteOptions, storeOf, storeOptions } from "../options/store_options.ts";
import { sensorLines } from "../cli/words.ts";

const gapsMax = 1_000;

export const sensorsCommand: Command = command({
  name: "sensors",
  summary: "list the sensors and how they are",
  operands: "",
  about:
    "Prints every enrolled sensor with its status and, when it is not well, why. Reads the database, or asks --url.",
  examples: ["sensors", "sensors --json"],
  options: { ...generalOptions, ...storeOptions, ...remoteOptions },
  async run(options, operands, edges) {
    noOperands(operands);
    const fleet = options.url === ""
      ? await withStore(await storeOf(options, edges), async (store) => {
        const gaps = await store.readGaps({ open: true }, gapsMax);
        return fleetHealth(await store.readSensors(), gaps, new Map(), edges.clock.nowMs());
      })
      : await (await openClient(options.url, options, edges)).get<FleetHealth>("/fleet");
    if (options.json) edges.print(JSON.stringify(fleet));
    else {
      for (const sensor of fleet.sensors) {
        edges.print(
          escapeLine(`${sensor.sensor_id}  enrolled ${new Date(sensor.enrolled_ms).toISOString()}`),
        );
        for (const line of sensorLines(sensor, fleet.now_ms, edges.isColourful)) edges.print(`  ${line}`);
      }
      if (fleet.sensors.length === 0) edges.reporter.info("no sensor is enrolled: make a join token first");
    }
    return exitCodes.ok;
  },
});

export const revokeCommand: Command = command({
  name: "revoke",
  summary: "revoke a sensor",
  operands: "ID",
  about:
    `Refuses everything that comes from this sensor, within 5 seconds, for good: it can only enrol anew, with another key.
ID is what the command sensors prints first.`,
  examples: ["revoke s0123456789abcdef0123"],
  options: { ...generalOptions, ...storeOptions, ...remoteOptions },
  async run(options, operands, edges) {
    const id = onlyOperand(operands, "sensor ID");
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot revoke as "${id.slice(0, 64)}" is not the ID of a sensor`,
      );
    }
    if (options.url === "") {
      const isKnown = await withStore(
        await storeOf(options, edges),
        (store) => store.revokeSensor(id, edges.clock.nowMs()),
      );
      if (!isKnown) {
        throw new CommandError(exitCodes.failed, `Cannot revoke "${id}" as no sensor has this ID`);
      }
    } else await (await openClient(options.url, options, edges)).post(`/sensors/${id}/revoke`, {});
    edges.print(options.json ? JSON.stringify({ sensor_id: id, revoked: true }) : `revoked ${id}`);
    return exitCodes.ok;
  },
});

async function withStore<Result>(store: Store, work: (store: Store) => Promise<Result>): Promise<Result> {
  await store.start();
  try {
    return await work(store);
  } finally {
    await store.stop();
  }
}
