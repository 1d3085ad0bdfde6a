/** Filters made at random, from a seed: valid ones of every shape, and text that only looks like one. @module */

import type { Places } from "../../../aggregator/model/place.ts";
import { operatorsOf, type Table } from "../../../aggregator/filter/columns.ts";

/** What filters made at random find out of places. */
export const madePlaces: Places = {
  isKnown: true,
  find(ip) {
    if (ip === "192.0.2.7") return { country: "DE", asn: 53 };
    return ip === "2001:db8::1" ? { country: "US", asn: 22, as_org: "US" } : null;
  },
};

/** Whole numbers below `below`; the same row of them for the same seed. */
export type Die = (below: number) => number;

export function dieOf(seed: number): Die {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export function oneOf<Item>(die: Die, items: readonly Item[]): Item {
  return items[die(items.length)];
}

/** Texts that try to be something else. */
export const hostileTexts = [
  "' OR 1=1 --",
  '"; DROP TABLE flows; --',
  "%",
  "_",
  "!",
  "\\",
  "\\'",
  "a%b_c!d",
  "",
  " ",
  "?",
  "\u202e\u{1f600}",
  "É",
  "straße",
  "\ud800",
  "x\n\t\ry",
  "\u0001",
  "$(id)",
  "<script>",
  "NULL",
  "1e9",
  "evil.example",
  "EVIL.Example",
  "s-one",
  "lab",
  "tls",
  "udp",
] as const;

const addresses = [
  "10.0.0.5",
  "10.0.0.0/8",
  "10.0.0.4/30",
  "2001:db8::1",
  "2001:DB8::/32",
  "::/0",
  "0.0.0.0/0",
];
const numbers = ["0", "1", "22", "53", "443", "40000", "65535", "100"];
const sizes = ["0", "1KB", "2.5k", "3000", "1KiB", "1MB", "8PB"];
const spans = ["0", "1s", "2", "2.000001s", "1500ms", "1h"];
const times = [
  "2026-01-15T12:00:00Z",
  "1768478405",
  "1768478410.5",
  "1768478415000",
  "now",
  "now-1h",
  "2999-01-01",
];

export function madeFilter<Row>(die: Die, table: Table<Row>, depth = 3): string {
  const roll = depth === 0 ? 9 : die(10);
  if (roll < 2) return `not ${madeFilter(die, table, depth - 1)}`;
  if (roll < 4) return `(${madeFilter(die, table, depth - 1)})`;
  if (roll < 7) {
    const sign = oneOf(die, ["and", "or", "AND", "&&", "||"]);
    return `(${madeFilter(die, table, depth - 1)}) ${sign} ${madeFilter(die, table, depth - 1)}`;
  }
  return madeTest(die, table);
}

function madeTest<Row>(die: Die, table: Table<Row>): string {
  const [name, column] = oneOf(die, Object.entries(table.columns));
  const op = oneOf(die, operatorsOf(column));
  const value = () => {
    switch (column.type) {
      case "address":
        return oneOf(die, addresses);
      case "number":
        return oneOf(die, numbers.filter((text) => Number(text) <= (column.max ?? Infinity)));
      case "size":
        return oneOf(die, sizes.slice(0, -1));
      case "span":
        return oneOf(die, spans);
      case "time":
        return oneOf(die, times);
      case "choice":
        return oneOf(die, column.words!);
      default:
        return quoted(
          die(3) === 0 ? oneOf(die, column.examples).replaceAll('"', "") : oneOf(die, hostileTexts),
        );
    }
  };
  if (op !== "in") return `${name} ${op} ${value()}`;
  return `${name} ${die(3) === 0 ? "not " : ""}in (${Array.from({ length: 1 + die(3) }, value).join(", ")})`;
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, (character) => `\\${character}`)}"`;
}

/** Pieces of filters in no order, or a filter with some characters changed. */
export function madeNonsense<Row>(die: Die, table: Table<Row>): string {
  if (die(2) === 0) {
    const pieces = [
      "and",
      "or",
      "not",
      "(",
      ")",
      ",",
      "=",
      "~",
      "<",
      "ip",
      "name",
      "in",
      '"',
      "'",
      "\\",
      "10.0.0.0/8",
    ];
    return Array.from({ length: die(12) }, () => oneOf(die, [...pieces, ...hostileTexts])).join(" ");
  }
  const text = [...madeFilter(die, table)];
  for (let i = die(4); i >= 0; i--) {
    text.splice(die(text.length), die(3), oneOf(die, [..."()\"'=<~!,\\ a0\u0000é"]));
  }
  return text.join("");
}
