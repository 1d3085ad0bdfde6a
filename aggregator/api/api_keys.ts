/** API keys: making them, and knowing one when it comes.
 *
 * In: the text of a key. Out: its name and role, or null.
 * Invariant: only the SHA-256 of a key is ever stored or compared; a key revoked in the store stops working within
 * {@link ApiKeysOptions.maxAgeMs}, one that expires at its time.
 * Why a plain hash: a key is 160 random bits, so there is nothing to guess that a slow hash would protect. @module */

import { Buffer } from "node:buffer";
import { sha256Hex } from "../../shared/batch.ts";
import type { ApiKeyRow, Role } from "../model/access.ts";
import type { Store } from "../store/store.ts";

export interface ApiKeysOptions {
  /** @default 2000 */
  maxAgeMs?: number;
}

const keyPattern = /^pk_[A-Za-z0-9_-]{27}$/;

/** A new key, and the row to store for it. `random` must be 20 bytes. */
export function makeApiKey(
  random: Uint8Array,
  { name, role, nowMs, expiresMs = null }: {
    name: string;
    role: Role;
    nowMs: number;
    expiresMs?: number | null;
  },
): { key: string; row: ApiKeyRow } {
  if (random.length !== 20) {
    throw new RangeError(
      `Cannot make an API key as "random" must have 20 bytes: current length is ${random.length}`,
    );
  }
  const key = `pk_${Buffer.from(random).toString("base64url")}`;
  const key_hash = sha256Hex(key);
  return { key, row: { key_hash, name, role, created_ms: nowMs, revoked_ms: null, expires_ms: expiresMs } };
}

export class ApiKeys {
  #store: Pick<Store, "readApiKeys">;
  #maxAgeMs: number;
  #rows = new Map<string, ApiKeyRow>();
  #readMs = -Infinity;
  #reading: Promise<void> | null = null;

  constructor(options: ApiKeysOptions, deps: { store: Pick<Store, "readApiKeys"> }) {
    this.#maxAgeMs = options.maxAgeMs ?? 2_000;
    this.#store = deps.store;
  }

  /** Whether `text` has the form of a key. */
  static isKey(text: string): boolean {
    return keyPattern.test(text);
  }

  /** The live key whose text is `key`. */
  async find(key: string, nowMs: number): Promise<ApiKeyRow | null> {
    return keyPattern.test(key) ? await this.findHash(sha256Hex(key), nowMs) : null;
  }

  /** The live key with this hash, for sessions. */
  async findHash(keyHash: string, nowMs: number): Promise<ApiKeyRow | null> {
    if (Math.abs(nowMs - this.#readMs) > this.#maxAgeMs) await this.#read(nowMs);
    const row = this.#rows.get(keyHash);
    if (!row || row.revoked_ms !== null) return null;
    return row.expires_ms === null || nowMs < row.expires_ms ? row : null;
  }

  /** Makes the next look read the store: a key was added. */
  forget(): void {
    this.#readMs = -Infinity;
  }

  /** All callers that come while one read runs share it. */
  #read(nowMs: number): Promise<void> {
    return this.#reading ??= (async () => {
      try {
        const rows = await this.#store.readApiKeys();
        this.#rows = new Map(rows.map((row) => [row.key_hash, row]));
        this.#readMs = nowMs;
      } finally {
        this.#reading = null;
      }
    })();
  }
}
