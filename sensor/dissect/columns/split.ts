/** Splits columns that hold several occurrences joined by commas.
 *
 * In: the text of one column and, where known, how many values it must hold. Out: the values.
 * Invariant: with a count of 1 the text is one value, commas and all; when the commas do not add up to the count, the
 * text stays whole rather than being cut in the wrong places.
 * Why: a value chosen by whoever sent the packet may hold commas. @module */

const none: readonly string[] = [];

/** Values of a column whose values never hold a comma (numbers, addresses, hashes). */
export function splitPlain(text: string): readonly string[] {
  return text === "" ? none : text.split(",");
}

/** Values of a column of free text that must hold `count` values. */
export function splitCounted(text: string, count: number): readonly string[] {
  if (text === "") return none;
  if (count <= 1) return [text];
  const parts = text.split(",");
  if (parts.length === count) return parts;
  // "VeriSign, Inc.": inside a value a comma is mostly followed by a space, between two it never is.
  const spaced = text.split(/,(?! )/);
  return spaced.length === count ? spaced : [text];
}
