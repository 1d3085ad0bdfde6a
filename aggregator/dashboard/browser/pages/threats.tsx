/** Threats: a dense table to work through by keyboard, a filter line, and one of them open beside it.
 *
 * In the address: the filter, and `id` of the open one.
 * Keys: j and k, Enter, a = acknowledge, s = close, x = choose, / = filter. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { isOfSensor, severities, type ThreatStatus, threatStatuses } from "../../../model/threat.ts";
import { countriesText, placeText } from "../../../model/place.ts";
import type { Threat } from "../api.ts";
import { ask, mayDecide, nowS, refresh, useApp } from "../app.ts";
import { type List, useAction, useBounds, useKeys, useList } from "../hooks.ts";
import {
  Badge,
  Button,
  type Column,
  Empty,
  Loading,
  More,
  NothingYet,
  Notice,
  Some,
  Table,
  When,
} from "../parts.tsx";
import { go, linkHere, usePlace } from "../place.ts";
import { useEffect, useState, type VNode } from "../preact.ts";
import type { Bounds } from "../range.ts";
import { count, fullTime, plural, span } from "../text.ts";
import { Choice, FilterBar, Typed } from "../filter_bar.tsx";
import { shut } from "../side_panel.tsx";
import { FilterLine } from "../filter_line.tsx";
import { ExportMenu } from "../export_menu.tsx";
import { DetectorNames } from "./detectors.tsx";
import { ThreatPanel } from "./threat_panel.tsx";

const pageRows = 100;
const filters = ["severity_min", "status", "suppressed", "ip", "detector", "filter"] as const;

export function ThreatsPage(): VNode {
  const app = useApp();
  const { query } = usePlace();
  const bounds = useBounds();
  const given = Object.fromEntries(filters.map((name) => [name, query[name]]));
  const list = useList<Threat>("/threats", { ...given, ...bounds, limit: pageRows });
  const rows = list.rows ?? [];
  const mayChange = mayDecide(app);
  const { chosen, setChosen, change, toggle, said, problem, isBusy } = useDecisions(
    list,
    mayChange,
    query.id,
    JSON.stringify(given),
  );
  useThreatKeys(change, toggle, query.id);
  return (
    <div class={query.id ? "split" : ""}>
      <div class="list">
        <ThreatFilter problem={list.problem} />
        <Decide
          chosen={chosen}
          change={change}
          isBusy={isBusy}
          clear={() => setChosen(new Set())}
          all={() => setChosen(new Set(rows.map(({ id }) => id)))}
        />
        <Notice problem={problem} />
        <p class="soft" role="status">{said}</p>
        <Found list={list} isFiltered={filters.some((name) => query[name])} />
        {rows.length > 0 && (
          <Table
            caption="Threats, newest first"
            look="threats"
            columns={columnsOf(
              bounds,
              nowS(app),
              mayChange ? { chosen, toggle } : null,
              query.id !== undefined,
            ).filter(({ name }) => name !== "country" || rows.some(({ outside }) => outside))}
            rows={rows}
            idOf={({ id }) => id}
            chosen={query.id}
          />
        )}
        <div class="list-tools">
          <More list={list} word="threats" />
          {rows.length > 0 && <ExportMenu of="threats" query={{ ...given, ...bounds }} />}
        </div>
        <p class="soft small keys">
          <kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> open{mayChange && (
            <>
              , <kbd>a</kbd> acknowledge, <kbd>s</kbd> close, <kbd>x</kbd> choose
            </>
          )}, <kbd>/</kbd> filter, <kbd>Esc</kbd> close the panel
        </p>
      </div>
      {query.id && <ThreatPanel key={query.id} id={query.id} onChange={list.again} />}
    </div>
  );
}

/** Which threats are chosen, and what is decided about them:
 * those chosen, or else the one in focus, or else the open one. */
