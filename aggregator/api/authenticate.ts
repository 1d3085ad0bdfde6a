/** Who is calling: an API key in the header, or a session in the cookie.
 *
 * Invariant: a right key is never refused for what others behind the same address did: only failures count, and only
 * failures are told to wait. A session counts only for calls that the dashboard itself makes,
 * which the browser vouches for with `Origin`. @module */

import { ApiError } from "./errors.ts";
import type { EdgeCapabilities } from "./capabilities.ts";
import type { Caller } from "./route.ts";

type Header = (name: string) => string | undefined;

/** What a request brings to be known by. */
export interface Credentials {
  header: Header;
  /** Id of the session its cookie names. */
  session: string | undefined;
  source: string;
  nowMs: number;
}

/** @throws {ApiError} when there is no valid key or session. */
export async function authenticate(
  { header, session, source, nowMs }: Credentials,
  services: EdgeCapabilities,
): Promise<Caller> {
  const { keys, sessions, guessRate, reporter } = services;
  const authorization = header("authorization");
  if (authorization !== undefined) {
    const key = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(authorization)?.[1];
    const row = key ? await keys.find(key, nowMs) : null;
    if (row) return { name: row.name, role: row.role, keyHash: row.key_hash, by: "key" };
    reporter.count("keys_refused_total");
    throw refuseGuess(guessRate.take(source, nowMs), guessRate.headers("guesses", source, nowMs));
  }
  const keyHash = sessions.find(session, nowMs);
  const row = keyHash === null ? null : await keys.findHash(keyHash, nowMs);
  if (!row) throw new ApiError("unauthenticated", 'Send "Authorization: Bearer pk_..." or log in');
  return { name: row.name, role: row.role, keyHash: row.key_hash, by: "session" };
}

/** Answer to a wrong key, after `waitS` of the rate limit, whose state `headers` tell. */
export function refuseGuess(waitS: number | null, headers: Record<string, string>): ApiError {
  return waitS === null
    ? new ApiError("unauthenticated", "This key is not known, or was revoked", { headers })
    : new ApiError("too_many", `This key is not known, or was revoked. Try again in ${waitS} s`, {
      retryAfterS: waitS,
      headers,
    });
}

/** Refuses a change that another site's page asks for in a person's name. Programs send neither cookie nor `Origin`.
 * `own`: origins under which browsers know this server. @throws {ApiError} */
export function checkOrigin(header: Header, caller: Caller | null, own: readonly string[]): void {
  const origin = header("origin");
  if (origin === undefined) {
    if (caller?.by !== "session") return;
    throw new ApiError("cross_origin", "A change by session needs the header Origin");
  }
  // "null", which a sandboxed page sends, is never in the list.
  if (!own.includes(origin.toLowerCase())) {
    throw new ApiError(
      "cross_origin",
      "Origin must be this server's own; behind a proxy, name it with --public-url",
    );
  }
}

/** Origins of the page that a request may come from. A plain connection may be the inner side of a TLS proxy that keeps
 * the host name, so there both schemes are its own; one with TLS is what the browser sees.
 * `publicUrl`: as browsers see the server. */
export function ownOrigins(requestUrl: URL, isSecure: boolean, publicUrl: URL | null): string[] {
  const own = isSecure
    ? [`https://${requestUrl.host}`]
    : [`http://${requestUrl.host}`, `https://${requestUrl.host}`];
  return publicUrl ? [...own, publicUrl.origin] : own;
}
