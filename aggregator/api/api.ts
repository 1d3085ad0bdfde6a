/** The HTTP edge: from a request to a route of the table and back.
 *
 * In: requests, with the address and security of their connection. Out: answers, always with the same headers.
 * Order of checks: host, route, key or session, role, same origin, query, length, body. Nothing of a body is read before all the others
 * are passed, and never more than the route's limit.
 * Invariant: the only file that knows the HTTP library. No CORS header is ever sent: other origins get nothing. @module */

import { type Context, Hono } from "hono";
import { BadCursor, StoreUnavailable } from "../store/store.ts";
import { authenticate, checkOrigin } from "./authenticate.ts";
import { ApiError } from "./errors.ts";
import { readJson, readQuery } from "./parameters.ts";
import type { Answer, Call, Route, Services } from "./route.ts";
import { mayCall, routes } from "./routes.ts";

export interface ApiOptions {
  /** Names this server answers for; null = any. Set on loopback, where a page of the web could otherwise rebind its name. */
  hostnames: string[] | null;
}

/** What the listener knows of a connection. */
export interface Connection {
  source: string;
  isSecure: boolean;
}

export interface Api {
  /** `Deno.serve`'s handler, but for the connection. */
  fetch(request: Request, connection: Connection): Promise<Response>;
}

interface Env {
  Bindings: Connection;
}

const securityHeaders: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "cache-control": "no-store",
};

/** Makes the API of `services`. Nothing is opened. */
export function createApi(options: ApiOptions, services: Services): Api {
  const app = new Hono<Env>();
  for (const route of routes) {
    app.on(route.method, route.path, (context) => serve(route, context, options, services));
  }
  app.notFound((context) =>
    finish(problem(hostProblem(context, options) ?? new ApiError("not_found")), context)
  );
  app.onError((error, context) => finish(problem(toApiError(error, context, services)), context));
  return {
    fetch: async (request, connection) => await app.fetch(request, connection),
  };
}

async function serve(
  route: Route,
  context: Context<Env>,
  options: ApiOptions,
  services: Services,
): Promise<Response> {
  const wrongHost = hostProblem(context, options);
  if (wrongHost) throw wrongHost;
  const { source, isSecure } = context.env;
  const header = (name: string) => context.req.header(name);
  const nowMs = services.clock.nowMs();
  const caller = route.access === "public" || route.access === "sensor"
    ? null
    : await authenticate(header, source, nowMs, services);
  if (!mayCall(route.access, caller?.role ?? null)) {
    throw new ApiError("forbidden", `Role "${caller?.role}" is not enough: ${route.access} is needed`);
  }
  if (route.method !== "GET") checkOrigin(header, caller);
  const query = route.query ? readQuery(route.query, new URL(context.req.url).searchParams) : {};
  const bytes = bodyReader(context.req.raw, route.bodyBytesMax);
  const call: Call = {
    params: context.req.param() as Record<string, string>,
    query,
    body: route.body ? readJson(route.body, await bytes()) : undefined,
    bytes,
    header,
    caller,
    source,
    isSecure,
    nowMs,
  };
  const answer = route.isQuery
    ? await services.queryGate.run(() => route.handle(call, services))
    : await route.handle(call, services);
  services.reporter.count("requests_total", { route: route.path, status: answer.status ?? 200 });
  return finish(answer, context);
}

/** Reads the body once, however often it is asked for, and stops at `bytesMax`. */
function bodyReader(request: Request, bytesMax: number): () => Promise<Uint8Array> {
  let read: Promise<Uint8Array> | null = null;
  return () => read ??= readBody(request, bytesMax);
}

async function readBody(request: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = () => new ApiError("too_large", `Body must have <= ${bytesMax} octets`);
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > bytesMax) throw tooLarge(); // Leaving the loop cancels the stream.
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function hostProblem(context: Context<Env>, { hostnames }: ApiOptions): ApiError | null {
  if (hostnames === null) return null;
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  const name = host.replace(/:[0-9]+$/, "").toLowerCase();
  return hostnames.includes(name) ? null : new ApiError("wrong_host", `Known are ${hostnames.join(", ")}`);
}

function toApiError(error: Error, context: Context<Env>, { reporter }: Services): ApiError {
  const known = error instanceof ApiError
    ? error
    : error instanceof StoreUnavailable
    ? new ApiError("store_unavailable")
    : error instanceof BadCursor
    ? new ApiError("bad_parameter", error.message)
    : null;
  if (known) {
    reporter.count("request_errors_total", { code: known.code });
    return known;
  }
  reporter.count("request_errors_total", { code: "internal" });
  reporter.error("cannot answer request", { method: context.req.method, path: context.req.path, error });
  return new ApiError("internal");
}

function problem(error: ApiError): Answer {
  const retry: Record<string, string> = error.status === 503 || error.status === 429
    ? { "retry-after": "5" }
    : {};
  return { status: error.status, json: error.toJSON(), headers: retry };
}

function finish(answer: Answer, context: Context<Env>): Response {
  const { status = 200, json, text, headers = {} } = answer;
  const isSecure = context.env?.isSecure ?? false;
  const body = text ? text.body : JSON.stringify(json);
  return new Response(body, {
    status,
    headers: {
      ...securityHeaders,
      ...(isSecure ? { "strict-transport-security": "max-age=31536000" } : {}),
      "content-type": text ? text.type : "application/json; charset=utf-8",
      ...headers,
    },
  });
}
