/** A new suppression: which threats it hides, why, and for how long; what it would have hidden so far.
 *
 * In: conditions to begin with. Out: to the API: the conditions, for a preview or to be in force. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SuppressionConditions } from "../../../model/suppression.ts";
import type { Threat } from "../api.ts";
import { ask, refresh } from "../app.ts";
import { useAction } from "../hooks.ts";
import { Badge, Button, Field, OtherProblem, Select, Table, When, Wire } from "../parts.tsx";
import { linkTo } from "../place.ts";
import { useRef, useState, type VNode } from "../preact.ts";
import { plural, someOf } from "../text.ts";

interface Preview {
  from_ms: number;
  threats: number;
  rows: Threat[];
  is_cut: boolean;
}

const conditionFields = [
  ["detector", "Detector", "any"],
  ["src_ip", "From", "any, or 10.0.0.0/8"],
  ["dst_ip", "To", "any"],
  ["dst_port", "Port", "any"],
  ["network", "Site", "any"],
  ["name", "Name", "any; also below it"],
] as const;
const lives = [["86400", "1 day"], ["604800", "1 week"], ["2592000", "30 days"], ["7776000", "90 days"], [
  "31536000",
  "1 year",
]] as const;
const fields = [...conditionFields.map(([name]) => name as string), "reason", "ttl_s"];

export function SuppressionForm(
  { given = {}, onMade }: { given?: SuppressionConditions; onMade: () => void },
): VNode {
  const { problem, isBusy, run } = useAction();
  const [preview, setPreview] = useState<Preview | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const look = () =>
    run(async () => {
      setPreview(await ask<Preview>("POST", "api/v1/suppressions/preview", conditionsOf(form.current!)));
    });
  const make = () =>
    run(async () => {
      const said = new FormData(form.current!);
      await ask("POST", "api/v1/suppressions", {
        ...conditionsOf(form.current!),
        reason: said.get("reason"),
        ttl_s: Number(said.get("ttl_s")),
      });
      form.current?.reset();
      setPreview(null);
      onMade();
      await refresh();
    });
  return (
    <>
      <form
        ref={form}
        aria-label="New suppression"
        onSubmit={(event) => {
          event.preventDefault();
          make();
        }}
        onInput={() => setPreview(null)}
      >
        <div class="filter">
          {conditionFields.map(([name, label, placeholder]) => (
            <Field key={name} label={label} name={name} problem={problem}>
              {(ties) => (
                <input
                  {...ties}
                  defaultValue={given[name] ?? ""}
                  placeholder={placeholder}
                  class={name === "dst_port" ? "short" : ""}
                  list={name === "detector" ? "detectors" : undefined}
                  spellcheck={false}
                  autocomplete="off"
                />
              )}
            </Field>
          ))}
        </div>
        <div class="filter">
          <Field label="Reason" name="reason" problem={problem} class="wide">
            {(ties) => (
              <input {...ties} required autocomplete="off" placeholder="why nobody needs to see these" />
            )}
          </Field>
          <Field label="For" name="ttl_s" problem={problem}>
            {(ties) => <Select ties={ties} values={lives} chosen="2592000" />}
          </Field>
          <Button disabled={isBusy} onPress={look}>Preview</Button>
          <button type="submit" class="main" disabled={isBusy}>Suppress</button>
        </div>
        <OtherProblem problem={problem} fields={fields} />
      </form>
      {preview !== null && <Met preview={preview} />}
    </>
  );
}

/** What is filled in; what is not a number goes as it is, for the API to say what is wrong. */
function conditionsOf(form: HTMLFormElement): Record<string, unknown> {
  const said = new FormData(form);
  const given = conditionFields.map(([name]) => [name, String(said.get(name) ?? "").trim()]);
  return Object.fromEntries(
    given.filter(([, text]) => text !== "").map(([name, text]) => [
      name,
      name === "dst_port" && /^\d+$/.test(text) ? Number(text) : text,
    ]),
  );
}

function Met({ preview: { threats, rows, is_cut } }: { preview: Preview }): VNode {
  const many = threats === 0 ? "no threat" : plural(threats, "threat");
  return (
    <div class="made" role="status">
      <p>
        It would have hidden <strong>{is_cut ? "at least " : ""}{many}</strong> of the last 30 days.
        {rows.length < threats && <span class="soft">{` The newest ${rows.length} of them:`}</span>}
      </p>
      {rows.length > 0 && (
        <Table
          caption="Threats that it would have hidden"
          look="small"
          rows={rows}
          idOf={({ id }) => id}
          columns={[
            {
              name: "severity",
              label: "Severity",
              cell: ({ severity }) => <Badge tone={severity}>{severity}</Badge>,
            },
            {
              name: "kind",
              label: "Kind",
              cell: ({ id, title }) => <a href={linkTo("threats", "", { id, range: "all" })}>{title}</a>,
            },
            {
              name: "ends",
              label: "Who → whom",
              cell: ({ src_ips, dst_ips }) => <Wire>{someOf(src_ips)} → {someOf(dst_ips)}</Wire>,
            },
            { name: "age", label: "Last seen", cell: ({ last_seen }) => <When at={last_seen} isAge /> },
          ]}
        />
      )}
    </div>
  );
}
