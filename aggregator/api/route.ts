/** What a route is: one line of the table in routes.ts.
 *
 * In: a call, already authenticated, with query and body already checked by the route's schemas. Out: an answer.
 * Invariant: a handler sees no request object of the HTTP library, so that the library stays in api.ts alone.
 * Why schemas here: the check of a call and its OpenAPI description are made from the same object. @module */

import type { z } from "../../shared/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { ThreatStatus } from "../model/threat.ts";
import type { IngestOutcome } from "../ingest/ingest.ts";
import type { Role } from "../model/access.ts";
import type { Store } from "../store/store.ts";
import type { Place } from "../cli/invitation.ts";
import type { ClockOffsets } from "../fleet/clock_offsets.ts";
import type { Holes } from "../fleet/holes.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import type { ApiKeys } from "./api_keys.ts";
import type { ConcurrencyLimit } from "./concurrency_limit.ts";
import type { Sessions } from "./sessions.ts";
import type { RateLimit } from "./rate_limit.ts";

/** Who may call: anyone; a sensor, which the handler authenticates by its key; or a person with at least this role. */
export type Access = "public" | "sensor" | Role;

/** Who calls. */
export interface Caller {
  name: string;
  role: Role;
  keyHash: string;
  by: "key" | "session";
}

/** How the caller's browser sees this server, for its cookies. */
export interface Site {
  isSecure: boolean;
  /** Path of everything here: "/", or the prefix a proxy puts before it. */
  path: string;
}

export interface Call<Query = unknown, Body = unknown> {
  params: Record<string, string>;
  query: Query;
  /** Checked JSON body; undefined when the route has no schema for it. */
  body: Body;
  /** The body as it came, read on demand and never beyond the route's limit. */
  bytes(): Promise<Uint8Array>;
  header(name: string): string | undefined;
  /** Null on `public` and `sensor` routes without a key. */
  caller: Caller | null;
  /** Address of whoever sent it. */
  source: string;
  site: Site;
  /** As it was asked for. */
  url: URL;
  /** Aggregator's clock when the request came in. */
  nowMs: number;
}

/** What goes back. JSON unless `text` is there. */
export interface Answer {
  status?: number;
  json?: unknown;
  text?: { body: string; type: string };
  headers?: Record<string, string>;
}

/** How far the work behind the API has come. */
export interface Progress {
  /** Batches taken in, not yet stored. */
  pending: number;
  /** Aggregator's clock when the last batch was stored, or the program started. */
  lastMs: number;
  /** Since when each batch that was tried failed; null = the last one did not. */
  failingSinceMs: number | null;
  /** Why the data path stands still; null = it does not. */
  failure: string | null;
}

/** What handlers work with; wired in main.ts, faked in tests. */
export interface Services {
  store: Store;
  reporter: Reporter;
  clock: Clock;
  directory: SensorDirectory;
  clockOffsets: ClockOffsets;
  holes: Holes;
  keys: ApiKeys;
  sessions: Sessions;
  enrolRate: RateLimit;
  /** Failed logins and failed keys. */
  guessRate: RateLimit;
  /** Queries of people. */
  queryLimit: ConcurrencyLimit;
  /** Bodies of batches in memory. */
  uploadLimit: ConcurrencyLimit;
  submit(header: (name: string) => string | undefined, compressed: Uint8Array): Promise<IngestOutcome>;
  /** A person set a threat's status: detection must know, or the next growth would set it back. */
  onThreatStatus(id: string, status: ThreatStatus): void;
  progress(): Progress;
  randomBytes(length: number): Uint8Array;
  /** Answered to a sensor that enrols. */
  fleet: { buckets: number; kafka: { brokers: string[]; topic: string } | null };
  /** Site of a token that names none. */
  site: string;
  /** The own certificate authority, where its certificate is served. */
  authority: { pem: string; fingerprint: string } | null;
  /** Where sensors reach this server, when somebody asked it as `url`. */
  placeOf(url: URL): Place;
}

export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** Path in Hono's notation: `/api/v1/flows/:id`. */
  path: string;
  access: Access;
  /** One sentence for the OpenAPI page; null = a page of the dashboard, not part of the API. */
  summary: string | null;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Octets of a body; 0 = none. */
  bodyBytesMax: number;
  /** The route reads many rows: it takes a place in the bounded number of queries at once. */
  isQuery: boolean;
  /** Of a good answer. */
  status: number;
  answer?: z.ZodType;
  handle(call: Call, services: Services): Answer | Promise<Answer>;
}

interface Definition<Query extends z.ZodObject, Body extends z.ZodType> {
  summary: string | null;
  query?: Query;
  body?: Body;
  bodyBytesMax?: number;
  isQuery?: boolean;
  /** @default 200 */
  status?: number;
  answer?: z.ZodType;
  handle(call: Call<z.infer<Query>, z.infer<Body>>, services: Services): Answer | Promise<Answer>;
}

/** Method, path and access are the table's business, the rest the resource's. */
export type Resource = Omit<Route, "method" | "path" | "access">;

/** JSON bodies of people and check-ins; batches have their own limit. */
const jsonBytesMax = 256 * 1024;

/** Makes a resource whose handler knows the types of its schemas. */
export function resource<Query extends z.ZodObject, Body extends z.ZodType>(
  definition: Definition<Query, Body>,
): Resource {
  const { summary, query, body, answer, isQuery = false } = definition;
  return {
    summary,
    ...(query ? { query } : {}),
    ...(body ? { body } : {}),
    ...(answer ? { answer } : {}),
    bodyBytesMax: definition.bodyBytesMax ?? (body ? jsonBytesMax : 0),
    isQuery,
    status: definition.status ?? 200,
    handle: definition.handle as Resource["handle"],
  };
}
