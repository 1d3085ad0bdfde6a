/** `picket-aggregator key`: API keys for people and programs, made, listed, revoked. @module */

import { type AdminApi, readSpan, readVerb, withAdminApi } from "../cli/admin_api.ts";
import { type Role, roles } from "../model/access.ts";
import {
  type Command,
  command,
  type Edges,
  exitCodes,
  noOperands,
  onlyOperand,
} from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import { generalOptions, remoteOptions, storeOptions } from "../options/store_options.ts";

const verbs = ["create", "list", "revoke"] as const;

interface Key {
  id: string;
  name: string;
  role: Role;
  created_ms: number;
  expires_ms: number | null;
  revoked_ms: number | null;
}

export const keyCommand: Command = command({
  name: "key",
  summary: "API keys: create, list, revoke",
  operands: "[create | list | revoke NAME]",
  about:
    `create makes an API key and prints it, this once; only its hash is stored. list shows whose keys there are; revoke ends one, by its
name or id, within 2 seconds, with the sessions it opened. viewer reads, analyst also sets the status of threats, admin also makes
tokens and keys and decides about sensors.`,
  examples: [
    "key create --name grafana --role viewer",
    "key create --name visitor --expires 7d",
    "key list",
    "key revoke grafana",
  ],
  options: {
    ...generalOptions,
    ...storeOptions,
    ...remoteOptions,
    name: { kind: "text", default: "", help: "Whose key it is" },
    role: { kind: "text", default: "viewer", choices: roles, help: "What it may do" },
    expires: { kind: "text", default: "", value: "SPAN", help: "When it ends: 1m to 3650d; else never" },
  },
  async run(options, operands, edges) {
    const { verb, rest } = readVerb(operands, verbs, "create");
    const which = verb === "revoke" ? onlyOperand(rest, "key") : (noOperands(rest), "");
    const { name, role, expires, json } = options;
    const ttl = expires === "" ? {} : { ttl_s: readSpan("expires", expires, { least: "1m", most: "3650d" }) };
    await withAdminApi(options, edges, async (api) => {
      if (verb === "create") {
        const made = await api.post<Key & { key: string }>("/keys", { name, role, ...ttl });
        edges.print(json ? JSON.stringify(made) : made.key);
      } else if (verb === "list") await list(api, json, edges);
      else {
        const done = await api.post<{ name: string }>(`/keys/${encodeURIComponent(which)}/revoke`, {});
        edges.print(json ? JSON.stringify(done) : escapeLine(`revoked ${done.name}`));
      }
    });
    return exitCodes.ok;
  },
});

async function list(api: AdminApi, json: boolean, edges: Edges): Promise<void> {
  const { rows } = await api.get<{ rows: Key[] }>("/keys");
  if (json) return edges.print(JSON.stringify({ rows }));
  const nowMs = edges.clock.nowMs();
  for (const { id, name, role, created_ms, expires_ms, revoked_ms } of rows) {
    const day = (ms: number) => new Date(ms).toISOString().slice(0, 16) + "Z";
    const end = revoked_ms !== null
      ? `revoked ${day(revoked_ms)}`
      : expires_ms === null
      ? "does not expire"
      : `${expires_ms <= nowMs ? "expired" : "expires"} ${day(expires_ms)}`;
    edges.print(escapeLine([id, name, role, `made ${day(created_ms)}`, end].join("  ")));
  }
}
