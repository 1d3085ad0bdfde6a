/** The OpenAPI 3.1 page, printed from the route table and its schemas.
 *
 * Invariant: a route cannot be missing here, as the page is made from the table that serves it; neither can a status,
 * as tests compare each answer they get with what is described. @module */

import { checkInRequest, checkInResponse, enrolRequest, enrolResponse } from "../../../shared/control.ts";
import { z } from "../../../shared/schema.ts";
import { version } from "../../../shared/version.ts";
import { type ApiErrorCode, apiErrors, problemType } from "../errors.ts";
import { withStampSchemas } from "../stamps.ts";
import {
  conversationAnswer,
  domainAnswer,
  hostAnswer,
  hostDetailsAnswer,
  serviceAnswer,
} from "../hosts/host_answers.ts";
import { type Resource, resource, type Route } from "../route.ts";
import {
  feedbackAnswer,
  fleetAnswer,
  flowAnswer,
  gapAnswer,
  incidentAnswer,
  packetStatusAnswer,
  problemAnswer,
  sensorAnswer,
  sightingAnswer,
  threatAnswer,
} from "../schemas.ts";
import { columnAnswer } from "../filter/filter.ts";
import { flowPage } from "../flows/flows.ts";
import { incidentPage } from "../threats/incidents.ts";
import { threatFlowPage, threatPage } from "../threats/threats.ts";
import { suppressionAnswer } from "../threats/suppressions.ts";
import { keyAnswer, newKeyAnswer } from "./keys.ts";
import { newTokenAnswer, tokenAnswer } from "./tokens.ts";

/** Shapes that go by a name. */
const named: Readonly<Record<string, z.ZodType>> = {
  Problem: problemAnswer,
  Flow: flowAnswer,
  Sighting: sightingAnswer,
  FlowPage: flowPage,
  Threat: threatAnswer,
  ThreatPage: threatPage,
  ThreatFlowPage: threatFlowPage,
  Incident: incidentAnswer,
  IncidentPage: incidentPage,
  FilterColumn: columnAnswer,
  Host: hostAnswer,
  HostDetails: hostDetailsAnswer,
  Service: serviceAnswer,
  Domain: domainAnswer,
  Conversation: conversationAnswer,
  Fleet: fleetAnswer,
  Sensor: sensorAnswer,
  Gap: gapAnswer,
  PacketStatus: packetStatusAnswer,
  Feedback: feedbackAnswer,
  Suppression: suppressionAnswer,
  Token: tokenAnswer,
  NewToken: newTokenAnswer,
  Key: keyAnswer,
  NewKey: newKeyAnswer,
  EnrolRequest: enrolRequest,
  EnrolResponse: enrolResponse,
  CheckIn: checkInRequest,
  CheckInResponse: checkInResponse,
};

/** What sensors read and write. */
const unstamped = new Set(["EnrolRequest", "EnrolResponse", "CheckIn", "CheckInResponse"]);

/** `routes` is a function, as the table that holds this route is not complete while it is being made. */
export function openapi(routes: () => readonly Route[]): Resource {
  let made: unknown = null;
  return resource({
    summary: "This description of the API",
    answer: z.looseObject({ openapi: z.string() }),
    handle: () => ({ json: made ??= describeApi(routes()) }),
  });
}

/** The whole description as JSON. */
export function describeApi(routes: readonly Route[]): Record<string, unknown> {
  const shapes = new Shapes(routes);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.summary === null) continue;
    const path = route.path.replace(/:([a-z]+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeRoute(route, shapes) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Picket",
      version,
      description:
        "Fleet health, flows and explained threats. Times are epoch seconds, or milliseconds where the name ends in _ms; " +
        "beside each stands the same as RFC 3339, with _at.",
    },
    servers: [{ url: "." }],
    security: [{ key: [] }, { session: [] }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key: pk_..." },
        session: { type: "apiKey", in: "cookie", name: "picket_session" },
      },
      schemas: shapes.components(),
    },
  };
}

const tags = {
  Fleet: "Sensors, their health, and what is missing",
  Flows: "Conversations on the network",
  Threats: "What was found, explained; what people say of it",
  Exports: "Flows and threats as files",
  Hosts: "Hosts, services, domains, and who speaks with whom",
  Traffic: "Sums over flows",
  Access: "Join tokens, API keys, sessions, and who changed what",
  Operation: "Is it working; what it offers",
  "Sensors' own": "What sensors call, with their signature",
} as const;

function tagOf({ path, access }: Route): keyof typeof tags {
  if (access === "sensor") return "Sensors' own";
  const [, word] = /^\/(?:api\/v1\/)?([a-z-]+)/.exec(path) ?? [];
  if (/^(fleet|sensors|policies|releases|upgrades|gaps|dead-letters)$/.test(word)) return "Fleet";
  if (/^(flows|filter|live)$/.test(word)) return "Flows";
  if (/^(threats|incidents|suppressions|detectors)$/.test(word)) return "Threats";
  if (/^(hosts|services|domains|conversations)$/.test(word)) return "Hosts";
  if (word === "stats") return "Traffic";
  if (word === "export") return "Exports";
  return /^(tokens|keys|audit|session|login|logout)$/.test(word) ? "Access" : "Operation";
}

