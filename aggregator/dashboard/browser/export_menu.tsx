/** The list as a file: the same filter and range, all rows, in the forms that the API offers. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { mayDecide, useApp } from "./app.ts";
import { addressOf, type Query } from "./call.ts";
import type { VNode } from "./preact.ts";

const formats = ["csv", "ndjson", "parquet"] as const;

/** Nothing where the role has no exports. */
export function ExportMenu({ of, query }: { of: "flows" | "threats" | "hosts"; query: Query }): VNode | null {
  if (!mayDecide(useApp())) return null;
  // The file holds all that the list could: a filter over all times is asked for in so many words.
  const asked = of === "hosts" ? query : { ...query, from: query.from ?? 0 };
  return (
    <details class="menu">
      <summary>Export</summary>
      <ul>
        {formats.map((format) => (
          <li key={format}>
            <a href={addressOf(`/export/${of}`, { ...asked, format })} download={`${of}.${format}`}>
              {format === "csv" ? "CSV" : format === "ndjson" ? "NDJSON" : "Parquet"}
            </a>
          </li>
        ))}
      </ul>
    </details>
  );
}
