/** API keys: made, listed, revoked.
 *
 * Invariant: the text of a key is in exactly one answer, the one that makes it; the identityStore has its hash. What
 * people call a key by is its name, or the beginning of that hash where a name stands twice.
 * A session ends with its key. @module */

import { z } from "../../../shared/schema.ts";
import { type ApiKeyRow, roles } from "../../model/access.ts";
import { makeApiKey } from "../api_keys.ts";
import { ApiError } from "../errors.ts";
import { name } from "../schemas.ts";
import { actorOf, resource } from "../route.ts";

const idLength = 12;
export const keyLifeS = { least: 60, most: 10 * 365 * 86_400 } as const;

export const keyAnswer = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(roles),
  created_ms: z.number(),
  expires_ms: z.number().nullable(),
  revoked_ms: z.number().nullable(),
});
export const newKeyAnswer = keyAnswer.extend({ key: z.string() });

function present(row: ApiKeyRow): z.infer<typeof keyAnswer> {
  const { name, role, created_ms, expires_ms, revoked_ms } = row;
  return { id: row.key_hash.slice(0, idLength), name, role, created_ms, expires_ms, revoked_ms };
}

export const addKey = resource({
  summary: "Makes an API key",
  body: z.strictObject({
    name,
    role: z.enum(roles),
    ttl_s: z.int().min(keyLifeS.least).max(keyLifeS.most).optional().describe("Absent: it does not expire"),
  }),
  status: 201,
  answer: newKeyAnswer,
  needs: ["identityStore", "keys", "reporter", "randomBytes"],
  async handle(
    { body: { name, role, ttl_s }, nowMs, caller },
    { identityStore, keys, reporter, randomBytes },
  ) {
    const expiresMs = ttl_s === undefined ? null : nowMs + ttl_s * 1_000;
    const { key, row } = makeApiKey(randomBytes(20), { name, role, nowMs, expiresMs });
    await identityStore.addApiKey(row, actorOf(caller));
    keys.forget();
    reporter.count("keys_made_total", { role });
    reporter.info("API key made", { name, role, by: caller?.name });
    return { json: { ...present(row), key } };
  },
});

export const listKeys = resource({
  summary: "Names and roles of the API keys, without their text",
  answer: z.object({ rows: z.array(keyAnswer) }),
  needs: ["identityStore"],
  handle: async (_call, { identityStore }) => ({
    json: { rows: (await identityStore.readApiKeys()).map(present) },
  }),
});

export const revokeKey = resource({
  summary: "Revokes an API key, by name or id; its sessions end with it",
  answer: z.object({ id: z.string(), name: z.string(), revoked: z.literal(true) }),
  errors: ["ambiguous", "last_admin"],
  needs: ["identityStore", "keys", "reporter"],
  async handle({ params, nowMs, caller }, { identityStore, keys, reporter }) {
    const rows = await identityStore.readApiKeys();
    const row = theKey(rows, params.id);
    const isLast = row.role === "admin" &&
      !rows.some((other) =>
        other.role === "admin" && other.key_hash !== row.key_hash && isLive(other, nowMs)
      );
    if (isLast) throw new ApiError("last_admin", "Make another admin key first");
    await identityStore.revokeApiKey(row.key_hash, nowMs, actorOf(caller));
    keys.forget();
    reporter.count("keys_revoked_total");
    reporter.info("API key revoked", { name: row.name, by: caller?.name });
    return { json: { id: row.key_hash.slice(0, idLength), name: row.name, revoked: true } };
  },
});

function isLive({ revoked_ms, expires_ms }: ApiKeyRow, nowMs: number): boolean {
  return revoked_ms === null && (expires_ms === null || nowMs < expires_ms);
}

/** @throws {ApiError} when there is none, or more than one. */
function theKey(rows: readonly ApiKeyRow[], text: string): ApiKeyRow {
  const byId = rows.find(({ key_hash }) => text.length === idLength && key_hash.startsWith(text));
  if (byId) return byId;
  const named = rows.filter(({ name, revoked_ms }) => name === text && revoked_ms === null);
  if (named.length === 1) return named[0];
  throw named.length === 0
    ? new ApiError("not_found", "There is no API key with this name or id that is not revoked")
    : new ApiError(
      "ambiguous",
      `${named.length} API keys have this name: name one by its id, ${
        named.slice(0, 5).map(({ key_hash }) => key_hash.slice(0, idLength)).join(", ")
      }`,
    );
}
