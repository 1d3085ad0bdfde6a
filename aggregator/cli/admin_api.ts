/** The API as an operator's commands call it:
 * that of a running aggregator, or the same one over the database of the state folder.
 *
 * In: the options of a command. Out: `get`, `post`, `remove`, whose answers are those of the API.
 * Invariant: a command is written once; what it may do and what is checked is the API's business in both cases.
 * Why without a key on the database: whoever may open it may do everything anyway. @module */

import { type Api, createApi } from "../api/api.ts";
import { ApiKeys, makeApiKey } from "../api/api_keys.ts";
import { TrustedProxies } from "../model/client_address.ts";
import { ConcurrencyLimit } from "../api/concurrency_limit.ts";
import { RateLimit } from "../api/rate_limit.ts";
import { type Capabilities, type EdgeCapabilities, topicsOf } from "../api/capabilities.ts";
import { Sessions } from "../api/sessions.ts";
import { SensorDirectory } from "../fleet/directory.ts";
import { noPlaces } from "../model/place.ts";
import type { Role } from "../model/access.ts";
import { ReleaseFolder } from "../fleet/release_folder.ts";
import { Rollouts } from "../fleet/rollouts.ts";
import { localUrl } from "../options/served_address.ts";
import { type remoteOptions, stateFolder, storeOf, type storeOptions } from "../options/store_options.ts";
import { type Authority, readAuthority } from "../tls/authority.ts";
import { placeOf } from "../tls/place.ts";
import type { Store } from "../store/store.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import type { Options } from "../../shared/options.ts";
import { openClient, readAnswer } from "./api_client.ts";

export interface AdminApi {
  get<Body>(path: string): Promise<Body>;
  post<Body>(path: string, body: unknown): Promise<Body>;
  remove<Body>(path: string): Promise<Body>;
}

type Given = Options<typeof storeOptions> & Options<typeof remoteOptions>;

/** Runs `work` with the API of `--url`, or with the database's. */
export async function withAdminApi<Result>(
  options: Given,
  edges: Edges,
  work: (api: AdminApi) => Promise<Result>,
): Promise<Result> {
  if (options.url !== "") return await work(await openClient(options.url, options, edges));
  const store = await storeOf(options, edges);
  await store.start();
  try {
    const folder = stateFolder(options.state, edges.env);
    const capabilities = capabilitiesOf(store, edges, { authority: await readAuthority(folder), folder });
    return await work(apiInside(capabilities, "admin", edges, await localUrl(folder)));
  } finally {
    await store.stop();
  }
}

/** The API over what this process has, with a key that is known in it alone, so that none is left behind. */
export function apiInside(
  capabilities: Omit<EdgeCapabilities, "keys"> & Partial<Capabilities>,
  role: Role,
  { randomBytes, clock }: Pick<Edges, "randomBytes" | "clock">,
  url: string,
): AdminApi {
  const { key, row } = makeApiKey(randomBytes(20), { name: "command", role, nowMs: clock.nowMs() });
  const keys = new ApiKeys({ maxAgeMs: Number.MAX_SAFE_INTEGER }, {
    store: { readApiKeys: () => Promise.resolve([row]) },
  });
  const options = { hostnames: null, publicUrl: null, proxies: new TrustedProxies([]) };
  return callsOf(createApi(options, { ...capabilities, keys }), key, url);
}

function callsOf(api: Api, key: string, url: string): AdminApi {
  const ask = async <Body>(method: string, path: string, body?: unknown) => {
    const request = new Request(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await readAnswer<Body>(
      "the database",
      await api.fetch(request, { source: "127.0.0.1", isSecure: true }),
    );
  };
  return {
    get: (path) => ask("GET", path),
    post: (path, body) => ask("POST", path, body),
    remove: (path) => ask("DELETE", path),
  };
}

/** What an operator's commands need; routes that need more are not there. */
function capabilitiesOf(
  store: Store,
  { clock, reporter, randomBytes }: Edges,
  { authority, folder }: { authority: Authority | null; folder: string },
) {
  const directory = new SensorDirectory({}, { store });
  const releases = new ReleaseFolder(`${folder}/releases`);
  return {
    ...topicsOf(store),
    // A person at a terminal reads the result, not the log of a server.
    reporter: { ...reporter, info: () => undefined },
    clock,
    randomBytes,
    authority,
    directory,
    releases,
    rollouts: new Rollouts({}, { store, directory, releases, reporter }),
    policies: directory.policies,
    places: noPlaces,
    sessions: new Sessions(),
    guessRate: new RateLimit({ burst: 1, refillMs: 1_000 }),
    queryLimit: new ConcurrencyLimit({ kind: "command", activeMax: 1, waitingMax: 0 }, { reporter }),
    // A running aggregator reads them within 5 seconds.
    onSuppressions: () => undefined,
    progress: () => ({ pending: 0, lastMs: clock.nowMs(), failingSinceMs: null, failure: null }),
    archiveProblem: () => null,
    site: "default",
    placeOf: (url: URL) => placeOf(url, null, authority?.fingerprint ?? null),
  };
}

/** The first operand as one of `verbs`, and the rest. @throws {CommandError} */
export function readVerb<Verb extends string>(
  operands: string[],
  verbs: readonly Verb[],
  standard: Verb | null,
): { verb: Verb; rest: string[] } {
  const [first, ...rest] = operands;
  if (first === undefined && standard !== null) return { verb: standard, rest: [] };
  const verb = verbs.find((known) => known === first);
  if (verb !== undefined) return { verb, rest };
  const current = first === undefined ? "none is given" : `current value is "${first.slice(0, 60)}"`;
  throw new CommandError(
    exitCodes.usage,
    `Cannot go on as the verb must be one of ${verbs.join(", ")}: ${current}`,
  );
}

/** Reads a span of time: 15m, 12h, 30d. @throws {CommandError} */
export function readSpan(
  flag: string,
  text: string,
  { least, most }: { least: string; most: string },
): number {
  const seconds = secondsOf(text);
  if (seconds !== null && seconds >= secondsOf(least)! && seconds <= secondsOf(most)!) return seconds;
  throw new CommandError(
    exitCodes.usage,
    `Cannot use "${flag}" as it must be a span from ${least} to ${most}, like 45m, 12h or 7d: current value is "${
      text.slice(0, 60)
    }"`,
  );
}

function secondsOf(text: string): number | null {
  const [, digits, unit] = /^([1-9][0-9]{0,5})([mhd])$/.exec(text) ?? [];
  return unit === undefined ? null : Number(digits) * { m: 60, h: 3_600, d: 86_400 }[unit as "m" | "h" | "d"];
}
