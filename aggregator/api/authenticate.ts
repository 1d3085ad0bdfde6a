/** Who is calling: an API key in the header, or a session in the cookie.
 *
 * Invariant: a source that keeps guessing keys is refused before its key is looked at; a session counts only for calls that the
 * dashboard itself makes, which the browser vouches for with `Origin`. @module */

import { ApiError } from "./errors.ts";
import type { Caller, Services } from "./route.ts";

type Header = (name: string) => string | undefined;

/** @throws {ApiError} when there is no valid key or session. */
export async function authenticate(
  header: Header,
  source: string,
  nowMs: number,
  services: Services,
): Promise<Caller> {
  const { keys, sessions, guessThrottle, reporter } = services;
  const authorization = header("authorization");
  if (authorization !== undefined) {
    const wait = guessThrottle.waitS(source, nowMs);
    if (wait !== null) throw new ApiError("too_many", `Try again in ${wait} s`);
    const key = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(authorization)?.[1];
    const row = key ? await keys.find(key, nowMs) : null;
    if (row) return { name: row.name, role: row.role, keyHash: row.key_hash, by: "key" };
    guessThrottle.take(source, nowMs);
    reporter.count("keys_refused_total");
    throw new ApiError("unauthenticated", "This key is not known, or was revoked");
  }
  const keyHash = sessions.find(header("cookie"), nowMs);
  const row = keyHash === null ? null : await keys.findHash(keyHash, nowMs);
  if (!row) throw new ApiError("unauthenticated", 'Send "Authorization: Bearer pk_..." or log in');
  return { name: row.name, role: row.role, keyHash: row.key_hash, by: "session" };
}

/** Refuses a change that another site's page asks for in a person's name. Programs send neither cookie nor `Origin`.
 * @throws {ApiError} */
export function checkOrigin(header: Header, caller: Caller | null): void {
  const origin = header("origin");
  if (origin === undefined) {
    if (caller?.by !== "session") return;
    throw new ApiError("cross_origin", "A change by session needs the header Origin");
  }
  let host: string | null = null;
  try {
    host = new URL(origin).host;
  } catch {
    // "null", which a sandboxed page sends, is no URL.
  }
  if (host === null || host !== header("host")) {
    throw new ApiError("cross_origin", "Origin must be this server's own");
  }
}
