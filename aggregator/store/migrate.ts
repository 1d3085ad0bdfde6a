/** Brings a database to the present version, step by step.
 *
 * In: a database of any version, or an empty one. Out: the present schema. Invariant: a released step is never edited;
 * a new one follows it, with SQL spelt out, never derived from today's columns,
 * so that every database of a version is the same.
 * Each statement of a step can be run again, as MariaDB keeps what a step did before it broke. A database that a newer
 * version made is refused, not guessed at. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Database, Dialect, Session } from "./database.ts";
import * as first from "./steps/0001_first.ts";
import * as identities from "./steps/0002_identities.ts";
import * as endedEpochs from "./steps/0003_ended_epochs.ts";
import * as scale from "./steps/0004_scale.ts";
import * as hosts from "./steps/0005_hosts.ts";
import * as packets from "./steps/0006_packets.ts";
import * as suppress from "./steps/0007_suppress.ts";
import * as sinks from "./steps/0008_sinks.ts";
import * as policies from "./steps/0009_policies.ts";
import * as threatNetworks from "./steps/0010_threat_networks.ts";
import * as upgrades from "./steps/0011_upgrades.ts";
import * as days from "./steps/0012_days.ts";
import * as talkerHours from "./steps/0013_talker_hours.ts";
import * as sensorHealth from "./steps/0014_sensor_health.ts";
import * as canaries from "./steps/0015_canaries.ts";
import * as newHosts from "./steps/0016_new_hosts.ts";

/** Statements of one version. */
export type Step = Record<Dialect["name"], readonly string[]>;

/** In order; the first one makes version 1. */
export const steps: readonly Step[] = [
  first,
  identities,
  endedEpochs,
  scale,
  hosts,
  packets,
  suppress,
  sinks,
  policies,
  threatNetworks,
  upgrades,
  days,
  talkerHours,
  sensorHealth,
  canaries,
  newHosts,
];

export async function migrate(
  database: Database,
  deps: { reporter: Reporter; clock: Clock },
  all: readonly Step[] = steps,
): Promise<void> {
  const { dialect } = database;
  const at = await database.transaction(async (session) => {
    await session.run(
      "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY, applied_ms BIGINT)",
    );
    return await versionOf(session);
  });
  if (at > all.length) {
    throw new Error(
      `Cannot open store as its schema must be <= version ${all.length}: current version is ${at}, made by a newer Picket`,
    );
  }
  for (let version = at + 1; version <= all.length; version++) {
    const isOurs = await database.transaction(async (session) => {
      // Another program may have brought it here meanwhile.
      if (await versionOf(session) >= version) return false;
      for (const statement of all[version - 1][dialect.name]) await session.run(statement);
      await session.run(dialect.insertMissing("schema_versions", ["version", "applied_ms"]), [
        version,
        deps.clock.nowMs(),
      ]);
      return true;
    });
    if (isOurs) deps.reporter.info("store migrated", { version });
  }
}

async function versionOf(session: Session): Promise<number> {
  const [row] = await session.all("SELECT MAX(version) AS version FROM schema_versions");
  return (row?.version ?? 0) as number;
}
