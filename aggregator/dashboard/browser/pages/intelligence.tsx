/** Threat-intelligence lists: which are in force, how old they are, and what is wrong with their files. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApi } from "../hooks.ts";
import { type Column, Empty, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import type { VNode } from "../preact.ts";
import { count } from "../text.ts";

interface IntelligenceList {
  name: string;
  entries: number;
  loaded_ms: number | null;
  skipped: Record<string, number>;
  problem: string | null;
}

export function Intelligence(): VNode {
  const { data, problem, isMissing } = useApi<{ is_set: boolean; entries: number; rows: IntelligenceList[] }>(
    "/intelligence",
  );
  return (
    <Section
      title="Intelligence lists"
      class="wide"
      note={data?.is_set
        ? `addresses, names and fingerprints known to be bad; ${count(data.entries)} in force`
        : ""}
    >
      {isMissing
        ? <Empty>This instance does not detect: one with the role detect reads lists.</Empty>
        : <Notice problem={problem} />}
      {data === null && problem === null && <Loading />}
      {data !== null && !data.is_set && (
        <Empty>
          No folder of lists is set. Put lists into a folder and name it with{" "}
          <code>serve --intelligence</code>; they are read again when they change.
        </Empty>
      )}
      {data?.is_set && data.rows.length === 0 && <Empty>The folder holds no list yet.</Empty>}
      {data !== null && data.rows.length > 0 && (
        <Table
          caption="Intelligence lists"
          look="small"
          columns={columns}
          rows={data.rows}
          idOf={({ name }) => name}
        />
      )}
    </Section>
  );
}

const columns: readonly Column<IntelligenceList>[] = [
  { name: "list", label: "List", cell: ({ name }) => <Wire>{name}</Wire> },
  { name: "entries", label: "Entries", isNumber: true, cell: ({ entries }) => count(entries) },
  {
    name: "loaded",
    label: "Loaded",
    cell: ({ loaded_ms }) => loaded_ms === null ? "never" : <When at={loaded_ms / 1000} isAge />,
  },
  {
    name: "skipped",
    label: "Entries left out",
    cell: ({ skipped }) => {
      const given = Object.entries(skipped).filter(([, many]) => many > 0);
      return given.map(([reason, many]) => `${count(many)} ${reason.replaceAll("_", " ")}`).join(", ") ||
        "none";
    },
  },
  {
    name: "state",
    label: "State",
    cell: ({ problem, entries }) =>
      problem === null ? <span class="status status-healthy">in force</span> : (
        <span>
          <span class="status status-blind">
            {entries > 0 ? "the older one is in force" : "not in force"}
          </span>{" "}
          <Wire>{problem}</Wire>
        </span>
      ),
  },
];
