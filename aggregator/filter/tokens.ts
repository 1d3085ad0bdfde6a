/** Splits a filter into words, each with its place.
 *
 * In: text. Out: tokens. Invariant: at most {@link charactersMax} characters are looked at, each once; a character that
 * no filter has is an error at its place, never skipped. @module */

export const charactersMax = 2_000;

/** What is wrong with a filter, and where: the first character is 1. */
export class FilterError extends Error {
  override name = "FilterError";
  readonly at: number;

  constructor(at: number, message: string) {
    super(`column ${at}: ${message}`);
    this.at = at;
  }
}

export interface Token {
  kind: "word" | "text" | "operator" | "(" | ")" | "," | "end";
  /** Without quotes. */
  text: string;
  /** From 1. */
  at: number;
}

const spaces = /[ \t\r\n]+/y;
const operator = /==|!=|<=|>=|&&|\|\||[=<>~!]/y;
/** Names, numbers, addresses, times. */
const word = /[^\s()"',=<>!~&|\\]+/y;

/** @throws {FilterError} */
export function tokensOf(text: string): Token[] {
  if (text.length > charactersMax) {
    throw new FilterError(charactersMax + 1, `a filter must have <= ${charactersMax} characters`);
  }
  const tokens: Token[] = [];
  let place = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = place;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) place += found.length;
    return found;
  };
  while (place < text.length) {
    if (take(spaces) !== null) continue;
    const at = place + 1, character = text[place];
    const found = "(),".includes(character) ? null : take(operator);
    if (found !== null) tokens.push({ kind: "operator", text: found, at });
    else if (character === "(" || character === ")" || character === ",") {
      tokens.push({ kind: character, text: character, at });
      place++;
    } else if (character === '"' || character === "'") {
      const quoted = readQuoted(text, place);
      tokens.push({ kind: "text", text: quoted.text, at });
      place = quoted.end;
    } else {
      const bare = take(word);
      if (bare === null) throw new FilterError(at, `unexpected ${JSON.stringify(character)}`);
      tokens.push({ kind: "word", text: bare, at });
    }
  }
  tokens.push({ kind: "end", text: "", at: text.length + 1 });
  return tokens;
}

/** A backslash takes the next character as it is. */
function readQuoted(text: string, start: number): { text: string; end: number } {
  const quote = text[start];
  let inside = "";
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === quote) return { text: inside, end: i + 1 };
    if (text[i] === "\\") i++;
    inside += text[i] ?? "";
  }
  throw new FilterError(start + 1, `the text that begins here must end with ${quote}`);
}
