/** The API's documentation: our own rendering of `openapi.json`, so that nothing is fetched from elsewhere. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { append, byId, h, inert, wire } from "./dom.ts";
import { call, type Problem } from "./call.ts";

interface Schema {
  $ref?: string;
  type?: string;
  enum?: string[];
  default?: unknown;
}
interface Operation {
  summary: string;
  description: string;
  parameters?: { name: string; in: string; description?: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}
interface Description {
  openapi: string;
  info: { description: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

function describe(
  path: string,
  method: string,
  route: Operation,
  shapes: Record<string, Schema>,
): HTMLElement {
  const facts = h("dl");
  for (const { name, in: where, description, schema } of route.parameters ?? []) {
    const kind = schema.enum ? schema.enum.join(" | ") : schema.type ?? "";
    const standard = schema.default === undefined ? "" : ", default " + schema.default;
    const words = where + ", " + kind + standard + (description ? ": " + description : "");
    append(facts, [h("dt", wire(name)), h("dd.soft", words)]);
  }
  const article = h(
    "article.panel",
    h("h3", h("span.method", method.toUpperCase()), wire(path)),
    h("p", route.summary),
    h("p.soft.small", route.description),
    facts,
  );
  const good = Object.entries(route.responses).find(([status]) => status.startsWith("2"))?.[1];
  const parts = [["Body", route.requestBody?.content], ["Answer", good?.content]] as const;
  for (const [word, content] of parts) {
    const schema = content?.["application/json"]?.schema;
    const name = schema?.$ref?.split("/").at(-1);
    if (name) {
      article.append(
        h("details", h("summary", `${word}: ${name}`), h("pre", JSON.stringify(shapes[name], null, 2))),
      );
    } else if (schema) {
      article.append(h("details", h("summary", word), h("pre", JSON.stringify(schema, null, 2))));
    }
  }
  return article;
}

try {
  const api = await call<Description>("GET", "openapi.json");
  byId("note").textContent = api.info.description + " OpenAPI " + api.openapi + ", version " +
    api.info.version + ".";
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      byId("routes").append(describe(path, method, route, api.components.schemas));
    }
  }
} catch (problem) {
  const { status, message } = problem as Problem;
  byId("note").textContent = status === 401 ? "Log in on the dashboard first." : inert(message);
}
