/** `picket-aggregator upgrade`: brings the sensors to another version, a part of them first. @module */

import { type Command, command, CommandError, exitCodes } from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import { type AdminApi, readSpan, readVerb, withAdminApi } from "../cli/admin_api.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";

const verbs = ["start", "status", "list", "pause", "resume", "cancel"] as const;
const options = {
  ...generalOptions,
  ...storeOptions,
  ...remoteOptions,
  canary: {
    kind: "text",
    default: "5%",
    value: "WHO",
    help: "start: who is first, tag=NAME or a share of the fleet like 5%",
  },
  canaryTime: {
    kind: "text",
    default: "1h",
    value: "SPAN",
    help: "start: how long they must have gone well, 1m to 30d",
  },
  step: {
    kind: "number",
    default: 25,
    min: 1,
    max: 100,
    help: "start: then so many percent of the fleet more at a time",
  },
  stepTime: {
    kind: "text",
    default: "1h",
    value: "SPAN",
    help: "start: time from one step to the next, 1m to 30d",
  },
  allowOlder: {
    kind: "flag",
    default: false,
    help: "start: the version may be older than what a sensor runs",
  },
} as const;

interface Rollout {
  id: number;
  version: string;
  canary: string;
  canary_s: number;
  step_percent: number;
  step_s: number;
  state: string;
  percent: number;
  stage_ms: number;
  reason: string | null;
  created_ms: number;
  created_by: string;
}

interface Shown {
  rollout: Rollout;
  counts: Record<string, number>;
  sensors: { name: string; state: string; actual: string | null; reason: string | null; canary: boolean }[];
}

export const upgradeCommand: Command = command({
  name: "upgrade",
  summary: "bring sensors to another version: start, status, list, pause, resume, cancel",
  operands: "VERB [VERSION | ID]",
  about:
    `start offers the programs of a version (see release) to the canaries; when these have run it for --canary-time and none failed, to
--step percent of the fleet more every --step-time. A sensor tries a new program and goes back by itself when it crashes, hangs,
captures nothing or gets no check-in through. One canary that fails halts everything, later more than one sensor in ten; resume then goes
on, and those that failed try again. Sensors that are offline are not waited for: they get it when they come back.
status shows how each sensor took the newest rollout, or the one with an ID. Works on the database of the state folder, or asks --url.`,
  examples: [
    "upgrade start 1.1.0 --canary tag=canary",
    "upgrade start 1.1.0 --canary 5% --canary-time 12h --step 20 --step-time 4h",
    "upgrade status",
    "upgrade pause",
    "upgrade resume",
    "upgrade cancel",
    "upgrade start 1.0.0 --allow-older",
  ],
  options,
  run: (given, operands, edges) =>
    withAdminApi(given, edges, async (api) => {
      const { verb, rest } = readVerb(operands, verbs, "status");
      const print = (result: unknown, lines: readonly string[]) =>
        given.json
          ? edges.print(JSON.stringify(result))
          : lines.forEach((line) => edges.print(escapeLine(line)));
      if (
        rest.length > 1 || (rest.length === 0 && verb === "start") || (rest.length > 0 && verb === "list")
      ) {
        throw new CommandError(
          exitCodes.usage,
          `Cannot ${verb} as ${
            verb === "start" ? "one version" : verb === "list" ? "nothing" : "one id"
          } must be named`,
        );
      }
      if (verb === "start") {
        const { id, version } = await start(api, rest[0], given);
        print({ id, version }, [
          `rollout ${id} of version ${version} begins: picket-aggregator upgrade status`,
        ]);
        return exitCodes.ok;
      }
      if (verb === "list") {
        const { rows } = await api.get<{ rows: Rollout[] }>("/upgrades");
        print({ rows }, rows.length === 0 ? ["there was no upgrade"] : rows.map(rolloutLine));
        return exitCodes.ok;
      }
      const path = `/upgrades/${encodeURIComponent(rest[0] ?? "newest")}`;
      if (verb === "status") {
        const shown = await api.get<Shown>(path);
        print(shown, shownLines(shown));
        return shown.rollout.state === "halted" ? exitCodes.failed : exitCodes.ok;
      }
      const changed = await api.post<{ id: number; version: string; state: string }>(`${path}/${verb}`, {});
      print(changed, [`rollout ${changed.id} of version ${changed.version} is ${changed.state}`]);
      return exitCodes.ok;
    }),
});

function start(
  api: AdminApi,
  version: string,
  given: { canary: string; canaryTime: string; step: number; stepTime: string; allowOlder: boolean },
): Promise<{ id: number; version: string }> {
  const share = /^([0-9]{1,3})%$/.exec(given.canary);
  const span = (flag: string, text: string) => readSpan(flag, text, { least: "1m", most: "30d" });
  return api.post("/upgrades", {
    version,
    canary: share ? `percent=${Number(share[1])}` : given.canary,
    canary_s: span("--canary-time", given.canaryTime),
    step_percent: given.step,
    step_s: span("--step-time", given.stepTime),
    allow_older: given.allowOlder,
  });
}

function shownLines({ rollout, counts, sensors }: Shown): string[] {
  const summary = Object.entries(counts).filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`).join(", ");
  return [
    rolloutLine(rollout),
    `sensors: ${summary || "none"}`,
    ...sensors.map(({ name, state, actual, reason, canary }) =>
      `  ${name}: ${state}${canary ? ", canary" : ""}, ${
        actual === null ? "no version known" : `runs ${actual}`
      }${reason === null ? "" : `: ${reason}`}`
    ),
  ];
}

function rolloutLine(
  { id, version, canary, state, percent, reason, created_ms, created_by }: Rollout,
): string {
  const reached = percent === 0 ? `canaries (${canary})` : `${percent} % of the fleet`;
  return `rollout ${id} of version ${version}: ${state}, at ${reached}${
    reason === null ? "" : `; ${reason}`
  }; begun ${new Date(created_ms).toISOString()} by ${created_by || "?"}`;
}
