/** The store over a database: its topics joined, opened, and migrated.
 *
 * In: a {@link Database}. Out: a {@link Store}. Invariant: whatever writes runs in one transaction; whatever only reads
 * never waits for a writer (SQLite in memory excepted). @module */

import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { archiveStore } from "./archive_store.ts";
import { auditStore } from "./audit_store.ts";
import type { Database } from "./database.ts";
import { feedbackStore } from "./feedback_store.ts";
import { flowStore } from "./flow_store.ts";
import { healthStore } from "./health_store.ts";
import { hostStore } from "./host_store.ts";
import { identityStore } from "./identity_store.ts";
import { ingestStore } from "./ingest_store.ts";
import { leaseStore } from "./lease_store.ts";
import { noPlaces, type Places } from "../model/place.ts";
import { migrate } from "./migrate.ts";
import { packetStore } from "./packet_store.ts";
import { policyStore } from "./policy_store.ts";
import { rolloutStore } from "./rollout_store.ts";
import { retentionStore } from "./retention_store.ts";
import { RowCaps } from "./row_caps.ts";
import { sinkStore } from "./sink_store.ts";
import { type Store, StoreUnavailable } from "./store.ts";
import { suppressionStore } from "./suppression_store.ts";
import { threatStore } from "./threat_store.ts";
import { trafficStore } from "./traffic_store.ts";
import { upkeepStore } from "./upkeep_store.ts";
import { Words } from "./words.ts";

const pingMsMax = 3_000;

/** `places`: where addresses are, for filters that ask. */
export function sqlStore(
  database: Database,
  deps: { reporter: Reporter; clock?: Clock; places?: Places },
): Store {
  const { reporter, clock = systemClock, places = noPlaces } = deps;
  const words = new Words(database, reporter), caps = new RowCaps(database, { reporter });
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
    async stop() {
      await caps.stop();
      await database.close();
    },
    ping: () => pingWithin(database, pingMsMax),
    ...ingestStore(database, { words, reporter, caps }),
    ...flowStore(database, { words, reporter, clock, places }),
    ...threatStore(database, { reporter, clock, places }),
    ...suppressionStore(database, { reporter, clock }),
    ...feedbackStore(database),
    ...auditStore(database),
    ...identityStore(database),
    ...trafficStore(database),
    ...hostStore(database, { words, clock, places }),
    ...retentionStore(database),
    ...leaseStore(database),
    ...archiveStore(database, { words, reporter }),
    ...upkeepStore(database),
    ...packetStore(database),
    ...sinkStore(database, { reporter, clock }),
    ...policyStore(database),
    ...rolloutStore(database),
    ...healthStore(database),
  };
}

/** @throws {StoreUnavailable} also when no answer comes in time. */
async function pingWithin(database: Database, msMax: number): Promise<void> {
  const given = new AbortController();
  // The database's time is real, whatever clock the statements get.
  const late = systemClock.sleep(msMax, given.signal).then(() => {
    if (!given.signal.aborted) {
      throw new StoreUnavailable(`the database did not answer within ${msMax / 1_000} s`);
    }
  });
  try {
    await Promise.race([database.ping(), late]);
  } finally {
    given.abort();
  }
}
