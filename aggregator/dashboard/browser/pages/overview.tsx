/** Overview: what is wrong now, whether every sensor sees what it should, and the traffic. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { severities } from "../../../model/threat.ts";
import type { ProtocolTotal, TopTalker } from "../../../model/traffic.ts";
import type { Fleet, FleetRow, HostRow, Incident, Rows, Series } from "../api.ts";
import { isAdmin, useApp } from "../app.ts";
import { Chart, chartOf } from "../chart.tsx";
import { type Asked, useApi, useBounds } from "../hooks.ts";
import { Badge, Bars, Empty, HostLink, Loading, Notice, Section, Some, When } from "../parts.tsx";
import { linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { rangeBetween, readRange, standardRange } from "../range.ts";
import { boundsText, setRange } from "../range_bar.tsx";
import { bytes, count, plural } from "../text.ts";
import { byUrgency, FleetSquares, isUnwell, statusWords } from "./fleet_parts.tsx";

const incidentsMax = 5;
const listMax = 8;
const marksMax = 100;
const newHostsMax = 10;
const chartMin = 200;
const unwellMax = 5;
const sensorsMax = 350;

interface Incidents {
  rows: Incident[];
  incidents: number;
  is_cut: boolean;
}

export function Overview(): VNode {
  const incidents = useApi<Incidents>("/incidents", { ...useBounds(), limit: 50 });
  const fleet = useApi<Fleet>("/fleet", { limit: sensorsMax });
  const { totals } = useApp();
  if (totals?.last === null && fleet.data?.total === 0) return <FirstSteps trouble={fleet.data.problem} />;
  return (
    <div class="overview">
      <div class="chief">
        <Wrong incidents={incidents} />
        <Traffic incidents={incidents.data?.rows ?? []} />
      </div>
      <div class="beside">
        <Watched fleet={fleet} />
        <NewHosts />
        <Protocols />
      </div>
      <Talkers />
    </div>
  );
}

/** Of an aggregator that nobody has joined yet. */
function FirstSteps({ trouble }: { trouble: string | null }): VNode {
  const app = useApp();
  return (
    <Section title="Nothing is watched yet" class="first-steps">
      {trouble !== null && <Notice problem={{ message: `The aggregator: ${trouble}` }} />}
      <ol>
        <li>
          {isAdmin(app)
            ? <a href={linkTo("fleet", "", { tab: "tokens" })}>Make a join token</a>
            : <span>Ask an administrator for a join token</span>}: it lets one sensor in, once.
        </li>
        <li>
          On the machine that sees the traffic, type the command that comes with the token. It enrols the
          sensor.
        </li>
        <li>
          Start it with <code>picket-sensor run</code>. Sensors and traffic appear here within seconds.
        </li>
      </ol>
      <p class="soft">
        Only a capture file at hand? <code>picket-sensor replay FILE --ship</code>{" "}
        sends it through an enrolled sensor.
      </p>
    </Section>
  );
}

function Wrong({ incidents: { data, problem } }: { incidents: Asked<Incidents> }): VNode {
  const open = data?.rows.filter(({ status }) => status === "open") ?? [];
  const isMore = data !== null && (data.is_cut || data.incidents > data.rows.length);
  const note = data === null
    ? undefined
    : open.length === 0
    ? "nothing is open in this time"
    : `${isMore ? "more than " : ""}${plural(open.length, "open incident")}, worst first`;
  return (
    <Section
      title="What is wrong now"
      note={note}
      acts={open.length > 0 && <Severities incidents={open} isMore={isMore} />}
    >
      <Notice problem={problem} />
      {data === null && problem === null && <Loading />}
      {data !== null && open.length === 0 && (
        <Empty>
          No open threat in this time. <a href={linkTo("threats")}>All threats of this time</a>
        </Empty>
      )}
      <ol class="incidents">
        {open.slice(0, incidentsMax).map((one) => <IncidentItem key={one.id} incident={one} />)}
      </ol>
      {open.length > incidentsMax && (
        <p class="more">
          <a href={linkTo("threats", "", { status: "open" })}>All open threats</a>
        </p>
      )}
    </Section>
  );
}

/** How many of each severity, the worst first; each leads to its threats. */
function Severities({ incidents, isMore }: { incidents: readonly Incident[]; isMore: boolean }): VNode {
  const counts = [...severities].reverse().map((severity) => ({
    severity,
    n: incidents.filter((one) => one.severity === severity).length,
  }));
  const least = counts.findLast(({ n }) => n > 0)?.severity;
  return (
    <ul class="severities" aria-label="Open incidents by severity">
      {counts.filter(({ n }) => n > 0).map(({ severity, n }) => (
        <li key={severity}>
          <a
            class={`tone-${severity}`}
            href={linkTo("threats", "", { severity_min: severity, status: "open" })}
          >
            {/* The worst come first, so that only the last kind can be cut. */}
            <strong class="number">{count(n)}{isMore && severity === least ? "+" : ""}</strong> {severity}
          </a>
        </li>
      ))}
    </ul>
  );
}

