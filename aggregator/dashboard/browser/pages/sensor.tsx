/** One sensor: is it well, what did it see and lose, what is missing, and what an administrator decides about it.
 * @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SensorStatus } from "../../../fleet/reasons.ts";
import type { Gap } from "../../../model/ledger.ts";
import type { SensorHealth, Series } from "../api.ts";
import { nowS, useApp } from "../app.ts";
import { Chart, chartOf } from "../chart.tsx";
import { useApi } from "../hooks.ts";
import { Empty, Facts, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { linkTo } from "../place.ts";
import type { VNode } from "../preact.ts";
import { bytes, count, plural, span } from "../text.ts";
import { statusWords } from "./fleet_parts.tsx";
import { SensorActs } from "./sensor_acts.tsx";

const gapsMax = 100, changesMax = 50;
/** Above it an epoch is a time, as a replay chooses one. */
const startsMax = 1e9;

interface Moment {
  at_ms: number;
  status: SensorStatus;
  reasons: string[];
}

export function SensorPage({ name }: { name: string }): VNode {
  const { data: sensor, problem, isMissing, again } = useApi<SensorHealth>(
    `/sensors/${encodeURIComponent(name)}`,
  );
  return (
    <div class="sensor">
      {isMissing
        ? (
          <Empty>
            No sensor has this name. <a href={linkTo("fleet")}>All sensors</a>
          </Empty>
        )
        : <Notice problem={problem} />}
      {sensor === null && problem === null && <Loading />}
      {sensor !== null && !isMissing && (
        <>
          <Health sensor={sensor} onDone={again} />
          <Counted sensor={sensor} />
          <Machine sensor={sensor} />
          <History id={sensor.sensor_id} />
          <Traffic id={sensor.sensor_id} />
          <Gaps id={sensor.sensor_id} holes={sensor.holes} />
        </>
      )}
    </div>
  );
}

function Health({ sensor, onDone }: { sensor: SensorHealth; onDone: () => void }): VNode {
  const app = useApp();
  const {
    status,
    reasons,
    site,
    tags,
    last_check_in_ms,
    last_batch_ms,
    enrolled_ms,
    clock_offset_ms,
    canary,
  } = sensor;
  const ago = (ms: number | null) => ms === null ? "never" : `${span(nowS(app) - ms / 1000)} ago`;
  return (
    <Section title="Health" class="wide">
      <p class="lead">
        <span class={`status status-${status}`}>{statusWords(status)}</span>
      </p>
      {reasons.length === 0
        ? <p class="soft">It sees packets and loses none.</p>
        : <ul class="reasons">{reasons.map((reason) => <li key={reason}>{reason}</li>)}</ul>}
      <Facts
        of={{
          "Site": site,
          "Tags": tags.join(", "),
          "Last check-in": ago(last_check_in_ms),
          "Last batch": ago(last_batch_ms),
          "Canary": canary,
          "Enrolled": <When at={enrolled_ms / 1000} />,
          "Clock": clock_offset_ms === null
            ? null
            : `${Math.abs(Math.round(clock_offset_ms))} ms ${
              clock_offset_ms > 0 ? "ahead" : "behind"
            }; times are corrected`,
        }}
      />
      <SensorActs key={sensor.name + tags.join()} sensor={sensor} onDone={onDone} />
    </Section>
  );
}

function Counted({ sensor: { conservation: kept, delivery } }: { sensor: SensorHealth }): VNode {
  return (
    <Section title="What it saw, and lost">
      {kept === null && <Empty>It has not checked in yet.</Empty>}
      {kept !== null && (
        <Facts
          of={{
            "Packets": count(kept.packets),
            "In flows": count(kept.in_flows),
            ...Object.fromEntries(
              Object.entries(kept.left_out).map((
                [cause, n],
              ) => [`Left out: ${cause.replaceAll("_", " ")}`, count(n)]),
            ),
            "Dropped by the kernel": count(kept.dropped),
            "Dropped by the card": count(kept.card_dropped),
            "Unaccounted for": count(kept.unaccounted),
          }}
        />
      )}
      {delivery !== null && (
        <>
          <h3>Batches</h3>
          <Facts
            of={{
              "Sealed": count(delivery.sealed),
              "Stored here": count(delivery.stored),
              "In its spool": count(delivery.spooled),
              "On the way": count(delivery.in_flight),
              "Dropped": count(delivery.dropped),
            }}
          />
        </>
      )}
    </Section>
  );
}

