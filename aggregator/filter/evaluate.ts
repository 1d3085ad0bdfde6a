/** Whether a row matches a filter, in memory: for live streams, and where SQL can only narrow rows down.
 *
 * In: a checked filter, a row. Out: yes or no.
 * Invariant: gives what the database gives for the same row; linear in the filter. @module */

import { type Filter, type FilterValue, lowerAscii, type Test } from "../model/filter.ts";
import { isWithin, type Network } from "../model/network.ts";
import { noPlaces, type Places } from "../model/place.ts";
import { formatIp, parseIp } from "../../shared/ip.ts";
import type { Table } from "./columns.ts";

/** `places`: where addresses are, for columns that ask. */
export function meets<Row>(
  filter: Filter,
  table: Table<Row>,
  row: Row,
  places: Places = noPlaces,
): boolean {
  return decide(
    filter,
    (test) => table.columns[test.column].read(row, places).some((found) => holds(test, found)),
  );
}

/** The filter, when each of its tests is what `isMet` says. */
export function decide(filter: Filter, isMet: (test: Test) => boolean): boolean {
  if ("part" in filter) return !decide(filter.part, isMet);
  if ("parts" in filter) {
    return filter.op === "and"
      ? filter.parts.every((part) => decide(part, isMet))
      : filter.parts.some((part) => decide(part, isMet));
  }
  return isMet(filter);
}

function holds({ op, values }: Test, found: string | number): boolean {
  const [first] = values;
  switch (op) {
    case "=":
      return values.some((value) => isEqual(value, found));
    case "~":
      return lowerAscii(found as string).includes(lowerAscii(first as string));
    case "<":
      return found < first;
    case "<=":
      return found <= first;
    case ">":
      return found > first;
    case ">=":
      return found >= first;
  }
}

function isEqual(value: FilterValue, found: string | number): boolean {
  if (typeof value !== "object") return value === found;
  const octets = parseIp(found as string);
  return octets !== null && isWithin(value, octets);
}

/** Bounds of a column that every match keeps, both inclusive; absent = none. */
export interface Bounds {
  from?: number;
  to?: number;
}

/** What the tests that must all hold say of a column of numbers. */
export function boundsOf(filter: Filter, column: string): Bounds {
  const bounds: Bounds = {};
  for (const test of neededTests(filter)) {
    if (test.column !== column || test.op === "~") continue;
    const numbers = test.values as number[];
    if (test.op !== "<" && test.op !== "<=") bounds.from = Math.max(bounds.from ?? 0, Math.min(...numbers));
    if (test.op !== ">" && test.op !== ">=") {
      bounds.to = Math.min(bounds.to ?? Infinity, Math.max(...numbers));
    }
  }
  return bounds;
}

/** Tests of a column of addresses that every match meets and that name exactly one. */
export function onlyAddressesOf(filter: Filter): { column: "ip" | "src_ip" | "dst_ip"; ip: string }[] {
  return neededTests(filter).flatMap(({ column, op, values: [value, another] }) => {
    const isAddress = column === "ip" || column === "src_ip" || column === "dst_ip";
    if (!isAddress || op !== "=" || another !== undefined) return [];
    const { isOne, low } = value as Network;
    return isOne ? [{ column, ip: formatIp(low) }] : [];
  });
}

/** All tests of a filter. */
export function testsOf(filter: Filter): Test[] {
  if ("part" in filter) return testsOf(filter.part);
  return "parts" in filter ? filter.parts.flatMap(testsOf) : [filter];
}

/** Tests that every match meets. */
export function neededTests(filter: Filter): Test[] {
  if ("part" in filter) return [];
  if ("parts" in filter) return filter.op === "and" ? filter.parts.flatMap(neededTests) : [];
  return [filter];
}
