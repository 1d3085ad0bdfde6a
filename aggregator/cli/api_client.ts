/** The API as commands call it: `report`, and everything given `--url`.
 *
 * In: address, key. Out: JSON, or an error that says what to do.
 * Invariant: nothing waits longer than 15 s, or 60 s for the next piece of a download; redirects are not followed, as
 * they would carry the key elsewhere. @module */

import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Options } from "../../shared/options.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { readOptionFile } from "../../shared/common_options.ts";
import { tlsFault } from "../../shared/tls_fault.ts";
import { localUrl } from "../options/served_address.ts";
import { type remoteOptions, stateFolder, type storeOptions } from "../options/store_options.ts";

const timeoutMs = 15_000;
/** A page whose filter finds little takes the server some seconds. */
const pieceMs = 60_000;

export class ApiClient {
  readonly url: string;
  #key: string;
  #ca: string | null;
  #clock: Clock;

  /** `ca`: an authority to trust besides the system's, PEM. @throws {CommandError} when the address is none. */
  constructor(url: string, key: string, ca: string | null, clock: Clock = systemClock) {
    if (!URL.canParse(url) || !/^https?:\/\//.test(url)) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot ask the aggregator as its address must be like "http://host:8600": current value is "${url}"`,
      );
    }
    this.url = url.replace(/\/+$/, "");
    this.#key = key;
    this.#ca = ca;
    this.#clock = clock;
  }

  get<Body>(path: string): Promise<Body> {
    return this.#ask("GET", path);
  }

  /** A file. @throws {CommandError} */
  async getBytes(path: string): Promise<Uint8Array> {
    return await this.#with("GET", path, undefined, async (response) => {
      if (!response.ok) await readAnswer(this.url, response);
      return new Uint8Array(await response.arrayBuffer());
    });
  }

  post<Body>(path: string, body: unknown): Promise<Body> {
    return this.#ask("POST", path, body);
  }

  remove<Body>(path: string): Promise<Body> {
    return this.#ask("DELETE", path);
  }

  #ask<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    return this.#with(method, path, body, (response) => readAnswer<Body>(this.url, response));
  }

  async #with<Result>(
    method: string,
    path: string,
    body: unknown,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> {
    const client = Deno.createHttpClient(this.#ca === null ? {} : { caCerts: [this.#ca] });
    try {
      return await read(await this.#askBy(client, method, path, body));
    } finally {
      client.close();
    }
  }

  /** The pieces of a file as they come. @throws {CommandError} also when the file is broken off */
  async *download(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const client = Deno.createHttpClient(this.#ca === null ? {} : { caCerts: [this.#ca] });
    const late = new AbortController();
    // Begun anew with each piece.
    let waiting = new AbortController();
    const wait = () => {
      waiting.abort();
      waiting = new AbortController();
      const { signal: given } = waiting;
      this.#clock.sleep(pieceMs, given).then(() => given.aborted || late.abort(new Error("nothing came")));
    };
    try {
      wait();
      const response = await this.#fetch(client, path, { signal: AbortSignal.any([signal, late.signal]) });
      if (!response.ok) await readAnswer(this.url, response);
      try {
        for await (const piece of response.body ?? []) {
          wait();
          yield piece;
        }
      } catch (cause) {
        const why = (cause as Error).message;
        throw new CommandError(exitCodes.environment, `${this.url} broke the download off: ${why}`, {
          cause,
        });
      }
    } finally {
      waiting.abort();
      client.close();
    }
  }

  #askBy(client: Deno.HttpClient, method: string, path: string, body?: unknown): Promise<Response> {
    return this.#fetch(client, path, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async #fetch(client: Deno.HttpClient, path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(`${this.url}/api/v1${path}`, {
        ...init,
        headers: { authorization: `Bearer ${this.#key}`, "content-type": "application/json" },
        redirect: "error",
        client,
      });
    } catch (cause) {
      const fault = tlsFault(wordsOf(cause), "--ca");
      if (fault) {
        throw new CommandError(
          exitCodes.environment,
          `Cannot trust the aggregator at ${this.url} as ${fault.cause}: ${fault.cure}`,
          { cause },
        );
      }
      throw new CommandError(
        exitCodes.environment,
        `Cannot reach the aggregator at ${this.url}: ${
          (cause as Error).message
        }. Is \`picket-aggregator serve\` running?`,
        { cause },
      );
    }
  }
}

/** What an error and its causes say. */
function wordsOf(error: unknown): string {
  const words: string[] = [];
  for (let inner = error; inner instanceof Error && words.length < 5; inner = inner.cause) {
    words.push(inner.message);
  }
  return words.join(": ");
}

/** The answer's body. @throws {CommandError} what is wrong, in the API's own words; `from` names who answered. */
export async function readAnswer<Body>(from: string, response: Response): Promise<Body> {
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer as Body;
  const { title, detail } = answer?.title ? answer : { title: "no Picket aggregator answers there" };
  const code = response.status === 401 || response.status === 403 || response.status === 400
    ? exitCodes.usage
    : response.status >= 500
    ? exitCodes.environment
    : exitCodes.failed;
  const words = detail ? `${title}: ${detail}` : title;
  throw new CommandError(code, `Cannot get an answer from ${from}: ${response.status} ${words}`);
}

/** A client for `--url`, or for the aggregator of the state folder,
 * with the key of `--key-file` and the authority of `--ca`. */
export async function openClient(
  url: string,
  options: Options<typeof remoteOptions> & Pick<Options<typeof storeOptions>, "state">,
  edges: Pick<Edges, "env">,
): Promise<ApiClient> {
  const folder = stateFolder(options.state, edges.env);
  const key = await readOptionFile("--key-file", options.keyFile || `${folder}/admin.key`);
  const ca = options.ca !== ""
    ? await readOptionFile("--ca", options.ca)
    : await Deno.readTextFile(`${folder}/tls/ca.pem`).catch(() => null);
  return new ApiClient(url || await localUrl(folder), key.trim(), ca);
}