function Machine({ sensor: { check_in: checkIn } }: { sensor: SensorHealth }): VNode | null {
  if (checkIn === null) return null;
  const { capture, flows, facts, spool, transport, version, started_ms, epoch, policy } = checkIn;
  return (
    <Section title="Sensor">
      <Facts
        of={{
          "Version": <Wire>{version}</Wire>,
          "Source": <Wire>{capture.source}</Wire>,
          "Capture": capture.error ? `${capture.state}: ${capture.error}` : capture.state,
          "Started": <When at={started_ms / 1000} />,
          "Starts": epoch < startsMax ? count(epoch) : null,
          "Last packet": capture.last_packet === null ? "none" : <When at={capture.last_packet} />,
          "Open flows": `${count(flows.open)}, ${count(flows.segments)} segments, ${
            count(flows.evicted)
          } evicted`,
          "Sampling": flows.factor > 1 ? `1 flow in ${flows.factor}` : "every flow",
          "Deep lane": `${count(facts.answered)} of ${count(facts.offered)} packets read, ${
            count(facts.refused)
          } refused, ${plural(facts.restarts, "restart")}`,
          "Policy": policy?.name && (
            <span>
              <a href={linkTo("fleet", "", { tab: "policies", policy: policy.name })}>{policy.name}</a>,{" "}
              {policy.actual === 0 ? "not applied" : `version ${policy.actual}`}
              {policy.actual !== policy.wanted && `, should have ${policy.wanted}`}
            </span>
          ),
          "Walls missing": facts.walls?.missing.join(", "),
          "Spool": `${plural(spool.batches, "batch", "batches")}, ${bytes(spool.bytes)} of ${
            bytes(spool.bytes_max)
          }`,
          "Ships by": transport.error ? `${transport.kind}: ${transport.error}` : transport.kind,
        }}
      />
    </Section>
  );
}

function History({ id }: { id: string }): VNode {
  const { data, problem } = useApi<{ rows: Moment[]; next_cursor?: string }>(
    `/sensors/${encodeURIComponent(id)}/health`,
    { changes: "true", since: "now-30d", limit: changesMax },
  );
  const rows = data?.rows ?? [];
  return (
    <Section
      title="Health over time"
      class="wide"
      note={data?.next_cursor === undefined
        ? "changes of the last 30 days"
        : `the last ${changesMax} changes of the last 30 days`}
    >
      <Notice problem={problem} />
      {data !== null && rows.length === 0 && <Empty>No change has been noted yet.</Empty>}
      {rows.length > 0 && (
        <Table
          caption="Changes of its health"
          look="small"
          rows={rows}
          idOf={({ at_ms }) => String(at_ms)}
          columns={[
            { name: "at", label: "From", cell: ({ at_ms }) => <When at={at_ms / 1000} /> },
            {
              name: "status",
              label: "Health",
              cell: ({ status }) => <span class={`status status-${status}`}>{statusWords(status)}</span>,
            },
            {
              name: "why",
              label: "Why",
              cell: ({ reasons }) => (
                <Wire>{reasons.length === 0 ? "it saw packets and lost none" : reasons.join("; ")}</Wire>
              ),
            },
          ]}
        />
      )}
    </Section>
  );
}

function Traffic({ id }: { id: string }): VNode {
  const { totals } = useApp();
  const to = totals?.last ?? null;
  const { data, problem } = useApi<Series>(to === null ? null : "/stats/series", {
    sensor_id: id,
    from: to === null ? null : to - 86_400,
    to,
  });
  const isQuiet = data?.rows.every(({ bytes }) => bytes === 0);
  return (
    <Section title="Traffic it sees" note="the last day up to the newest packet" class="wide">
      <Notice problem={problem} />
      {data !== null && isQuiet && <Empty>It saw no traffic in this time.</Empty>}
      {data !== null && !isQuiet && <Chart data={chartOf(data)} height={140} />}
      {to === null && <Empty>No traffic is stored yet.</Empty>}
    </Section>
  );
}

function Gaps({ id, holes }: { id: string; holes: SensorHealth["holes"] }): VNode {
  const { data, problem } = useApi<{ rows: Gap[] }>("/gaps", { sensor_id: id, limit: gapsMax });
  const rows = data?.rows ?? [];
  return (
    <Section title="Gaps" class="wide" note="batches and packets that never came">
      <Notice problem={problem} />
      {data !== null && rows.length === 0 && holes.length === 0 && (
        <Empty>Everything that it sealed has come.</Empty>
      )}
      {holes.length > 0 && (
        <ul class="reasons">
          {holes.map((hole) => (
            <li key={hole.epoch}>
              {plural(hole.packets, "packet")} of the time before it started again at{" "}
              <When at={hole.from_ms / 1000} />
            </li>
          ))}
        </ul>
      )}
      {rows.length > 0 && (
        <Table
          caption="Gaps in the sequence of batches"
          look="small"
          rows={rows}
          idOf={(gap) => `${gap.epoch} ${gap.bucket} ${gap.from_seq}`}
          columns={[
            { name: "found", label: "Found", cell: (gap) => <When at={gap.found_ms / 1000} /> },
            {
              name: "batches",
              label: "Batches",
              isNumber: true,
              cell: (gap) => count(gap.to_seq - gap.from_seq + 1),
            },
            {
              name: "seq",
              label: "Sequence",
              cell: (gap) => <span class="number">{gap.from_seq}–{gap.to_seq}</span>,
            },
            { name: "bucket", label: "Bucket", isNumber: true, cell: (gap) => gap.bucket },
            {
              name: "closed",
              label: "Closed",
              cell: (gap) => gap.closed_ms === null ? "open" : <When at={gap.closed_ms / 1000} />,
            },
          ]}
        />
      )}
    </Section>
  );
}
