/** A version of a policy: for whom, what it sets, and what that changes, before it is offered to sensors.
 *
 * In: a version to begin with, the versions in force. Out: to the API: a new version.
 * Why the checks of the sensor's own table: a field that no sensor could take is named while it is typed. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import {
  checkPolicy,
  policyDifference,
  type PolicyField,
  policyFields,
  type PolicySettings,
} from "../../../../shared/policy.ts";
import { ask } from "../app.ts";
import type { Problem } from "../call.ts";
import { useAction } from "../hooks.ts";
import { Button, Field, OtherProblem, Select } from "../parts.tsx";
import { useRef, useState, type VNode } from "../preact.ts";

/** What of a version the form needs. */
export interface Draft {
  name: string;
  target: string;
  settings: PolicySettings | null;
}

const words: Readonly<Record<PolicyField, readonly [label: string, hint?: string]>> = {
  filter: ["Capture filter", "BPF, as in: not port 3260"],
  snaplen: ["Octets of each packet", "0 = all"],
  noise: ["Noise left out"],
  tcpIdleMs: ["TCP flow ends after (ms)", "without a packet"],
  otherIdleMs: ["Other flow ends after (ms)", "without a packet"],
  unansweredIdleMs: ["Unanswered ends after (ms)", "without a packet"],
  activeMs: ["Segment of a long flow (ms)"],
  facts: ["Payloads are read"],
  sampleMax: ["Overload: one flow in", "at the most"],
  uploadBytesPerS: ["Upload limit (octets/s)", "0 = none"],
  ringPayload: ["Packet ring keeps"],
  lateAfterS: ["Late after (s)", "without a check-in"],
  blindAfterS: ["Blind after (s)", "without a packet"],
  broadcastOnlyS: ["Blind after (s)", "of broadcast alone"],
  lossPermille: ["Lossy above (per mille)", "of packets dropped"],
  tsharkFailures: ["Lossy from", "failures of tshark in 10 min"],
  canariesMissed: ["Lossy from", "canaries missed in a row"],
  clockOffsetMs: ["Clock wrong above (ms)"],
};
const fields = Object.keys(policyFields) as PolicyField[];
const named = ["name", "to", ...fields];

export function PolicyForm(
  { given, inForce, onMade, onLeave }: {
    given: Draft;
    inForce: readonly Draft[];
    onMade: (name: string) => void;
    onLeave: () => void;
  },
): VNode {
  const { problem, isBusy, run } = useAction();
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState<Draft>(given);
  const settings = draft.settings ?? {};
  const checked = checkPolicy(settings);
  const changes = policyDifference(before(draft, inForce)?.settings ?? {}, settings);
  const wrong = checked.ok ? problem : { field: checked.field, message: checked.message } as Problem;
  return (
    <form
      ref={form}
      class="policy"
      aria-label="Version of a policy"
      onInput={() => setDraft(readDraft(form.current!))}
      onSubmit={(event) => {
        event.preventDefault();
        const { name, target, settings } = readDraft(form.current!);
        run(async () => {
          await ask("POST", "api/v1/policies", { name, to: target, settings });
          onMade(name);
        });
      }}
    >
      <div class="filter">
        <Field label="Policy" name="name" problem={wrong}>
          {(ties) => <input {...ties} defaultValue={given.name} required {...typed} placeholder="office" />}
        </Field>
        <Field label="For" name="to" problem={wrong} hint="all, tag=NAME or sensor=NAME">
          {(ties) => <input {...ties} defaultValue={given.target} required {...typed} />}
        </Field>
      </div>
      <div class="filter">
        {fields.map((name) => (
          <Setting key={name} name={name} value={given.settings?.[name]} problem={wrong} />
        ))}
      </div>
      <Changes draft={draft} inForce={inForce} changes={changes} />
      <p class="acts">
        <button type="submit" class="main" disabled={isBusy || !checked.ok}>Set this version</button>
        <Button onPress={onLeave}>Leave it as it is</Button>
      </p>
      <OtherProblem problem={problem} fields={named} />
    </form>
  );
}

const flags = [["true", "yes"], ["false", "no"]] as const;
const twice = (word: string) => [word, word] as const;
const typed = { spellcheck: false, autocomplete: "off" } as const;

function Setting(
  { name, value, problem }: { name: PolicyField; value: unknown; problem: Problem | null },
): VNode {
  const rule = policyFields[name];
  const [label, hint] = words[name];
  if (rule.kind === "list") {
    const chosen = Array.isArray(value) ? value : [];
    return (
      <fieldset>
        <legend class="soft small">{label}</legend>
        <span class="checks">
          <label class="check">
            <input type="checkbox" name={`${name}_set`} defaultChecked={value !== undefined} /> exactly these:
          </label>
          {rule.choices.map((choice) => (
            <label key={choice} class="check">
              <input type="checkbox" name={name} value={choice} defaultChecked={chosen.includes(choice)} />
              {" "}
              {choice}
            </label>
          ))}
        </span>
      </fieldset>
    );
  }
  return (
    <Field label={label} name={name} problem={problem} {...hint !== undefined && { hint }}>
      {(ties) =>
        rule.kind === "flag" || rule.kind === "choice"
          ? (
            <Select
              ties={ties}
              values={[["", "not set"], ...(rule.kind === "flag" ? flags : rule.choices.map(twice))]}
              chosen={value === undefined ? "" : String(value)}
            />
          )
          : (
            <input
              {...ties}
              {...typed}
              placeholder="not set"
              defaultValue={value === undefined ? "" : String(value)}
              inputMode={rule.kind === "number" ? "numeric" : undefined}
            />
          )}
    </Field>
  );
}

/** What is filled in; an empty field is not set, and what is not of its kind goes as it is, to be refused. */
function readDraft(form: HTMLFormElement): Draft {
  const said = new FormData(form);
  const text = (name: string) => String(said.get(name) ?? "").trim();
  const settings: Record<string, unknown> = {};
  for (const name of fields) {
    const rule = policyFields[name];
    if (rule.kind === "list") {
      const chosen = said.getAll(name);
      if (chosen.length > 0 || said.get(`${name}_set`) === "on") settings[name] = chosen;
    } else if (text(name) !== "") settings[name] = valueOf(rule.kind, text(name));
  }
  return { name: text("name"), target: text("to"), settings: settings as PolicySettings };
}

function valueOf(kind: string, text: string): unknown {
  if (kind === "number") return /^\d+$/.test(text) ? Number(text) : text;
  return kind === "flag" ? text === "true" : text;
}

/** The version that sensors of this target have of this policy now. */
function before({ name, target }: Draft, inForce: readonly Draft[]): Draft | undefined {
  const mine = inForce.filter((row) => row.name === name);
  return mine.find((row) => row.target === target) ?? mine.find((row) => row.target === "all");
}

function Changes({ draft, inForce, changes }: {
  draft: Draft;
  inForce: readonly Draft[];
  changes: readonly string[];
}): VNode {
  const had = before(draft, inForce);
  return (
    <div class="made" role="status">
      <p>
        {had === undefined
          ? `A new policy for these sensors. It sets ${changes.length === 0 ? "nothing yet." : "this:"}`
          : changes.length === 0
          ? "Nothing changes."
          : "What changes:"}
      </p>
      <ul class="wire">
        {changes.map((line) => (
          <li key={line}>{had === undefined ? line.replace("not set -> ", "") : line.replace("->", "→")}</li>
        ))}
      </ul>
      {draft.target === "all" && changes.length > 0 && (
        <p class="soft small">
          Try it on a few first: for tag=canary it reaches only these, and the same for all later.
        </p>
      )}
    </div>
  );
}
