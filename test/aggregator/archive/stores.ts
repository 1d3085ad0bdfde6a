/** Both stores, on a disk, for tests that need a URL; each with three days of flows. @module */

import { openStore } from "../../../aggregator/store/open.ts";
import type { Store } from "../../../aggregator/store/store.ts";
import { createReporter, type Reporter } from "../../../shared/reporter.ts";
import { createDatabase, useMariadb } from "../../services/services.ts";
import { flowsOf, flowWrite, idOf, nothing, sighting, t0, threat } from "../store/rows.ts";

export const day = t0 - t0 % 86_400;
export const date = "2026-01-15";

export interface Place {
  store: Store;
  url: string;
  /** A folder that goes with the test. */
  folder: string;
  reporter: Reporter;
}

const mariadb = await useMariadb();

/** Runs `work` over a new store of each kind, without flows. */
export function onBothStores(behaviour: string, work: (place: Place) => Promise<void>): void {
  for (const name of ["sqlite", "mariadb"]) {
    Deno.test({
      name: `${name}: ${behaviour}`,
      ignore: name === "mariadb" && mariadb.ignore,
      // The client of a server keeps timers of its pool between tests.
      sanitizeOps: name === "sqlite",
      sanitizeResources: name === "sqlite",
      fn: async () => {
        const folder = await Deno.makeTempDir({ prefix: "picket-archive-" });
        const url = name === "sqlite" ? `sqlite:${folder}/picket.db` : await createDatabase(mariadb.address);
        const reporter = createReporter({ component: "test", write: () => {} });
        const store = openStore(url, { reporter });
        await store.start();
        try {
          await work({ store, url, folder, reporter });
        } finally {
          await store.stop();
          await Deno.remove(folder, { recursive: true });
        }
      },
    });
  }
}

/** As the options give them: the password apart from the URL. */
export const passwordOf = (url: string) =>
  url.startsWith("mariadb") ? decodeURIComponent(new URL(url).password) : "";
export const withoutPassword = (url: string) => url.replace(/^(mariadb:\/\/[^:]*):[^@]*@/, "$1@");

/** Three days: one flow before the day, `count` within it, one after; some seen twice, some of a threat. */
export async function fill(store: Store, count = 40, changes = {}): Promise<void> {
  const numbers = [day - t0 - 1, ...Array.from({ length: count }, (_, n) => n), day - t0 + 86_400];
  const writes = numbers.map((n) =>
    flowWrite(n, { src_port: 1_024 + Math.abs(n) % 60_000, ...changes }, {
      sightings: n % 3 === 0
        ? [sighting("s-one", n), { ...sighting("s-two", n), clock_offset_ms: 1.5 }]
        : [sighting("s-one", n)],
    })
  );
  await store.ingest({ ...nothing(), ...flowsOf(writes) });
  await store.saveThreats([threat("t1", { flow_ids: [1, 2, 3].map(idOf) })]);
}

/** Everything that is stored of flows. */
export async function allFlows(store: Store) {
  return (await store.readFlows({}, { limit: 1_000 })).rows;
}
