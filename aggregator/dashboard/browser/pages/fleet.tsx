/** The fleet: sensors, unwell first; policies; upgrades; join tokens. Three hundred sensors stay one screen. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { urgency } from "../../../fleet/urgency.ts";
import type { Fleet, FleetRow } from "../api.ts";
import { isAdmin, useApp } from "../app.ts";
import { useApi, useKeys } from "../hooks.ts";
import { type Column, Empty, Loading, Notice, Section, Table, Tabs } from "../parts.tsx";
import { go, linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { count, span } from "../text.ts";
import { FleetSquares, isUnwell, statusWords } from "./fleet_parts.tsx";
import { Refused } from "./refused.tsx";
import { Decision } from "./sensor_acts.tsx";
import { Policies } from "./policies.tsx";
import { TokensPage } from "./tokens.tsx";
import { Upgrades } from "./upgrades.tsx";

const shownMax = 350;
const unwellMax = 12;
const namedMax = 120;

const admins = [
  ["tokens", "Join tokens", () => <TokensPage />],
  ["refused", "Refused batches", () => <Refused />],
] as const;

export function FleetPage(): VNode {
  const app = useApp();
  const { query } = usePlace();
  const tabs: (readonly [name: string | null, title: string, show: () => VNode])[] = [
    [null, "Sensors", () => <Sensors />],
    ["policies", "Policies", () => <Policies />],
    ["upgrades", "Upgrades", () => <Upgrades />],
    ...isAdmin(app) ? admins : [],
  ];
  const open = tabs.find(([name]) => name === query.tab) ?? tabs[0];
  return (
    <>
      <Tabs
        label="Parts of the fleet"
        tabs={tabs.map(([name, title]) => ({
          title,
          href: linkTo("fleet", "", { tab: name }),
          isOpen: title === open[1],
        }))}
      />
      {open[2]()}
    </>
  );
}

function Sensors(): VNode {
  const { query } = usePlace();
  const { data, problem, again } = useApi<Fleet>("/fleet", {
    limit: shownMax,
    search: query.q,
    status: query.status,
    tag: query.tag,
    site: query.site,
  });
  useKeys({ "/": () => document.querySelector<HTMLElement>(".fleet-tools input")?.focus() });
  if (data === null) return problem ? <Notice problem={problem} /> : <Loading />;
  const { sensors: shown, now_ms: nowMs, summary, fitting } = data;
  if (data.total === 0) return <NoSensor trouble={data.problem} />;
  const unwell = shown.filter(isUnwell);
  const others = shown.filter((sensor) => !isUnwell(sensor));
  return (
    <>
      {data.problem !== null && <Notice problem={{ message: `The aggregator: ${data.problem}` }} />}
      <Summary summary={summary} />
      <Tools fleet={data} />
      {shown.length === 0 && (
        <Empty>
          No sensor fits. <a href={linkHere({ q: null, status: null, tag: null, site: null })}>Show all</a>
        </Empty>
      )}
      <Cut shown={shown.length} fitting={fitting} />
      {unwell.length > 0 && (
        <Section title="Unwell" note={`${count(unwell.length)}, the most urgent first`} class="wide">
          <Table
            caption="Sensors that are unwell"
            look="fleet"
            columns={columnsOf(nowMs, again)}
            rows={query.all ? unwell : unwell.slice(0, unwellMax)}
            idOf={({ sensor_id }) =>
              sensor_id}
          />
          {unwell.length > unwellMax && !query.all && (
            <p class="more">
              <a href={linkHere({ all: 1 })}>and {count(unwell.length - unwellMax)} more unwell</a>
            </p>
          )}
        </Section>
      )}
      {others.length > 0 && (
        <Section
          title={unwell.length > 0 ? "The others" : "Sensors"}
          note={count(others.length)}
          class="wide"
        >
          {others.length <= 20
            ? (
              <Table
                caption="Sensors that are well"
                look="fleet"
                columns={columnsOf(nowMs, again)}
                rows={others}
                idOf={({ sensor_id }) => sensor_id}
              />
            )
            : others.length <= namedMax
            ? <Names sensors={others} />
            : <FleetSquares sensors={others} />}
        </Section>
      )}
    </>
  );
}

function NoSensor({ trouble }: { trouble: string | null }): VNode {
  const app = useApp();
  return (
    <div class="panel">
      {trouble !== null && <Notice problem={{ message: `The aggregator: ${trouble}` }} />}
      <Empty>
        No sensor yet.{" "}
        {isAdmin(app) ? <a href={linkTo("fleet", "", { tab: "tokens" })}>Make a join token</a> : (
          <span>
            Make a join token with <code>picket-aggregator token create</code>
          </span>
        )} and type on the sensor what it says.
      </Empty>
    </div>
  );
}

function Summary({ summary }: { summary: Fleet["summary"] }): VNode {
  const { query } = usePlace();
  return (
    <ul class="counts">
      {urgency.filter((status) => summary[status] > 0).map((status) => (
        <li key={status}>
          <a
            href={linkHere({ status: query.status === status ? null : status })}
            aria-current={query.status === status ? "true" : undefined}
            class={`status-${status}`}
          >
            <strong class="number">{count(summary[status])}</strong> {statusWords(status)}
          </a>
        </li>
      ))}
    </ul>
  );
}

function Tools({ fleet }: { fleet: Fleet }): VNode {
  const { query } = usePlace();
  const choices = [{ name: "site", values: fleet.sites }, { name: "tag", values: fleet.tags }] as const;
  return (
    <form
      class="filter fleet-tools"
      role="search"
      aria-label="Search sensors"
      onSubmit={(event) => event.preventDefault()}
    >
      <label class="field">
        <span>Search</span>
        <input
          value={query.q ?? ""}
          placeholder="name, site, tag or reason"
          spellcheck={false}
          onInput={({ currentTarget: { value } }) => go(linkHere({ q: value || null }), false)}
        />
      </label>
      {choices.filter(({ name, values }) => values.length > 1 || query[name]).map(({ name, values }) => (
        <label key={name} class="field">
          <span>{name === "site" ? "Site" : "Tag"}</span>
          <select
            value={query[name] ?? ""}
            onChange={({ currentTarget: { value } }) =>
              go(linkHere({ [name]: value || null }))}
          >
            <option value="">any</option>
            {values.map((value) => <option key={value} value={value}>{value}</option>)}
          </select>
        </label>
      ))}
    </form>
  );
}

function Cut({ shown, fitting }: { shown: number; fitting: number }): VNode | null {
  if (fitting <= shown) return null;
  return <p class="more">The {count(shown)} most urgent of {count(fitting)}: search, or choose a status</p>;
}

function Names({ sensors }: { sensors: readonly FleetRow[] }): VNode {
  return (
    <ul class="names">
      {sensors.map(({ sensor_id, name, status, site }) => (
        <li key={sensor_id}>
          <a href={linkTo("fleet", name)} title={`${statusWords(status)}, ${site}`}>
            <i class={`dot status-${status}`} /> {name}
            {status !== "healthy" && <span class="unseen">, {statusWords(status)}</span>}
          </a>
        </li>
      ))}
    </ul>
  );
}

function columnsOf(nowMs: number, again: () => void): Column<FleetRow>[] {
  const lost = ({ conservation: kept }: FleetRow) =>
    kept && kept.dropped + kept.card_dropped + Math.abs(kept.unaccounted);
  return [
    {
      name: "sensor",
      label: "Sensor",
      cell: ({ name, site, tags }) => (
        <span>
          <a class="row-link" href={linkTo("fleet", name)}>{name}</a>{" "}
          <span class="soft small">{[site, ...tags].join(" · ")}</span>
        </span>
      ),
    },
    {
      name: "status",
      label: "Status",
      cell: (sensor) => (
        <span>
          <span class={`status status-${sensor.status}`}>{statusWords(sensor.status)}</span>{" "}
          <Decision sensor={sensor} onDone={again} />
        </span>
      ),
    },
    {
      name: "why",
      label: "Why",
      cell: ({ reasons }) =>
        reasons.length === 0
          ? <span class="soft">Sees packets, loses none</span>
          : (
            <span title={reasons.join("\n")}>
              {reasons[0]} {reasons.length > 1 && <span class="soft">and {reasons.length - 1} more</span>}
            </span>
          ),
    },
    {
      name: "source",
      label: "Source",
      cell: ({ capture }) => <span class="wire">{capture?.source}</span>,
    },
    {
      name: "packets",
      label: "Packets",
      isNumber: true,
      cell: ({ conservation }) => conservation ? count(conservation.packets) : "",
    },
    {
      name: "lost",
      label: "Lost",
      isNumber: true,
      cell: (sensor) => lost(sensor) === null ? "" : count(lost(sensor)!),
    },
    {
      name: "checked",
      label: "Last check-in",
      isNumber: true,
      cell: ({ last_check_in_ms: ms }) => ms === null ? "never" : `${span((nowMs - ms) / 1000)} ago`,
    },
  ];
}
