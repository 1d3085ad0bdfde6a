/** Gemini through the client's SDK, `npm:@google/generative-ai`; the one file that imports it.
 *
 * In: a question. Out: the text of the answer, or why there is none.
 * Invariant: at most `triesMax` tries and `deadlineMs` in all; 429 and 503 wait as long as the server says, with jitter.
 * Why the wrapped `fetch`: the SDK retries nothing and drops the headers of a refusal, and Retry-After is one of them. The wrapper only
 * looks at calls made inside {@link Gemini.ask} and changes none. Why no `timeout` of the SDK: it leaves its timer running. @module */

import { AsyncLocalStorage } from "node:async_hooks";
import {
  type GenerateContentResult,
  GoogleGenerativeAI,
  GoogleGenerativeAIAbortError,
  GoogleGenerativeAIFetchError,
  GoogleGenerativeAIResponseError,
  type ResponseSchema,
} from "@google/generative-ai";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { answerSchemaForModel } from "./answer.ts";
import type { ModelAnswer, ModelFailure, ModelQuestion, TriageModel } from "./model.ts";

export interface GeminiOptions {
  apiKey: string;
  /** @default "gemini-2.5-flash" */
  model?: string;
  /** @default "https://generativelanguage.googleapis.com" */
  baseUrl?: string;
  /** @default 3 */
  triesMax?: number;
  /** Milliseconds for one try. @default 15000 */
  tryTimeoutMs?: number;
  /** Milliseconds for all tries and the waits between them. @default 45000 */
  deadlineMs?: number;
}
export interface GeminiDeps {
  clock: Clock;
  reporter: Reporter;
  /** 0 <= value < 1, for the jitter. */
  random: () => number;
}

const firstWaitMs = 1_000;

export class Gemini implements TriageModel {
  readonly name: string;
  readonly #options: Required<GeminiOptions>;
  readonly #deps: GeminiDeps;

  constructor(options: GeminiOptions, deps: GeminiDeps) {
    this.#options = {
      model: "gemini-2.5-flash",
      baseUrl: "https://generativelanguage.googleapis.com",
      triesMax: 3,
      tryTimeoutMs: 15_000,
      deadlineMs: 45_000,
      ...options,
    };
    check(this.#options);
    this.#deps = deps;
    this.name = `gemini:${this.#options.model}`;
  }

  async ask(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer> {
    const { clock, reporter, random } = this.#deps;
    const { triesMax, deadlineMs } = this.#options;
    const endsMs = clock.monotonicMs() + deadlineMs;
    let reason: ModelFailure = "unavailable";
    for (let tries = 1; tries <= triesMax; tries++) {
      const result = await this.#try(question, signal, endsMs - clock.monotonicMs());
      if (result.ok) return { ...result, tries };
      reason = result.reason;
      reporter.count("model_try_failures_total", { reason });
      if (!result.isRetriable || tries === triesMax) return { ok: false, reason, tries };
      // Jitter: many aggregators refused at once must not come back at once.
      const waitMs = (result.retryAfterMs ?? firstWaitMs * 2 ** (tries - 1)) * (1 + 0.25 * random());
      if (clock.monotonicMs() + waitMs >= endsMs) return { ok: false, reason, tries };
      await clock.sleep(waitMs, signal);
      if (signal.aborted) return { ok: false, reason: "stopped", tries };
    }
    return { ok: false, reason, tries: triesMax };
  }

  async #try(question: ModelQuestion, signal: AbortSignal, leftMs: number) {
    const { apiKey, model, baseUrl, tryTimeoutMs } = this.#options;
    const attempt = new AbortController();
    const settled = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    let isLate = false;
    const limit = this.#deps.clock.sleep(Math.min(tryTimeoutMs, leftMs), settled.signal).then(() => {
      isLate = !settled.signal.aborted;
      if (isLate) attempt.abort();
    });
    const seen: Refusal = { retryAfter: null };
    try {
      const client = new GoogleGenerativeAI(apiKey).getGenerativeModel({
        model,
        systemInstruction: question.instruction,
        generationConfig: {
          responseMimeType: "application/json",
          responseSchema: answerSchemaForModel as unknown as ResponseSchema,
          maxOutputTokens: question.answerTokensMax,
          temperature: 0,
        },
      }, { baseUrl });
      if (signal.aborted) return { ok: false, reason: "stopped", isRetriable: false } as const;
      const result = await observeFetch(
        seen,
        () => client.generateContent(question.content, { signal: attempt.signal }),
      );
      return readResult(result);
    } catch (error) {
      if (signal.aborted) return { ok: false, reason: "stopped", isRetriable: false } as const;
      return readError(error, isLate, seen.retryAfter, this.#deps.clock.nowMs());
    } finally {
      settled.abort();
      signal.removeEventListener("abort", stop);
      await limit;
    }
  }
}

