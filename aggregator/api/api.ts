/** The HTTP edge: from a request to a route of the table and back.
 *
 * In: requests, with the address and security of their connection. Out: answers, always with the same headers.
 * Order of checks: host, route, key or session, role, same origin, query, length, body. Nothing of a body is read
 * before all the others are passed, and never more than the route's limit.
 * Invariant: the only file that knows the HTTP library. No CORS header is ever sent: other origins get nothing.
 * @module */

import { type Context, Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { BadCursor, StoreUnavailable } from "../store/store.ts";
import { authenticate, checkOrigin, ownOrigins } from "./authenticate.ts";
import { readBody } from "./body.ts";
import type { TrustedProxies } from "../model/client_address.ts";
import { etagOf, isKnown } from "./etag.ts";
import { ApiError, problemType } from "./errors.ts";
import { readJson, readQuery } from "./parameters.ts";
import { packed } from "./packed.ts";
import type { Capabilities, EdgeCapabilities } from "./capabilities.ts";
import type { Answer, Call, Route } from "./route.ts";
import { mayCall, routes } from "./routes.ts";
import { withStamps } from "./stamps.ts";

export interface ApiOptions {
  /** Names this server answers for; null = any.
   * Set on loopback, where a page of the web could otherwise rebind its name. */
  hostnames: string[] | null;
  /** Address under which browsers and sensors reach this server, with the path prefix a proxy puts before it;
   * null = as they ask. */
  publicUrl: URL | null;
  proxies: TrustedProxies;
  /** Paths of the routes that are served; null or absent = all. */
  paths?: readonly string[] | null;
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

const cookieName = "picket_session";

/** Headers of every answer. */
const guard = (isSecure: boolean) =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
    xFrameOptions: "DENY",
    permissionsPolicy: { camera: [], geolocation: [], microphone: [] },
    strictTransportSecurity: isSecure ? "max-age=31536000" : false,
  });
const guards = { plain: guard(false), secure: guard(true) };

/** Makes the API of what is there: a route that needs more is not served. Nothing is opened. */
export function createApi(options: ApiOptions, has: EdgeCapabilities & Partial<Capabilities>): Api {
  const prefix = prefixOf(options.publicUrl);
  const app = new Hono<Env>({ getPath: (request) => pathOf(request, prefix) });
  const served: Route[] = [];
  app.use((context, next) => guards[context.env.isSecure ? "secure" : "plain"](context, next));
  for (const route of routes) {
    if (route.needs.some((name) => has[name] === undefined)) continue;
    if (options.paths && !options.paths.includes(route.path)) continue;
    const given = Object.fromEntries(route.needs.map((name) => [name, has[name]])) as unknown as Capabilities;
    app.on(
      route.method,
      route.path,
      (context) => serve({ route, given, ask: asker(app, context) }, context, options, has),
    );
    served.push(route);
  }
  const otherMethods = methodsBeside(served);
  app.notFound((context) => {
    const error = hostProblem(context, options) ?? otherMethods(context.req.path);
    return finish(problem(error ?? new ApiError("not_found"), context), context);
  });
  app.onError((error, context) => finish(problem(toApiError(error, context, has), context), context));
  if (prefix !== "") {
    app.get(prefix, () => new Response(null, { status: 308, headers: { location: `${prefix}/` } }));
  }
  return {
    fetch: async (request, connection) => await app.fetch(request, connection),
  };
}

/** Asks the API again for whoever asks: with the same key or session, from the same address. */
function asker(app: Hono<Env>, { req, env }: Context<Env>): Call["ask"] {
  return async (path) => {
    const headers = new Headers();
    for (const name of ["authorization", "cookie", "host", "forwarded", "x-forwarded-for"]) {
      const value = req.header(name);
      if (value !== undefined) headers.set(name, value);
    }
    const url = new URL(`/api/v1${path}`, req.url);
    const response = await app.fetch(new Request(url, { headers, signal: req.raw.signal }), env);
    const answer = await response.json();
    if (response.ok) return answer;
    throw new Error(`${response.status} ${answer.title}${answer.detail ? `: ${answer.detail}` : ""}`);
  };
}

