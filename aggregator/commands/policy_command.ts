/** `picket-aggregator policy`: what the fleet sets on its sensors, and how many have each version. @module */

import { type Command, command, CommandError, exitCodes, noOperands } from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import type { Options } from "../../shared/options.ts";
import {
  policyDifference,
  type PolicyField,
  policyFields,
  type PolicySettings,
} from "../../shared/policy.ts";
import { type AdminApi, readVerb, withAdminApi } from "../cli/admin_api.ts";
import type { PolicyRow } from "../model/policy.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";

const verbs = ["list", "show", "set", "diff", "history", "remove"] as const;
const options = {
  ...generalOptions,
  ...storeOptions,
  ...remoteOptions,
  to: {
    kind: "text",
    default: "",
    value: "WHOM",
    help: "set: all, tag=NAME or sensor=NAME; else as the version before, or all",
  },
} as const;

interface Counted extends PolicyRow {
  wanted: number;
  actual: number;
  rolled_back: number;
}

interface Shown {
  rows: Counted[];
  sensors: { name: string; wanted: number; actual: number; problem: string | null; kept: string[] }[];
}

export const policyCommand: Command = command({
  name: "policy",
  summary: "what the fleet sets on its sensors: list, show, set, diff, history, remove",
  operands: "VERB [NAME [WORD..]]",
  about:
    `set adds a version of a policy: the settings of the version before, with the given ones changed; FIELD= takes one out.
Sensors get it at their next check-in and go back by themselves when their capture breaks or check-ins fail. Roll out to a part first
(--to tag=canary), see with show how it went, then to the rest (--to all). A sensor's own options win over a policy.
Fields: ${Object.keys(policyFields).join(", ")}.
diff compares the last two versions, or the two that are named. remove ends a policy; its history stays.
Works on the database of the state folder, or asks --url.`,
  examples: [
    "policy list",
    'policy set office filter="not port 9100" noise=mdns,ssdp --to tag=canary',
    "policy show office",
    "policy set office --to all",
    "policy diff office 3 4",
    "policy history office",
    "policy remove office",
  ],
  options,
  run: (given, operands, edges) =>
    withAdminApi(given, edges, async (api) => {
      const { verb, rest } = readVerb(operands, verbs, "list");
      const print = (result: unknown, lines: readonly string[]) =>
        given.json
          ? edges.print(JSON.stringify(result))
          : lines.forEach((line) => edges.print(escapeLine(line)));
      if (verb === "list") {
        noOperands(rest);
        const result = await api.get<{ rows: Counted[] }>("/policies");
        print(result, result.rows.length === 0 ? ["no policy is set"] : result.rows.map(countedLine));
        return exitCodes.ok;
      }
      const [name, ...words] = rest;
      if (name === undefined || (words.length > 0 && verb !== "set" && verb !== "diff")) {
        throw new CommandError(exitCodes.usage, `Cannot ${verb} as one policy must be named`);
      }
      await runVerb(verb, name, words, { api, given, print });
      return exitCodes.ok;
    }),
});

interface Means {
  api: AdminApi;
  given: Options<typeof options>;
  print: (result: unknown, lines: readonly string[]) => void;
}

async function runVerb(
  verb: Exclude<typeof verbs[number], "list">,
  name: string,
  words: string[],
  { api, given, print }: Means,
): Promise<void> {
  const path = `/policies/${encodeURIComponent(name)}`;
  if (verb === "show") {
    const shown = await api.get<Shown>(path);
    return print(shown, [...shown.rows.map(countedLine), ...shown.sensors.map(sensorLine)]);
  }
  if (verb === "remove") {
    const removed = await api.remove<{ name: string }>(path);
    return print(removed, [`removed ${removed.name}`]);
  }
  const rows = verb === "set"
    ? await historyOrNone(api, name)
    : (await api.get<{ rows: PolicyRow[] }>(`${path}/history`)).rows;
  if (verb === "history") return print({ rows }, rows.map(versionLine));
  if (verb === "diff") {
    const [before, after] = versionsOf(rows, words);
    const lines = policyDifference(before?.settings ?? {}, after.settings ?? {});
    return print({ before, after }, lines.length === 0 ? ["no difference"] : lines);
  }
  const before = rows[0]?.settings ? rows[0] : null;
  const made = await api.post<{ name: string; version: number }>("/policies", {
    name,
    to: given.to || before?.target || "all",
    settings: withWords(before?.settings ?? {}, words),
  });
  print(made, [
    `policy ${made.name} is now version ${made.version}, for ${given.to || before?.target || "all"}`,
  ]);
}

