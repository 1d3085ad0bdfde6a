/** Threat-intelligence lists: which are in force, and what is wrong with the files they came from. @module */

import { z } from "../../../shared/schema.ts";
import { resource } from "../route.ts";

const count = z.int().min(0);

export const intelligenceAnswer = z.object({
  is_set: z.boolean().describe("A folder of lists is named: serve --intelligence"),
  entries: count.describe("In force, over all lists"),
  rows: z.array(z.object({
    name: z.string().describe("Of its file"),
    entries: count.describe("In force"),
    loaded_ms: z.number().nullable().describe("When the entries in force were read; null = none are"),
    skipped: z.record(z.string(), count).describe("Entries that could not be used, by reason"),
    problem: z.string().nullable().describe("Why the file that lies there now is not in force; null = it is"),
  })),
});

export const intelligence = resource({
  summary: "Threat-intelligence lists and how they are",
  isPolled: true,
  answer: intelligenceAnswer,
  needs: ["intelligence"],
  handle(_call, { intelligence }) {
    const states = intelligence();
    const rows = (states ?? []).map((state) => ({ ...state, loaded_ms: state.loaded_ms || null }));
    const entries = rows.reduce((sum, row) => sum + row.entries, 0);
    return Promise.resolve({ json: { is_set: states !== null, entries, rows } });
  },
});
