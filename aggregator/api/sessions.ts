/** Sessions of the dashboard: a random id in a cookie stands for an API key.
 *
 * In: the hash of a key that was just checked. Out: a cookie; later the hash again.
 * Invariant: an id is 192 random bits, made at login (never taken from the browser), kept only as its SHA-256, gone after
 * `idleMs` without use or `lifeMs` in all; at most `sessionsMax` exist, the oldest goes first.
 * Why in memory: a restart costs people one login and leaves no secret on disk. @module */

import { Buffer } from "node:buffer";
import { sha256Hex } from "../../shared/batch.ts";
import type { Site } from "./route.ts";

export interface SessionsOptions {
  /** @default 3600000 */
  idleMs?: number;
  /** @default 43200000 */
  lifeMs?: number;
  /** @default 1000 */
  sessionsMax?: number;
}

interface Session {
  keyHash: string;
  startMs: number;
  usedMs: number;
}

const cookieName = "picket_session";

export class Sessions {
  #idleMs: number;
  #lifeMs: number;
  #sessionsMax: number;
  #sessions = new Map<string, Session>();

  constructor({ idleMs = 3_600_000, lifeMs = 43_200_000, sessionsMax = 1_000 }: SessionsOptions = {}) {
    this.#idleMs = idleMs;
    this.#lifeMs = lifeMs;
    this.#sessionsMax = sessionsMax;
  }

  /** Starts a session for a checked key; `random` is 24 bytes. Returns the `Set-Cookie` value. */
  open(keyHash: string, random: Uint8Array, nowMs: number, site: Site): string {
    if (random.length !== 24) {
      throw new RangeError(
        `Cannot open a session as "random" must have 24 bytes: current length is ${random.length}`,
      );
    }
    const id = Buffer.from(random).toString("base64url");
    this.#sessions.set(sha256Hex(id), { keyHash, startMs: nowMs, usedMs: nowMs });
    if (this.#sessions.size > this.#sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    return cookie(id, Math.floor(this.#lifeMs / 1_000), site);
  }

  /** Hash of the key behind the cookie header, or null. */
  find(cookies: string | undefined, nowMs: number): string | null {
    const id = readCookie(cookies);
    const session = id === null ? undefined : this.#sessions.get(sha256Hex(id));
    if (id === null || !session) return null;
    if (nowMs - session.usedMs > this.#idleMs || nowMs - session.startMs > this.#lifeMs) {
      this.#sessions.delete(sha256Hex(id));
      return null;
    }
    session.usedMs = nowMs;
    return session.keyHash;
  }

  /** Ends the session of the cookie header, if any. Returns the `Set-Cookie` value that clears it. */
  close(cookies: string | undefined, site: Site): string {
    const id = readCookie(cookies);
    if (id !== null) this.#sessions.delete(sha256Hex(id));
    return cookie("", 0, site);
  }
}

function cookie(value: string, maxAgeS: number, { isSecure, path }: Site): string {
  const secure = isSecure ? "; Secure" : "";
  return `${cookieName}=${value}; Path=${path}; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${secure}`;
}

function readCookie(cookies: string | undefined): string | null {
  for (const part of (cookies ?? "").slice(0, 8_192).split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === cookieName && value && /^[A-Za-z0-9_-]{32}$/.test(value)) return value;
  }
  return null;
}
