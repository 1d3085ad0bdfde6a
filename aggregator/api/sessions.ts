/** Sessions of the dashboard: a random id in a cookie stands for an API key.
 *
 * In: the hash of a key that was just checked. Out: an id for a cookie; later the hash again.
 * Invariant: an id is 192 random bits, made at login (never taken from the browser), kept only as its SHA-256, gone
 * after `idleMs` without use or `lifeMs` in all; at most `sessionsMax` exist, the oldest goes first.
 * Why in memory: a restart costs people one login and leaves no secret on disk. @module */

import { Buffer } from "node:buffer";
import { sha256Hex } from "../../shared/batch.ts";

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

const idPattern = /^[A-Za-z0-9_-]{32}$/;

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

  /** Starts a session for a checked key; `random` is 24 bytes. */
  open(keyHash: string, random: Uint8Array, nowMs: number): { id: string; maxAgeS: number } {
    if (random.length !== 24) {
      throw new RangeError(
        `Cannot open a session as "random" must have 24 bytes: current length is ${random.length}`,
      );
    }
    const id = Buffer.from(random).toString("base64url");
    this.#sessions.set(sha256Hex(id), { keyHash, startMs: nowMs, usedMs: nowMs });
    if (this.#sessions.size > this.#sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    return { id, maxAgeS: Math.floor(this.#lifeMs / 1_000) };
  }

  /** Hash of the key behind a session's id, or null. */
  find(id: string | undefined, nowMs: number): string | null {
    const name = id === undefined || !idPattern.test(id) ? null : sha256Hex(id);
    const session = name === null ? undefined : this.#sessions.get(name);
    if (name === null || !session) return null;
    if (!this.#isLive(session, nowMs)) {
      this.#sessions.delete(name);
      return null;
    }
    session.usedMs = nowMs;
    return session.keyHash;
  }

  /** Whether {@link find} would find it; not a use. */
  isOpen(id: string | undefined, nowMs: number): boolean {
    const session = id === undefined ? undefined : this.#sessions.get(sha256Hex(id));
    return session !== undefined && this.#isLive(session, nowMs);
  }

  #isLive({ usedMs, startMs }: Session, nowMs: number): boolean {
    return nowMs - usedMs <= this.#idleMs && nowMs - startMs <= this.#lifeMs;
  }

  close(id: string | undefined): void {
    if (id !== undefined) this.#sessions.delete(sha256Hex(id));
  }
}