function useDecisions(list: List<Threat>, mayChange: boolean, open: string | undefined, filter: string) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [said, setSaid] = useState("");
  const action = useAction();
  // What is no longer on the page must not be decided with the rest.
  useEffect(() => setChosen(new Set()), [filter]);
  const change = (status: ThreatStatus) => {
    const id = focusedRow()?.dataset.id ?? open;
    const ids = chosen.size > 0 ? [...chosen] : id === undefined ? [] : [id];
    if (!mayChange || ids.length === 0) return;
    action.run(async () => {
      for (const id of ids) await ask("POST", `api/v1/threats/${id}/status`, { status });
      setSaid(`${plural(ids.length, "threat")} ${status === "open" ? "reopened" : status}`);
      setChosen(new Set());
      list.again();
      await refresh();
    });
  };
  const toggle = (id: string) =>
    setChosen((before) =>
      before.has(id) ? new Set([...before].filter((one) => one !== id)) : new Set([...before, id])
    );
  return { ...action, chosen, setChosen, change, toggle, said };
}

function focusedRow(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>("table.threats tr[data-id]") ?? null;
}

function useThreatKeys(
  change: (status: ThreatStatus) => void,
  toggle: (id: string) => void,
  open: string | undefined,
): void {
  const move = (step: number) => {
    const links = [...document.querySelectorAll<HTMLElement>("table.threats .row-link")];
    const at = links.findIndex((link) =>
      link.closest("tr") === (focusedRow() ?? document.querySelector("tr.chosen"))
    );
    const next = links[Math.min(links.length - 1, Math.max(0, at + step))];
    next?.focus();
    if (open && next) go(next.getAttribute("href")!, false);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    a: () => change("acknowledged"),
    s: () => change("closed"),
    x: () => {
      const id = focusedRow()?.dataset.id;
      if (id) toggle(id);
    },
    "/": () => document.querySelector<HTMLElement>(".filter input")?.focus(),
    Escape: () => {
      if (document.activeElement instanceof HTMLInputElement) return document.activeElement.blur();
      if (open) shut(open);
    },
  });
}

function ThreatFilter({ problem }: { problem: List<Threat>["problem"] }): VNode {
  return (
    <FilterBar label="Filter threats" names={filters} problem={problem}>
      <Choice
        name="severity_min"
        label="Severity"
        values={severities.slice(1).map((one) => [one, `${one} and up`])}
      />
      <Choice name="status" label="Status" values={threatStatuses.map((one) => [one, one])} />
      <Choice name="suppressed" label="Suppressed" none="hidden" values={[["true", "shown too"]]} />
      <Typed name="ip" label="Address" placeholder="attacker or victim" />
      <Typed name="detector" label="Detector" placeholder="beacon" list="detectors" />
      <DetectorNames />
      <FilterLine of="threats" />
    </FilterBar>
  );
}

function Decide(
  { chosen, change, isBusy, clear, all }: {
    chosen: ReadonlySet<string>;
    change: (status: ThreatStatus) => void;
    isBusy: boolean;
    clear: () => void;
    all: () => void;
  },
): VNode | null {
  if (chosen.size === 0) return null;
  return (
    <div class="decide" role="group" aria-label="Threats chosen">
      <strong>{count(chosen.size)} chosen</strong>
      <Button kind="main" disabled={isBusy} onPress={() => change("acknowledged")}>Acknowledge</Button>
      <Button disabled={isBusy} onPress={() => change("closed")}>Close</Button>
      <Button disabled={isBusy} onPress={() => change("open")}>Reopen</Button>
      <Button onPress={all}>Choose all shown</Button>
      <Button onPress={clear}>Choose none</Button>
    </div>
  );
}

function Found({ list, isFiltered }: { list: List<Threat>; isFiltered: boolean }): VNode | null {
  const { totals } = useApp();
  if (list.problem !== null && list.problem.field === null) return <Notice problem={list.problem} />;
  if (list.rows === null) return <Loading />;
  if (list.rows.length > 0) return null;
  if (totals?.last === null) return <NothingYet />;
  const none = Object.fromEntries(filters.map((name) => [name, null]));
  return isFiltered
    ? (
      <Empty>
        No threat fits this filter in this time. <a href={linkHere(none)}>Clear the filter</a>
      </Empty>
    )
    : (
      <Empty>
        No threat was found in this time. <a href={linkHere({ range: "all" })}>Look at all times</a>
      </Empty>
    );
}

