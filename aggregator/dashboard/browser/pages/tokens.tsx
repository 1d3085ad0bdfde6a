/** Join tokens: made, listed, revoked. The text of a token is shown once, with what to type on the sensor. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { ask, nowS, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import {
  type Column,
  Empty,
  Field,
  Loading,
  Notice,
  OtherProblem,
  Section,
  Select,
  Table,
  When,
} from "../parts.tsx";
import { useState, type VNode } from "../preact.ts";
import { Twice } from "./sensor_acts.tsx";

interface Token {
  id: string;
  site: string;
  tags: string[];
  created_ms: number;
  expires_ms: number;
  uses: number;
  uses_max: number;
  needs_approval: boolean;
  revoked_ms: number | null;
}

const shownMax = 100;
const fields = ["site", "tags", "ttl_s", "uses"];
const lives = [["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "1 week"]] as const;

export function TokensPage(): VNode {
  const { data, problem, again } = useApi<{ rows: Token[] }>("/tokens");
  const action = useAction();
  const [command, setCommand] = useState<string | null>(null);
  const now = nowS(useApp());
  const rows = data?.rows ?? [];
  const shown = [...rows].sort((a, b) =>
    Number(stateOf(b, now) === "valid") - Number(stateOf(a, now) === "valid")
  )
    .slice(0, shownMax);
  const revoke = (id: string) =>
    action.run(async () => {
      await ask("POST", `api/v1/tokens/${id}/revoke`);
      again();
    });
  return (
    <>
      <Section title="Add a sensor" class="wide">
        <NewToken
          onMade={(made) => {
            setCommand(made);
            again();
          }}
        />
        {command !== null && (
          <div class="made" role="status">
            <p>Type this on the sensor. It is shown only now.</p>
            <pre tabIndex={0}>{command}</pre>
          </div>
        )}
      </Section>
      <Section title="Join tokens" class="wide" note="valid ones first">
        <Notice problem={problem ?? action.problem} />
        {data === null && problem === null && <Loading />}
        {data !== null && rows.length === 0 && (
          <Empty>There is no token yet. Make one above for each sensor to add.</Empty>
        )}
        {rows.length > 0 && (
          <Table
            caption="Join tokens"
            look="small"
            columns={columnsOf(revoke, now)}
            rows={shown}
            idOf={({ id }) => id}
          />
        )}
        {rows.length > shownMax && (
          <p class="soft more">{shownMax} of {rows.length} are shown, valid ones first.</p>
        )}
      </Section>
    </>
  );
}

function NewToken({ onMade }: { onMade: (command: string) => void }): VNode {
  const { problem, isBusy, run } = useAction();
  const make = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const site = String(given.get("site")).trim();
    run(async () => {
      const made = await ask<{ command: string }>("POST", "api/v1/tokens", {
        ...site && { site },
        tags: String(given.get("tags")).split(/[\s,]+/).filter(Boolean),
        ttl_s: Number(given.get("ttl_s")),
        uses: Number(given.get("uses")),
        approve: given.get("approve") === "on",
      });
      onMade(made.command);
    });
  };
  return (
    <form
      class="filter"
      onSubmit={(event) => {
        event.preventDefault();
        make(event.currentTarget);
      }}
    >
      <Field label="Site" name="site" problem={problem}>
        {(ties) => (
          <input {...ties} placeholder="the aggregator's own" spellcheck={false} autocomplete="off" />
        )}
      </Field>
      <Field label="Tags" name="tags" problem={problem}>
        {(ties) => <input {...ties} placeholder="none" spellcheck={false} autocomplete="off" />}
      </Field>
      <Field label="Valid for" name="ttl_s" problem={problem}>
        {(ties) => <Select ties={ties} values={lives} chosen="900" />}
      </Field>
      <Field label="Sensors" name="uses" problem={problem}>
        {(ties) => <input {...ties} class="short" inputMode="numeric" defaultValue="1" />}
      </Field>
      <label class="check">
        <input type="checkbox" name="approve" /> Each waits for approval
      </label>
      <button type="submit" class="main" disabled={isBusy}>Make a join token</button>
      <OtherProblem problem={problem} fields={fields} />
    </form>
  );
}

function stateOf({ revoked_ms, expires_ms, uses, uses_max }: Token, now: number): string {
  if (revoked_ms !== null) return "revoked";
  return expires_ms / 1000 < now ? "expired" : uses >= uses_max ? "used" : "valid";
}

function columnsOf(revoke: (id: string) => void, now: number): Column<Token>[] {
  return [
    { name: "id", label: "Token", cell: ({ id }) => <span class="wire">{id}</span> },
    { name: "state", label: "State", cell: (token) => stateOf(token, now) },
    { name: "site", label: "Site", cell: ({ site, tags }) => [site, ...tags].join(" · ") },
    { name: "uses", label: "Used", isNumber: true, cell: ({ uses, uses_max }) => `${uses} of ${uses_max}` },
    { name: "approval", label: "Approval", cell: ({ needs_approval }) => needs_approval ? "needed" : "" },
    { name: "made", label: "Created", cell: ({ created_ms }) => <When at={created_ms / 1000} /> },
    { name: "until", label: "Expires", cell: ({ expires_ms }) => <When at={expires_ms / 1000} /> },
    {
      name: "acts",
      label: "",
      title: "Revoke",
      cell: (token) =>
        stateOf(token, now) === "valid" && (
          <Twice
            word="Revoke"
            question="No sensor joins with it any more?"
            onSure={() => revoke(token.id)}
          />
        ),
    },
  ];
}
