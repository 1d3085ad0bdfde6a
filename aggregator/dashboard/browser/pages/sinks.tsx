/** Sinks: where word of incidents goes, whether it arrives, and what could not be sent.
 *
 * Out: to the API: the wish for a test message. Administrators alone test, and read dead letters. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SinkMessage } from "../../../model/message.ts";
import type { Severity } from "../../../model/threat.ts";
import { ask, isAdmin, nowS, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import { Badge, Button, type Column, Empty, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { linkHere, usePlace } from "../place.ts";
import { useState, type VNode } from "../preact.ts";
import { count, plural, span } from "../text.ts";

interface Sink {
  name: string;
  kind: string;
  severity_min: Severity;
  waiting: number;
  dead: number;
  oldest_ms: number | null;
  last_sent_ms: number | null;
  problem: string | null;
}

interface DeadLetter extends Pick<SinkMessage, "id" | "kind" | "severity" | "title" | "summary"> {
  made_ms: number;
  attempts: number;
  reason: string;
}

const deadMax = 200;

export function Sinks(): VNode {
  const app = useApp();
  const { query } = usePlace();
  const { data, problem, again } = useApi<{ rows: Sink[] }>("/sinks");
  const rows = data?.rows ?? [];
  const open = rows.find(({ name }) => name === query.sink);
  return (
    <>
      <Section title="Sinks" class="wide" note="where word of incidents goes">
        <Notice problem={problem} />
        {data === null && problem === null && <Loading />}
        {data !== null && rows.length === 0 && (
          <Empty>
            Nobody is told of incidents yet. Describe webhooks, e-mail, syslog or files in a file, and name it
            with <code>serve --sinks</code>.
          </Empty>
        )}
        {rows.length > 0 && (
          <Table
            caption="Sinks"
            look="small"
            columns={columnsOf(nowS(app), isAdmin(app) ? again : null)}
            rows={rows}
            idOf={({ name }) => name}
            chosen={open?.name}
          />
        )}
      </Section>
      {open && isAdmin(app) && <DeadLetters key={open.name} sink={open} />}
    </>
  );
}

/** `again` null = this role tests nothing. */
function columnsOf(now: number, again: (() => void) | null): Column<Sink>[] {
  const columns: Column<Sink>[] = [
    { name: "sink", label: "Sink", cell: ({ name }) => <Wire>{name}</Wire> },
    { name: "kind", label: "Kind", cell: ({ kind }) => kind },
    { name: "least", label: "From severity", cell: ({ severity_min }) => severity_min },
    {
      name: "health",
      label: "Health",
      cell: ({ problem, waiting, dead }) =>
        problem !== null
          ? (
            <span>
              <span class="status status-blind">failing</span> <Wire>{problem}</Wire>
            </span>
          )
          : dead > 0
          ? <span class="status status-lossy">gave messages up</span>
          : <span class="status status-healthy">{waiting > 0 ? "well, messages wait" : "well"}</span>,
    },
    {
      name: "waiting",
      label: "Waiting",
      cell: ({ waiting, oldest_ms }) =>
        oldest_ms === null || waiting === 0
          ? count(waiting)
          : `${count(waiting)}, the oldest for ${span(now - oldest_ms / 1000)}`,
    },
    {
      name: "dead",
      label: "Dead letters",
      cell: ({ name, dead }) =>
        dead === 0 || again === null ? count(dead) : <a href={linkHere({ sink: name })}>{count(dead)}</a>,
    },
    {
      name: "sent",
      label: "Last sent",
      cell: ({ last_sent_ms }) => last_sent_ms === null ? "never" : <When at={last_sent_ms / 1000} isAge />,
    },
  ];
  if (again === null) return columns;
  return [...columns, {
    name: "acts",
    label: "",
    title: "Test",
    cell: ({ name }) => <Test name={name} onDone={again} />,
  }];
}

function Test({ name, onDone }: { name: string; onDone: () => void }): VNode {
  const { problem, isBusy, run } = useAction();
  const [answer, setAnswer] = useState<{ sent: boolean; reason: string } | null>(null);
  const test = () =>
    run(async () => {
      setAnswer(null);
      setAnswer(await ask("POST", `api/v1/sinks/${encodeURIComponent(name)}/test`));
      onDone();
    });
  return (
    <span class="acts">
      <Button disabled={isBusy} onPress={test} title={`Send a test message to ${name}`}>Test</Button>
      <span role="status">
        {isBusy && "is being sent …"}
        {answer?.sent && <span class="status status-healthy">The receiver took it</span>}
        {answer?.sent === false && (
          <span>
            <span class="status status-blind">Not sent:</span> <Wire>{answer.reason}</Wire>
          </span>
        )}
      </span>
      <Notice problem={problem} />
    </span>
  );
}

function DeadLetters({ sink: { name, dead } }: { sink: Sink }): VNode {
  const { data, problem } = useApi<{ rows: DeadLetter[] }>(
    `/sinks/${encodeURIComponent(name)}/dead-letters`,
    { limit: deadMax },
  );
  return (
    <Section
      title={`Dead letters of ${name}`}
      class="wide"
      note={`${plural(dead, "message")} given up, newest first`}
      acts={<a class="button" href={linkHere({ sink: null })}>Hide</a>}
    >
      <Notice problem={problem} />
      {data === null && problem === null && <Loading />}
      {data?.rows.length === 0 && <Empty>None is kept.</Empty>}
      {data !== null && data.rows.length > 0 && (
        <Table
          caption={`Dead letters of ${name}`}
          look="small"
          rows={data.rows}
          idOf={({ id }) => id}
          columns={[
            { name: "made", label: "Made", cell: ({ made_ms }) => <When at={made_ms / 1000} /> },
            {
              name: "severity",
              label: "Severity",
              cell: ({ severity }) => <Badge tone={severity}>{severity}</Badge>,
            },
            {
              name: "message",
              label: "Message",
              cell: ({ title, summary }) => <span title={summary}>{title}</span>,
            },
            { name: "tries", label: "Tries", isNumber: true, cell: ({ attempts }) => count(attempts) },
            { name: "why", label: "Why", cell: ({ reason }) => <Wire>{reason}</Wire> },
          ]}
        />
      )}
      {data !== null && data.rows.length > 0 && dead > data.rows.length && (
        <p class="soft small more">The newest {count(data.rows.length)} of {count(dead)}.</p>
      )}
    </Section>
  );
}
