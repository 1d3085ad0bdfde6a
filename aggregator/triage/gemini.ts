/** Gemini through the client's SDK, `npm:@google/generative-ai`; the one file that imports it.
 *
 * In: a question. Out: the text of the answer, or why there is none. Invariant: tries and time are bounded by tries.ts.
 * Models that think count their thoughts against `maxOutputTokens`: the budget for thoughts is said, and room left
 * beside it. A model that knows no such budget refuses it once, and is not asked for it again.
 * Why the wrapped `fetch`: the SDK retries nothing and drops the headers of a refusal, and Retry-After is one of them.
 * The wrapper only looks at calls made inside {@link Gemini.ask} and changes none.
 * Why no `timeout` of the SDK: it leaves its timer running. @module */

import { AsyncLocalStorage } from "node:async_hooks";
import {
  type GenerateContentResult,
  type GenerationConfig,
  GoogleGenerativeAI,
  GoogleGenerativeAIAbortError,
  GoogleGenerativeAIFetchError,
  GoogleGenerativeAIResponseError,
  type ResponseSchema,
} from "@google/generative-ai";
import { answerSchemaForModel } from "./answer.ts";
import type { ModelAnswer, ModelQuestion, TriageModel } from "./model.ts";
import {
  askWithTries,
  checkTries,
  failureOf,
  retryAfterMs,
  tryDefaults,
  type TryDeps,
  type TryOptions,
  type TryResult,
} from "./tries.ts";

export interface GeminiOptions extends TryOptions {
  apiKey: string;
  /** @default "gemini-2.5-flash" */
  model: string;
  /** @default "https://generativelanguage.googleapis.com" */
  baseUrl: string;
}

export class Gemini implements TriageModel {
  readonly name: string;
  readonly #options: GeminiOptions;
  readonly #deps: TryDeps;
  #knowsThinking = true;

  constructor(options: Partial<GeminiOptions> & { apiKey: string }, deps: TryDeps) {
    this.#options = {
      ...tryDefaults,
      model: "gemini-2.5-flash",
      baseUrl: "https://generativelanguage.googleapis.com",
      ...options,
    };
    if (options.apiKey === "") {
      throw new RangeError(`Cannot use Gemini as "apiKey" must be given: it is empty`);
    }
    checkTries("Gemini", this.#options);
    this.#deps = deps;
    this.name = `gemini:${this.#options.model}`;
  }

  ask(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer> {
    return askWithTries((...args) => this.#try(...args), question, signal, this.#options, this.#deps);
  }

  async #try(question: ModelQuestion, room: number, signal: AbortSignal): Promise<TryResult> {
    const { apiKey, model, baseUrl } = this.#options;
    const asksForThinking = this.#knowsThinking;
    const seen: Refusal = { retryAfter: null };
    const generationConfig: GenerationConfig & { thinkingConfig?: { thinkingBudget: number } } = {
      responseMimeType: "application/json",
      responseSchema: answerSchemaForModel as unknown as ResponseSchema,
      maxOutputTokens: room,
      temperature: 0,
      ...(asksForThinking ? { thinkingConfig: { thinkingBudget: question.thinkingTokensMax } } : {}),
    };
    try {
      const client = new GoogleGenerativeAI(apiKey).getGenerativeModel({
        model,
        systemInstruction: question.instruction,
        generationConfig,
      }, { baseUrl });
      return readResult(
        await observeFetch(seen, () => client.generateContent(question.content, { signal })),
      );
    } catch (error) {
      if (asksForThinking && isOfThinking(error)) {
        this.#knowsThinking = false;
        return this.#try(question, room, signal);
      }
      return readError(error, seen.retryAfter, this.#deps.clock.nowMs());
    }
  }
}

function isOfThinking(error: unknown): boolean {
  return error instanceof GoogleGenerativeAIFetchError && error.status === 400 &&
    /thinking/i.test(error.message);
}

function readResult({ response }: GenerateContentResult): TryResult {
  const usage = response.usageMetadata;
  const used = {
    inputTokens: usage?.promptTokenCount ?? 0,
    // Thoughts are in the total alone.
    outputTokens: Math.max(0, (usage?.totalTokenCount ?? 0) - (usage?.promptTokenCount ?? 0)),
  };
  if (String(response.candidates?.[0]?.finishReason) === "MAX_TOKENS") {
    return { ok: false, reason: "max_tokens", isRetriable: false, used };
  }
  return { ok: true, text: response.text(), used }; // Throws when a safety filter took the answer away.
}

function readError(error: unknown, retryAfter: string | null, nowMs: number): TryResult {
  if (error instanceof GoogleGenerativeAIAbortError) {
    return { ok: false, reason: "timeout", isRetriable: true };
  }
  if (error instanceof GoogleGenerativeAIResponseError) {
    return { ok: false, reason: "blocked", isRetriable: false };
  }
  if (!(error instanceof GoogleGenerativeAIFetchError)) {
    return { ok: false, reason: "network", isRetriable: true };
  }
  return failureOf(error.status ?? 0, retryAfterMs(retryAfter, nowMs) ?? retryDelayMs(error.errorDetails));
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
