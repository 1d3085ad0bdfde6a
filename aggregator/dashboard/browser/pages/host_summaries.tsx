/** What hosts offer, ask for and do with each other: services, domains, conversations. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Loose } from "../api.ts";
import { FilterBar, Typed } from "../filter_bar.tsx";
import { useBounds, useList } from "../hooks.ts";
import { LooseTable } from "../loose.tsx";
import { Empty, Loading, More, Notice } from "../parts.tsx";
import { linkHere, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";

interface Summary {
  path: string;
  title: string;
  note: string;
  /** Whether it can begin with the time range. */
  isRanged?: boolean;
  /** Fields of the filter line, with what stands in them while they are empty. */
  fields: Readonly<Record<string, string>>;
}

export const summaries: readonly Summary[] = [
  {
    path: "/services",
    title: "Services",
    note: "What hosts offer, last seen first.",
    fields: { ip: "10.0.0.5 or 10.0.0.0/8", port: "any", protocol: "tcp" },
  },
  {
    path: "/domains",
    title: "Domains",
    note: "What was asked for by DNS, last asked for first.",
    isRanged: true,
    fields: { name: "beginning of the domain" },
  },
  {
    path: "/conversations",
    title: "Conversations",
    note: "Who spoke with whom on the day of the newest packet, the largest first.",
    fields: { ip: "either end", day: "2026-01-31" },
  },
];

const labels: Readonly<Record<string, string>> = {
  ip: "Address",
  port: "Port",
  protocol: "Protocol",
  name: "Name",
  day: "Day",
};
const pageRows = 100;

export function SummaryList(
  { summary: { path, title, note, isRanged, fields } }: { summary: Summary },
): VNode {
  const { query } = usePlace();
  const bounds = useBounds();
  const names = Object.keys(fields);
  const given = Object.fromEntries(names.map((name) => [name, query[name]]));
  const since = isRanged ? { seen_since: bounds.from } : {};
  const list = useList<Loose>(path, { ...given, ...since, limit: pageRows });
  const none = Object.fromEntries(names.map((name) => [name, null]));
  return (
    <div class="list">
      <p class="soft about">{note}</p>
      <FilterBar label={`Filter ${title.toLowerCase()}`} names={names} problem={list.problem}>
        {names.map((name) => (
          <Typed
            key={name}
            name={name}
            label={labels[name]}
            placeholder={fields[name]}
          />
        ))}
      </FilterBar>
      {list.problem !== null && list.problem.field === null && <Notice problem={list.problem} />}
      {list.rows === null && list.problem === null && <Loading />}
      {list.rows?.length === 0 && list.problem === null && (
        <Empty>
          None fits. <a href={linkHere({ ...none, range: "all" })}>Show all of all times</a>
        </Empty>
      )}
      {list.rows !== null && list.rows.length > 0 && (
        <LooseTable caption={title} rows={list.rows} most={list.rows.length} />
      )}
      <More list={list} word={title.toLowerCase()} />
    </div>
  );
}
