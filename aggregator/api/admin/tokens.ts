/** Join tokens and API keys: how sensors and people get in.
 *
 * Invariant: the text of a token or key is in exactly one answer, that of the call that made it; the store holds its SHA-256. @module */

import { Buffer } from "node:buffer";
import { sha256Hex } from "../../../shared/batch.ts";
import { z } from "../../../shared/schema.ts";
import type { JoinTokenRow } from "../../model/sensor.ts";
import { roles } from "../../model/access.ts";
import { makeApiKey } from "../api_keys.ts";
import { name } from "../schemas.ts";
import { resource } from "../route.ts";

/** A token is good for this long. */
export const tokenLifeMs = 15 * 60_000;
export const tagsMax = 16;

/** A new join token and the row to store for it. `random` must be 24 bytes. */
export function makeJoinToken(
  random: Uint8Array,
  { site, tags, nowMs }: { site: string; tags: string[]; nowMs: number },
): { token: string; row: JoinTokenRow } {
  if (random.length !== 24) {
    throw new RangeError(
      `Cannot make a join token as "random" must have 24 bytes: current length is ${random.length}`,
    );
  }
  const token = `pj_${Buffer.from(random).toString("base64url")}`;
  const expires_ms = nowMs + tokenLifeMs;
  const row = {
    token_hash: sha256Hex(token),
    site,
    tags,
    created_ms: nowMs,
    expires_ms,
    used_ms: null,
    used_by: null,
  };
  return { token, row };
}

export const addToken = resource({
  summary: "Makes a join token: one sensor, 15 minutes",
  body: z.strictObject({ site: name.optional(), tags: z.array(name).max(tagsMax).default([]) }),
  answer: z.object({
    token: z.string(),
    site: z.string(),
    tags: z.array(z.string()),
    expires_ms: z.number(),
  }),
  async handle({ body, nowMs, caller }, services) {
    const site = body.site ?? services.site;
    const { token, row } = makeJoinToken(services.randomBytes(24), { site, tags: body.tags, nowMs });
    await services.store.addJoinToken(row);
    services.reporter.count("tokens_made_total");
    services.reporter.info("join token made", { site, by: caller?.name });
    return { status: 201, json: { token, site, tags: body.tags, expires_ms: row.expires_ms } };
  },
});

const keyAnswer = z.object({ name: z.string(), role: z.enum(roles), created_ms: z.number() });

export const addKey = resource({
  summary: "Makes an API key",
  body: z.strictObject({ name, role: z.enum(roles) }),
  answer: keyAnswer.extend({ key: z.string() }),
  async handle({ body, nowMs, caller }, { store, keys, reporter, randomBytes }) {
    const { key, row } = makeApiKey(randomBytes(20), { ...body, nowMs });
    await store.addApiKey(row);
    keys.forget();
    reporter.count("keys_made_total", { role: body.role });
    reporter.info("API key made", { name: body.name, role: body.role, by: caller?.name });
    return { status: 201, json: { key, name: row.name, role: row.role, created_ms: nowMs } };
  },
});

export const listKeys = resource({
  summary: "Names and roles of the API keys",
  answer: z.object({ rows: z.array(keyAnswer.extend({ revoked_ms: z.number().nullable() })) }),
  async handle(_call, { store }) {
    const rows = await store.readApiKeys();
    return {
      json: {
        rows: rows.map(({ name, role, created_ms, revoked_ms }) => ({ name, role, created_ms, revoked_ms })),
      },
    };
  },
});
