/** A line in the filter language, with the columns that the API offers as completion. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApi } from "./hooks.ts";
import { useApp } from "./app.ts";
import type { VNode } from "./preact.ts";
import { Typed } from "./filter_bar.tsx";

interface FilterColumns {
  [table: string]: unknown;
}

const examples: Readonly<Record<string, string>> = {
  flows: "src_ip in 10.0.0.0/8 and dst_port in (22, 3389)",
  threats: 'severity >= high and title ~ "scan"',
  hosts: 'bytes > 1MB and name ~ "example"',
};

export function FilterLine({ of }: { of: "flows" | "threats" | "hosts" }): VNode {
  const { offer } = useApp();
  const isOffered = offer.has("GET /api/v1/filter/columns");
  const { data } = useApi<FilterColumns>(isOffered ? "/filter/columns" : null);
  const names = columnsIn(data?.[of] ?? data?.columns ?? data?.rows);
  return (
    <>
      <Typed name="filter" label="Filter" placeholder={examples[of]} isWide list={`columns-${of}`} />
      <datalist id={`columns-${of}`}>
        {names.map((name) => <option key={name} value={`${name} `} />)}
      </datalist>
    </>
  );
}

/** Names, or objects with a name. */
function columnsIn(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((one) =>
    typeof one === "string" ? [one] : typeof one?.name === "string" ? [one.name] : []
  ).slice(0, 100);
}
