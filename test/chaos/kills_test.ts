/** A bounded share of the kills for every gate; a thousand of each victim and way by night. @module */

import { assert } from "@std/assert";
import { createDatabase, nightly, useKafka, useMariadb } from "../services/services.ts";
import { isWhole, killAtRandom, type KillOptions } from "./kills.ts";

const kafka = await useKafka();
const mariadb = await useMariadb();
const { ignore: isDay } = nightly("1,000 kills of each victim and way, hours");
const victims = ["sensor", "aggregator"] as const, ways = ["http", "kafka"] as const;

function survives(name: string, options: KillOptions, ignore = false): void {
  Deno.test({
    name,
    ignore: ignore || (options.way === "kafka" && (kafka.ignore || mariadb.ignore)),
    fn: async () => {
      const services = options.way === "kafka"
        ? { services: { brokers: kafka.address, store: await createDatabase(mariadb.address) } }
        : {};
      const report = await killAtRandom({ ...options, ...services });
      assert(isWhole(report), `seed ${options.seed}: ${JSON.stringify(report)}`);
    },
  });
}

survives("10 kills of a sensor that ships over HTTP lose and repeat nothing", {
  victim: "sensor",
  way: "http",
  kills: 10,
  seed: 11,
});
survives("10 kills of an aggregator with SQLite lose and repeat nothing", {
  victim: "aggregator",
  way: "http",
  kills: 10,
  seed: 12,
});
survives("10 kills of an aggregator with Kafka and MariaDB lose and repeat nothing", {
  victim: "aggregator",
  way: "kafka",
  kills: 10,
  seed: 13,
});
for (const victim of victims) {
  for (const way of ways) {
    const name = `1,000 kills of the ${victim} over ${way} lose and repeat nothing`;
    survives(name, { victim, way, kills: 1_000, seed: 14 }, isDay);
  }
}
