/** Any endpoint that speaks OpenAI's chat completions: OpenAI itself, Ollama, vLLM, llama.cpp.
 *
 * In: a question. Out: the text of the answer, or why there is none. Invariant: tries and time are bounded by tries.ts,
 * an answer by {@link bodyBytesMax}; a redirect is refused, as it would take the key along.
 * What an endpoint does not know it refuses with 400: the question is then put in a plainer form, which is kept for the
 * next ones. Every answer is checked against the schema here, whatever was promised. Source:
 * platform.openai.com/docs/api-reference/chat. @module */

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

export interface OpenAiOptions extends TryOptions {
  /** Up to and with `/v1`. */
  baseUrl: string;
  model: string;
  /** Empty: none is sent, as local servers want it. */
  apiKey: string;
}

const bodyBytesMax = 1024 * 1024;

/** Forms of a question, the richest first. */
const forms: ((room: number) => Record<string, unknown>)[] = [
  (room) => ({
    max_tokens: room,
    temperature: 0,
    response_format: {
      type: "json_schema",
      json_schema: { name: "triage", strict: true, schema: strict(answerSchemaForModel) },
    },
  }),
  // Models that reason take neither a temperature nor the older name of the limit.
  (room) => ({
    max_completion_tokens: room,
    response_format: {
      type: "json_schema",
      json_schema: { name: "triage", strict: true, schema: strict(answerSchemaForModel) },
    },
  }),
  (room) => ({ max_tokens: room, temperature: 0, response_format: { type: "json_object" } }),
  (room) => ({ max_tokens: room }),
];

interface Completion {
  choices?: { message?: { content?: unknown; refusal?: unknown }; finish_reason?: unknown }[];
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown };
}

export class OpenAi implements TriageModel {
  readonly name: string;
  readonly #options: OpenAiOptions;
  readonly #deps: TryDeps;
  /** Index of the form that the endpoint took last. */
  #form = 0;

  constructor(options: Partial<OpenAiOptions> & { baseUrl: string; model: string }, deps: TryDeps) {
    this.#options = { ...tryDefaults, apiKey: "", ...options };
    checkTries("the model", this.#options);
    this.#deps = deps;
    this.name = `openai:${this.#options.model}`;
  }

  ask(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer> {
    return askWithTries((...args) => this.#try(...args), question, signal, this.#options, this.#deps);
  }

  async #try(question: ModelQuestion, room: number, signal: AbortSignal): Promise<TryResult> {
    try {
      for (;;) {
        const response = await this.#send(question, room, signal);
        if (response.status !== 400 || this.#form >= forms.length - 1) {
          return await this.#read(response);
        }
        await response.body?.cancel();
        this.#form++;
      }
    } catch {
      return { ok: false, reason: signal.aborted ? "timeout" : "network", isRetriable: true };
    }
  }

  #send(question: ModelQuestion, room: number, signal: AbortSignal): Promise<Response> {
    const { baseUrl, model, apiKey } = this.#options;
    return fetch(`${baseUrl.replace(/\/+$/, "")}/chat/completions`, {
      method: "POST",
      signal,
      redirect: "error",
      headers: {
        "content-type": "application/json",
        ...(apiKey === "" ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({
        model,
        messages: [
          { role: "system", content: question.instruction },
          { role: "user", content: question.content },
        ],
        ...forms[this.#form](room),
      }),
    });
  }

  async #read(response: Response): Promise<TryResult> {
    if (!response.ok) {
      await response.body?.cancel();
      const waitMs = retryAfterMs(response.headers.get("retry-after"), this.#deps.clock.nowMs());
      return failureOf(response.status, waitMs);
    }
    const text = await readBounded(response);
    let completion: Completion;
    try {
      completion = JSON.parse(text) as Completion;
    } catch {
      return { ok: false, reason: "refused", isRetriable: false };
    }
    return readCompletion(completion);
  }
}

function readCompletion(completion: Completion): TryResult {
  const used = {
    inputTokens: tokens(completion?.usage?.prompt_tokens),
    outputTokens: tokens(completion?.usage?.completion_tokens),
  };
  const choice = completion?.choices?.[0];
  if (choice?.finish_reason === "length") {
    return { ok: false, reason: "max_tokens", isRetriable: false, used };
  }
  if (choice?.finish_reason === "content_filter" || typeof choice?.message?.refusal === "string") {
    return { ok: false, reason: "blocked", isRetriable: false, used };
  }
  const text = choice?.message?.content;
  if (typeof text !== "string") return { ok: false, reason: "refused", isRetriable: false, used };
  return { ok: true, text, used };
}

function tokens(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > bodyBytesMax) throw new Error("Cannot read answer as it is too long");
  }
  return text;
}

/** With what OpenAI's strict mode asks for: no object has other keys, and no `format` that it does not know. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema) || typeof schema !== "object" || schema === null) return schema;
  const { format: _, ...rest } = schema as Record<string, unknown>;
  const parts = Object.fromEntries(Object.entries(rest).map(([name, part]) => [name, strict(part)]));
  return parts.type === "object" ? { ...parts, additionalProperties: false } : parts;
}
