/** `picket-aggregator token`: join tokens, made, listed, revoked. @module */

import { tokenLimits } from "../api/admin/tokens.ts";
import { type AdminApi, readSpan, readVerb, withAdminApi } from "../cli/admin_api.ts";
import { qrLines } from "../cli/qr.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";
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
import { escapeLine } from "../../shared/escape.ts";

const verbs = ["create", "list", "revoke"] as const;
const options = {
  ...generalOptions,
  ...storeOptions,
  ...remoteOptions,
  site: {
    kind: "text",
    default: "default",
    help: "Site of the sensor: private addresses are told apart by it",
  },
  tags: { kind: "list", default: [], help: "Words to group sensors by" },
  ttl: { kind: "text", default: "15m", value: "SPAN", help: "How long a token is good: 15m to 30d" },
  uses: {
    kind: "number",
    default: 1,
    min: 1,
    max: tokenLimits.usesMax,
    help: "How many sensors may enrol with one token",
  },
  count: { kind: "number", default: 1, min: 1, max: 1_000, help: "How many tokens to make" },
  approve: {
    kind: "flag",
    default: false,
    help: "A sensor that enrols with it waits until an operator approves it",
  },
  qr: { kind: "flag", default: false, help: "Print the line for the sensor as a QR code too" },
} as const;

interface Token {
  id: string;
  site: string;
  tags: string[];
  expires_ms: number;
  uses: number;
  uses_max: number;
  needs_approval: boolean;
  revoked_ms: number | null;
}
type NewToken = Token & { token: string; command: string };

export const tokenCommand: Command = command({
  name: "token",
  summary: "join tokens: create, list, revoke",
  operands: "[create | list | revoke ID]",
  about:
    `create makes a token with which a sensor can enrol, and prints it and what to type on the sensor; list shows what was made, without
the tokens' text; revoke ends one by its id. Works on the database of the state folder or of --store, also while the aggregator runs;
with --url it asks a running aggregator instead.`,
  examples: [
    "token create --site office --tags roof,north",
    "token create --uses 300 --ttl 7d --approve",
    "token create --count 12 --json",
    "token list --url http://127.0.0.1:8600 --key-file admin.key",
    "token revoke 0123456789ab",
  ],
  options,
  async run(options, operands, edges) {
    const { verb, rest } = readVerb(operands, verbs, "create");
    const id = verb === "revoke" ? onlyOperand(rest, "token id") : (noOperands(rest), "");
    const ttlS = readSpan("ttl", options.ttl, { least: "15m", most: "30d" });
    await withAdminApi(options, edges, async (api) => {
      if (verb === "create") await create(api, options, ttlS, edges);
      else if (verb === "list") await list(api, options, edges);
      else {
        await api.post(`/tokens/${encodeURIComponent(id)}/revoke`, {});
        edges.print(options.json ? JSON.stringify({ id, revoked: true }) : `revoked ${escapeLine(id)}`);
      }
    });
    return exitCodes.ok;
  },
});

async function create(
  api: AdminApi,
  given: Options<typeof options>,
  ttlS: number,
  edges: Edges,
): Promise<void> {
  const { site, tags, uses, count, approve } = given;
  if (!Number.isInteger(uses) || !Number.isInteger(count)) {
    throw new CommandError(
      exitCodes.usage,
      'Cannot make a token as "uses" and "count" must be whole numbers',
    );
  }
  const made: NewToken[] = [];
  for (let i = 0; i < count; i++) {
    made.push(await api.post<NewToken>("/tokens", { site, tags, uses, approve, ttl_s: ttlS }));
  }
  if (given.json) {
    // One token is one object; several are a list.
    edges.print(JSON.stringify(given.count === 1 ? made[0] : { tokens: made }));
    return;
  }
  for (const { token, command } of made) {
    edges.print(token);
    if (given.qr) { for (const line of qrLines(/'(.*)'/.exec(command)?.[1] ?? command)) edges.print(line); }
  }
  const until = new Date(made[0].expires_ms).toISOString().replace(/\.[0-9]+Z$/, "Z");
  const whom = uses === 1 ? "one sensor" : `${uses} sensors`;
  edges.reporter.info(`good for ${whom} of site ${site} until ${until}; on the sensor: ${made[0].command}`);
}

async function list(api: AdminApi, { json }: Options<typeof options>, edges: Edges): Promise<void> {
  const { rows } = await api.get<{ rows: Token[] }>("/tokens");
  if (json) return edges.print(JSON.stringify({ rows }));
  const nowMs = edges.clock.nowMs();
  for (const row of rows) {
    const state = row.revoked_ms !== null
      ? "revoked"
      : row.uses >= row.uses_max
      ? "used"
      : row.expires_ms <= nowMs
      ? "expired"
      : "open";
    const words = [
      row.id,
      state.padEnd(7),
      `${row.uses} of ${row.uses_max} used`,
      `site ${row.site}`,
      ...row.tags,
    ];
    if (row.needs_approval) words.push("(needs approval)");
    edges.print(escapeLine(words.join("  ")));
  }
}
