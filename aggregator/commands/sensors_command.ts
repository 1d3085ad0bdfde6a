/** `picket-aggregator sensor`, `sensors` and `revoke`:
 * who is enrolled, how they are, and what an operator decides about them. @module */

import { escapeLine } from "../../shared/escape.ts";
import type { SensorHealth } from "../fleet/fleet.ts";
import { type FleetRow, rowOf } from "../fleet/page.ts";
import { type AdminApi, readVerb, withAdminApi } from "../cli/admin_api.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
  onlyOperand,
} from "../../shared/command.ts";
import type { Options } from "../../shared/options.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";
import { readWholeFleet } from "../cli/fleet_pages.ts";
import { sensorLines } from "../cli/words.ts";

const options = { ...generalOptions, ...storeOptions, ...remoteOptions } as const;
const sensorOptions = {
  ...options,
  waitS: {
    kind: "number",
    default: 90,
    min: 1,
    max: 3_600,
    help: "canary: wait so long for it to arrive, s",
  },
} as const;
const verbs = ["list", "show", "canary", "approve", "release", "revoke", "rename", "tag", "remove"] as const;
type Verb = typeof verbs[number];
/** As said once it is done. */
const done: Record<Exclude<Verb, "list" | "show" | "canary">, string> = {
  approve: "approved",
  release: "released",
  revoke: "revoked",
  rename: "renamed",
  tag: "tagged",
  remove: "removed",
};

export const sensorCommand: Command = command({
  name: "sensor",
  summary: "sensors: list, show, canary, approve, release, revoke, rename, tag, remove",
  operands: "VERB [NAME [WORD..]]",
  about:
    `list and show print how sensors are, show also its last changes. canary has one send a marked flow and
waits until it is found here (exit code 1 when it is not). approve takes one in that waits, release lifts a quarantine, revoke refuses everything of one
within 5 seconds and frees its name, rename gives another name, tag sets the tags (none: clears them), remove forgets one; its flows stay.
NAME is a sensor's name or id. Works on the database of the state folder, or asks --url.`,
  examples: [
    "sensor list --json",
    "sensor show roof",
    "sensor canary roof",
    "sensor approve roof",
    "sensor release roof",
    "sensor rename roof cellar",
    "sensor tag roof north outdoor",
    "sensor remove roof",
  ],
  options: sensorOptions,
  run: runSensor,
});

async function runSensor(
  given: Options<typeof options> & { waitS?: number },
  operands: string[],
  edges: Edges,
): Promise<number> {
  const { verb, rest } = readVerb(operands, verbs, "list");
  if (verb === "list") {
    noOperands(rest);
    await withAdminApi(given, edges, (api) => list(api, given.json, edges));
    return exitCodes.ok;
  }
  const [name, ...words] = rest;
  const wanted = { rename: words.length === 1, tag: true }[verb as string] ?? words.length === 0;
  if (name === undefined || !wanted) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot ${verb} as one sensor must be named${verb === "rename" ? ", and its new name" : ""}`,
    );
  }
  let code: number = exitCodes.ok;
  await withAdminApi(given, edges, async (api) => {
    if (verb === "show") return await show(api, name, given.json, edges);
    if (verb === "canary") {
      const isFound = await tryCanary(api, name, { json: given.json, waitMs: given.waitS! * 1_000 }, edges);
      return void (code = isFound ? exitCodes.ok : exitCodes.failed);
    }
    const result = await decide(api, verb, name, words);
    edges.print(given.json ? JSON.stringify(result) : escapeLine(`${done[verb]} ${result.name}`));
  });
  return code;
}

export const sensorsCommand: Command = command({
  name: "sensors",
  summary: "list the sensors and how they are",
  operands: "[NAME]",
  about:
    "Prints every enrolled sensor, or the one named, with its status and, when it is not well, why. Reads the database, or asks --url.",
  examples: ["sensors", "sensors roof", "sensors --json"],
  options,
  async run(options, operands, edges) {
    if (operands.length > 0) return await runSensor(options, ["show", ...operands], edges);
    await withAdminApi(options, edges, (api) => list(api, options.json, edges));
    return exitCodes.ok;
  },
});

export const revokeCommand: Command = command({
  name: "revoke",
  summary: "revoke a sensor",
  operands: "NAME",
  about:
    `Refuses everything that comes from this sensor, within 5 seconds, for good: it can only enrol anew, with another key. Its name is free
then. NAME is the sensor's name or id.`,
  examples: ["revoke roof", "revoke s0123456789abcdef0123"],
  options,
  async run(options, operands, edges) {
    const name = onlyOperand(operands, "sensor");
    await withAdminApi(options, edges, async (api) => {
      const result = await decide(api, "revoke", name, []);
      edges.print(options.json ? JSON.stringify(result) : escapeLine(`revoked ${result.name}`));
    });
    return exitCodes.ok;
  },
});

