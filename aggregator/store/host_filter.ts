/** How each column of the filter of hosts is said in SQL.
 *
 * In: the words of the store. Out: {@link SqlTests}.
 * Invariant: a column of host_table.ts is here; a test compares the two. All names, MACs and services of a host count,
 * also those beyond the first 20 that an answer shows. @module */

import { lowerAscii, type Test } from "../model/filter.ts";
import { insideRanges } from "../model/inside.ts";
import { isAddressOf } from "./addresses.ts";
import type { Condition } from "./database.ts";
import {
  addressTest,
  type Clause,
  isOneOf,
  joined,
  never,
  numberTest,
  type SqlTests,
  unknown,
} from "./filter_sql.ts";
import { wordTest } from "./flow_filter.ts";
import type { Words } from "./words.ts";

const macLength = 17;

export function hostTests(words: Words): SqlTests {
  return {
    ip: (test) => addressTest(test, ["hosts.ip"]),
    inside: insideTest,
    name: (test) =>
      has("host_names", joined((test.values as string[]).map((text) => nameTest(test, text)), "or")),
    mac: (test) =>
      has("neighbours", joined((test.values as string[]).map((text) => macTest(test, text)), "or")),
    port: (test) => has("services", joined([numberTest(test, ["services.port"]), served], "and")),
    flows: (test) => numberTest(test, ["hosts.flows"]),
    packets: (test) => numberTest(test, ["hosts.packets"]),
    bytes: (test) => numberTest(test, ["hosts.bytes"]),
    threats: (test) => numberTest(test, [threats]),
    first_seen: (test) => timeTest(test, "hosts.first_us"),
    last_seen: (test) => timeTest(test, "hosts.last_us"),
    country: () => unknown,
    asn: () => unknown,
    subnet: () => unknown,
    network: (test) => wordTest(test, words, (ids) => isOneOf("hosts.network", ids)),
  };
}

const served: Clause = { sql: "services.flows > 0", values: [], isExact: true };
/** Of a threat the network is kept as text. */
const threats = "(SELECT COUNT(*) FROM threat_ips INNER JOIN words ON words.word = threat_ips.network " +
  "WHERE threat_ips.ip = hosts.ip AND words.id = hosts.network)";

/** A row of `table` is the host's and meets the clause. */
function has(table: string, { sql, values, isExact }: Clause): Clause {
  return {
    sql:
      `EXISTS (SELECT 1 FROM ${table} WHERE ${table}.ip = hosts.ip AND ${table}.network = hosts.network AND ${sql})`,
    values,
    isExact,
  };
}

function insideTest({ values }: Test): Clause {
  const inside = insideRanges.map((range) => isAddressOf("hosts.ip", range));
  const isInside = { ...anyOf(inside), isExact: true };
  const isOutside = { ...isInside, sql: `NOT ${isInside.sql}` };
  return joined(values.map((place) => place === 1 ? isInside : isOutside), "or");
}

/** Names are stored in lower case. */
function nameTest({ op }: Test, text: string): Clause {
  if (op === "=") return { ...isOneOf("host_names.name", [text]), isExact: true };
  const pattern = lowerAscii(text).replace(/[!%_]/g, (character) => `!${character}`);
  return { sql: "host_names.name LIKE ? ESCAPE '!'", values: [`%${pattern}%`], isExact: true };
}

/** A MAC is stored as octets and asked for as text: each place at which the text can stand in one is tried. */
function macTest({ op }: Test, text: string): Clause {
  const asked = lowerAscii(text);
  const places = op === "=" ? [0] : Array.from({ length: macLength }, (_, place) => place);
  const patterns = places.flatMap((place) => macPattern(asked, place, op === "=") ?? []);
  if (patterns.length === 0) return never;
  const tests = patterns.map((pattern) => ({ sql: "HEX(neighbours.mac) LIKE ?", values: [pattern] }));
  return { ...anyOf(tests), isExact: true };
}

/** Of the 12 digits of a MAC; null when the text cannot stand at this place. */
function macPattern(text: string, place: number, isWhole: boolean): string | null {
  if (place + text.length > macLength || (isWhole && text.length !== macLength)) return null;
  let pattern = "_".repeat(place - Math.floor((place + 1) / 3));
  for (let i = 0; i < text.length; i++) {
    const isColon = (place + i) % 3 === 2;
    if (isColon ? text[i] !== ":" : !/[0-9a-f]/.test(text[i])) return null;
    if (!isColon) pattern += text[i].toUpperCase();
  }
  return `${pattern}%`;
}

/** Hosts are told to the millisecond, and kept to the microsecond. */
function timeTest({ op, values }: Test, column: string): Clause {
  const tests = (values as number[]).map((us): Clause => {
    const up = Math.ceil(us / 1e3) * 1e3, next = Math.floor(us / 1e3) * 1e3 + 1e3;
    if (op === "=") {
      return up === us
        ? { sql: `(${column} >= ? AND ${column} < ?)`, values: [us, next], isExact: true }
        : never;
    }
    const [sign, bound] = { "<": ["<", up], "<=": ["<", next], ">": [">=", next], ">=": [">=", up] }[
      op as "<" | "<=" | ">" | ">="
    ] as [string, number];
    return { sql: `${column} ${sign} ?`, values: [bound], isExact: true };
  });
  return joined(tests, "or");
}

function anyOf(tests: readonly Condition[]): Condition {
  return {
    sql: `(${tests.map(({ sql }) => sql).join(" OR ")})`,
    values: tests.flatMap(({ values }) => values),
  };
}
