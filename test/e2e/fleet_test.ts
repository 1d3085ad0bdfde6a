/** The whole path with real processes, from source and compiled: SQLite over HTTP, and MariaDB over Kafka. @module */

import { compiled } from "../deploy/compiled.ts";
import { createDatabase, newTopic, nightly, useKafka, useMariadb } from "../services/services.ts";
import { killedAggregatorChangesNothing, twoSensorsCountOnce } from "./scenarios.ts";
import { compiledIn, fromSource, type Programs, World } from "./world.ts";

const kafka = await useKafka();
const mariadb = await useMariadb();
const binaries = await compiled("x86_64-unknown-linux-gnu");
const withoutFleet = kafka.ignore || mariadb.ignore;

async function fleetWorld(programs: Programs): Promise<World> {
  const store = new URL(await createDatabase(mariadb.address));
  // A password in an argument is refused.
  const env = { PICKET_STORE_PASSWORD: decodeURIComponent(store.password) };
  store.password = "";
  const kafkaArgs = ["--kafka-brokers", kafka.address, "--kafka-topic", newTopic()];
  return new World({ programs, serveArgs: ["--store", store.href, ...kafkaArgs], env });
}

Deno.test("two sensors on one path count once: source, HTTP, SQLite", async () => {
  await twoSensorsCountOnce(new World(), new World());
});

Deno.test({
  name: "two sensors on one path count once: source, Kafka, MariaDB",
  ignore: withoutFleet,
  fn: async () => await twoSensorsCountOnce(await fleetWorld(fromSource), await fleetWorld(fromSource)),
});

Deno.test({
  name: "two sensors on one path count once: compiled, HTTP, SQLite",
  ignore: binaries.ignore,
  fn: async () => {
    const programs = compiledIn(binaries.folder);
    await twoSensorsCountOnce(new World({ programs }), new World({ programs }));
  },
});

Deno.test({
  name: "two sensors on one path count once: compiled, Kafka, MariaDB",
  ignore: binaries.ignore || withoutFleet,
  fn: async () => {
    const programs = compiledIn(binaries.folder);
    await twoSensorsCountOnce(await fleetWorld(programs), await fleetWorld(programs));
  },
});

Deno.test("a killed aggregator loses and repeats nothing: HTTP, SQLite", async () => {
  await killedAggregatorChangesNothing(new World());
});

Deno.test({
  name: "a killed aggregator loses and repeats nothing: Kafka, MariaDB",
  // Each kill costs the 30 s after which Kafka misses the dead; ../chaos/kills_test.ts kills ten in one run.
  ignore: withoutFleet || nightly("a killed aggregator with Kafka and MariaDB").ignore,
  fn: async () => await killedAggregatorChangesNothing(await fleetWorld(fromSource)),
});
