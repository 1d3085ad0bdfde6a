/** Reads a filter: `src_ip in 10.0.0.0/8 and dst_port in (22, 3389) and bytes > 1MB and name ~ "example"`.
 *
 * In: text, the table it is about, the time.
 * Out: a tree whose columns and values are checked, or an error that points at the place.
 * Grammar: `or` binds least, then `and`, then `not`; parentheses;
 * a test is a column, an operator and a value, or `in` and a list.
 * Bounds: characters (tokens.ts), {@link depthMax} levels, {@link valuesMax} values in all:
 * what a database can answer quickly. @module */

import type { Filter, Test, TestOperator } from "../model/filter.ts";
import { operatorsOf, type Table } from "./columns.ts";
import { FilterError, type Token, tokensOf } from "./tokens.ts";
import { readValue } from "./values.ts";

const depthMax = 16;
const valuesMax = 100;
const shownMax = 60;

/** @throws {FilterError} */
export function parseFilter<Row>(text: string, table: Table<Row>, nowMs: number): Filter {
  return new Parser(tokensOf(text), table, nowMs).read();
}

class Parser<Row> {
  #tokens: Token[];
  #table: Table<Row>;
  #nowMs: number;
  #next = 0;
  #depth = 0;
  #values = 0;

  constructor(tokens: Token[], table: Table<Row>, nowMs: number) {
    this.#tokens = tokens;
    this.#table = table;
    this.#nowMs = nowMs;
  }

  read(): Filter {
    if (this.#peek().kind === "end") {
      throw new FilterError(1, "a filter must have a test, like dst_port = 22");
    }
    const filter = this.#readOr();
    if (this.#peek().kind === "end") return filter;
    throw this.#unexpected('"and", "or" or the end');
  }

  #peek(): Token {
    return this.#tokens[this.#next];
  }

  #readOr(): Filter {
    return this.#readList("or", "||", () => this.#readList("and", "&&", () => this.#readOne()));
  }

  #readList(op: "and" | "or", sign: string, read: () => Filter): Filter {
    const parts = [read()];
    while (this.#take(op, sign)) parts.push(read());
    return parts.length === 1 ? parts[0] : { op, parts };
  }

  #readOne(): Filter {
    const { at } = this.#peek();
    if (++this.#depth > depthMax) throw new FilterError(at, `a filter must have <= ${depthMax} levels`);
    try {
      if (this.#take("not", "!")) return { op: "not", part: this.#readOne() };
      if (this.#peek().kind !== "(") return this.#readTest();
      this.#next++;
      const inside = this.#readOr();
      if (this.#peek().kind !== ")") throw this.#unexpected('"and", "or" or ")"');
      this.#next++;
      return inside;
    } finally {
      this.#depth--;
    }
  }

  #readTest(): Filter {
    const token = this.#peek();
    if (token.kind !== "word") throw this.#unexpected("a column");
    const { columns, aliases } = this.#table;
    const given = token.text.toLowerCase();
    const name = Object.hasOwn(aliases, given) ? aliases[given] : given;
    if (!Object.hasOwn(columns, name)) {
      throw new FilterError(
        token.at,
        `unknown column "${cut(token.text)}": known are ${Object.keys(columns).join(", ")}`,
      );
    }
    this.#next++;
    const isNot = this.#take("not", "");
    const { text: sign } = this.#peek();
    const op = sign === "==" ? "=" : sign.toLowerCase();
    const known = operatorsOf(columns[name]);
    if (!known.includes(op) || this.#peek().kind === "text" || (isNot && op !== "in")) {
      throw this.#unexpected(`${isNot ? '"in"' : `one of ${known.join(" ")}`} after "${name}"`);
    }
    this.#next++;
    const values = op === "in" && this.#peek().kind === "("
      ? this.#readValues(name)
      : [this.#readValue(name)];
    const isEqual = op === "in" || op === "!=";
    const test: Test = { op: isEqual ? "=" : op as TestOperator, column: name, values };
    return op === "!=" || isNot ? { op: "not", part: test } : test;
  }

  #readValues(name: string): Test["values"] {
    const values: Test["values"] = [];
    do {
      this.#next++;
      values.push(this.#readValue(name));
    } while (this.#peek().kind === ",");
    if (this.#peek().kind !== ")") throw this.#unexpected('"," or ")"');
    this.#next++;
    return values;
  }

  #readValue(name: string): Test["values"][number] {
    const { kind, text, at } = this.#peek();
    if (kind !== "word" && kind !== "text") throw this.#unexpected(`a value for "${name}"`);
    if (++this.#values > valuesMax) throw new FilterError(at, `a filter must have <= ${valuesMax} values`);
    const value = readValue(this.#table.columns[name], text, this.#nowMs);
    if (typeof value === "object" && "must" in value) {
      throw new FilterError(
        at,
        `the value of "${name}" must be ${value.must}: current value is "${cut(text)}"`,
      );
    }
    this.#next++;
    return value;
  }

  /** Takes a word of the language in any case, or its sign. */
  #take(word: string, sign: string): boolean {
    const { kind, text } = this.#peek();
    const isIt = (kind === "word" && text.toLowerCase() === word) || (kind === "operator" && text === sign);
    if (isIt) this.#next++;
    return isIt;
  }

  #unexpected(wanted: string): FilterError {
    const { kind, text, at } = this.#peek();
    return new FilterError(at, `expected ${wanted}, found ${kind === "end" ? "the end" : `"${cut(text)}"`}`);
  }
}

function cut(text: string): string {
  return text.length > shownMax ? `${text.slice(0, shownMax)}...` : text;
}
