/** Names that rows refer to by number: sites, protocols, applications, tunnels, sensors.
 *
 * In: words of rows that are to be written; numbers of rows that were read. Out: the other of the two.
 * Invariant: a word keeps its number forever, so what is remembered here never goes stale; 0 is no name.
 * Bound: {@link wordsMax}; a hostile sensor that invents names beyond it gets "other" for all of them, counted.
 * @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import type { SightingRows } from "../model/sighting_rows.ts";
import { type Database, marks, type Session } from "./database.ts";

const wordsMax = 60_000;
const other = "other";
const wordsPerQuery = 500;

export class Words {
  readonly #database: Database;
  readonly #reporter: Reporter;
  readonly #numbers = new Map<string, number>([["", 0]]);
  readonly #words: (string | undefined)[] = [""];

  constructor(database: Database, reporter: Reporter) {
    this.#database = database;
    this.#reporter = reporter;
  }

  /** The number of a word that `need` has seen. */
  numberOf(word: string): number {
    return this.#numbers.get(word) ?? this.#numbers.get(other) ?? 0;
  }

  /** The number of a word, if it is known here; null = no row has it, as far as is known. */
  find(word: string): number | null {
    return this.#numbers.get(word) ?? null;
  }

  /** Numbers of the words that `test` takes. */
  findAll(test: (word: string) => boolean): number[] {
    return [...this.#numbers].filter(([word]) => test(word)).map(([, number]) => number);
  }

  wordOf(number: number): string {
    return this.#words[number] ?? "";
  }

  isKnown(number: number): boolean {
    return this.#words[number] !== undefined;
  }

  /** Gives numbers to the words of these rows, in transactions of its own:
   * a number that no row uses in the end does no harm. */
  async need(flows: FlowRows, sightings: SightingRows): Promise<void> {
    const missing = new Set<string>();
    for (
      const column of [
        flows.network,
        flows.protocol,
        flows.tunnel,
        flows.app,
        flows.fwdSensor,
        flows.bwdSensor,
      ]
    ) {
      let last = "";
      for (let i = 0; i < flows.size; i++) {
        if (column[i] === last) continue;
        last = column[i];
        if (!this.#numbers.has(last)) missing.add(last);
      }
    }
    for (let i = 0; i < sightings.size; i++) {
      if (!this.#numbers.has(sightings.sensor[i])) missing.add(sightings.sensor[i]);
    }
    if (missing.size > 0) await this.#make([...missing]);
  }

  /** Reads all words anew. */
  async load(session: Session): Promise<void> {
    for (const row of await session.all("SELECT id, word FROM words")) {
      this.#numbers.set(row.word as string, row.id as number);
      this.#words[row.id as number] = row.word as string;
    }
  }

  async #make(missing: string[]): Promise<void> {
    await this.#database.read((session) => this.load(session));
    let fresh = missing.filter((word) => !this.#numbers.has(word));
    if (fresh.length === 0) return;
    if (this.#numbers.size + fresh.length > wordsMax) {
      this.#reporter.count("store_words_left_out_total", undefined, fresh.length);
      fresh = this.#numbers.has(other) ? [] : [other];
    }
    const { dialect } = this.#database;
    await this.#database.transaction(async (session) => {
      for (let from = 0; from < fresh.length; from += wordsPerQuery) {
        const part = fresh.slice(from, from + wordsPerQuery);
        const present = new Set(
          (await session.all(`SELECT word FROM words WHERE word IN (${marks(part.length)})`, part)).map((
            { word },
          ) => word),
        );
        const added = part.filter((word) => !present.has(word));
        await session.batch(dialect.insertMissing("words", ["word"]), added.map((word) => [word]));
      }
    });
    await this.#database.read((session) => this.load(session));
  }
}
