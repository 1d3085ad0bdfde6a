/** Audit: who changed what, newest first. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { AuditRow } from "../../../model/audit.ts";
import { useList } from "../hooks.ts";
import { type Column, Empty, Loading, More, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { linkTo } from "../place.ts";
import type { ComponentChildren, VNode } from "../preact.ts";

const pageRows = 100;

export function Audit(): VNode {
  const list = useList<AuditRow>("/audit", { limit: pageRows });
  return (
    <Section title="Audit" class="wide" note="who changed what, newest first">
      <Notice problem={list.problem} />
      {list.rows === null && list.problem === null && <Loading />}
      {list.rows?.length === 0 && list.problem === null && <Empty>Nobody has changed anything yet.</Empty>}
      {list.rows !== null && list.rows.length > 0 && (
        <Table
          caption="Changes, newest first"
          look="small"
          columns={columns}
          rows={list.rows}
          idOf={({ id }) => String(id)}
        />
      )}
      <More list={list} word="changes" />
    </Section>
  );
}

const columns: readonly Column<AuditRow>[] = [
  { name: "when", label: "When", cell: ({ at_ms }) => <When at={at_ms / 1000} /> },
  {
    name: "who",
    label: "Who",
    cell: ({ made_by, key_id }) => (
      <span>
        <Wire>{made_by}</Wire> <span class="soft small wire">{key_id}</span>
      </span>
    ),
  },
  { name: "action", label: "Change", cell: ({ action }) => action.replaceAll("_", " ") },
  { name: "subject", label: "Of", cell: subjectOf },
  { name: "detail", label: "To", cell: ({ detail }) => <Wire>{detail}</Wire> },
];

function subjectOf({ action, subject }: AuditRow): ComponentChildren {
  if (!action.startsWith("threat_")) return <Wire>{subject}</Wire>;
  return <a class="wire" href={linkTo("threats", "", { id: subject, range: "all" })}>{subject}</a>;
}
