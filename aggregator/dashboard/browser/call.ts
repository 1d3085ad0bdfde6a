/** Calls of the API from its own pages.
 *
 * In: paths below the page, so that it works behind any path prefix. Out: answers whose every string is inert; a
 * problem carries the server's own words and the field it is about.
 * Invariant: no string of an answer reaches a page but through here, so none holds a control,
 * zero-width or direction character. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { inertAll } from "./text.ts";

export class Problem extends Error {
  readonly status: number;
  /** Name of the parameter or field that is wrong; null = none is. */
  readonly field: string | null;
  /** Where in the field, the first character is 1; null = not said. */
  readonly column: number | null;

  constructor(status: number, message: string, field: string | null = null, column: number | null = null) {
    super(message);
    this.status = status;
    this.field = field;
    this.column = column;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** @throws {Problem}, or the browser's own error when `signal` ends it. */
export async function call<Answer>(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Answer> {
  const options: RequestInit = { method, credentials: "same-origin", ...signal && { signal } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The aggregator does not answer");
  }
  const answer = inertAll(await response.json().catch(() => null));
  signal?.throwIfAborted();
  if (!response.ok) throw problemOf(response.status, answer);
  if (answer === null) throw new Problem(0, "The aggregator's answer was cut short");
  return answer as Answer;
}

/** Asks the API; empty parameters are left out. @throws {Problem} */
export function get<Answer>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer> {
  return call("GET", addressOf(path, query), undefined, signal);
}

/** Path of a question below the page. */
export function addressOf(path: string, query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === "" || value === undefined || value === null ? [] : [[name, String(value)]]
  );
  const text = new URLSearchParams(given).toString();
  return `api/v1${path}${text ? `?${text}` : ""}`;
}

/** Problem details of RFC 9457; of anything else, such as a proxy's answer, the status is all that is known. */
export function problemOf(status: number, answer: unknown): Problem {
  const { title = `Error ${status}`, detail, field, column } = (answer ?? {}) as Record<string, unknown>;
  const words = [title, detail].filter((part) => typeof part === "string" && part !== "");
  return new Problem(
    status,
    words.join(": "),
    typeof field === "string" ? field : null,
    typeof column === "number" ? column : null,
  );
}