/** Every error a route can answer, by status. */
export function errorsOf(route: Route): Map<number, ApiErrorCode[]> {
  const { method, path, access, query, bodyBytesMax, isQuery, errors } = route;
  const isOpen = access === "public" || access === "sensor";
  const codes: ApiErrorCode[] = [
    ...(query ? ["bad_parameter"] as const : []),
    ...(bodyBytesMax > 0 ? ["bad_body", "body_cut", "body_timeout", "too_large"] as const : []),
    ...(isOpen ? [] : ["unauthenticated", "too_many", "forbidden"] as const),
    ...(method === "GET" ? [] : ["cross_origin"] as const),
    ...(path.includes(":") ? ["not_found"] as const : []),
    "wrong_host",
    ...errors,
    "internal",
    ...(isQuery ? ["busy"] as const : []),
    "store_unavailable",
  ];
  return Map.groupBy(new Set(codes), (code) => apiErrors[code].status as number);
}

function describeRoute(route: Route, shapes: Shapes): Record<string, unknown> {
  const { method, path, access, summary, query, bodyBytesMax, status, emptyStatus, headers, isPolled } =
    route;
  const parameters = [
    ...pathParameters(path),
    ...(query ? shapes.parameters(query) : []),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: "header",
      required: true,
      description,
      schema: { type: "string" },
    })),
  ];
  const isOpen = access === "public" || access === "sensor";
  return {
    operationId: operationId(method, path),
    tags: [tagOf(route)],
    summary,
    description: access === "public"
      ? "Needs no key."
      : access === "sensor"
      ? "Authenticated by the sensor's Ed25519 signature."
      : `Needs the role ${access} or higher.`,
    ...(isOpen ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(bodyBytesMax > 0 ? { requestBody: { required: true, content: shapes.body(route) } } : {}),
    responses: {
      [status]: {
        description: "Done",
        content: shapes.answer(route),
        ...(isPolled ? { headers: { etag: { schema: { type: "string" } } } } : {}),
      },
      ...(emptyStatus === undefined
        ? {}
        : { [emptyStatus]: { description: "Done; there is nothing to answer" } }),
      ...(isPolled ? { 304: { description: "As if-none-match says: nothing has changed" } } : {}),
      ...Object.fromEntries([...errorsOf(route)].sort(([a], [b]) => a - b).map(describeError)),
    },
  };
}

function describeError([status, codes]: [number, ApiErrorCode[]]): [string, unknown] {
  const headers = {
    ...(status === 429 || status === 503
      ? { "retry-after": { description: "Seconds to wait", schema: { type: "integer" } } }
      : {}),
    ...(status === 429
      ? { ratelimit: { description: "What is left: r tries, one more in t s", schema: { type: "string" } } }
      : {}),
  };
  return [String(status), {
    description: codes.map((code) => `\`${code}\`: ${apiErrors[code].message}`).join(". "),
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    content: { [problemType]: { schema: { $ref: "#/components/schemas/Problem" } } },
  }];
}

/** Schemas as JSON Schema; those that have a name are referred to by it. */
class Shapes {
  #made: Record<"input" | "output", Record<string, Record<string, unknown>>>;
  #names = new Map<z.ZodType, string>(Object.entries(named).map(([name, schema]) => [schema, name]));

  constructor(routes: readonly Route[]) {
    const registry = z.registry<{ id: string }>();
    for (const [schema, id] of this.#names) registry.add(schema, { id });
    for (const schema of routes.flatMap(({ query, body, answer }) => [query, body, answer])) {
      if (!schema || this.#names.has(schema)) continue;
      const id = `_${this.#names.size}`;
      this.#names.set(schema, id);
      registry.add(schema, { id });
    }
    const make = (io: "input" | "output") =>
      z.toJSONSchema(registry, { io, uri: (id) => `#/components/schemas/${id}` })
        .schemas as Record<string, Record<string, unknown>>;
    this.#made = { input: make("input"), output: make("output") };
  }

  components(): Record<string, unknown> {
    return Object.fromEntries(
      Object.keys(named).map((name) => {
        const io = named[name] === checkInRequest || named[name] === enrolRequest ? "input" : "output";
        const schema = plainOf(this.#made[io][name]);
        return [name, unstamped.has(name) ? schema : withStampSchemas(schema)];
      }),
    );
  }

  body({ body, bodyType }: Route): unknown {
    return body
      ? { "application/json": { schema: this.#schema(body, "input") } }
      : { [bodyType]: { schema: { type: "string", format: "binary" } } };
  }

  answer({ answer, answerTypes, hasStamps }: Route): unknown {
    const plain = (schema: unknown) => hasStamps ? withStampSchemas(schema) : schema;
    return {
      ...(answer ? { "application/json": { schema: plain(this.#schema(answer, "output")) } } : {}),
      ...Object.fromEntries(answerTypes.map((type) => [type, { schema: { type: "string" } }])),
    };
  }

  parameters(query: z.ZodObject): unknown[] {
    const { properties = {} } = this.#schema(query, "input") as {
      properties?: Record<string, { description?: string; format?: string }>;
    };
    return Object.entries(properties).map(([name, { description, ...schema }]) => ({
      name,
      in: "query",
      required: false,
      ...(description ? { description } : {}),
      schema: schema.format === "time"
        ? { type: "string", maxLength: 40, examples: ["2026-01-31T12:00:00Z", "1769860800", "now-1h"] }
        : schema,
    }));
  }

  #schema(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
    const name = this.#names.get(schema)!;
    return Object.hasOwn(named, name)
      ? { $ref: `#/components/schemas/${name}` }
      : plainOf(this.#made[io][name]);
  }
}

function plainOf({ $schema: _, $id: __, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

function pathParameters(path: string): unknown[] {
  return [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

/** `GET /api/v1/flows/:id` -> `get_flows_id`. */
function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}_${
    path.replace("/api/v1/", "").replace(/[^a-z]+/g, "_").replace(/^_|_$/g, "")
  }`;
}
