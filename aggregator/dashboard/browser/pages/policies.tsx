/** Policies: what the fleet sets on its sensors, who has applied it, and every version with what it changed.
 *
 * In the address: `policy`, the one that is open; `edit`, the version that a new one begins with.
 * Out: to the API: a new version, an end. Administrators alone change policies. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { PolicyRow } from "../../../model/policy.ts";
import { policyDifference, type PolicySettings } from "../../../../shared/policy.ts";
import { ask, isAdmin, refresh, useApp } from "../app.ts";
import { type Asked, useAction, useApi } from "../hooks.ts";
import { type Column, Empty, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { go, linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { count, plural } from "../text.ts";
import { type Draft, PolicyForm } from "./policy_form.tsx";
import { Twice } from "./sensor_acts.tsx";

interface InForce extends PolicyRow {
  settings: PolicySettings;
  wanted: number;
  actual: number;
  rolled_back: number;
}

interface SensorPolicy {
  sensor_id: string;
  name: string;
  wanted: number;
  /** 0 = its own options. */
  actual: number;
  problem: string | null;
  kept: string[];
}

interface OnePolicy {
  rows: InForce[];
  sensors: SensorPolicy[];
}

const shownMax = 250;
const empty: Draft = { name: "", target: "tag=canary", settings: null };

export function Policies(): VNode {
  const { query } = usePlace();
  const app = useApp();
  const list = useApi<{ rows: InForce[] }>("/policies");
  if (query.policy) return <OpenPolicy key={query.policy} name={query.policy} list={list} />;
  const rows = list.data?.rows ?? [];
  return (
    <>
      {query.edit === "new" && <Edit given={empty} list={list} />}
      <Section
        title="Policies"
        class="wide"
        note="what the fleet sets on its sensors; a sensor's own options win"
        acts={isAdmin(app) && !query.edit
          ? <a class="button main" href={linkHere({ edit: "new" })}>Make a policy</a>
          : undefined}
      >
        <Notice problem={list.problem} />
        {list.isLoading && <Loading />}
        {list.data !== null && rows.length === 0 && (
          <Empty>No policy is set: each sensor runs with its own options.</Empty>
        )}
        {rows.length > 0 && (
          <Table
            caption="Policies in force"
            look="small"
            columns={inForceColumns}
            rows={rows}
            idOf={({ version }) => String(version)}
          />
        )}
      </Section>
    </>
  );
}

function Edit({ given, list }: { given: Draft; list: Asked<{ rows: InForce[] }> }): VNode | null {
  if (!isAdmin(useApp())) return null;
  const leave = (name: string | null) => {
    go(linkHere({ edit: null, ...name !== null && { policy: name } }));
    if (name !== null) void refresh();
  };
  return (
    <Section title={given.name === "" ? "New policy" : `New version of ${given.name}`} class="wide">
      <PolicyForm
        key={JSON.stringify(given)}
        given={given}
        inForce={list.data?.rows ?? []}
        onMade={leave}
        onLeave={() => leave(null)}
      />
    </Section>
  );
}

function OpenPolicy({ name, list }: { name: string; list: Asked<{ rows: InForce[] }> }): VNode {
  const mayChange = isAdmin(useApp());
  const { query } = usePlace();
  const path = `/policies/${encodeURIComponent(name)}`;
  const one = useApi<OnePolicy>(path);
  const past = useApi<{ rows: PolicyRow[] }>(`${path}/history`);
  const action = useAction();
  const end = () =>
    action.run(async () => {
      await ask("DELETE", `api/v1${path}`);
      await refresh();
    });
  const versions = past.data?.rows ?? [];
  const begun = versions.find(({ version }) => String(version) === query.edit);
  // Of a policy that ended nothing is in force, whatever was answered before.
  const data = one.isMissing ? null : one.data;
  if (past.isMissing) {
    return (
      <Empty>
        No policy has this name. <a href={linkTo("fleet", "", { tab: "policies" })}>All policies</a>
      </Empty>
    );
  }
  return (
    <>
      <p class="crumb">
        <a href={linkHere({ policy: null, edit: null })}>All policies</a>
      </p>
      {begun && <Edit given={begun} list={list} />}
      <Section
        title={`Policy ${name}`}
        class="wide"
        acts={mayChange && data !== null
          ? <Twice word="End this policy" question="Do its sensors go back to what they had?" onSure={end} />
          : undefined}
      >
        <Notice problem={one.isMissing ? action.problem : one.problem ?? action.problem} />
        {one.isLoading && <Loading />}
        {one.isMissing && <Empty>It ended: its sensors have other policies or their own options.</Empty>}
        {data !== null && (
          <Table
            caption={`Versions of ${name} in force`}
            look="small"
            columns={[
              ...inForceColumns.filter((column) => column.name !== "policy"),
              ...mayChange ? [changeColumn("Change")] : [],
            ]}
            rows={data.rows}
            idOf={({ version }) => String(version)}
          />
        )}
      </Section>
      {data !== null && <Takers sensors={data.sensors} />}
      <Section title="History" class="wide" note="every version, newest first">
        <Notice problem={past.problem} />
        <Table
          caption={`Every version of ${name}`}
          look="small"
          columns={[...historyColumns(versions), ...mayChange ? [changeColumn("Set again")] : []]}
          rows={versions}
          idOf={({ version }) => String(version)}
        />
      </Section>
    </>
  );
}

