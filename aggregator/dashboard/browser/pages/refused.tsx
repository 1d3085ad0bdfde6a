/** Batches that the aggregator refused, with the reason: what a broken or forged sensor sends. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { useApi } from "../hooks.ts";
import { Empty, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import type { VNode } from "../preact.ts";

interface DeadLetter {
  received_ms: number;
  reason: string;
  origin: string;
  sensor_id: string;
}

const shownMax = 200;

export function Refused(): VNode {
  const { data, problem, isLoading } = useApi<{ rows: DeadLetter[] }>("/dead-letters", { limit: shownMax });
  const rows = (data?.rows ?? []).map((row, at) => ({ ...row, at }));
  return (
    <Section title="Refused batches" class="wide" note="kept with the reason, newest first">
      <Notice problem={problem} />
      {isLoading && <Loading />}
      {data !== null && rows.length === 0 && <Empty>None was refused.</Empty>}
      {rows.length > 0 && (
        <Table
          caption="Refused batches, newest first"
          look="small"
          rows={rows}
          idOf={({ at }) => String(at)}
          columns={[
            {
              name: "received",
              label: "Received",
              cell: ({ received_ms }) => <When at={received_ms / 1000} />,
            },
            { name: "sender", label: "Sensor", cell: ({ sensor_id }) => <Wire>{sensor_id}</Wire> },
            { name: "why", label: "Why", cell: ({ reason }) => <Wire>{reason}</Wire> },
            { name: "origin", label: "Came from", cell: ({ origin }) => <Wire>{origin}</Wire> },
          ]}
        />
      )}
      {rows.length === shownMax && <p class="soft more">The newest {shownMax} are shown.</p>}
    </Section>
  );
}
