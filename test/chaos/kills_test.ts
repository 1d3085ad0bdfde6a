/** A bounded share of the kills for every gate; thousands by `deno run -A test/chaos/kills.ts`. @module */

import { assert } from "@std/assert";
import { createDatabase, useKafka, useMariadb } from "../services/services.ts";
import { isWhole, killAtRandom, type KillOptions } from "./kills.ts";

const kafka = await useKafka();
const mariadb = await useMariadb();

async function survives(options: KillOptions): Promise<void> {
  const report = await killAtRandom(options);
  assert(isWhole(report), `seed ${options.seed}: ${JSON.stringify(report)}`);
}

Deno.test("10 kills of a sensor that ships over HTTP lose and repeat nothing", () =>
  survives({ victim: "sensor", way: "http", kills: 10, seed: 11 }));

Deno.test("10 kills of an aggregator with SQLite lose and repeat nothing", () =>
  survives({ victim: "aggregator", way: "http", kills: 10, seed: 12 }));

Deno.test({
  name: "10 kills of an aggregator with Kafka and MariaDB lose and repeat nothing",
  ignore: kafka.ignore || mariadb.ignore,
  fn: async () =>
    await survives({
      victim: "aggregator",
      way: "kafka",
      kills: 10,
      seed: 13,
      services: { brokers: kafka.address, store: await createDatabase(mariadb.address) },
    }),
});
