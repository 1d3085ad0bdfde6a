/** A filter as a tree, already checked: every column is known to its table, every value is of the column's type.
 *
 * Invariant: `!=` and `in` are gone: they are `not` and `=` with several values. A column may hold several values in a
 * row (`ip`: both ends); a test holds when any of them meets any of the test's. @module */

import type { Network } from "./network.ts";

export type Filter = { op: "and" | "or"; parts: Filter[] } | { op: "not"; part: Filter } | Test;

export type TestOperator = "=" | "<" | "<=" | ">" | ">=" | "~";

export interface Test {
  op: TestOperator;
  column: string;
  /** More than one only with `=`. Times and spans are microseconds, words of a closed list their place in it. */
  values: FilterValue[];
}

export type FilterValue = string | number | Network;

/** Lower case of ASCII alone: what SQLite, MariaDB and this program agree on. */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
