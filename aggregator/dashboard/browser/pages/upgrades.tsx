/** Upgrades: how far the rollout of a version has come, what failed and why, and the releases there are.
 *
 * Out: to the API: a rollout that begins, waits, goes on or ends. Administrators alone change any. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import type { SensorUpgradeState } from "../../../fleet/rollout.ts";
import type { RolloutRow } from "../../../model/upgrade.ts";
import { ask, isAdmin, refresh, useApp } from "../app.ts";
import { useAction, useApi } from "../hooks.ts";
import { Button, type Column, Empty, Loading, Notice, Section, Table, When, Wire } from "../parts.tsx";
import { linkHere, linkTo, usePlace } from "../place.ts";
import type { VNode } from "../preact.ts";
import { bytes, count, plural, span } from "../text.ts";
import { Twice } from "./sensor_acts.tsx";
import { NewRollout, type Release } from "./upgrade_form.tsx";

type Rollout = Omit<RolloutRow, "canary_ms" | "step_ms"> & { canary_s: number; step_s: number };

interface SensorUpgrade {
  sensor_id: string;
  name: string;
  state: SensorUpgradeState;
  /** Null = it never checked in. */
  actual: string | null;
  reason: string | null;
  canary: boolean;
}

interface OneRollout {
  rollout: Rollout;
  counts: Record<SensorUpgradeState, number>;
  sensors: SensorUpgrade[];
}

interface Releases {
  /** Null = none can be offered. */
  key: string | null;
  rows: Release[];
  problems: { file: string; reason: string }[];
}

const shownMax = 250;
/** Of the colours that sensors have. */
const tones: Readonly<Record<SensorUpgradeState, string>> = {
  failed: "quarantined",
  unable: "late",
  trial: "pending",
  switching: "pending",
  downloading: "pending",
  offered: "pending",
  offline: "never_seen",
  waiting: "never_seen",
  done: "healthy",
};

export function Upgrades(): VNode {
  const mayChange = isAdmin(useApp());
  const { query } = usePlace();
  const list = useApi<{ rows: Rollout[] }>("/upgrades");
  const releases = useApi<Releases>("/releases");
  const rows = list.data?.rows ?? [];
  const open = rows.find(({ id }) => String(id) === query.rollout) ?? rows[0];
  const isBusy = rows.some(({ state }) => state === "running" || state === "paused");
  return (
    <>
      {mayChange && list.data !== null && !isBusy && releases.data !== null &&
        releases.data.rows.length > 0 && (
        <Section title="Begin an upgrade" class="wide" note="canaries first, the rest step by step">
          <NewRollout
            releases={releases.data.rows}
            onMade={() =>
              void refresh()}
          />
        </Section>
      )}
      {open && <OpenRollout key={open.id} id={open.id} mayChange={mayChange} />}
      <Section title="Rollouts" class="wide" note="newest first">
        <Notice problem={list.problem} />
        {list.isLoading && <Loading />}
        {list.data !== null && rows.length === 0 && <Empty>No version was rolled out yet.</Empty>}
        {rows.length > 0 && (
          <Table
            caption="Rollouts, newest first"
            look="small"
            columns={rolloutColumns}
            rows={rows}
            idOf={({ id }) => String(id)}
            chosen={open && String(open.id)}
          />
        )}
      </Section>
      <ReleaseList releases={releases.data} problem={releases.problem} />
    </>
  );
}

function OpenRollout({ id, mayChange }: { id: number; mayChange: boolean }): VNode {
  const { data, problem } = useApi<OneRollout>(`/upgrades/${id}`);
  if (data === null) {
    return (
      <Section title="Rollout" class="wide">
        {problem ? <Notice problem={problem} /> : <Loading />}
      </Section>
    );
  }
  const { rollout, counts, sensors } = data;
  return (
    <Section
      title={`Rollout of ${rollout.version}`}
      class="wide"
      note={`canaries ${rollout.canary} for ${span(rollout.canary_s)}, then ${rollout.step_percent} % every ${
        span(rollout.step_s)
      }`}
      acts={mayChange ? <Acts rollout={rollout} /> : undefined}
    >
      <p class="lead">
        {rollout.state}
        {rollout.state !== "done" && `, ${reach(rollout)}`}
      </p>
      {rollout.reason !== null && <Notice problem={{ message: rollout.reason }} />}
      <ul class="counts">
        {Object.entries(counts).filter(([, many]) => many > 0).map(([state, many]) => (
          <li key={state} class={`status-${tones[state as SensorUpgradeState]}`}>
            <strong class="number">{count(many)}</strong> {state}
          </li>
        ))}
      </ul>
      {sensors.length > 0 && (
        <Table
          caption={`How sensors took ${rollout.version}, the worst first`}
          look="small"
          columns={sensorColumns}
          rows={sensors.slice(0, shownMax)}
          idOf={({ sensor_id }) => sensor_id}
        />
      )}
      {sensors.length > shownMax && <p class="soft more">The {shownMax} worst of {count(sensors.length)}.</p>}
    </Section>
  );
}

