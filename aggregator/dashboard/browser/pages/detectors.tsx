/** Detectors with their limits in force; what an operator changed stands out. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApi } from "../hooks.ts";
import { type Column, Empty, Loading, Notice, Section, Table } from "../parts.tsx";
import { go, linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { count } from "../text.ts";

interface Limit {
  name: string;
  value: number;
  unit: string;
  why: string;
  default: number;
}

interface Detector {
  name: string;
  title: string;
  technique: string;
  about: string;
  is_on: boolean;
  findings: number;
  precision: number | null;
  limits: Limit[];
}

export function Detectors(): VNode {
  const { query } = usePlace();
  const { data, problem, isMissing } = useApi<{ rows: Detector[] }>("/detectors");
  const wanted = (query.q ?? "").toLowerCase();
  const rows = (data?.rows ?? []).filter(({ name, title, about, technique }) =>
    [name, title, about, technique].some((text) => text.toLowerCase().includes(wanted))
  );
  return (
    <Section
      title="Detectors"
      class="wide"
      note={data ? `${count(rows.length)}; set by serve --limit and --detector-off` : undefined}
    >
      {isMissing
        ? <Empty>This instance does not detect: one with the role detect lists detectors.</Empty>
        : <Notice problem={problem} />}
      {data === null && problem === null && <Loading />}
      {data !== null && (
        <form
          class="filter"
          role="search"
          aria-label="Search detectors"
          onSubmit={(event) => event.preventDefault()}
        >
          <label class="field">
            <span>Search</span>
            <input
              value={query.q ?? ""}
              placeholder="scan, T1046, dns"
              spellcheck={false}
              onInput={({ currentTarget: { value } }) => go(linkHere({ q: value || null }), false)}
            />
          </label>
        </form>
      )}
      {data !== null && rows.length === 0 && (
        <Empty>
          No detector fits. <a href={linkHere({ q: null })}>Show all</a>
        </Empty>
      )}
      {rows.length > 0 && (
        <Table
          caption="Detectors"
          look="small"
          columns={columns}
          rows={rows}
          idOf={({ name }) => name}
        />
      )}
    </Section>
  );
}

const columns: readonly Column<Detector>[] = [
  {
    name: "detector",
    label: "Detector",
    cell: ({ name, title }) => <a href={linkTo("threats", "", { detector: name })}>{title}</a>,
  },
  { name: "about", label: "Finds", cell: ({ about }) => about },
  { name: "technique", label: "Technique", cell: ({ technique }) => technique },
  { name: "on", label: "State", cell: ({ is_on }) => is_on ? "on" : <strong>off</strong> },
  { name: "findings", label: "Threats", isNumber: true, cell: ({ findings }) => count(findings) },
  {
    name: "right",
    label: "Precision",
    title: "Share of true attacks among the threats with feedback",
    isNumber: true,
    cell: ({ precision }) => precision === null ? "" : `${Math.round(precision * 100)} %`,
  },
  { name: "limits", label: "Limits", cell: Limits },
];

function Limits({ name, limits }: Detector): VNode {
  const changed = limits.filter((limit) => limit.value !== limit.default).length;
  return (
    <details>
      <summary>{limits.length}{changed > 0 && <strong>{`, ${changed} changed`}</strong>}</summary>
      <dl class="facts">
        {limits.map((limit) => [
          <dt key={limit.name} class="wire">{name}.{limit.name}</dt>,
          <dd key={`${limit.name}:`} title={limit.why}>
            <span class="number">{limit.value}</span> {limit.unit}
            {limit.value !== limit.default && <strong>{` (default ${limit.default})`}</strong>}
          </dd>,
        ])}
      </dl>
    </details>
  );
}

/** Names to choose from, for an input whose list is "detectors". */
export function DetectorNames(): VNode {
  const { data } = useApi<{ rows: { name: string; title: string }[] }>("/detectors", {}, false);
  return (
    <datalist id="detectors">
      {data?.rows.map(({ name, title }) => <option key={name} value={name}>{title}</option>)}
    </datalist>
  );
}
