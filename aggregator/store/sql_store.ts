/** The store over a database: its topics joined, opened, and migrated.
 *
 * In: a {@link Database}. Out: a {@link Store}. Invariant: whatever writes runs in one transaction; whatever only reads never waits
 * for a writer (SQLite in memory excepted). @module */

import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Database } from "./database.ts";
import { flowStore } from "./flow_store.ts";
import { identityStore } from "./identity_store.ts";
import { ingestStore } from "./ingest_store.ts";
import { migrate } from "./migrate.ts";
import { retentionStore } from "./retention_store.ts";
import type { Store } from "./store.ts";
import { threatStore } from "./threat_store.ts";
import { trafficStore } from "./traffic_store.ts";
import { Words } from "./words.ts";

export function sqlStore(database: Database, deps: { reporter: Reporter; clock?: Clock }): Store {
  const { reporter, clock = systemClock } = deps;
  const words = new Words(database, reporter);
  return {
    async start() {
      await database.open();
      try {
        await migrate(database, { reporter, clock });
      } catch (error) {
        await database.close();
        throw error;
      }
    },
    stop: () => database.close(),
    async ping() {
      await database.read((session) => session.all("SELECT 1"));
    },
    ...ingestStore(database, { words, reporter }),
    ...flowStore(database, { words, reporter, clock }),
    ...threatStore(database, reporter),
    ...identityStore(database),
    ...trafficStore(database),
    ...retentionStore(database),
  };
}
