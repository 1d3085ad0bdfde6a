/** Hosts: every address that took part, newest activity first. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { HostRow } from "../api.ts";
import { useApp } from "../app.ts";
import { ExportMenu } from "../export_menu.tsx";
import { Choice, FilterBar, Typed } from "../filter_bar.tsx";
import { FilterLine } from "../filter_line.tsx";
import { useBounds, useKeys, useList } from "../hooks.ts";
import {
  Badge,
  type Column,
  Empty,
  HostLink,
  Loading,
  More,
  NothingYet,
  Notice,
  Some,
  Table,
  Tabs,
  When,
} from "../parts.tsx";
import { linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { summaries, SummaryList } from "./host_summaries.tsx";
import { bytes, count } from "../text.ts";

const pageRows = 100;
const filters = ["ip", "network", "sort", "filter"] as const;

export function HostsPage(): VNode {
  const { query } = usePlace();
  const summary = summaries.find(({ path }) => path === `/${query.view}`);
  return (
    <>
      <Tabs
        label="What is known of hosts"
        tabs={[
          { title: "Hosts", href: linkTo("hosts"), isOpen: summary === undefined },
          ...summaries.map((one) => ({
            title: one.title,
            href: linkTo("hosts", "", { view: one.path.slice(1) }),
            isOpen: one === summary,
          })),
        ]}
      />
      {summary ? <SummaryList key={summary.path} summary={summary} /> : <HostList />}
    </>
  );
}

function HostList(): VNode {
  const { totals } = useApp();
  const { query } = usePlace();
  const { ip, network, sort, filter } = query;
  const given = { ip, network, sort, filter };
  const { from } = useBounds();
  const list = useList<HostRow>("/hosts", { ...given, seen_since: from, limit: pageRows });
  useKeys({ "/": () => document.querySelector<HTMLElement>(".filter input")?.focus() });
  const isFiltered = filters.some((name) => query[name]);
  return (
    <div class="list">
      <FilterBar label="Filter hosts" names={filters} problem={list.problem}>
        <Typed name="ip" label="Address" placeholder="10.0.0.5 or 10.0.0.0/8" />
        <Typed name="network" label="Site" placeholder="any" />
        <Choice
          name="sort"
          label="Order"
          none="last seen"
          values={[["first_seen", "first seen"], ["bytes", "bytes"]]}
        />
        <FilterLine of="hosts" />
      </FilterBar>
      {list.problem !== null && list.problem.field === null && <Notice problem={list.problem} />}
      {list.rows === null && list.problem === null && <Loading />}
      {list.rows?.length === 0 && (totals?.last === null ? <NothingYet /> : (
        <Empty>
          {isFiltered
            ? "No host fits this filter."
            : "No host was seen in this time: they come with the first flows."}{" "}
          <a href={linkHere({ ...Object.fromEntries(filters.map((name) => [name, null])), range: "all" })}>
            Show all hosts of all times
          </a>
        </Empty>
      ))}
      {list.rows !== null && list.rows.length > 0 && (
        <Table
          caption="Hosts"
          look="hosts"
          columns={columns}
          rows={list.rows}
          idOf={({ ip, network }) => `${network} ${ip}`}
        />
      )}
      <div class="list-tools">
        <More list={list} word="hosts" />
        {list.rows !== null && list.rows.length > 0 && (
          <ExportMenu of="hosts" query={{ ip, network, filter, seen_since: from }} />
        )}
      </div>
    </div>
  );
}

const columns: readonly Column<HostRow>[] = [
  { name: "ip", label: "Address", cell: ({ ip }) => <HostLink ip={ip} /> },
  { name: "name", label: "Name", cell: ({ names }) => <Some list={names} none="" /> },
  { name: "mac", label: "MAC", cell: ({ macs }) => <Some list={macs} none="" /> },
  {
    name: "site",
    label: "Site",
    cell: ({ network, inside, place }) => {
      const where = inside ? network : place?.country_name ?? place?.country ?? "outside";
      return place?.subnet === undefined ? where : `${place.subnet}, ${where}`;
    },
  },
  {
    name: "threats",
    label: "Threats",
    isNumber: true,
    cell: ({ threats }) => threats > 0 ? <Badge tone="high">{count(threats)}</Badge> : "",
  },
  { name: "flows", label: "Flows", isNumber: true, cell: ({ flows }) => count(flows) },
  { name: "bytes", label: "Bytes", isNumber: true, cell: (host) => bytes(host.bytes) },
  {
    name: "first",
    label: "First seen",
    isNumber: true,
    cell: (host) => <When at={host.first_seen_ms / 1000} isAge />,
  },
  {
    name: "last",
    label: "Last seen",
    isNumber: true,
    cell: (host) => <When at={host.last_seen_ms / 1000} isAge />,
  },
];
