/** Makes wire strings inert in a terminal or a log line.
 *
 * In: any string, attacker-chosen ones included. Out: the same text with control characters, escape sequences, line
 * separators, zero-width characters and bidirectional overrides written as visible `\u{...}`. @module */

/** Control, format (bidirectional overrides, zero-width), line and paragraph separators. */
const hostile = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes `text` for one line of a terminal or log.
 *
 * @example A name that would clear the screen.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { escapeLine } from "./escape.ts";
 *
 * assertEquals(escapeLine("a\x1b[2Jb"), "a\\u{1b}[2Jb");
 * ``` */
export function escapeLine(text: string): string {
  return text.replace(hostile, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

const marks: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes `text` for HTML, between tags and in a quoted attribute, what {@link escapeLine} makes visible included.
 *
 * @example A name that would be a script.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { escapeHtml } from "./escape.ts";
 *
 * assertEquals(escapeHtml("<b title='a\u202e'>"), "&lt;b title=&#39;a\\u{202e}&#39;&gt;");
 * ``` */
export function escapeHtml(text: string): string {
  return escapeLine(text).replace(/[&<>"']/g, (character) => marks[character]);
}