function check({ triesMax, tryTimeoutMs, deadlineMs, apiKey }: Required<GeminiOptions>): void {
  if (apiKey === "") throw new RangeError(`Cannot use Gemini as "apiKey" must be given: it is empty`);
  for (const [name, value] of Object.entries({ triesMax, tryTimeoutMs, deadlineMs })) {
    if (!(value >= 1)) {
      throw new RangeError(`Cannot use Gemini as "${name}" must be >= 1: current value is ${value}`);
    }
  }
}

function readResult({ response }: GenerateContentResult) {
  const usage = response.usageMetadata;
  return {
    ok: true,
    text: response.text(), // Throws when a safety filter took the answer away.
    inputTokens: usage?.promptTokenCount ?? 0,
    outputTokens: Math.max(0, (usage?.totalTokenCount ?? 0) - (usage?.promptTokenCount ?? 0)),
  } as const;
}

interface Failure {
  ok: false;
  reason: ModelFailure;
  isRetriable: boolean;
  retryAfterMs?: number;
}

function readError(error: unknown, isLate: boolean, retryAfter: string | null, nowMs: number): Failure {
  if (isLate || error instanceof GoogleGenerativeAIAbortError) {
    return { ok: false, reason: "timeout", isRetriable: true };
  }
  if (error instanceof GoogleGenerativeAIResponseError) {
    return { ok: false, reason: "blocked", isRetriable: false };
  }
  if (!(error instanceof GoogleGenerativeAIFetchError)) {
    return { ok: false, reason: "network", isRetriable: true };
  }
  const status = error.status ?? 0;
  const waitMs = retryAfterMs(retryAfter, nowMs) ?? retryDelayMs(error.errorDetails);
  const wait = waitMs === null ? {} : { retryAfterMs: waitMs };
  if (status === 429) return { ok: false, reason: "quota", isRetriable: true, ...wait };
  if (status >= 500) return { ok: false, reason: "unavailable", isRetriable: true, ...wait };
  return { ok: false, reason: "refused", isRetriable: false };
}

/** Retry-After is seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  if (/^[0-9]{1,6}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** Google's own form: `{"@type": ".../google.rpc.RetryInfo", "retryDelay": "3s"}` in the body. */
function retryDelayMs(details: unknown): number | null {
  if (!Array.isArray(details)) return null;
  const delay = details.find((detail) => typeof detail?.retryDelay === "string")?.retryDelay as
    | string
    | undefined;
  const seconds = /^([0-9]{1,6}(\.[0-9]+)?)s$/.exec(delay ?? "");
  return seconds ? Number(seconds[1]) * 1000 : null;
}

interface Refusal {
  retryAfter: string | null;
}
const observed = new AsyncLocalStorage<Refusal>();
let isWrapped = false;

function observeFetch<Result>(seen: Refusal, call: () => Promise<Result>): Promise<Result> {
  if (!isWrapped) {
    isWrapped = true;
    const plainFetch = globalThis.fetch;
    globalThis.fetch = async (...args: Parameters<typeof fetch>) => {
      const response = await plainFetch(...args);
      const call = observed.getStore();
      if (call) call.retryAfter = response.headers.get("retry-after");
      return response;
    };
  }
  return observed.run(seen, call);
}