function IncidentItem({ incident }: { incident: Incident }): VNode {
  const { severity, actors, targets, timeline, threats, last_seen, network, stages } = incident;
  const last = timeline.at(-1);
  const worst = timeline.find((step) => step.severity === severity) ?? last;
  const shown = timeline.slice(-4);
  return (
    <li class={`incident tone-${severity}`}>
      <div class="incident-top">
        <Badge tone={severity}>{severity}</Badge>
        <h3>
          <a href={linkTo("threats", "", { id: worst?.threat_id, ip: threats > 1 ? actors[0] : null })}>
            {worst?.title ?? "Threats"}
          </a>
        </h3>
        <span class="soft small">
          <When at={last_seen} isAge />
        </span>
      </div>
      <p class="ends">
        {actors.length + targets.length > 0 && (
          <>
            {actors.length === 1 ? <HostLink ip={actors[0]} /> : <Some list={actors} />}
            <span class="soft" aria-hidden="true">→</span>
            <span class="unseen">to</span>
            {targets.length === 1 ? <HostLink ip={targets[0]} /> : <Some list={targets} />}
          </>
        )}
        <span class="soft">
          {[plural(threats, "threat"), network, ...stages.length > 1 ? [stages.join(" → ")] : []].join(" · ")}
        </span>
      </p>
      {worst && <p class="sentence">{worst.summary}</p>}
      {threats > 1 && (
        <ul class="steps">
          {shown.map((step) => (
            <li key={step.threat_id}>
              <a href={linkTo("threats", "", { id: step.threat_id })}>{step.stage}: {step.title}</a>
              <span class="soft small">
                <When at={step.first_seen} />
              </span>
            </li>
          ))}
          {threats > shown.length && (
            <li>
              <a href={linkTo("threats", "", { ip: actors[0] })}>
                and {count(threats - shown.length)} before
              </a>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function Watched({ fleet: { data, problem } }: { fleet: Asked<Fleet> }): VNode {
  if (data === null) {
    return <Section title="Sensors">{problem ? <Notice problem={problem} /> : <Loading />}</Section>;
  }
  const { sensors, summary, conservation, total } = data;
  const fine = summary.healthy;
  const unwell = sensors.filter(isUnwell).sort(byUrgency);
  const lost = conservation.dropped + conservation.card_dropped + Math.abs(conservation.unaccounted);
  return (
    <Section
      title="Sensors"
      class="watched"
      note={sensors.length === 0 ? undefined : `${count(fine)} of ${count(total)} healthy`}
    >
      {data.problem !== null && <Notice problem={{ message: `The aggregator: ${data.problem}` }} />}
      {sensors.length === 0
        ? (
          <Empty>
            No sensor yet. <a href={linkTo("fleet", "", { tab: "tokens" })}>Make a join token</a>{" "}
            and type on the sensor what it says.
          </Empty>
        )
        : <FleetSquares sensors={sensors} />}
      {unwell.length > 0 && <Unwell sensors={unwell.slice(0, unwellMax)} />}
      {unwell.length > unwellMax && (
        <p class="more">
          <a href={linkTo("fleet")}>and {count(unwell.length - unwellMax)} more unwell</a>
        </p>
      )}
      {sensors.length > 0 && (
        <p class="soft small">
          {total > sensors.length && `The ${count(sensors.length)} most urgent sensors are shown. `}
          {count(conservation.packets)} packets seen, {lost === 0 ? "none lost" : `${count(lost)} lost`};{" "}
          {count(conservation.in_flows)} in flows
        </p>
      )}
    </Section>
  );
}

function Unwell({ sensors }: { sensors: readonly FleetRow[] }): VNode {
  return (
    <ul class="unwell">
      {sensors.map(({ sensor_id, name, status, reasons }) => (
        <li key={sensor_id}>
          <a href={linkTo("fleet", name)}>{name}</a>{" "}
          <span class={`status status-${status}`}>{statusWords(status)}</span>
          <span class="soft small reason" title={reasons.join("\n")}>{reasons[0]}</span>
        </li>
      ))}
    </ul>
  );
}

/** What an answer that is there anyway says of when threats began: they need no question of their own. */
function marksOf(incidents: readonly Incident[]) {
  const steps = incidents.flatMap(({ timeline }) => timeline).filter(({ severity }) =>
    severities.indexOf(severity) >= severities.indexOf("medium")
  );
  return steps.slice(0, marksMax).map(({ threat_id: id, first_seen: at, severity, title }) => ({
    id,
    at,
    severity,
    title,
    href: linkTo("threats", "", { id }),
  }));
}

function Traffic({ incidents }: { incidents: readonly Incident[] }): VNode {
  const { totals } = useApp();
  const bounds = useBounds();
  const { query } = usePlace();
  const path = totals === null || totals.last === null ? null : "/stats/series";
  const isLast = readRange(query.range).kind !== "between";
  const first = totals?.first ?? undefined;
  // A range longer than what is stored would be an empty picture.
  const from = isLast ? Math.max(bounds.from ?? 0, first ?? 0) : bounds.from;
  const span = { from, to: bounds.to ?? totals?.last ?? undefined };
  const { data, problem } = useApi<Series>(path, { ...span, by: "protocol" });
  // The quieter it is, the more room has the traffic.
  const open = incidents.filter(({ status }) => status === "open").length;
  const height = chartMin + 45 * Math.max(0, incidentsMax - open);
  return (
    <Section
      title="Traffic"
      note={data ? `${boundsText(data)}; drag across it to zoom` : undefined}
      acts={query.range && query.range !== standardRange
        ? <a class="button" href={linkHere({ range: null })}>Zoom out</a>
        : undefined}
    >
      <Notice problem={problem} />
      {path === null && (
        <Empty>No traffic is stored yet. It appears as soon as a sensor's first batch comes.</Empty>
      )}
      {data !== null && path !== null && (
        <Chart
          data={chartOf(data)}
          height={height}
          marks={marksOf(incidents)}
          onZoom={(from, to) => setRange(rangeBetween(from, to))}
        />
      )}
    </Section>
  );
}

function Talkers(): VNode {
  const { data, problem, isLoading } = useApi<{ rows: TopTalker[] }>("/stats/top-talkers", {
    ...useBounds(),
    limit: listMax,
  });
  return (
    <Section title="Top talkers" class="wide talkers">
      <Notice problem={problem} />
      {isLoading && <Loading />}
      {data?.rows.length === 0 && (
        <Empty>
          Nobody talked in this time. <a href={linkHere({ range: "all" })}>Look at all times</a>
        </Empty>
      )}
      <Bars
        rows={(data?.rows ?? []).map(({ ip, total_bytes, flows }) => ({
          name: ip,
          href: linkTo("hosts", ip),
          value: total_bytes,
          words: `${bytes(total_bytes)} · ${plural(flows, "flow")}`,
        }))}
      />
    </Section>
  );
}

function Protocols(): VNode {
  const { data, problem, isLoading } = useApi<{ rows: ProtocolTotal[] }>("/stats/protocols", {
    ...useBounds(),
  });
  return (
    <Section title="Protocols">
      <Notice problem={problem} />
      {isLoading && <Loading />}
      {data?.rows.length === 0 && <Empty>No traffic in this time.</Empty>}
      <Bars
        rows={(data?.rows ?? []).slice(0, listMax).map((
          { protocol, app_protocol, bytes: octets, flows },
        ) => ({
          name: app_protocol ? `${app_protocol} over ${protocol}` : protocol,
          href: linkTo("flows", "", { protocol, app_protocol }),
          value: octets,
          words: `${bytes(octets)} · ${plural(flows, "flow")}`,
        }))}
      />
    </Section>
  );
}

function NewHosts(): VNode {
  const bounds = useBounds();
  const since = new Date((bounds.from ?? 0) * 1000).toISOString();
  const { data, problem, isLoading } = useApi<Rows<HostRow>>("/hosts", {
    filter: `inside = yes and first_seen >= ${since}`,
    sort: "first_seen",
    limit: newHostsMax,
  });
  const rows = data?.rows ?? [];
  return (
    <Section title="New hosts" note="first seen in this time">
      <Notice problem={problem} />
      {isLoading && <Loading />}
      {data !== null && rows.length === 0 && !data.next_cursor && (
        <Empty>No host was seen for the first time.</Empty>
      )}
      <ul class="plain">
        {rows.map((host) => (
          <li key={host.ip}>
            <HostLink ip={host.ip} /> <span class="soft wire">{host.names[0]}</span>
            <span class="soft small end">
              <When at={host.first_seen_ms / 1000} isAge />
            </span>
          </li>
        ))}
      </ul>
      {data?.next_cursor && (
        <p class="more">
          <a href={linkTo("hosts", "", { sort: "first_seen", filter: "inside = yes" })}>More new hosts</a>
        </p>
      )}
    </Section>
  );
}