function Acts({ rollout: { id, state, version } }: { rollout: Rollout }): VNode {
  const { problem, isBusy, run } = useAction();
  const act = (word: string) =>
    run(async () => {
      await ask("POST", `api/v1/upgrades/${id}/${word}`);
      await refresh();
    });
  return (
    <span class="acts">
      {state === "running" && <Button disabled={isBusy} onPress={() => act("pause")}>Pause</Button>}
      {(state === "paused" || state === "halted") && (
        <Button disabled={isBusy} onPress={() => act("resume")}>Resume</Button>
      )}
      {state !== "cancelled" && (
        <Twice
          word="Cancel"
          question={`Offer ${version} to no more sensors? Those that have it keep it.`}
          onSure={() => act("cancel")}
        />
      )}
      <Notice problem={problem} />
    </span>
  );
}

function reach({ percent }: Rollout): string {
  return percent === 0 ? "the canaries" : `${percent} % of the fleet`;
}

const rolloutColumns: readonly Column<Rollout>[] = [
  {
    name: "version",
    label: "Version",
    cell: ({ id, version }) => <a href={linkHere({ rollout: id })}>{version}</a>,
  },
  { name: "state", label: "State", cell: ({ state }) => state },
  { name: "reach", label: "Came to", cell: reach },
  { name: "canary", label: "Canaries", cell: ({ canary }) => canary },
  { name: "why", label: "Why it halted", cell: ({ reason }) => reason },
  { name: "by", label: "Begun by", cell: ({ created_by }) => <Wire>{created_by}</Wire> },
  { name: "begun", label: "Begun", cell: ({ created_ms }) => <When at={created_ms / 1000} /> },
];

const sensorColumns: readonly Column<SensorUpgrade>[] = [
  {
    name: "taker",
    label: "Sensor",
    cell: ({ name, canary }) => (
      <span>
        <a href={linkTo("fleet", name)}>{name}</a> {canary && <span class="soft">canary</span>}
      </span>
    ),
  },
  {
    name: "state",
    label: "State",
    cell: ({ state }) => <span class={`status status-${tones[state]}`}>{state}</span>,
  },
  { name: "runs", label: "Runs", cell: ({ actual }) => <Wire>{actual ?? "never checked in"}</Wire> },
  { name: "why", label: "Why", cell: ({ reason }) => <Wire>{reason}</Wire> },
];

function ReleaseList(
  { releases, problem }: { releases: Releases | null; problem: { message: string } | null },
): VNode {
  return (
    <Section
      title="Releases"
      class="wide"
      note={releases?.key ? `signed programs; release key ${releases.key}` : "signed programs"}
    >
      <Notice problem={problem} />
      {releases !== null && releases.rows.length === 0 && (
        <Empty>
          No release is here{releases.key === null && ", nor a release key"}. Sign programs and add them with
          {" "}
          <code>picket-aggregator release add</code>.
        </Empty>
      )}
      {releases !== null && releases.problems.length > 0 && (
        <>
          <p>{plural(releases.problems.length, "file")} not offered:</p>
          <ul class="reasons">
            {releases.problems.map(({ file, reason }) => (
              <li key={file}>
                <Wire>{file}: {reason}</Wire>
              </li>
            ))}
          </ul>
        </>
      )}
      {releases !== null && releases.rows.length > 0 && (
        <Table
          caption="Releases"
          look="small"
          rows={releases.rows}
          idOf={({ version, target }) => `${version} ${target}`}
          columns={[
            { name: "version", label: "Version", cell: ({ version }) => version },
            { name: "target", label: "For", cell: ({ target }) => target },
            { name: "fits", label: "Takes over from", cell: ({ fits }) => `${fits.min} to ${fits.max}` },
            { name: "size", label: "Size", isNumber: true, cell: (release) => bytes(release.bytes) },
            { name: "hash", label: "SHA-256", cell: ({ sha256 }) => <Wire>{sha256.slice(0, 16)} …</Wire> },
          ]}
        />
      )}
    </Section>
  );
}