/** Without asking for a name that may be new, which would be an error. */
async function historyOrNone(api: AdminApi, name: string): Promise<PolicyRow[]> {
  const { rows } = await api.get<{ rows: PolicyRow[] }>("/policies");
  if (!rows.some((row) => row.name === name)) return [];
  return (await api.get<{ rows: PolicyRow[] }>(`/policies/${encodeURIComponent(name)}/history`)).rows;
}

function versionsOf(
  rows: readonly PolicyRow[],
  words: readonly string[],
): [PolicyRow | undefined, PolicyRow] {
  if (words.length === 0) return [rows[1], rows[0]];
  const found = words.map((word) => rows.find(({ version }) => String(version) === word));
  if (words.length === 2 && found[0] && found[1]) return [found[0], found[1]];
  throw new CommandError(
    exitCodes.usage,
    `Cannot compare as none or two versions must be named, of ${
      rows.map(({ version }) => version).join(", ")
    }`,
  );
}

/** @throws {CommandError} when a word is not FIELD=VALUE of a field that there is. */
function withWords(before: PolicySettings, words: readonly string[]): PolicySettings {
  const settings: Record<string, unknown> = { ...before };
  for (const word of words) {
    const at = word.indexOf("=");
    const field = word.slice(0, at);
    if (at < 1 || !Object.hasOwn(policyFields, field)) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot set "${word.slice(0, 60)}" as it must be FIELD=VALUE, with a field of ${
          Object.keys(policyFields).join(", ")
        }`,
      );
    }
    const value = word.slice(at + 1);
    if (value === "") delete settings[field];
    else settings[field] = valueOf(field as PolicyField, value);
  }
  return settings;
}

/** What the API refuses, it refuses in words; here nothing is checked. */
function valueOf(field: PolicyField, text: string): unknown {
  const { kind } = policyFields[field];
  if (kind === "number") return /^[0-9]{1,12}$/.test(text) ? Number(text) : text;
  if (kind === "flag") {
    return /^(on|true|yes)$/.test(text) ? true : /^(off|false|no)$/.test(text) ? false : text;
  }
  return kind === "list" ? text === "none" ? [] : text.split(",") : text;
}

function settingsText(settings: PolicySettings | null): string {
  if (settings === null) return "ended";
  return policyDifference({}, settings).map((line) => line.replace(": not set -> ", "=")).join(" ") ||
    "no settings";
}

function countedLine(row: Counted): string {
  const back = row.rolled_back > 0 ? `, ${row.rolled_back} rolled it back` : "";
  return `${row.name} version ${row.version} for ${row.target}: ${row.actual} of ${row.wanted} sensors have it${back}; ${
    settingsText(row.settings)
  }`;
}

function sensorLine({ name, wanted, actual, problem, kept }: Shown["sensors"][number]): string {
  const own = kept.length > 0 ? `; its own options keep ${kept.join(", ")}` : "";
  const state = problem !== null
    ? `rolled back: ${problem}`
    : actual === wanted
    ? "has it"
    : "has not taken it yet";
  return `  ${name}: ${state}${own}`;
}

function versionLine({ version, target, settings, created_ms, created_by }: PolicyRow): string {
  return `version ${version}, ${new Date(created_ms).toISOString()} by ${created_by}, for ${target}: ${
    settingsText(settings)
  }`;
}
