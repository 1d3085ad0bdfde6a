/** The list as a file: the same filter and range, all rows, in the forms that the API offers. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { mayDecide, useApp } from "./app.ts";
import { addressOf, type Query } from "./call.ts";
import type { VNode } from "./preact.ts";

const formats = ["csv", "ndjson", "parquet"] as const;

/** Nothing where the aggregator, or the role, has no exports. */
export function ExportMenu({ of, query }: { of: "flows" | "threats"; query: Query }): VNode | null {
  const app = useApp();
  const route = `GET /api/v1/export/${of}`;
  if (!app.offer.has(route) || !mayDecide(app)) return null;
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const unknown = given.filter(([name]) => !app.offer.has(route, name)).map(([name]) => name);
  // A file of more than the list shows would be taken for the list.
  if (unknown.length > 0) return <span class="soft menu">No export by {unknown.join(", ")}</span>;
  return (
    <details class="menu">
      <summary>Export</summary>
      <ul>
        {formats.map((format) => (
          <li key={format}>
            <a href={addressOf(`/export/${of}`, { ...query, format })} download={`${of}.${format}`}>
              {format === "csv" ? "CSV" : format === "ndjson" ? "NDJSON" : "Parquet"}
            </a>
          </li>
        ))}
      </ul>
    </details>
  );
}
