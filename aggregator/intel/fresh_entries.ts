/** Look-ups over entries that lists brought when they changed: what stored traffic has not been held against yet.
 *
 * In: tables of such entries. Out: look-ups like those over all lists. @module */

import type { IntelHit } from "./lists.ts";
import type { IndicatorTable } from "./table.ts";

export interface FreshList {
  list: string;
  table: IndicatorTable;
}

export class FreshEntries {
  constructor(readonly lists: readonly FreshList[]) {}

  get entries(): number {
    return this.lists.reduce((sum, { table }) => sum + table.size, 0);
  }

  findAddress(bytes: Uint8Array): IntelHit | null {
    return this.#first((table) => table.findAddress(bytes));
  }

  findDomain(name: string): IntelHit | null {
    return this.#first((table) => table.findDomain(name));
  }

  findUrl(host: string, path: string): IntelHit | null {
    return this.#first((table) => table.findUrl(host, path));
  }

  findText(kind: "ja3" | "ja4" | "certificate", value: string): IntelHit | null {
    return this.#first((table) => table.findText(kind, value));
  }

  #first(look: (table: IndicatorTable) => number): IntelHit | null {
    for (const { list, table } of this.lists) {
      const note = look(table);
      if (note >= 0) return { list, note: table.notes[note] ?? "" };
    }
    return null;
  }
}
