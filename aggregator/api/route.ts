/** What a route is: one line of the table in routes.ts.
 *
 * In: a call, already authenticated, with query and body already checked by the route's schemas. Out: an answer.
 * Invariant: a handler sees no request object of the HTTP library, so that the library stays in api.ts alone.
 * Why schemas here: the check of a call and its OpenAPI description are made from the same object. @module */

import type { z } from "../../shared/schema.ts";
import type { Capabilities } from "./capabilities.ts";
import type { JsonObject } from "../mcp/untrusted.ts";
import type { ApiErrorCode } from "./errors.ts";
import type { Role } from "../model/access.ts";
import type { Actor } from "../model/audit.ts";

/** Who may call: anyone; a sensor, which the handler authenticates by its key; or a person with at least this role. */
export type Access = "public" | "sensor" | Role;

/** Who calls. */
export interface Caller {
  name: string;
  role: Role;
  keyHash: string;
  by: "key" | "session";
}

/** Who did it, as the audit has it; routes for people have a caller. */
export function actorOf(caller: Caller | null): Actor {
  return { name: caller?.name ?? "", keyId: caller?.keyHash.slice(0, 12) ?? "" };
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
  /** Id of the session its cookie names. */
  session: string | undefined;
  /** What a GET below /api/v1 answers the same caller. @throws {Error} when it answers with an error */
  ask(path: string): Promise<JsonObject>;
  /** As it was asked for. */
  url: URL;
  /** Aborted when the caller has gone. */
  signal: AbortSignal;
  /** Aggregator's clock when the request came in. */
  nowMs: number;
}

/** What goes back. JSON unless `text`, `file` or `stream` is there; without any, nothing. */
export interface Answer {
  status?: number;
  json?: unknown;
  /** As octets when it is encoded: the headers say how. */
  text?: { body: string | Uint8Array<ArrayBuffer>; type: string };
  /** To be saved under its name. */
  file?: { body: Uint8Array; type: string; name: string };
  /** Sent while it is made, and cancelled when the caller goes away; saved under its name, where it has one. */
  stream?: { body: ReadableStream<Uint8Array<ArrayBuffer>>; type: string; name?: string };
  headers?: Record<string, string>;
  /** The browser keeps this id as its session; an age of 0 ends it. */
  session?: { id: string; maxAgeS: number };
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
  /** Programs and pages ask it again and again: it has an ETag, and 304 for who has the answer already. */
  isPolled: boolean;
  /** Of a good answer. */
  status: number;
  /** Of a good answer without a body, where there is one. */
  emptyStatus?: number;
  answer?: z.ZodType;
  /** Media type of a body without schema, and those of an answer without one.
   * With a schema and types an answer is any of them. */
  bodyType: string;
  answerTypes: readonly string[];
  /** Request headers it needs, each with what it holds. */
  headers: Readonly<Record<string, string>>;
  /** Errors of its own, besides those that access, parameters and body bring. */
  errors: readonly ApiErrorCode[];
  /** Its answer carries times as RFC 3339 beside those in numbers: what people and their programs read. */
  hasStamps: boolean;
  needs: readonly (keyof Capabilities)[];
  handle(call: Call, has: Capabilities): Answer | Promise<Answer>;
}

interface Definition<Query extends z.ZodObject, Body extends z.ZodType, Need extends keyof Capabilities> {
  summary: string | null;
  query?: Query;
  body?: Body;
  bodyBytesMax?: number;
  isQuery?: boolean;
  isPolled?: boolean;
  /** @default 200 */
  status?: number;
  emptyStatus?: number;
  answer?: z.ZodType;
  bodyType?: string;
  answerTypes?: readonly string[];
  headers?: Readonly<Record<string, string>>;
  errors?: readonly ApiErrorCode[];
  /** What the handler works with, by name. @default none */
  needs?: readonly Need[];
  handle(call: Call<z.infer<Query>, z.infer<Body>>, has: Pick<Capabilities, Need>): Answer | Promise<Answer>;
}

/** Method, path and access are the table's business, the rest the resource's. */
export type Resource = Omit<Route, "method" | "path" | "access" | "hasStamps">;

/** JSON bodies of people and check-ins; batches have their own limit. */
const jsonBytesMax = 256 * 1024;

/** Makes a resource whose handler knows the types of its schemas. */
export function resource<
  Query extends z.ZodObject,
  Body extends z.ZodType,
  const Need extends keyof Capabilities = never,
>(
  definition: Definition<Query, Body, Need>,
): Resource {
  const { summary, query, body, answer, isQuery = false } = definition;
  return {
    summary,
    ...(query ? { query } : {}),
    ...(body ? { body } : {}),
    ...(answer ? { answer } : {}),
    bodyBytesMax: definition.bodyBytesMax ?? (body ? jsonBytesMax : 0),
    isQuery,
    isPolled: definition.isPolled ?? false,
    status: definition.status ?? 200,
    ...(definition.emptyStatus === undefined ? {} : { emptyStatus: definition.emptyStatus }),
    bodyType: definition.bodyType ?? "application/json",
    answerTypes: definition.answerTypes ?? (answer ? [] : ["text/plain"]),
    headers: definition.headers ?? {},
    errors: definition.errors ?? [],
    needs: definition.needs ?? [],
    handle: definition.handle as Resource["handle"],
  };
}
