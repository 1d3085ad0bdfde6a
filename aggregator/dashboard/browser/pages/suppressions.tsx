/** Suppressions: what is hidden, why, by whom and until when; made and ended by analysts. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SuppressionRow } from "../../../model/suppression.ts";
import { ask, mayDecide, refresh, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import { type Column, Empty, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { count } from "../text.ts";
import { DetectorNames } from "./detectors.tsx";
import { Twice } from "./sensor_acts.tsx";
import { SuppressionForm } from "./suppression_form.tsx";

type Row = SuppressionRow & { is_in_force: boolean };

export function Suppressions(): VNode {
  const mayEnd = mayDecide(useApp());
  const { query } = usePlace();
  const isAll = query.all === "1";
  const { data, problem, again } = useApi<{ rows: Row[] }>("/suppressions", { all: isAll || undefined });
  const action = useAction();
  const end = (id: string) =>
    action.run(async () => {
      await ask("POST", `api/v1/suppressions/${id}/end`);
      again();
      await refresh();
    });
  return (
    <>
      {mayEnd && (
        <Section
          title="New suppression"
          class="wide"
          note="hides threats that meet every condition, those that are stored and those to come"
        >
          <SuppressionForm onMade={again} />
          <DetectorNames />
        </Section>
      )}
      <Section
        title="Suppressions"
        class="wide"
        note={isAll ? "those that ended too" : "in force"}
        acts={
          <a class="button" href={linkHere({ all: isAll ? null : 1 })}>
            {isAll ? "Only those in force" : "Show those that ended too"}
          </a>
        }
      >
        <Notice problem={problem ?? action.problem} />
        {data === null && problem === null && <Loading />}
        {data !== null && data.rows.length === 0 && (
          <Empty>{isAll ? "None was ever made." : "None is in force: every threat is shown."}</Empty>
        )}
        {data !== null && data.rows.length > 0 && (
          <Table
            caption="Suppressions, newest first"
            look="small"
            columns={columnsOf(mayEnd ? end : null)}
            rows={data.rows}
            idOf={({ id }) => id}
          />
        )}
        {data !== null && data.rows.length > 0 && (
          <p class="soft small more">
            <a href={linkTo("threats", "", { suppressed: "true" })}>Threats with the hidden ones</a>
          </p>
        )}
      </Section>
    </>
  );
}

/** `end` null = this role ends none. */
function columnsOf(end: ((id: string) => void) | null): Column<Row>[] {
  const columns: Column<Row>[] = [
    { name: "what", label: "Hides", cell: Conditions },
    { name: "why", label: "Reason", cell: ({ reason }) => <Wire>{reason}</Wire> },
    { name: "hidden", label: "Hidden", isNumber: true, cell: ({ hidden }) => count(hidden) },
    { name: "by", label: "Made by", cell: ({ made_by }) => <Wire>{made_by}</Wire> },
    { name: "made", label: "Made", cell: ({ made_ms }) => <When at={made_ms / 1000} /> },
    {
      name: "until",
      label: "Until",
      cell: ({ ended_ms, expires_ms, is_in_force }) => (
        <span class={is_in_force ? "" : "soft"}>
          {ended_ms !== null && "ended "}
          {ended_ms === null && !is_in_force && "expired "}
          <When at={(ended_ms ?? expires_ms) / 1000} />
        </span>
      ),
    },
  ];
  if (end === null) return columns;
  return [...columns, {
    name: "acts",
    label: "",
    title: "End",
    cell: ({ id, is_in_force }) =>
      is_in_force && <Twice word="End" question="Show again what it hides?" onSure={() => end(id)} />,
  }];
}

function Conditions({ detector, src_ip, dst_ip, dst_port, network, name }: Row): VNode {
  const given = Object.entries({
    "detector": detector,
    "from": src_ip,
    "to": dst_ip,
    "port": dst_port,
    "site": network,
    "name": name,
  });
  return (
    <ul class="pairs">
      {given.filter(([, value]) => value !== undefined).map(([word, value]) => (
        <li key={word}>
          <span class="soft">{word}</span> <Wire>{value}</Wire>
        </li>
      ))}
    </ul>
  );
}