interface Chooser {
  chosen: ReadonlySet<string>;
  toggle: (id: string) => void;
}

function columnsOf(
  bounds: Bounds,
  now: number,
  chooser: Chooser | null,
  isNarrow: boolean,
): Column<Threat>[] {
  const choose: Column<Threat>[] = chooser === null ? [] : [{
    name: "choose",
    label: "",
    title: "Choose",
    cell: ({ id, title }) => (
      <input
        type="checkbox"
        aria-label={`Choose ${title}`}
        checked={chooser.chosen.has(id)}
        onChange={() => chooser.toggle(id)}
      />
    ),
  }];
  const columns: Column<Threat>[] = [
    ...choose,
    {
      name: "severity",
      label: "Severity",
      cell: ({ severity }) => <Badge tone={severity}>{severity}</Badge>,
    },
    {
      name: "kind",
      label: "Kind",
      cell: ({ id, title }) => <a class="row-link" href={linkHere({ id })}>{title}</a>,
    },
    { name: "ends", label: "Who → whom", cell: Ends },
    {
      name: "country",
      label: "Country",
      title: "Country of the party outside",
      cell: ({ outside = [] }) => (
        <span title={outside.map((one) => `${one.ip}: ${placeText(one)}`).join("\n") || undefined}>
          {countriesText(outside)}
        </span>
      ),
    },
    { name: "count", label: "Count", isNumber: true, title: "Count", cell: (threat) => count(threat.count) },
    {
      name: "span",
      label: "When",
      title: "When in this time",
      cell: (threat) => <Span threat={threat} bounds={bounds} />,
    },
    {
      name: "age",
      label: "Last seen",
      isNumber: true,
      cell: ({ last_seen }) => <When at={Math.min(now, last_seen)} isAge />,
    },
    {
      name: "status",
      label: "Status",
      cell: ({ status, suppressed_by }) => (
        <span class={`state-${status}`}>{suppressed_by ? `${status}, suppressed` : status}</span>
      ),
    },
    { name: "site", label: "Site", cell: ({ network }) => network },
  ];
  return isNarrow
    ? columns.filter(({ name }) => !["country", "count", "span", "site"].includes(name))
    : columns;
}

function Ends(threat: Threat): VNode {
  const { src_ips, dst_ips, dst_port, words } = threat;
  if (isOfSensor(threat)) return <span>{words?.summary.split(":")[0]}</span>;
  return (
    <span>
      <Some list={src_ips} /> <span class="soft" aria-label="to">→</span> <Some list={dst_ips} />
      {dst_port !== null && <span class="soft">{` port ${dst_port}`}</span>}
    </span>
  );
}

/** When in the range it went on: from its first to its last packet. */
function Span({ threat, bounds }: { threat: Threat; bounds: Bounds }): VNode {
  const { first_seen, last_seen, severity } = threat;
  const [from, to] = [bounds.from ?? first_seen, bounds.to ?? last_seen];
  const share = (time: number) => Math.min(1, Math.max(0, (time - from) / Math.max(1, to - from)));
  const left = share(first_seen) * 96;
  const words = `${fullTime(first_seen)}, for ${span(last_seen - first_seen)}`;
  return (
    <svg class="span" viewBox="0 0 100 12" role="img" aria-label={words}>
      <title>{words}</title>
      <line class="rule" x1="0" x2="100" y1="6" y2="6" />
      <rect
        class={`tone-${severity}`}
        x={left}
        y="3"
        height="6"
        rx="2"
        width={Math.max(4, share(last_seen) * 100 - left)}
      />
    </svg>
  );
}
