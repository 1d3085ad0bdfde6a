/** A new rollout: which version, who is first, how fast the rest follows. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { ask } from "../app.ts";
import { useAction } from "../hooks.ts";
import { Field, OtherProblem, Select } from "../parts.tsx";
import type { VNode } from "../preact.ts";

export interface Release {
  version: string;
  target: string;
  bytes: number;
  sha256: string;
  fits: { min: string; max: string };
}

const fields = ["version", "canary", "canary_s", "step_percent", "step_s"];
const spans = [["600", "10 minutes"], ["3600", "1 hour"], ["21600", "6 hours"], ["86400", "1 day"]] as const;

export function NewRollout(
  { releases, onMade }: { releases: readonly Release[]; onMade: () => void },
): VNode {
  const { problem, isBusy, run } = useAction();
  const versions = [...new Set(releases.map(({ version }) => version))].toReversed();
  const begin = (form: HTMLFormElement) => {
    const said = new FormData(form);
    const numbers = ["canary_s", "step_percent", "step_s"].map((name) => [name, Number(said.get(name))]);
    run(async () => {
      await ask("POST", "api/v1/upgrades", {
        ...Object.fromEntries(numbers),
        version: said.get("version"),
        canary: String(said.get("canary")).trim(),
        allow_older: said.get("allow_older") === "on",
      });
      onMade();
    });
  };
  return (
    <form
      class="filter"
      aria-label="New rollout"
      onSubmit={(event) => {
        event.preventDefault();
        begin(event.currentTarget);
      }}
    >
      <Field label="Version" name="version" problem={problem}>
        {(ties) => (
          <Select ties={ties} values={versions.map((one) => [one, one])} chosen={versions[0] ?? ""} />
        )}
      </Field>
      <Field label="Canaries: tag=NAME or percent=N" name="canary" problem={problem}>
        {(ties) => (
          <input
            {...ties}
            defaultValue="percent=5"
            required
            spellcheck={false}
            autocomplete="off"
          />
        )}
      </Field>
      <Field label="Watched for" name="canary_s" problem={problem}>
        {(ties) => <Select ties={ties} values={spans} chosen="3600" />}
      </Field>
      <Field label="Then percent" name="step_percent" problem={problem}>
        {(ties) => <input {...ties} class="short" inputMode="numeric" defaultValue="25" />}
      </Field>
      <Field label="Each" name="step_s" problem={problem}>
        {(ties) => <Select ties={ties} values={spans} chosen="3600" />}
      </Field>
      <label class="check">
        <input type="checkbox" name="allow_older" /> Also to an older version
      </label>
      <button type="submit" class="main" disabled={isBusy}>Begin</button>
      <OtherProblem problem={problem} fields={fields} />
    </form>
  );
}
