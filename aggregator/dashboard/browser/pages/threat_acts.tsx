/** What an analyst decides about a threat: its status, whether it was right, and whether its like is shown.
 *
 * To a viewer only what others said of it is shown. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SuppressionConditions } from "../../../model/suppression.ts";
import { isOfSensor, type ThreatStatus } from "../../../model/threat.ts";
import type { Incident, Threat } from "../api.ts";
import { ask, mayDecide, refresh, useApp } from "../app.ts";
import { useAction } from "../hooks.ts";
import { Button, Field, Notice, OtherProblem, When, Wire } from "../parts.tsx";
import { linkTo } from "../place.ts";
import { useRef, useState, type VNode } from "../preact.ts";
import { count } from "../text.ts";
import { SuppressionForm } from "./suppression_form.tsx";

const verdictWords = {
  true: "It was an attack",
  benign: "It happened, and is harmless",
  false: "It is wrong",
} as const;

interface Act {
  threat: Threat;
  onChange: () => void;
}

export function Decisions({ threat, onChange }: Act): VNode | null {
  const app = useApp();
  const { problem, isBusy, run } = useAction();
  if (!mayDecide(app)) return null;
  const set = (status: ThreatStatus) =>
    run(async () => {
      await ask("POST", `api/v1/threats/${threat.id}/status`, { status });
      onChange();
      await refresh();
    });
  return (
    <div class="acts">
      {threat.status === "open" && (
        <Button kind="main" disabled={isBusy} onPress={() => set("acknowledged")}>Acknowledge</Button>
      )}
      {threat.status !== "closed" && <Button disabled={isBusy} onPress={() => set("closed")}>Close</Button>}
      {threat.status !== "open" && <Button disabled={isBusy} onPress={() => set("open")}>Reopen</Button>}
      <Notice problem={problem} />
    </div>
  );
}

/** Of an incident all at once. */
export function IncidentActs(
  { incident: { id, status, threats }, onChange }: { incident: Incident; onChange: () => void },
): VNode | null {
  const app = useApp();
  const { problem, isBusy, run } = useAction();
  if (!mayDecide(app)) return null;
  const set = (status: ThreatStatus) =>
    run(async () => {
      await ask("POST", `api/v1/incidents/${id}/status`, { status });
      onChange();
      await refresh();
    });
  const all = `all ${count(threats)} of the incident`;
  return (
    <p class="acts">
      {status === "open" && (
        <Button disabled={isBusy} onPress={() => set("acknowledged")}>Acknowledge {all}</Button>
      )}
      {status === "closed"
        ? <Button disabled={isBusy} onPress={() => set("open")}>Reopen {all}</Button>
        : <Button disabled={isBusy} onPress={() => set("closed")}>Close {all}</Button>}
      <Notice problem={problem} />
    </p>
  );
}

export function Feedback({ threat: { id, feedback }, onChange }: Act): VNode | null {
  const app = useApp();
  const { problem, isBusy, run } = useAction();
  const note = useRef<HTMLInputElement>(null);
  const given = feedback ?? null;
  if (given === null && !mayDecide(app)) return null;
  const say = (verdict: string) =>
    run(async () => {
      await ask("POST", `api/v1/threats/${id}/feedback`, { verdict, note: note.current?.value ?? "" });
      if (note.current) note.current.value = "";
      onChange();
    });
  return (
    <section aria-label="Was it right?">
      <h3>Was it right?</h3>
      {given !== null && (
        <p>
          {verdictWords[given.verdict]}
          {given.note !== "" && (
            <>
              : <Wire>{given.note}</Wire>
            </>
          )}{" "}
          <span class="soft small">
            <Wire>{given.by}</Wire>, <When at={given.at_ms / 1000} isAge />
          </span>
        </p>
      )}
      {mayDecide(app) && (
        <div class="filter">
          <Field label="Note" name="note" problem={problem} class="wide">
            {(ties) => <input {...ties} ref={note} autocomplete="off" placeholder="for whoever asks later" />}
          </Field>
          {Object.entries(verdictWords).map(([verdict, words]) => (
            <Button
              key={verdict}
              disabled={isBusy}
              onPress={() => say(verdict)}
            >
              {words}
            </Button>
          ))}
          <OtherProblem problem={problem} fields={["note"]} />
        </div>
      )}
    </section>
  );
}

export function Suppress({ threat, onChange }: Act): VNode | null {
  const mayHide = mayDecide(useApp());
  const [isOpen, setIsOpen] = useState(false);
  const list = linkTo("settings", "", { tab: "suppressions" });
  if (threat.suppressed_by) {
    return (
      <p class="soft">
        A suppression hides this threat. <a href={list}>Suppressions</a>
      </p>
    );
  }
  if (!mayHide) return null;
  if (!isOpen) return <Button onPress={() => setIsOpen(true)}>Suppress threats like this …</Button>;
  return (
    <section aria-label="Suppress threats like this">
      <h3>Suppress threats like this</h3>
      <p class="soft small">
        All conditions must hold. Take one away to hide more; look at the preview first.
      </p>
      <SuppressionForm
        given={likeness(threat)}
        onMade={() => {
          setIsOpen(false);
          onChange();
        }}
      />
      <Button onPress={() => setIsOpen(false)}>Do not suppress</Button>
    </section>
  );
}

/** The same kind of threat between the same ends; a side with several addresses is left open. */
function likeness(threat: Threat): SuppressionConditions {
  const { detector, network, src_ips, dst_ips, dst_port } = threat;
  return {
    detector,
    ...isOfSensor(threat) && { network },
    ...src_ips.length === 1 && { src_ip: src_ips[0] },
    ...dst_ips.length === 1 && { dst_ip: dst_ips[0] },
    ...dst_port !== null && { dst_port },
  };
}
