/** Reads what a filter compares a column with, by the column's type.
 *
 * In: text of one value. Out: the value as {@link FilterValue}, or what it must be.
 * Invariant: never NaN, never beyond 2^53 - 1. @module */

import { type FilterValue, lowerAscii } from "../model/filter.ts";
import { readNetwork } from "../model/network.ts";
import { readTime, timeForms } from "../model/time_text.ts";
import type { Column } from "./columns.ts";

const textCharactersMax = 200;
const spanUnits: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 6e7, h: 3.6e9, d: 8.64e10 };
const powers: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4 };

/** The value, or as `{ must }` what it has to be. */
export function readValue<Row>(
  column: Column<Row>,
  text: string,
  nowMs: number,
): FilterValue | { must: string } {
  switch (column.type) {
    case "address":
      return readNetwork(text) ?? { must: "an address or CIDR, like 10.0.0.0/8 or 2001:db8::1" };
    case "number":
      return readNumber(text, column.max ?? Number.MAX_SAFE_INTEGER);
    case "size":
      return readSize(text) ?? { must: "a size, like 1500, 64KB, 1.5MB or 2GiB" };
    case "span":
      return readSpan(text) ?? { must: "a span of time, like 250ms, 90s, 15m or 1h" };
    case "time": {
      const seconds = readTime(text, nowMs);
      return seconds === null
        ? { must: `a time: ${timeForms}` }
        : Math.min(Math.round(seconds * 1e6), Number.MAX_SAFE_INTEGER);
    }
    case "choice": {
      const place = column.words!.findIndex((word) => lowerAscii(word) === lowerAscii(text));
      return place >= 0 ? place : { must: `one of ${column.words!.join(", ")}` };
    }
    case "word":
      return readText(text, column.letters === "lower");
    case "text":
      return readText(text, true);
  }
}

function readNumber(text: string, max: number): number | { must: string } {
  const number = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  return number <= max ? number : { must: `a whole number from 0 to ${max}` };
}

function readSize(text: string): number | null {
  const [, digits, power, binary] = /^([0-9]{1,16}(?:\.[0-9]{1,6})?)([kmgt]?)(i?)b?$/i.exec(text) ?? [];
  if (digits === undefined || (binary !== "" && power === "")) return null;
  const bytes = Math.round(Number(digits) * (binary === "" ? 1_000 : 1_024) ** powers[power.toLowerCase()]);
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : null;
}

/** Microseconds; without a unit, seconds. */
function readSpan(text: string): number | null {
  const [, digits, unit = "s"] = /^([0-9]{1,12}(?:\.[0-9]{1,6})?)(us|ms|s|m|h|d)?$/i.exec(text) ?? [];
  if (digits === undefined) return null;
  const us = Math.round(Number(digits) * spanUnits[unit.toLowerCase()]);
  return us <= Number.MAX_SAFE_INTEGER ? us : null;
}

function readText(text: string, isLower: boolean): string | { must: string } {
  if (text.length > textCharactersMax) return { must: `a text of <= ${textCharactersMax} characters` };
  // SQLite ends a text at the first NUL.
  if (text.includes("\0")) return { must: "a text without NUL" };
  const whole = text.toWellFormed();
  return isLower ? lowerAscii(whole) : whole;
}
