/** Flows: a filter line, columns to choose, live mode, and one flow open beside the list. All of it is in the address.
 * @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { Flow } from "../api.ts";
import { refresh, useApp } from "../app.ts";
import { ExportMenu } from "../export_menu.tsx";
import { Choice, FilterBar, Typed } from "../filter_bar.tsx";
import { FilterLine } from "../filter_line.tsx";
import { useBounds, useKeys, useList } from "../hooks.ts";
import { useLive } from "../live.ts";
import { Button, Empty, Loading, More, NothingYet, Notice, Table } from "../parts.tsx";
import { go, linkHere, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { shut } from "../side_panel.tsx";
import { flowColumns, knowsCountries, standardColumns } from "./flow_columns.tsx";
import { FlowPanel } from "./flow_panel.tsx";

const pageRows = 100;
const protocols = ["tcp", "udp", "icmp", "icmp6", "arp", "sctp"] as const;
const filters = [
  "ip",
  "port",
  "protocol",
  "app_protocol",
  "name",
  "filter",
] as const;
/** Filters that links bring, without a field of their own. */
const linked = ["threat_id", "sensor_id", "src_ip", "dst_ip", "dst_port", "network", "community_id"] as const;

export function FlowsPage(): VNode {
  const { totals } = useApp();
  const { query } = usePlace();
  const bounds = useBounds();
  const given = Object.fromEntries([...filters, ...linked].map((name) => [name, query[name]]));
  const isLive = query.live === "1";
  const list = useList<Flow>("/flows/search", { ...given, ...bounds, limit: pageRows });
  useLive("flows", isLive, refresh);
  useFlowKeys(query.id);
  const columns = flowColumns(({ flow_id }) => linkHere({ id: flow_id }));
  const wanted = query.id ? ["start", "from", "to", "bytes"] : (query.cols?.split(",") ?? standardColumns);
  const rows = list.rows ?? [];
  const isShown = (name: string) => name === "start" || wanted.includes(name);
  // A column that a person chose stays, one that merely is standard would be empty.
  const shown = columns.filter(({ name }) =>
    isShown(name) && (name !== "country" || query.cols !== undefined || knowsCountries(rows))
  );
  const isFiltered = [...filters, ...linked].some((name) => query[name]);
  return (
    <div class={query.id ? "split" : ""}>
      <div class="list">
        <FlowFilter problem={list.problem} />
        <div class="list-tools">
          <Linked />
          <label class="check">
            <input
              type="checkbox"
              checked={isLive}
              onChange={() => go(linkHere({ live: isLive ? null : 1, range: isLive ? query.range : "15m" }))}
            />
            Live
          </label>
          {!query.id && <ExportMenu of="flows" query={{ ...given, ...bounds }} />}
          {!query.id && <Columns shown={wanted} all={columns.map(({ name, label }) => [name, label])} />}
        </div>
        {list.problem !== null && list.problem.field === null && <Notice problem={list.problem} />}
        <Assumed told={list.told.assumed} />
        {list.rows === null && list.problem === null && <Loading />}
        {list.rows?.length === 0 && list.problem === null && (totals?.last === null ? <NothingYet /> : (
          <Empty>
            {list.hasMore
              ? "No flow so far: the search is not through yet."
              : isFiltered
              ? "No flow fits this filter in this time."
              : "No flow is stored of this time."} <a href={linkHere({ range: "all" })}>Look at all times</a>
          </Empty>
        ))}
        {rows.length > 0 && (
          <Table
            caption="Flows, newest first"
            look="flows"
            columns={shown}
            rows={rows}
            idOf={({ flow_id }) => flow_id}
            chosen={query.id}
          />
        )}
        {rows.length === 0 && list.hasMore
          ? (
            <p class="more">
              <Button onPress={list.more}>Search on</Button>
            </p>
          )
          : <More list={list} word="flows" />}
      </div>
      {query.id && <FlowPanel key={query.id} id={query.id} />}
    </div>
  );
}

function useFlowKeys(open: string | undefined): void {
  const move = (step: number) => {
    const links = [...document.querySelectorAll<HTMLElement>("table.flows .row-link")];
    const row = document.activeElement?.closest("tr[data-id]") ?? document.querySelector("tr.chosen");
    const next = links[
      Math.min(
        links.length - 1,
        Math.max(0, links.findIndex((link) => link.closest("tr") === row) + step),
      )
    ];
    next?.focus();
    if (open && next) go(next.getAttribute("href")!, false);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    "/": () => document.querySelector<HTMLElement>(".filter input")?.focus(),
    Escape: () => {
      if (document.activeElement instanceof HTMLInputElement) return document.activeElement.blur();
      if (open) shut(open);
    },
  });
}

function FlowFilter({ problem }: { problem: Parameters<typeof FilterBar>[0]["problem"] }): VNode {
  return (
    <FilterBar label="Filter flows" names={filters} problem={problem}>
      <Typed name="ip" label="Address" placeholder="either end" />
      <Typed name="port" label="Port" placeholder="either end" />
      <Choice name="protocol" label="Protocol" values={protocols.map((one) => [one, one])} />
      <Typed name="app_protocol" label="Application" placeholder="dns, tls, http" />
      <Typed name="name" label="Name" placeholder="part of a name" />
      <FilterLine of="flows" />
    </FilterBar>
  );
}

/** What the API took for granted, as the filter did not say it. */
function Assumed({ told }: { told: unknown }): VNode | null {
  const { reason } = (told ?? {}) as { reason?: unknown };
  return typeof reason === "string" ? <p class="soft">{reason}</p> : null;
}

/** Filters that came with a link, each to be taken away. */
function Linked(): VNode {
  const { query } = usePlace();
  return (
    <>
      {linked.filter((name) => query[name]).map((name) => (
        <a key={name} class="chip" href={linkHere({ [name]: null })} title="Take this filter away">
          {name.replace("_id", "").replace("_", " ")}: <span class="wire">{query[name]}</span>{" "}
          <span aria-hidden="true">×</span>
          <span class="unseen">, take away</span>
        </a>
      ))}
    </>
  );
}

function Columns(
  { shown, all }: { shown: readonly string[]; all: readonly (readonly [name: string, label: string])[] },
): VNode {
  return (
    <details class="menu">
      <summary>Columns</summary>
      <fieldset>
        <legend class="unseen">Columns to show</legend>
        {all.filter(([name]) => name !== "start").map(([name, label]) => (
          <label key={name} class="check">
            <input
              type="checkbox"
              checked={shown.includes(name)}
              onChange={({ currentTarget: { checked } }) => {
                const next = checked ? [...shown, name] : shown.filter((one) => one !== name);
                go(linkHere({ cols: next.join(",") || "start" }), false);
              }}
            />
            {label}
          </label>
        ))}
      </fieldset>
    </details>
  );
}
