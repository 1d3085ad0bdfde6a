/** `picket-aggregator suppress`: hides known threats, with a reason and an expiry.
 *
 * In: conditions, of which all must hold. Out: what is hidden, or would be, in words or as JSON. @module */

import {
  type Command,
  command,
  type Edges,
  exitCodes,
  noOperands,
  onlyOperand,
} from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import type { Options } from "../../shared/options.ts";
import { type AdminApi, readSpan, readVerb, withAdminApi } from "../cli/admin_api.ts";
import { timelineLine } from "../cli/words.ts";
import { conditionNames, type SuppressionConditions, type SuppressionRow } from "../model/suppression.ts";
import type { Threat } from "../model/threat.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";

const verbs = ["list", "add", "preview", "end"] as const;

const options = {
  ...generalOptions,
  ...storeOptions,
  ...remoteOptions,
  network: { kind: "text", default: "", value: "SITE", help: "Threats of this site, or global" },
  source: { kind: "text", default: "", value: "CIDR", help: "Every source lies in this address or CIDR" },
  destination: {
    kind: "text",
    default: "",
    value: "CIDR",
    help: "Every destination lies in this address or CIDR",
  },
  port: { kind: "text", default: "", value: "PORT", help: "The one port concerned" },
  detector: { kind: "text", default: "", value: "NAME", help: "Found by this detector" },
  name: {
    kind: "text",
    default: "",
    value: "NAME",
    help: "With this name in the evidence, or a domain below it",
  },
  reason: { kind: "text", default: "", value: "TEXT", help: "Why; add needs it" },
  expires: { kind: "text", default: "30d", value: "SPAN", help: "When it ends: 1h to 365d" },
  all: { kind: "flag", default: false, help: "list: also those that ended" },
} as const;
type Given = Options<typeof options>;

export const suppressCommand: Command = command({
  name: "suppress",
  summary: "hide threats that are known: list, add, preview, end",
  operands: "[list | add | preview | end ID]",
  about:
    `add hides threats, stored and new ones, that meet every condition given, until it expires; preview shows what it
would have hidden in the last 30 days. end shows again what nothing else hides. A suppression hides from lists,
incidents, sinks and the model; it changes no severity and closes nothing. A running aggregator follows within 5 s.`,
  examples: [
    "suppress preview --source 10.0.0.5 --detector port_scan_vertical",
    "suppress add --source 10.0.0.5 --detector port_scan_vertical --reason 'our scanner' --expires 90d",
    "suppress list",
    "suppress end 0123456789abcdef",
  ],
  options,
  async run(given, operands, edges) {
    const { verb, rest } = readVerb(operands, verbs, "list");
    const which = verb === "end" ? onlyOperand(rest, "suppression") : (noOperands(rest), "");
    await withAdminApi(given, edges, async (api) => {
      if (verb === "list") await list(api, given, edges);
      else if (verb === "add") await add(api, given, edges);
      else if (verb === "preview") await preview(api, given, edges);
      else {
        const done = await api.post<{ id: string }>(
          `/suppressions/${encodeURIComponent(which)}/end`,
          undefined,
        );
        edges.print(given.json ? JSON.stringify(done) : `ended ${done.id}`);
      }
    });
    return exitCodes.ok;
  },
});

/** As the API takes them; it checks them. */
function conditionsOf({ network, source, destination, port, detector, name }: Given): SuppressionConditions {
  const all = { network, src_ip: source, dst_ip: destination, detector, name };
  const given = Object.fromEntries(Object.entries(all).filter(([, text]) => text !== ""));
  return port === "" ? given : { ...given, dst_port: Number(port) };
}

async function add(api: AdminApi, given: Given, { print }: Edges): Promise<void> {
  const ttl_s = readSpan("expires", given.expires, { least: "1h", most: "365d" });
  const body = { ...conditionsOf(given), reason: given.reason, ttl_s };
  const made = await api.post<SuppressionRow>("/suppressions", body);
  print(given.json ? JSON.stringify(made) : lineOf(made));
}

async function preview(api: AdminApi, given: Given, { print, isColourful }: Edges): Promise<void> {
  interface Preview {
    threats: number;
    rows: Threat[];
    is_cut: boolean;
  }
  const found = await api.post<Preview>("/suppressions/preview", conditionsOf(given));
  if (given.json) return print(JSON.stringify(found));
  const { threats, rows, is_cut } = found;
  const least = is_cut ? "at least " : "";
  print(`would have hidden ${least}${threats} ${threats === 1 ? "threat" : "threats"} of the last 30 days`);
  for (const row of rows) print(`  ${timelineLine(row, isColourful)}`);
  if (threats > rows.length) print(`  and ${threats - rows.length} more`);
}

async function list(api: AdminApi, { all, json }: Given, { print }: Edges): Promise<void> {
  const { rows } = await api.get<{ rows: SuppressionRow[] }>(`/suppressions?all=${all}`);
  if (json) return print(JSON.stringify({ rows }));
  for (const row of rows) print(lineOf(row));
}

function lineOf(row: SuppressionRow): string {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 16) + "Z";
  const conditions = conditionNames.flatMap((name) =>
    row[name] === undefined ? [] : [`${name} = ${row[name]}`]
  );
  const end = row.ended_ms === null ? `expires ${day(row.expires_ms)}` : `ended ${day(row.ended_ms)}`;
  const made = `made ${day(row.made_ms)} by ${row.made_by}`;
  return escapeLine(
    [row.id, conditions.join(" and "), row.reason, made, end, `${row.hidden} hidden`].join("  "),
  );
}
