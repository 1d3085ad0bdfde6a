/** API keys of people and programs: made, listed, revoked. The text of a key is shown once. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { type Role, roles } from "../../../model/access.ts";
import { ask, nowS, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import {
  type Column,
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

interface Key {
  id: string;
  name: string;
  role: Role;
  created_ms: number;
  expires_ms: number | null;
  revoked_ms: number | null;
}

const lives = [["", "until it is revoked"], ["86400", "1 day"], ["2592000", "30 days"], [
  "31536000",
  "1 year",
]] as const;

export function Keys(): VNode {
  const app = useApp();
  const { data, problem, again } = useApi<{ rows: Key[] }>("/keys");
  const action = useAction();
  const [made, setMade] = useState<string | null>(null);
  const revoke = (id: string) =>
    action.run(async () => {
      await ask("POST", `api/v1/keys/${id}/revoke`);
      again();
    });
  return (
    <Section title="API keys" class="wide" note="for people and programs">
      <NewKey
        onMade={(key) => {
          setMade(key);
          again();
        }}
      />
      {made !== null && (
        <div class="made" role="status">
          <p>This is the key. It is shown only now.</p>
          <pre tabIndex={0}>{made}</pre>
        </div>
      )}
      <Notice problem={problem ?? action.problem} />
      {data === null && problem === null && <Loading />}
      {data !== null && (
        <Table
          caption="API keys"
          look="small"
          columns={columnsOf(revoke, nowS(app))}
          rows={data.rows}
          idOf={({ id }) => id}
        />
      )}
    </Section>
  );
}

function NewKey({ onMade }: { onMade: (key: string) => void }): VNode {
  const { problem, isBusy, run } = useAction();
  return (
    <form
      class="filter"
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        const given = new FormData(form);
        const life = Number(given.get("ttl_s"));
        run(async () => {
          const { key } = await ask<{ key: string }>("POST", "api/v1/keys", {
            name: String(given.get("name")).trim(),
            role: given.get("role"),
            ...life > 0 && { ttl_s: life },
          });
          form.reset();
          onMade(key);
        });
      }}
    >
      <Field label="Name" name="name" problem={problem}>
        {(ties) => (
          <input {...ties} required spellcheck={false} autocomplete="off" placeholder="who it is for" />
        )}
      </Field>
      <Field label="Role" name="role" problem={problem}>
        {(ties) => <Select ties={ties} values={roles.map((role) => [role, role])} chosen="viewer" />}
      </Field>
      <Field label="Valid for" name="ttl_s" problem={problem}>
        {(ties) => <Select ties={ties} values={lives} chosen="" />}
      </Field>
      <button type="submit" class="main" disabled={isBusy}>Make a key</button>
      <OtherProblem problem={problem} fields={["name", "role", "ttl_s"]} />
    </form>
  );
}

function columnsOf(revoke: (id: string) => void, now: number): Column<Key>[] {
  const stateOf = ({ revoked_ms, expires_ms }: Key) =>
    revoked_ms !== null ? "revoked" : expires_ms !== null && expires_ms / 1000 < now ? "expired" : "valid";
  return [
    { name: "name", label: "Name", cell: ({ name }) => name },
    { name: "role", label: "Role", cell: ({ role }) => role },
    { name: "state", label: "State", cell: stateOf },
    { name: "id", label: "Id", cell: ({ id }) => <span class="wire">{id}</span> },
    { name: "made", label: "Created", cell: ({ created_ms }) => <When at={created_ms / 1000} /> },
    {
      name: "until",
      label: "Expires",
      cell: ({ expires_ms }) => expires_ms === null ? "never" : <When at={expires_ms / 1000} />,
    },
    {
      name: "acts",
      label: "",
      title: "Revoke",
      cell: (key) =>
        stateOf(key) === "valid" && (
          <Twice
            word="Revoke"
            question={`End ${key.name} and its sessions?`}
            onSure={() => revoke(key.id)}
          />
        ),
    },
  ];
}
