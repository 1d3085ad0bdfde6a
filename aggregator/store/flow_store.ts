/** The topic of flows: some by their ids, pages of them, and those that changed last.
 *
 * In: ids, filters. Out: flows with who saw them. Invariant: nothing here writes; ingest does. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Flow } from "../model/flow.ts";
import { readFlowId } from "../model/flow_id.ts";
import type { Places } from "../model/place.ts";
import { type Database, marks, type Session } from "./database.ts";
import { flowSelection } from "./flow_record.ts";
import { queryFlows } from "./flow_query.ts";
import { isAnyKey, readFlowRows } from "./flow_rows_read.ts";
import type { Key } from "./key_range.ts";
import { isHidden, readLeaving } from "./leaving.ts";
import { readChanges, readRecent } from "./recent.ts";
import type { FlowStore, SomeBuckets } from "./store.ts";
import type { Words } from "./words.ts";

const recentRowsMax = 1_000_000;
const keysPerQuery = 200;

export function flowStore(
  database: Database,
  deps: { words: Words; reporter: Reporter; clock: Clock; places: Places },
): FlowStore {
  const { dialect } = database;
  const { words, reporter, clock, places } = deps;
  const readKeys = async (
    session: Session,
    keys: readonly Key[],
    buckets?: SomeBuckets,
  ): Promise<Flow[]> => {
    // Of 0 = there is no digest, or none that a row keeps: it may be of any bucket.
    const chosen = buckets === undefined
      ? ""
      : ` AND (community = 0 OR community % ? IN (${marks(buckets.some.length)}))`;
    const more = buckets === undefined ? [] : [buckets.count, ...buckets.some];
    const flows: Flow[] = [];
    for (let from = 0; from < keys.length; from += keysPerQuery) {
      const { sql, values } = isAnyKey(dialect, "flows", keys.slice(from, from + keysPerQuery));
      const rows = await session.all(`SELECT ${flowSelection} FROM flows WHERE ${sql}${chosen}`, [
        ...values,
        ...more,
      ]);
      flows.push(...await readFlowRows({ dialect, session, words, reporter }, rows));
    }
    return flows;
  };
  const readFlowsById = (ids: readonly string[]): Promise<Flow[]> => {
    const keys = ids.map(readFlowId).filter((key) => key !== null);
    return database.read((session) => readKeys(session, keys));
  };
  return {
    readFlowsById,
    findFlowKeys: (keys) =>
      database.read(async (session) => {
        const found: Key[] = [];
        for (let from = 0; from < keys.length; from += keysPerQuery) {
          const { sql, values } = isAnyKey(dialect, "flows", keys.slice(from, from + keysPerQuery));
          const rows = await session.all(
            `SELECT flows.id >> 11 AS id_us, flows.id & 2047 AS slot FROM flows WHERE ${sql}`,
            values,
          );
          found.push(...rows.map(({ id_us, slot }) => ({ us: id_us as number, slot: slot as number })));
        }
        return found;
      }),
    readFlow: async (flowId) => await ifShown(database, (await readFlowsById([flowId]))[0]),
    readFlows: (query, page) =>
      database.query((session) =>
        queryFlows({ dialect, session, words, reporter, places }, query, page, () => clock.monotonicMs())
      ),
    readRecentFlows: (sinceMs, limit, buckets) =>
      database.read(async (session) => {
        const wanted = Math.min(limit, recentRowsMax);
        const flows = await readKeys(session, await readRecent(session, sinceMs, wanted), buckets);
        return flows.filter(({ updated_ms }) => updated_ms >= sinceMs).sort((a, b) =>
          a.updated_ms - b.updated_ms || (a.flow_id < b.flow_id ? -1 : 1)
        ).slice(-wanted);
      }),
    readFlowChanges: (position, limit) =>
      database.read(async (session) => {
        const { keys, ...rest } = await readChanges(session, position, limit);
        const flows = await readKeys(session, keys);
        return { ...rest, flows, gone: keys.length - flows.length };
      }),
  };
}

async function ifShown(database: Database, flow: Flow | undefined): Promise<Flow | null> {
  if (flow === undefined) return null;
  return isHidden(await database.read(readLeaving), flow.start) ? null : flow;
}