/** Says of a path which methods it has, where it has any. */
function methodsBeside(served: readonly Route[]): (path: string) => ApiError | null {
  const known = served.map(({ method, path }) => ({
    method,
    pattern: new RegExp(`^${path.replace(/[.\\]/g, "\\$&").replace(/:[a-z]+/g, "[^/]+")}$`),
  }));
  return (path) => {
    const methods = new Set(known.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    if (methods.size === 0) return null;
    const allow = [...methods].flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
    return new ApiError("wrong_method", `Allowed are ${allow}`, { headers: { allow } });
  };
}

async function serve(
  { route, given, ask }: { route: Route; given: Capabilities; ask: Call["ask"] },
  context: Context<Env>,
  options: ApiOptions,
  has: EdgeCapabilities,
): Promise<Response> {
  const wrongHost = hostProblem(context, options);
  if (wrongHost) throw wrongHost;
  const header = (name: string) => context.req.header(name);
  const url = new URL(context.req.url);
  const source = options.proxies.callerOf(context.env.source, header);
  const nowMs = has.clock.nowMs();
  const caller = route.access === "public" || route.access === "sensor"
    ? null
    : await authenticate({ header, session: getCookie(context, cookieName), source, nowMs }, has);
  if (!mayCall(route.access, caller?.role ?? null)) {
    throw new ApiError("forbidden", `Role "${caller?.role}" is not enough: ${route.access} is needed`);
  }
  if (route.method !== "GET") {
    checkOrigin(header, caller, ownOrigins(url, context.env.isSecure, options.publicUrl));
  }
  const query = route.query ? readQuery(route.query, url.searchParams, nowMs) : {};
  let read: Promise<Uint8Array> | null = null;
  const bytes = () => read ??= readBody(context.req.raw, route.bodyBytesMax, has.clock);
  const call: Call = {
    params: context.req.param() as Record<string, string>,
    query,
    body: route.body ? readJson(route.body, await bytes()) : undefined,
    bytes,
    header,
    caller,
    source,
    session: getCookie(context, cookieName),
    ask,
    url,
    signal: context.req.raw.signal,
    nowMs,
  };
  const handle = () => {
    if (!call.signal.aborted) return route.handle(call, given);
    has.reporter.count("requests_abandoned_total", { route: route.path });
    throw new ApiError("busy", "The caller has gone");
  };
  const beganMs = has.clock.monotonicMs();
  const answer = route.isQuery ? await has.queryLimit.run(handle, route.path) : await handle();
  // A stream that is watched lasts as long as somebody watches it: its first octet counts.
  const tookS = (has.clock.monotonicMs() - beganMs) / 1_000;
  has.reporter.observe("request_duration_seconds", tookS, { route: route.path });
  const found = { status: route.status, ...answer };
  const known = route.isPolled ? unchanged(found, context) : found;
  has.reporter.count("requests_total", { route: route.path, status: known.status });
  // Of HEAD the body is dropped unread: whoever makes it must learn that nobody takes it.
  if (context.req.method === "HEAD") await known.stream?.body.cancel();
  const stamped = route.hasStamps && known.json !== undefined
    ? { ...known, json: withStamps(known.json) }
    : known;
  const sent = context.req.method === "GET" ? packed(stamped, header("accept-encoding")) : stamped;
  return finish(sent, context, siteOf(context, options));
}

/** The answer with its ETag; without a body when the caller has it already. */
function unchanged(answer: Answer & { status: number }, context: Context<Env>): Answer & { status: number } {
  const etag = etagOf(answer.json);
  const headers = { ...answer.headers, etag, vary: "authorization, cookie, accept-encoding" };
  return isKnown(etag, context.req.header("if-none-match"))
    ? { status: 304, headers }
    : { ...answer, headers };
}

/** How a browser sees this server, for its cookies. */
interface Site {
  isSecure: boolean;
  /** Path of everything here: "/", or the prefix a proxy puts before it. */
  path: string;
}

/** How the browser behind this request sees the server: by the public address if its page came from there,
 * else as asked. */
function siteOf(context: Context<Env>, { publicUrl }: ApiOptions): Site {
  const origin = context.req.header("origin") ?? "";
  const isPublic = publicUrl !== null && origin === publicUrl.origin;
  // An origin that is not our own was refused before.
  const isSecure = context.env.isSecure || origin.startsWith("https:");
  return { isSecure, path: isPublic ? prefixOf(publicUrl) || "/" : "/" };
}

/** Path of the public address without its last slash: "" or "/picket". */
function prefixOf(publicUrl: URL | null): string {
  return (publicUrl?.pathname ?? "").replace(/\/+$/, "");
}

/** Path of the route. A proxy may hand the prefix on or take it away. */
function pathOf(request: Request, prefix: string): string {
  const { pathname } = new URL(request.url);
  return prefix !== "" && pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : pathname;
}

function hostProblem(context: Context<Env>, { hostnames }: ApiOptions): ApiError | null {
  if (hostnames === null) return null;
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  const name = host.replace(/:[0-9]+$/, "").toLowerCase();
  return hostnames.includes(name) ? null : new ApiError("wrong_host", `Known are ${hostnames.join(", ")}`);
}

function toApiError(error: Error, context: Context<Env>, { reporter }: EdgeCapabilities): ApiError {
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

function problem(error: ApiError, context: Context<Env>): Answer {
  const retry: Record<string, string> = error.status === 503 || error.status === 429
    ? { "retry-after": String(error.parts.retryAfterS ?? 5) }
    : {};
  const body = JSON.stringify(error.problemOf(new URL(context.req.url).pathname.slice(0, 500)));
  return {
    status: error.status,
    text: { body, type: problemType },
    headers: { ...retry, ...error.parts.headers },
  };
}

function finish(answer: Answer, context: Context<Env>, site?: Site): Response {
  const { status = 200, json, text, file, stream, headers = {}, session } = answer;
  if (session && site) {
    const { isSecure: secure, path } = site;
    const options = { httpOnly: true, sameSite: "Strict", secure, path, maxAge: session.maxAgeS } as const;
    setCookie(context, cookieName, session.id, options);
  }
  if (status === 202 && json === undefined && text === undefined) {
    return context.body(null, 202, { "cache-control": "no-store", ...headers });
  }
  if (status === 304) return context.body(null, 304, { "cache-control": "no-store", ...headers });
  if (stream) {
    const described = {
      "cache-control": "no-store",
      "content-type": stream.type,
      ...(stream.name ? { "content-disposition": `attachment; filename="${stream.name}"` } : {}),
      ...headers,
    };
    return context.req.method === "HEAD"
      ? context.body(null, status as ContentfulStatusCode, described)
      : context.body(stream.body, status as ContentfulStatusCode, described);
  }
  const body = file ? file.body as Uint8Array<ArrayBuffer> : text ? text.body : JSON.stringify(json);
  return context.body(body, status as ContentfulStatusCode, {
    "cache-control": "no-store",
    "content-type": file?.type ?? text?.type ?? "application/json; charset=utf-8",
    ...(file ? { "content-disposition": `attachment; filename="${file.name}"` } : {}),
    ...headers,
  });
}
