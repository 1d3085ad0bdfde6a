/** Join tokens: what lets a sensor in.
 *
 * Invariant: the text of a token is in exactly one answer, the one that makes it; the identityStore has its hash. What
 * people call a token by is the beginning of that hash. @module */

import { Buffer } from "node:buffer";
import { sha256Hex } from "../../../shared/batch.ts";
import { z } from "../../../shared/schema.ts";
import { joinCommand } from "../../model/invitation.ts";
import type { JoinTokenRow } from "../../model/sensor.ts";
import { ApiError } from "../errors.ts";
import { name } from "../schemas.ts";
import { actorOf, resource } from "../route.ts";

const minuteMs = 60_000;
/** How long a token is good, and how many sensors may use it. */
export const tokenLimits = {
  lifeMs: { least: 15 * minuteMs, most: 30 * 24 * 60 * minuteMs, standard: 15 * minuteMs },
  usesMax: 1_000,
  tagsMax: 16,
} as const;
const idLength = 12;

export interface TokenWishes {
  site: string;
  tags: string[];
  nowMs: number;
  /** @default 15 minutes */
  lifeMs?: number;
  /** @default 1 */
  uses?: number;
  /** Who enrols with it waits for an operator. @default false */
  approve?: boolean;
}

/** A new join token and the row to identityStore for it. `random` must be 24 bytes. */
export function makeJoinToken(
  random: Uint8Array,
  { site, tags, nowMs, lifeMs = tokenLimits.lifeMs.standard, uses = 1, approve = false }: TokenWishes,
): { token: string; row: JoinTokenRow } {
  if (random.length !== 24) {
    throw new RangeError(
      `Cannot make a join token as "random" must have 24 bytes: current length is ${random.length}`,
    );
  }
  const token = `pj_${Buffer.from(random).toString("base64url")}`;
  const row = {
    token_hash: sha256Hex(token),
    site,
    tags,
    created_ms: nowMs,
    expires_ms: nowMs + lifeMs,
    uses_max: uses,
    uses: 0,
    needs_approval: approve,
    revoked_ms: null,
    used_ms: null,
    used_by: null,
  };
  return { token, row };
}

export const tokenAnswer = z.object({
  id: z.string(),
  site: z.string(),
  tags: z.array(z.string()),
  created_ms: z.number(),
  expires_ms: z.number(),
  uses: z.int().describe("Sensors that enrolled with it"),
  uses_max: z.int(),
  needs_approval: z.boolean(),
  revoked_ms: z.number().nullable(),
});

export const newTokenAnswer = tokenAnswer.extend({
  token: z.string(),
  command: z.string().describe("What to type on the sensor"),
});

function present(row: JoinTokenRow): z.infer<typeof tokenAnswer> {
  const { site, tags, created_ms, expires_ms, uses, uses_max, needs_approval, revoked_ms } = row;
  return {
    id: row.token_hash.slice(0, idLength),
    site,
    tags,
    created_ms,
    expires_ms,
    uses,
    uses_max,
    needs_approval,
    revoked_ms,
  };
}

export const addToken = resource({
  summary: "Makes a join token: for one sensor and 15 minutes, unless said otherwise",
  body: z.strictObject({
    site: name.optional(),
    tags: z.array(name).max(tokenLimits.tagsMax).default([]),
    ttl_s: z.int().min(tokenLimits.lifeMs.least / 1_000).max(tokenLimits.lifeMs.most / 1_000).optional(),
    uses: z.int().min(1).max(tokenLimits.usesMax).default(1),
    approve: z.boolean().default(false).describe("Who enrols with it waits for an operator's approval"),
  }),
  status: 201,
  answer: newTokenAnswer,
  needs: ["identityStore", "reporter", "randomBytes", "site", "placeOf"],
  async handle({ body, nowMs, caller, url }, { identityStore, reporter, randomBytes, site, placeOf }) {
    const { ttl_s, tags, uses, approve } = body;
    const wishes = { site: body.site ?? site, tags, uses, approve, nowMs };
    const lifeMs = ttl_s === undefined ? {} : { lifeMs: ttl_s * 1_000 };
    const { token, row } = makeJoinToken(randomBytes(24), { ...wishes, ...lifeMs });
    await identityStore.addJoinToken(row, actorOf(caller));
    reporter.count("tokens_made_total");
    reporter.info("join token made", { site: row.site, uses, by: caller?.name });
    return { json: { ...present(row), token, command: joinCommand(placeOf(url), token) } };
  },
});

export const listTokens = resource({
  summary: "Join tokens, newest first, without their text",
  answer: z.object({ rows: z.array(tokenAnswer) }),
  needs: ["identityStore"],
  handle: async (_call, { identityStore }) => ({
    json: { rows: (await identityStore.readJoinTokens()).map(present) },
  }),
});

export const revokeToken = resource({
  summary: "Revokes a join token: no sensor enrols with it any more",
  answer: z.object({ id: z.string(), revoked: z.literal(true) }),
  needs: ["identityStore", "reporter"],
  async handle({ params: { id }, nowMs, caller }, { identityStore, reporter }) {
    const isKnown = /^[0-9a-f]{12}$/.test(id) &&
      await identityStore.revokeJoinToken(id, nowMs, actorOf(caller));
    if (!isKnown) throw new ApiError("not_found", "There is no join token with this id");
    reporter.info("join token revoked", { token: id, by: caller?.name });
    return { json: { id, revoked: true } };
  },
});
