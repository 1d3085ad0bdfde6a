/** The OpenAPI 3.1 page, printed from the route table and its schemas.
 *
 * Invariant: a route cannot be missing here, as the page is made from the table that serves it. @module */

import { z } from "../../../shared/schema.ts";
import { version } from "../../../shared/version.ts";
import { apiErrors } from "../errors.ts";
import { type Resource, resource, type Route } from "../route.ts";

/** `routes` is a function, as the table that holds this route is not complete while it is being made. */
export function openapi(routes: () => readonly Route[]): Resource {
  let made: unknown = null;
  return resource({
    summary: "This description of the API",
    handle: () => ({ json: made ??= describeApi(routes()) }),
  });
}

/** The whole description as JSON. */
export function describeApi(routes: readonly Route[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.summary === null) continue;
    const path = route.path.replace(/:([a-z]+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeRoute(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Picket",
      version,
      description:
        "Fleet health, flows and explained threats. Times are epoch seconds unless the name ends in _ms.",
    },
    security: [{ key: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key: pk_..." },
        session: { type: "apiKey", in: "cookie", name: "picket_session" },
      },
      schemas: { Error: errorSchema },
    },
  };
}

const errorSchema = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "detail"],
      properties: {
        code: { enum: Object.keys(apiErrors) },
        message: { type: "string" },
        detail: { type: ["string", "null"], description: "Names the parameter, the rule and the value" },
      },
    },
  },
};

function describeRoute(route: Route): Record<string, unknown> {
  const { method, path, access, summary, query, body, bodyBytesMax, answer } = route;
  const parameters = [...pathParameters(path), ...(query ? queryParameters(query) : [])];
  const isOpen = access === "public" || access === "sensor";
  return {
    operationId: operationId(method, path),
    summary,
    description: access === "public"
      ? "Needs no key."
      : access === "sensor"
      ? "Authenticated by the sensor's Ed25519 signature."
      : `Needs the role ${access} or higher.`,
    ...(isOpen ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(bodyBytesMax > 0 ? { requestBody: describeBody(body) } : {}),
    responses: {
      "200": { description: "Done", content: describeAnswer(answer) },
      default: {
        description: "An error of the closed list",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

function describeBody(body: z.ZodType | undefined): unknown {
  const content = body
    ? { "application/json": { schema: schemaOf(body) } }
    : { "application/zstd": { schema: { type: "string", format: "binary" } } };
  return { required: true, content };
}

function describeAnswer(answer: z.ZodType | undefined): unknown {
  return answer ? { "application/json": { schema: schemaOf(answer) } } : { "text/plain": {} };
}

function pathParameters(path: string): unknown[] {
  return [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters(query: z.ZodObject): unknown[] {
  const { properties = {} } = schemaOf(query) as { properties?: Record<string, { description?: string }> };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: "query",
    required: false,
    ...(description ? { description } : {}),
    schema,
  }));
}

function schemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" }) as Record<string, unknown>;
  return rest;
}

/** `GET /api/v1/flows/:id` -> `get_flows_id`. */
function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}_${
    path.replace("/api/v1/", "").replace(/[^a-z]+/g, "_").replace(/^_|_$/g, "")
  }`;
}
