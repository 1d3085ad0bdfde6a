/** How each column of the flow filter is expressed in SQL.
 *
 * In: the words of the store. Out: {@link SqlTests}.
 * Invariant: a column of flow_table.ts is here; a test compares the two. @module */

import { flowIdNumber, idUsMax } from "../model/flow_id.ts";
import { lowerAscii, type Test } from "../model/filter.ts";
import type { Dialect } from "./database.ts";
import {
  addressTest,
  always,
  type Clause,
  isOneOf,
  joined,
  never,
  numberTest,
  type SqlTests,
  unknown,
} from "./filter_sql.ts";
import { likePattern } from "./like_pattern.ts";
import type { Words } from "./words.ts";

/** More words than these are compared in memory. */
const wordsPerTestMax = 500;

export function flowTests(dialect: Dialect, words: Words): SqlTests {
  const word = (column: string) => (test: Test) =>
    wordTest(test, words, (ids) => isOneOf(`flows.${column}`, ids));
  return {
    ip: (test) => addressTest(test, ["flows.src_ip", "flows.dst_ip"]),
    src_ip: (test) => addressTest(test, ["flows.src_ip"]),
    dst_ip: (test) => addressTest(test, ["flows.dst_ip"]),
    port: (test) => numberTest(test, ["flows.src_port", "flows.dst_port"]),
    src_port: (test) => numberTest(test, ["flows.src_port"]),
    dst_port: (test) => numberTest(test, ["flows.dst_port"]),
    protocol: word("protocol"),
    app: word("app"),
    name: nameTest,
    bytes: (test) => numberTest(test, ["flows.fwd_bytes + flows.bwd_bytes"]),
    fwd_bytes: (test) => numberTest(test, ["flows.fwd_bytes"]),
    bwd_bytes: (test) => numberTest(test, ["flows.bwd_bytes"]),
    packets: (test) => numberTest(test, ["flows.fwd_packets + flows.bwd_packets"]),
    start: startTest,
    duration: (test) => numberTest(test, ["flows.duration_us"]),
    state: (test) => numberTest(test, ["flows.conn_state + 0"], 1),
    vlan: (test) => numberTest(test, ["flows.vlan"]),
    country: () => unknown,
    src_country: () => unknown,
    dst_country: () => unknown,
    asn: () => unknown,
    subnet: () => unknown,
    src_subnet: () => unknown,
    dst_subnet: () => unknown,
    network: word("network"),
    sensor: (test) => wordTest(test, words, (ids) => isSeenBy(dialect, ids)),
  };
}

/** A name stands in the facts as it is, among other texts: SQL finds what may hold it. */
function nameTest({ values }: Test): Clause {
  return {
    sql: `(${values.map(() => "flows.facts LIKE ? ESCAPE '!'").join(" OR ")})`,
    values: values.map((value) => likePattern(value as string)),
    isExact: false,
  };
}

export function wordTest(
  { op, values }: Test,
  words: Words,
  test: (ids: number[]) => Pick<Clause, "sql" | "values">,
): Clause {
  const ids = op === "~"
    ? words.findAll((word) => lowerAscii(word).includes(lowerAscii(values[0] as string)))
    : values.map((value) => words.find(value as string)).filter((id) => id !== null);
  return ids.length > wordsPerTestMax ? unknown : { ...test(ids), isExact: true };
}

function isSeenBy(dialect: Dialect, ids: number[]): Pick<Clause, "sql" | "values"> {
  const isSame = dialect.flowKey.map((column) => `sightings.${column} = flows.${column}`).join(" AND ");
  const [fwd, bwd, sighted] = ["flows.fwd_sensor", "flows.bwd_sensor", "sightings.sensor"]
    .map((column) => isOneOf(column, ids));
  return {
    sql: `(${fwd.sql} OR ${bwd.sql} OR EXISTS (SELECT 1 FROM sightings WHERE ${isSame} AND ${sighted.sql}))`,
    values: [...fwd.values, ...bwd.values, ...sighted.values],
  };
}

/** The id begins with the microsecond of the start. */
function startTest({ op, values }: Test): Clause {
  const clauses = (values as number[]).map((us): Clause => {
    if (us >= idUsMax) return op === "<" || op === "<=" ? always : never;
    const at = flowIdNumber(us, 0), after = flowIdNumber(us + 1, 0);
    if (op === "=") return { sql: "(flows.id >= ? AND flows.id < ?)", values: [at, after], isExact: true };
    const [sign, key] = { "<": ["<", at], "<=": ["<", after], ">": [">=", after], ">=": [">=", at] }[
      op as "<" | "<=" | ">" | ">="
    ] as [string, bigint];
    return { sql: `flows.id ${sign} ?`, values: [key], isExact: true };
  });
  return joined(clauses, "or");
}
