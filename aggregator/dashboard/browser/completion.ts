/** Completes a line of the filter language.
 *
 * In: what stands so far, the columns. Out: whole lines that go on from it, at most {@link linesMax}.
 * Why whole lines: the browser's own list of suggestions replaces what is in the field. @module */

export interface FilterColumn {
  name: string;
  type: string;
  about: string;
  operators: string[];
  examples: string[];
  /** All values there are. */
  words?: string[];
}

const linesMax = 30;
const joints = ["and", "or"];

export function completionsOf(text: string, columns: readonly FilterColumn[]): string[] {
  const [, before, begun] = /^(.*?)([^\s(),]*)$/s.exec(text)!;
  const words = before.replace(/[()]/g, " ").split(/\s+/).filter(Boolean);
  const fits = wordsAfter(words, columns).filter((word) =>
    word.toLowerCase().startsWith(begun.toLowerCase()) && word !== begun
  );
  return fits.slice(0, linesMax).map((word) => before + word);
}

function wordsAfter(words: readonly string[], columns: readonly FilterColumn[]): string[] {
  const last = words.at(-1)?.toLowerCase();
  const named = (word: string | undefined) => columns.find(({ name }) => name === word?.toLowerCase());
  if (last === undefined || joints.includes(last) || last === "not") {
    return [...columns.map(({ name }) => name), ...last === "not" ? [] : ["not"]];
  }
  const column = named(last);
  if (column) return column.operators;
  const asked = named(words.at(-2));
  if (asked?.operators.includes(last)) return asked.words ?? asked.examples;
  return joints;
}
