/** How each column of the threat filter is expressed in SQL.
 * Invariant: a column of threat_table.ts is here; a test compares the two.
 * What is only in the body is tested in memory: threats are few. @module */

import type { Test } from "../model/filter.ts";
import { threatStatuses } from "../model/threat.ts";
import {
  addressTest,
  type Clause,
  isOneOf,
  numberTest,
  type SqlTests,
  textTest,
  unknown,
} from "./filter_sql.ts";

const inMemory = () => unknown;

export const threatTests: SqlTests = {
  severity: (test) => numberTest(test, ["severity_rank"]),
  kind: (test) => textTest(test, "detector"),
  status: ({ values }) => ({
    ...isOneOf("status", values.map((place) => threatStatuses[place as number])),
    isExact: true,
  }),
  ip: (test) => ({ ...isConcerned(test), isExact: true }),
  src_ip: isConcerned,
  dst_ip: isConcerned,
  port: inMemory,
  score: inMemory,
  flows: inMemory,
  technique: inMemory,
  title: inMemory,
  network: inMemory,
  country: inMemory,
  src_country: inMemory,
  dst_country: inMemory,
  subnet: inMemory,
  src_subnet: inMemory,
  dst_subnet: inMemory,
  sensor: inMemory,
  first_seen: (test) => numberTest(test, ["first_seen_us"]),
  last_seen: (test) => numberTest(test, ["last_seen_us"]),
};

/** Either side: the table does not say which. */
function isConcerned(test: Test): Clause {
  const { sql, values } = addressTest(test, ["ip"]);
  return { sql: `id IN (SELECT threat_id FROM threat_ips WHERE ${sql})`, values, isExact: false };
}
