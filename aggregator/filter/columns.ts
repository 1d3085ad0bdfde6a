/** What a table lets people filter by: its columns, their types, and the operators of each type.
 *
 * Out: {@link Table} and the list that the API gives to clients that complete a filter line.
 * Invariant: what is not in a table cannot be asked for; a column reads its values from the row as the API answers it,
 * so that a filter matches in memory exactly what it matches in the database.
 * Another table is another constant of this type. @module */

import { lowerAscii } from "../model/filter.ts";
import type { Places } from "../model/place.ts";

export type ColumnType = "address" | "number" | "size" | "span" | "time" | "choice" | "word" | "text";

export interface Column<Row> {
  type: ColumnType;
  about: string;
  examples: readonly string[];
  /** Greatest number. @default 2^53 - 1 */
  max?: number;
  /** Of a choice, in order when {@link isOrdered}. */
  words?: readonly string[];
  isOrdered?: boolean;
  /** A word counts in any case and is stored in this one. */
  letters?: "lower";
  /** What it asks about addresses: the GeoIP files, or the operator's names of networks. */
  asks?: "geoip" | "subnets";
  /** Values of a row: addresses as text, times and spans in microseconds, choices as places, texts as they are. */
  read(row: Row, places: Places): readonly (string | number)[];
}

/** Columns of the places of one or more addresses of a row. Words of a closed form in lower case, as texts compare. */
export function countryOf<Row>(about: string, addresses: (row: Row) => readonly string[]): Column<Row> {
  return {
    type: "word",
    letters: "lower",
    asks: "geoip",
    about,
    examples: ["DE", "US"],
    read: (row, places) => addresses(row).flatMap((ip) => places.find(ip)?.country?.toLowerCase() ?? []),
  };
}

export function asnOf<Row>(about: string, addresses: (row: Row) => readonly string[]): Column<Row> {
  return {
    type: "number",
    max: 4_294_967_295,
    asks: "geoip",
    about,
    examples: ["15169"],
    read: (row, places) => addresses(row).flatMap((ip) => places.find(ip)?.asn ?? []),
  };
}

export function subnetOf<Row>(about: string, addresses: (row: Row) => readonly string[]): Column<Row> {
  return {
    type: "word",
    letters: "lower",
    asks: "subnets",
    about,
    examples: ["printers"],
    read: (row, places) => addresses(row).flatMap((ip) => subnetIn(places, ip)),
  };
}

function subnetIn(places: Places, ip: string): string[] {
  const subnet = places.find(ip)?.subnet;
  return subnet === undefined ? [] : [lowerAscii(subnet)];
}

export interface Table<Row> {
  columns: Readonly<Record<string, Column<Row>>>;
  /** Names that answers use for some of them. */
  aliases: Readonly<Record<string, string>>;
}

const equal = ["=", "!=", "in"], order = ["<", "<=", ">", ">="], contains = ["~"];

const operators: Readonly<Record<ColumnType, readonly string[]>> = {
  address: equal,
  number: [...equal, ...order],
  size: [...equal, ...order],
  span: [...equal, ...order],
  time: [...equal, ...order],
  choice: equal,
  word: [...equal, ...contains],
  text: [...equal, ...contains],
};

export function operatorsOf<Row>({ type, isOrdered }: Column<Row>): readonly string[] {
  return isOrdered ? [...equal, ...order] : operators[type];
}

/** A column as programs complete it. */
export interface ColumnNote {
  name: string;
  type: ColumnType;
  about: string;
  operators: readonly string[];
  examples: readonly string[];
  words?: readonly string[];
}

export function notesOf<Row>({ columns }: Table<Row>): ColumnNote[] {
  return Object.entries(columns).map(([name, column]) => ({
    name,
    type: column.type,
    about: column.about,
    operators: operatorsOf(column),
    examples: column.examples,
    ...column.words === undefined ? {} : { words: column.words },
  }));
}
