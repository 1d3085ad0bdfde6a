/** Hosts: every address that took part, newest activity first. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { HostRow } from "../api.ts";
import { useApp } from "../app.ts";
import { Choice, FilterBar, Typed } from "../filter_bar.tsx";
import { FilterLine } from "../filter_line.tsx";
import { useBounds, useKeys, useList } from "../hooks.ts";
import { Badge, type Column, Empty, HostLink, Loading, More, Notice, Table, When, Wire } from "../parts.tsx";
import { go, linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { summaries, SummaryList } from "./host_summaries.tsx";
import { bytes, count, someOf } from "../text.ts";

const pageRows = 100;
const route = "GET /api/v1/hosts";
const filters = ["ip", "name", "network", "sort", "filter"] as const;

export function HostsPage(): VNode {
  const { offer } = useApp();
  const { query } = usePlace();
  const offered = summaries.filter(({ path }) => offer.has(`GET /api/v1${path}`));
  const summary = offered.find(({ path }) => path === `/${query.view}`);
  if (offered.length === 0) return <HostList />;
  return (
    <>
      <nav class="tabs" aria-label="What is known of hosts">
        <a href={linkTo("hosts")} aria-current={summary ? undefined : "page"}>Hosts</a>
        {offered.map(({ path, title }) => (
          <a
            key={path}
            href={linkTo("hosts", "", { view: path.slice(1) })}
            aria-current={summary?.path === path ? "page" : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      {summary ? <SummaryList key={summary.path} summary={summary} /> : <HostList />}
    </>
  );
}

function HostList(): VNode {
  const { offer } = useApp();
  const { query } = usePlace();
  const known = filters.filter((name) => offer.has(route, name));
  const given = Object.fromEntries(known.map((name) => [name, query[name]]));
  const isThere = offer.has(route);
  const bounds = useBounds();
  const since = offer.has(route, "seen_since") ? { seen_since: bounds.from } : {};
  const list = useList<HostRow>(isThere ? "/hosts" : null, { ...given, ...since, limit: pageRows });
  useKeys({ "/": () => document.querySelector<HTMLElement>(".filter input, .host-search input")?.focus() });
  if (!isThere || list.isMissing) return <NoHosts />;
  const isFiltered = known.some((name) => query[name]);
  return (
    <div class="list">
      <FilterBar label="Filter hosts" names={known} problem={list.problem}>
        {known.includes("ip") && <Typed name="ip" label="Address" placeholder="10.0.0.5 or 10.0.0.0/8" />}
        {known.includes("name") && <Typed name="name" label="Name" placeholder="part of a name" />}
        {known.includes("network") && <Typed name="network" label="Site" placeholder="any" />}
        {known.includes("sort") && (
          <Choice name="sort" label="Order" none="last seen" values={[["bytes", "bytes"]]} />
        )}
        {known.includes("filter") && <FilterLine of="hosts" />}
      </FilterBar>
      {list.problem !== null && list.problem.field === null && <Notice problem={list.problem} />}
      {list.rows === null && list.problem === null && <Loading />}
      {list.rows?.length === 0 && (
        <Empty>
          {isFiltered
            ? "No host fits this filter."
            : "No host was seen in this time: they come with the first flows."}{" "}
          <a href={linkHere({ ...Object.fromEntries(known.map((name) => [name, null])), range: "all" })}>
            Show all hosts of all times
          </a>
        </Empty>
      )}
      {list.rows !== null && list.rows.length > 0 && (
        <Table
          caption="Hosts"
          look="hosts"
          columns={columns}
          rows={list.rows}
          idOf={({ ip, network }) => `${network} ${ip}`}
        />
      )}
      <More list={list} word="hosts" />
    </div>
  );
}

/** What a person can do all the same: look one address up. */
function NoHosts(): VNode {
  return (
    <div class="panel">
      <p>This aggregator does not keep hosts.</p>
      <p class="soft">Flows and threats of one address can be found all the same.</p>
      <form
        class="filter host-search"
        role="search"
        aria-label="Find an address"
        onSubmit={(event) => {
          event.preventDefault();
          const ip = String(new FormData(event.currentTarget).get("ip") ?? "").trim();
          if (ip) go(linkTo("hosts", ip));
        }}
      >
        <Typed name="ip" label="Address" placeholder="10.0.0.5" />
        <button type="submit" class="main">Find</button>
      </form>
    </div>
  );
}

const columns: readonly Column<HostRow>[] = [
  { name: "ip", label: "Address", cell: ({ ip }) => <HostLink ip={ip} /> },
  { name: "name", label: "Name", cell: ({ names }) => <Wire>{someOf(names, "")}</Wire> },
  { name: "mac", label: "MAC", cell: ({ macs }) => <Wire>{someOf(macs, "")}</Wire> },
  { name: "site", label: "Site", cell: ({ network, inside }) => inside ? network : "outside" },
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