async function decide(
  api: AdminApi,
  verb: keyof typeof done,
  name: string,
  words: string[],
): Promise<{ sensor_id: string; name: string }> {
  const path = `/sensors/${encodeURIComponent(name)}`;
  switch (verb) {
    case "remove":
      return await api.remove(path);
    case "rename":
      return await api.post(`${path}/rename`, { name: words[0] });
    case "tag":
      return await api.post(`${path}/tags`, {
        tags: words.flatMap((word) => word.split(",")).filter(Boolean),
      });
    default:
      return await api.post(`${path}/${verb}`, {});
  }
}

async function list(api: AdminApi, json: boolean, edges: Edges): Promise<void> {
  const fleet = await readWholeFleet(api);
  if (json) return edges.print(JSON.stringify(fleet));
  for (const sensor of fleet.sensors) say(sensor, fleet.now_ms, edges);
  if (fleet.sensors.length === 0) edges.reporter.info("no sensor is enrolled: make a join token first");
}

const changesShown = 5;

interface Change {
  at_ms: number;
  status: string;
  reasons: string[];
}

async function show(api: AdminApi, name: string, json: boolean, edges: Edges): Promise<void> {
  const sensor = await api.get<SensorHealth>(`/sensors/${encodeURIComponent(name)}`);
  const path = `/sensors/${encodeURIComponent(sensor.sensor_id)}/health`;
  const { rows } = await api.get<{ rows: Change[] }>(
    `${path}?changes=true&limit=${changesShown}&since=now-30d`,
  );
  if (json) return edges.print(JSON.stringify({ ...sensor, changes: rows }));
  say({ ...rowOf(sensor), reasons: sensor.reasons }, edges.clock.nowMs(), edges);
  if (rows.length > 0) edges.print("  last changes:");
  for (const { at_ms, status, reasons } of rows) {
    const at = new Date(at_ms).toISOString().slice(0, 19).replace("T", " ");
    edges.print(escapeLine(`    ${at} UTC  ${status}${reasons.length > 0 ? `: ${reasons.join("; ")}` : ""}`));
  }
}

const lookMs = 1_000;

/** Asks for a canary and waits for it; true = it arrived. */
async function tryCanary(
  api: AdminApi,
  name: string,
  { json, waitMs }: { json: boolean; waitMs: number },
  { clock, reporter, print, signal }: Edges,
): Promise<boolean> {
  const path = `/sensors/${encodeURIComponent(name)}`;
  const { asked_ms } = await api.post<{ asked_ms: number }>(`${path}/canary`, {});
  const sinceMs = clock.monotonicMs();
  let before = "";
  for (;;) {
    const sensor = await api.get<SensorHealth>(path);
    const canary = sensor.check_in?.canary;
    const isSent = canary?.asked === asked_ms;
    const isFound = isSent && sensor.canary_state?.arrived_sent_ms === canary.sent_ms;
    const isSettled = isFound || (isSent && canary.flows.every(({ problem }) => problem !== null));
    const says = isSent
      ? `canary of ${sensor.name}: ${sensor.canary}`
      : `${sensor.name} has not checked in since it was asked`;
    if (isSettled || signal.aborted || clock.monotonicMs() - sinceMs >= waitMs) {
      print(
        json
          ? JSON.stringify({ found: isFound, says, canary, state: sensor.canary_state })
          : escapeLine(says),
      );
      return isFound;
    }
    const step = isSent ? "sent, waiting until it is found here" : "asked, waiting for its check-in";
    if (step !== before) reporter.info(step, { sensor: sensor.name });
    before = step;
    await clock.sleep(lookMs, signal);
  }
}

function say(sensor: FleetRow, nowMs: number, edges: Edges): void {
  edges.print(escapeLine(`${sensor.sensor_id}  enrolled ${new Date(sensor.enrolled_ms).toISOString()}`));
  for (const line of sensorLines(sensor, nowMs, edges.isColourful)) edges.print(`  ${line}`);
}
