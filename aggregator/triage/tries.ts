/** Tries of one question: how often, how long, and what comes of waiting.
 *
 * In: one try, as an adapter makes it. Out: the answer, or why there is none. Invariant: at most `triesMax` tries and
 * `deadlineMs` in all; a refusal that passes is waited for as long as the server says, with jitter. An answer that was
 * cut for want of room is asked for once more, with {@link moreRoom} times as much:
 * a model that thinks spends the room before it writes. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { ModelAnswer, ModelFailure, ModelQuestion } from "./model.ts";

export interface TryOptions {
  /** @default 3 */
  triesMax: number;
  /** Milliseconds for one try. @default 60000 */
  tryTimeoutMs: number;
  /** Milliseconds for all tries and the waits between them. @default 150000 */
  deadlineMs: number;
}
export const tryDefaults: TryOptions = { triesMax: 3, tryTimeoutMs: 60_000, deadlineMs: 150_000 };

export interface TryDeps {
  clock: Clock;
  reporter: Reporter;
  /** 0 <= value < 1, for the jitter. */
  random: () => number;
}

/** Tokens of a try, also of one that failed: they are paid for. */
export interface Used {
  inputTokens: number;
  outputTokens: number;
}

export type TryResult =
  | { ok: true; text: string; used: Used }
  | { ok: false; reason: ModelFailure; isRetriable: boolean; retryAfterMs?: number; used?: Used };

/** One try; `room` is how many tokens may be spent on thinking and answering. `signal` ends it when its time is up. */
export type Try = (question: ModelQuestion, room: number, signal: AbortSignal) => Promise<TryResult>;

const firstWaitMs = 1_000;
export const moreRoom = 4;

/** @throws {RangeError} when a limit is below 1. */
export function checkTries(what: string, options: TryOptions): void {
  const { triesMax, tryTimeoutMs, deadlineMs } = options;
  for (const [name, value] of Object.entries({ triesMax, tryTimeoutMs, deadlineMs })) {
    if (!(value >= 1)) {
      throw new RangeError(`Cannot use ${what} as "${name}" must be >= 1: current value is ${value}`);
    }
  }
}

export async function askWithTries(
  once: Try,
  question: ModelQuestion,
  signal: AbortSignal,
  options: TryOptions,
  deps: TryDeps,
): Promise<ModelAnswer> {
  const { clock, reporter, random } = deps;
  const endsMs = clock.monotonicMs() + options.deadlineMs;
  const spent = { inputTokens: 0, outputTokens: 0 };
  let room = question.answerTokensMax + question.thinkingTokensMax;
  let isRoomier = false;
  for (let tries = 1;; tries++) {
    const limitMs = Math.min(options.tryTimeoutMs, endsMs - clock.monotonicMs());
    const result = await withLimit(once, question, room, signal, limitMs, clock);
    spent.inputTokens += result.used?.inputTokens ?? 0;
    spent.outputTokens += result.used?.outputTokens ?? 0;
    if (result.ok) return { ok: true, text: result.text, ...spent, tries };
    const { reason } = result;
    reporter.count("model_try_failures_total", { reason });
    const failure = { ok: false, reason, ...spent, tries } as const;
    if (reason === "max_tokens" && !isRoomier && tries < options.triesMax) {
      isRoomier = true;
      room *= moreRoom;
      continue;
    }
    if (!result.isRetriable || tries >= options.triesMax) return failure;
    // Jitter: many aggregators refused at once must not come back at once.
    const waitMs = (result.retryAfterMs ?? firstWaitMs * 2 ** (tries - 1)) * (1 + 0.25 * random());
    if (clock.monotonicMs() + waitMs >= endsMs) return failure;
    await clock.sleep(waitMs, signal);
    if (signal.aborted) return { ...failure, reason: "stopped" };
  }
}

async function withLimit(
  once: Try,
  question: ModelQuestion,
  room: number,
  signal: AbortSignal,
  limitMs: number,
  clock: Clock,
): Promise<TryResult> {
  const stopped = { ok: false, reason: "stopped", isRetriable: false } as const;
  if (signal.aborted) return stopped;
  const attempt = new AbortController();
  const settled = new AbortController();
  const stop = () => attempt.abort();
  signal.addEventListener("abort", stop);
  let isLate = false;
  const limit = clock.sleep(limitMs, settled.signal).then(() => {
    isLate = !settled.signal.aborted;
    if (isLate) attempt.abort();
  });
  try {
    const result = await once(question, room, attempt.signal);
    if (result.ok || !attempt.signal.aborted) return result;
    return signal.aborted ? stopped : { ok: false, reason: "timeout", isRetriable: true };
  } finally {
    settled.abort();
    signal.removeEventListener("abort", stop);
    await limit;
  }
}

/** Retry-After is seconds or a date (RFC 9110, section 10.2.3). */
export function retryAfterMs(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  if (/^[0-9]{1,6}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** What an HTTP status of a model's API means. */
export function failureOf(status: number, waitMs: number | null): TryResult {
  const wait = waitMs === null ? {} : { retryAfterMs: waitMs };
  if (status === 429) return { ok: false, reason: "quota", isRetriable: true, ...wait };
  if (status >= 500) return { ok: false, reason: "unavailable", isRetriable: true, ...wait };
  return { ok: false, reason: "refused", isRetriable: false };
}
