/** A checked filter as a WHERE clause.
 *
 * In: a filter, and how a test of each column is said in SQL. Out: SQL of ours with a placeholder for every value.
 * Invariant: the clause holds for every row that meets the filter. Where it also holds for others it is not exact, and
 * the reader of the rows tests each one in memory; under a `not` an inexact test is inverted, so that no row is lost
 * there either. No SQL test yields NULL where it is inverted. @module */

import { type Filter, lowerAscii, type Test } from "../model/filter.ts";
import type { Network } from "../model/network.ts";
import { isAddressOf } from "./addresses.ts";
import { type Condition, marks, type Value } from "./database.ts";

/** A condition, and whether it holds for nothing else. */
export interface Clause extends Condition {
  isExact: boolean;
}

export const always: Clause = { sql: "1 = 1", values: [], isExact: true };
export const never: Clause = { sql: "1 = 0", values: [], isExact: true };
/** Of a column that no column of the database holds: memory decides. */
export const unknown: Clause = { ...always, isExact: false };

/** By column. */
export type SqlTests = Readonly<Record<string, (test: Test) => Clause>>;

/** `isLess`: turned round, so that what is not exact must hold for fewer rows, not for more. */
export function clauseOf(filter: Filter, tests: SqlTests, isLess = false): Clause {
  if ("part" in filter) {
    const { sql, values, isExact } = clauseOf(filter.part, tests, !isLess);
    return { sql: `NOT (${sql})`, values, isExact };
  }
  if ("parts" in filter) {
    return joined(filter.parts.map((part) => clauseOf(part, tests, isLess)), filter.op);
  }
  const clause = tests[filter.column](filter);
  return clause.isExact || !isLess ? clause : { ...never, isExact: false };
}

export function joined(clauses: readonly Clause[], op: "and" | "or"): Clause {
  return {
    sql: `(${clauses.map(({ sql }) => sql).join(` ${op.toUpperCase()} `)})`,
    values: clauses.flatMap(({ values }) => values),
    isExact: clauses.every(({ isExact }) => isExact),
  };
}

/** Any of the expressions, each of which is a number. `add`: what to add to the values before they are compared. */
export function numberTest({ op, values }: Test, expressions: readonly string[], add = 0): Clause {
  const bound = (values as number[]).map((value) => value + add);
  return anyOf(
    expressions,
    (sql) => op === "=" ? isOneOf(sql, bound) : { sql: `${sql} ${op} ?`, values: bound },
  );
}

export function addressTest({ values }: Test, columns: readonly string[]): Clause {
  return anyOf(columns, (column) => {
    const tests = values.map((network) => isAddressOf(column, network as Network));
    return {
      sql: `(${tests.map(({ sql }) => sql).join(" OR ")})`,
      values: tests.flatMap((one) => one.values),
    };
  });
}

/** A column of ASCII text as it is. */
export function textTest({ op, values }: Test, column: string): Clause {
  if (op === "=") return { ...isOneOf(column, values as string[]), isExact: true };
  const pattern = lowerAscii(values[0] as string).replace(/[!%_]/g, (character) => `!${character}`);
  return { sql: `LOWER(${column}) LIKE ? ESCAPE '!'`, values: [`%${pattern}%`], isExact: true };
}

export function isOneOf(sql: string, values: readonly Value[]): Condition {
  return values.length === 0
    ? { sql: "1 = 0", values: [] }
    : { sql: `${sql} IN (${marks(values.length)})`, values: [...values] };
}

function anyOf(expressions: readonly string[], test: (sql: string) => Condition): Clause {
  return joined(expressions.map((sql) => ({ ...test(sql), isExact: true })), "or");
}
