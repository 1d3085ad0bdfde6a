/** A part of a name as a pattern for facts as they are stored.
 *
 * Invariant: every fact whose names (fact_names.ts) hold the part matches; others may.
 * Only ASCII letters ignore case, as SQLite folds no others. @module */

import { lowerAscii } from "../model/filter.ts";

const nameCharactersMax = 200;

/** What is compared in memory. */
export function namePart(text: string): string {
  return lowerAscii(text.toWellFormed()).slice(0, nameCharactersMax).toWellFormed();
}

/** Where names have "_", facts may have a control character; where they have U+FFFD, half a character, escaped. */
export function likePattern(part: string): string {
  const text = JSON.stringify(namePart(part)).slice(1, -1);
  return `%${text.replace(/[!%]/g, (character) => `!${character}`).replace(/[_ \ufffd]/g, "%")}%`;
}
