/** What an administrator decides about a sensor. What cannot be taken back is asked twice. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SensorHealth } from "../api.ts";
import { ask, isAdmin, useApp } from "../app.ts";
import { useAction } from "../hooks.ts";
import { Button, Field, Notice, OtherProblem } from "../parts.tsx";
import { go, linkTo } from "../place.ts";
import { useState, type VNode } from "../preact.ts";

const sensorPath = (id: string) => `api/v1/sensors/${encodeURIComponent(id)}`;

/** Approve or release, where a sensor waits for it. */
export function Decision(
  { sensor: { sensor_id, status }, onDone }: {
    sensor: Pick<SensorHealth, "sensor_id" | "status">;
    onDone: () => void;
  },
): VNode | null {
  const app = useApp();
  const { problem, isBusy, run } = useAction();
  const word = status === "pending" ? "Approve" : status === "quarantined" ? "Release" : null;
  if (word === null || !isAdmin(app)) return null;
  const act = () =>
    run(async () => {
      await ask("POST", `${sensorPath(sensor_id)}/${word.toLowerCase()}`);
      onDone();
    });
  return (
    <>
      <Button disabled={isBusy} onPress={act}>{word}</Button>
      <Notice problem={problem} />
    </>
  );
}

export function SensorActs({ sensor, onDone }: { sensor: SensorHealth; onDone: () => void }): VNode | null {
  const app = useApp();
  const { problem, isBusy, run } = useAction();
  if (!isAdmin(app)) return null;
  const { sensor_id, name, tags, status } = sensor;
  const send = (act: string, body?: unknown) =>
    ask<{ name: string }>("POST", `${sensorPath(sensor_id)}/${act}`, body);
  return (
    <section class="sensor-acts">
      <form
        class="filter"
        onSubmit={(event) => {
          event.preventDefault();
          const given = new FormData(event.currentTarget);
          const wantedName = String(given.get("name")).trim();
          const wantedTags = String(given.get("tags")).split(/[\s,]+/).filter(Boolean);
          run(async () => {
            if (wantedTags.join() !== tags.join()) await send("tags", { tags: wantedTags });
            if (wantedName !== name) {
              go(linkTo("fleet", (await send("rename", { name: wantedName })).name), false);
            }
            onDone();
          });
        }}
      >
        <Field label="Name" name="name" problem={problem}>
          {(ties) => <input {...ties} defaultValue={name} required spellcheck={false} autocomplete="off" />}
        </Field>
        <Field label="Tags" name="tags" problem={problem}>
          {(ties) => (
            <input
              {...ties}
              defaultValue={tags.join(" ")}
              spellcheck={false}
              placeholder="none"
              autocomplete="off"
            />
          )}
        </Field>
        <button type="submit" class="main" disabled={isBusy}>Save</button>
      </form>
      <OtherProblem problem={problem} fields={["name", "tags"]} />
      <p class="acts">
        <Decision sensor={sensor} onDone={onDone} />
        {status !== "revoked" && (
          <Twice
            word="Revoke"
            question={`Refuse all that ${name} sends from now on?`}
            onSure={() =>
              run(async () => {
                await send("revoke");
                onDone();
              })}
          />
        )}
        <Twice
          word="Forget"
          question={`Take ${name} off the list? Its flows stay.`}
          onSure={() =>
            run(async () => {
              await ask("DELETE", sensorPath(sensor_id));
              go(linkTo("fleet"));
            })}
        />
      </p>
    </section>
  );
}

/** A button that asks before it acts. */
export function Twice(
  { word, question, onSure }: { word: string; question: string; onSure: () => void },
): VNode {
  const [isAsked, setIsAsked] = useState(false);
  if (!isAsked) return <Button onPress={() => setIsAsked(true)}>{word}</Button>;
  return (
    <span class="twice" role="group" aria-label={question}>
      <span>{question}</span>
      <Button
        kind="danger"
        onPress={() => {
          setIsAsked(false);
          onSure();
        }}
      >
        {word}
      </Button>
      <Button onPress={() => setIsAsked(false)}>Keep</Button>
    </span>
  );
}