function Takers({ sensors }: { sensors: readonly SensorPolicy[] }): VNode {
  const rank = ({ problem, wanted, actual }: SensorPolicy) =>
    problem !== null ? 0 : wanted !== actual ? 1 : 2;
  const rows = [...sensors].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, "en"));
  return (
    <Section title="Who has applied it" class="wide" note="trouble first">
      {rows.length === 0 && <Empty>It is for no sensor that is here.</Empty>}
      {rows.length > 0 && (
        <Table
          caption="Sensors that should have it"
          look="small"
          columns={takerColumns}
          rows={rows.slice(0, shownMax)}
          idOf={({ sensor_id }) => sensor_id}
        />
      )}
      {rows.length > shownMax && <p class="soft more">The first {shownMax} of {count(rows.length)}.</p>}
    </Section>
  );
}

const targetWords = (target: string) =>
  target === "all"
    ? "all sensors"
    : target.startsWith("tag=")
    ? `sensors tagged ${target.slice(4)}`
    : `sensor ${target.slice(7)}`;

const inForceColumns: readonly Column<InForce>[] = [
  {
    name: "policy",
    label: "Policy",
    cell: ({ name }) => <a href={linkHere({ policy: name, edit: null })}>{name}</a>,
  },
  { name: "version", label: "Version", isNumber: true, cell: ({ version }) => version },
  { name: "for", label: "For", cell: ({ target }) => targetWords(target) },
  { name: "settings", label: "Sets", cell: ({ settings }) => <Lines lines={settingLines(settings)} /> },
  {
    name: "applied",
    label: "Applied",
    cell: ({ wanted, actual, rolled_back }) => (
      <span>
        {wanted === 0 ? "for no sensor here" : `by ${count(actual)} of ${plural(wanted, "sensor")}`}
        {rolled_back > 0 && <span class="status status-blind">{`, ${count(rolled_back)} rolled back`}</span>}
      </span>
    ),
  },
  { name: "by", label: "Set by", cell: By },
];

const takerColumns: readonly Column<SensorPolicy>[] = [
  { name: "taker", label: "Sensor", cell: ({ name }) => <a href={linkTo("fleet", name)}>{name}</a> },
  {
    name: "has",
    label: "State",
    cell: ({ wanted, actual, problem }) =>
      problem !== null
        ? (
          <span>
            <span class="status status-blind">rolled back</span> <Wire>{problem}</Wire>
          </span>
        )
        : actual === wanted
        ? <span class="status status-healthy">applied</span>
        : <span class="status status-pending">waits for its next check-in</span>,
  },
  {
    name: "version",
    label: "Has",
    cell: ({ actual, wanted }) =>
      `${actual === 0 ? "its own options" : `version ${actual}`}${
        actual === wanted ? "" : `, should have ${wanted}`
      }`,
  },
  { name: "kept", label: "Kept by its own options", cell: ({ kept }) => <Wire>{kept.join(", ")}</Wire> },
];

function historyColumns(versions: readonly PolicyRow[]): Column<PolicyRow>[] {
  return [
    { name: "version", label: "Version", isNumber: true, cell: ({ version }) => version },
    {
      name: "for",
      label: "For",
      cell: ({ target, settings }) => settings === null ? "" : targetWords(target),
    },
    {
      name: "settings",
      label: "What changed",
      cell: (row) => {
        const earlier = versions[versions.indexOf(row) + 1];
        if (row.settings === null) return <strong>the policy ended</strong>;
        const lines = earlier?.settings
          ? policyDifference(earlier.settings, row.settings).map((line) => line.replace("->", "→"))
          : settingLines(row.settings);
        return lines.length === 0 ? <span class="soft">only for whom it is</span> : <Lines lines={lines} />;
      },
    },
    { name: "by", label: "Set by", cell: By },
  ];
}

function changeColumn(word: string): Column<PolicyRow> {
  return {
    name: "acts",
    label: "",
    title: word,
    cell: ({ version, settings }) =>
      settings !== null && <a class="button" href={linkHere({ edit: version })}>{word}</a>,
  };
}

function settingLines(settings: PolicySettings): string[] {
  const lines = policyDifference({}, settings).map((line) => line.replace("not set -> ", ""));
  return lines.length === 0 ? ["nothing"] : lines;
}

function Lines({ lines }: { lines: readonly string[] }): VNode {
  return <ul class="wire">{lines.map((line) => <li key={line}>{line}</li>)}</ul>;
}

function By({ created_by, created_ms }: PolicyRow): VNode {
  return (
    <span>
      <Wire>{created_by}</Wire>{" "}
      <span class="soft small">
        <When at={created_ms / 1000} />
      </span>
    </span>
  );
}
