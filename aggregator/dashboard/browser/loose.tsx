/** Rows whose columns the API chooses: each field as a column, by what its name says it is.
 *
 * Bound: {@link rowsMax} rows, {@link columnsMax} columns. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Loose } from "./api.ts";
import { HostLink, Table, When, Wire } from "./parts.tsx";
import type { ComponentChildren, VNode } from "./preact.ts";
import { bytes, count } from "./text.ts";

const rowsMax = 100;
const columnsMax = 14;

export function LooseTable(
  { caption, rows, most = rowsMax }: { caption: string; rows: readonly unknown[]; most?: number },
): VNode {
  const records = rows.slice(0, most).map((row, index): Loose => ({
    ...(typeof row === "object" && row !== null ? row : { value: row }),
    _at: index,
  }));
  // `_at` is ours; other names that end so are times as text, beside the numbers that are shown.
  const names = [...new Set(records.flatMap((row) => Object.keys(row)))].filter((name) => !/_at$/.test(name));
  const columns = names.slice(0, columnsMax).map((name) => ({
    name: `loose-${name}`,
    label: labelOf(name),
    isNumber: records.every((row) => typeof row[name] === "number") && !/_ms$|port/.test(name),
    cell: (row: Loose) => valueOf(name, row[name]),
  }));
  return (
    <>
      <Table
        caption={caption}
        look="small loose"
        columns={columns}
        rows={records}
        idOf={({ _at }) => String(_at)}
      />
      {rows.length > most && <p class="soft small">The first {most} of {count(rows.length)}.</p>}
    </>
  );
}

const labels: Readonly<Record<string, string>> = {
  ip: "Address",
  app: "Application",
  src_ip: "From",
  dst_ip: "To",
  network: "Site",
  bytes: "Bytes",
  sent_bytes: "Sent",
  first_seen_ms: "First seen",
  last_seen_ms: "Last seen",
};

function labelOf(name: string): string {
  if (Object.hasOwn(labels, name)) return labels[name];
  const words = name.replace(/_(ms|us)$/, "").replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function valueOf(name: string, value: unknown): ComponentChildren {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") {
    if (/_ms$/.test(name)) return value > 0 ? <When at={value / 1000} isAge /> : "";
    if (/bytes/.test(name)) return bytes(value);
    // Where there is no service there is no port.
    if (/port/.test(name)) return value === 0 ? "" : String(value);
    return count(value);
  }
  if (typeof value === "string" && /^(ip|src_ip|dst_ip)$/.test(name)) return <HostLink ip={value} />;
  if (Array.isArray(value)) return <Wire>{value.map(textOf).join(", ")}</Wire>;
  return <Wire>{textOf(value)}</Wire>;
}

function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value).map(([name, part]) =>
    `${name} ${typeof part === "object" ? JSON.stringify(part) : part}`
  ).join(", ");
}
