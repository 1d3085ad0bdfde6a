/** HTTP to the aggregator: one place that knows time limits, certificates, and what a failure means.
 *
 * In: path, headers, body. Out: status and parsed JSON, or why there is no answer; never an exception.
 * Invariant: an answer is read up to `answerBytesMax`, redirects are not followed,
 * nothing waits longer than `timeoutMs`. @module */

import { checkAuthority } from "./authority.ts";
import { tlsFault } from "../shared/tls_fault.ts";

export interface AggregatorClientOptions {
  /** `http://host:port` or `https://host[:port]`. */
  url: string;
  /** Certificate authority (PEM) to trust besides the system's; null = none. */
  ca?: string | null;
  /** @default 10000 */
  timeoutMs?: number;
}

/** `dateMs`: the other side's clock, to the second; null = it does not say. */
export type Answer =
  | { ok: true; status: number; body: unknown; retryAfterMs: number | null; dateMs: number | null }
  | Unanswered;
export interface Unanswered {
  ok: false;
  problem: "unreachable" | "timeout" | "certificate";
  message: string;
  /** What to do about it, where that is known. */
  cure?: string;
}

const answerBytesMax = 256 * 1024;

export class AggregatorClient {
  readonly url: string;
  #timeoutMs: number;
  #ca: string | null;
  #client: Deno.HttpClient | null = null;

  /** @throws {TypeError} when the URL is not one of an aggregator, or the authority is none. */
  constructor(options: AggregatorClientOptions) {
    const url = URL.canParse(options.url) ? new URL(options.url) : null;
    if (!url || !["http:", "https:"].includes(url.protocol)) {
      throw new TypeError(
        `Cannot use aggregator as its address must be like "http://host:8600": current value is "${options.url}"`,
      );
    }
    this.url = url.href.replace(/\/+$/, "");
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#ca = options.ca ?? null;
    if (this.#ca !== null) checkAuthority(this.#ca);
  }

  /** Trusts another authority from the next request on.
   * @throws {TypeError} when it is none; then the one before stays. */
  trust(ca: string | null): void {
    if (ca !== null) checkAuthority(ca);
    this.#ca = ca;
    // Requests under way keep theirs until they are answered.
    this.close();
  }

  get(path: string): Promise<Answer> {
    return this.#ask(path, { method: "GET" });
  }

  postJson(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
  }

  /** `limits` say when to give up, where that differs from the client's own time limit. */
  postBytes(
    path: string,
    body: Uint8Array,
    headers: Record<string, string>,
    limits: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Answer> {
    return this.#ask(path, { method: "POST", headers, body: body as BodyInit }, limits);
  }

  /** Octets as they are; `bytes` is null where the answer is an error, whose words are in `body`. */
  async getBytes(
    path: string,
    headers: Record<string, string>,
    limits: { bytesMax: number; timeoutMs?: number; signal?: AbortSignal },
  ): Promise<(Answer & { ok: true } & { bytes: Uint8Array | null }) | Unanswered> {
    let bytes: Uint8Array | null = null;
    const answer = await this.#ask(path, { method: "GET", headers }, limits, async (response) => {
      bytes = await readBounded(response, limits.bytesMax);
    });
    return answer.ok ? { ...answer, bytes } : answer;
  }

  close(): void {
    this.#client?.close();
    this.#client = null;
  }

  async #ask(
    path: string,
    init: RequestInit,
    limits: { timeoutMs?: number; signal?: AbortSignal } = {},
    takeBytes: ((response: Response) => Promise<void>) | null = null,
  ): Promise<Answer> {
    this.#client ??= Deno.createHttpClient(this.#ca === null ? {} : { caCerts: [this.#ca] });
    const { timeoutMs = this.#timeoutMs } = limits;
    const late = AbortSignal.timeout(timeoutMs);
    const signal = limits.signal ? AbortSignal.any([late, limits.signal]) : late;
    try {
      const response = await fetch(`${this.url}${path}`, {
        ...init,
        redirect: "manual",
        signal,
        client: this.#client,
      });
      const isTaken = takeBytes !== null && response.ok;
      if (isTaken) await takeBytes(response);
      const body = isTaken ? null : parse(new TextDecoder().decode(await readBounded(response)));
      const retryAfterS = Number(response.headers.get("retry-after") ?? NaN);
      const retryAfterMs = Number.isFinite(retryAfterS) ? Math.min(retryAfterS, 300) * 1_000 : null;
      const dateMs = Date.parse(response.headers.get("date") ?? "");
      return {
        ok: true,
        status: response.status,
        body,
        retryAfterMs,
        dateMs: Number.isFinite(dateMs) ? dateMs : null,
      };
    } catch (error) {
      if (signal.aborted) {
        return {
          ok: false,
          problem: "timeout",
          message: `${this.url} did not answer within ${timeoutMs} ms`,
        };
      }
      return this.#explain(causeOf(error));
    }
  }

  /** A fault of the certificate is none of the way there: who reads "not reachable" looks at the wrong thing. */
  #explain(words: string): Unanswered {
    const fault = tlsFault(words, "--aggregator-ca");
    if (fault === null) {
      return { ok: false, problem: "unreachable", message: `${this.url} is not reachable: ${words}` };
    }
    const { cause, cure } = fault;
    return { ok: false, problem: "certificate", message: `${this.url} answers, but ${cause}`, cure };
  }
}

/** Message and cure as one sentence. */
export function wordsOf({ message, cure }: Pick<Unanswered, "message" | "cure">): string {
  return cure === undefined ? message : `${message}: ${cure}`;
}

/** What the aggregator says is wrong: its error code or reason, its title, and what it advises ("" = nothing). */
export function refusalOf(body: unknown): { code: string; message: string; detail: string } {
  const given = (body ?? {}) as Partial<Record<"reason" | "code" | "title" | "detail" | "error", unknown>>;
  const code = [given.reason, given.code, given.error].find((text) => typeof text === "string");
  const message = typeof given.title === "string" ? given.title : code;
  const short = (text: unknown, charactersMax: number) => String(text).slice(0, charactersMax);
  return {
    code: short(code ?? "unknown", 60),
    message: short(message ?? "no reason", 300),
    detail: typeof given.detail === "string" ? short(given.detail, 300) : "",
  };
}

async function readBounded(response: Response, bytesMax = answerBytesMax): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new RangeError(`Cannot read answer as it must be <= ${bytesMax} octets`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // A proxy's error page; the status says enough.
  }
}

/** The innermost cause is the one that says "connection refused"; the outer ones repeat the address. */
function causeOf(error: unknown): string {
  let inner = error;
  for (let depth = 0; depth < 5 && inner instanceof Error && inner.cause instanceof Error; depth++) {
    inner = inner.cause;
  }
  const words = inner instanceof Error ? inner.message : String(inner);
  return words.replace(/^.*client error \(\w+\): /, "").replace("tcp connect error: ", "");
}
