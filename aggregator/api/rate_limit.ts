/** Limits how often one source may try something: a token bucket for each, refilled by time.
 *
 * In: a source's address and `nowMs`. Out: whether it may go on, and after how many seconds it may try again.
 * Invariant: at most `sourcesMax` sources are remembered. When full, the one asked about longest ago is forgotten;
 * forgetting gives that source a fresh bucket, never a refusal to an honest one.
 * Why by /64 for IPv6: a single host commonly owns that many addresses. @module */

import { ownerOf } from "../model/client_address.ts";

export interface RateLimitOptions {
  /** Tries at once. */
  burst: number;
  /** Time after which one more try is allowed. */
  refillMs: number;
  /** @default 10000 */
  sourcesMax?: number;
}

export class RateLimit {
  #burst: number;
  #refillMs: number;
  #sourcesMax: number;
  #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor({ burst, refillMs, sourcesMax = 10_000 }: RateLimitOptions) {
    for (const [name, value] of Object.entries({ burst, refillMs, sourcesMax })) {
      if (!(value >= 1)) {
        throw new RangeError(`Cannot limit tries as "${name}" must be >= 1: current value is ${value}`);
      }
    }
    this.#burst = burst;
    this.#refillMs = refillMs;
    this.#sourcesMax = sourcesMax;
  }

  /** Takes one try of `source`. Null = allowed; else seconds to wait. */
  take(source: string, nowMs: number): number | null {
    const wait = this.waitS(source, nowMs);
    if (wait === null) this.#bucket(source, nowMs).tokens--;
    return wait;
  }

  /** As {@link take}, but only asks. */
  waitS(source: string, nowMs: number): number | null {
    const { tokens } = this.#bucket(source, nowMs);
    return tokens >= 1 ? null : Math.ceil((1 - tokens) * this.#refillMs / 1_000);
  }

  /** The limit as headers tell it (draft-ietf-httpapi-ratelimit-headers): what there is in all, what `source` has left,
   * and the seconds until it has one more. */
  headers(name: string, source: string, nowMs: number): Record<string, string> {
    const { tokens } = this.#bucket(source, nowMs);
    const windowS = Math.ceil(this.#burst * this.#refillMs / 1_000);
    const left = Math.floor(tokens);
    const nextMs = Math.round(Math.max(0, Math.min(this.#burst, left + 1) - tokens) * this.#refillMs);
    return {
      "ratelimit-policy": `"${name}";q=${this.#burst};w=${windowS}`,
      "ratelimit": `"${name}";r=${left};t=${Math.ceil(nextMs / 1_000)}`,
    };
  }

  #bucket(source: string, nowMs: number): { tokens: number; atMs: number } {
    const key = ownerOf(source);
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, atMs: nowMs };
    // A clock that steps back must not take tokens away.
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(this.#burst, bucket.tokens + passedMs / this.#refillMs);
    bucket.atMs = nowMs;
    this.#buckets.delete(key); // Reinserted at the end: the map's order is that of the last question.
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#sourcesMax) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    return bucket;
  }
}
