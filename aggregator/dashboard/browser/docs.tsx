/** The API's documentation: our own rendering of `openapi.json`, so that nothing is fetched from elsewhere. @module */

/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />

import { call, Problem } from "./call.ts";
import { render, useEffect, useState, type VNode } from "./preact.ts";
import { applyTheme } from "./theme.ts";

interface Schema {
  $ref?: string;
  type?: string;
  enum?: string[];
  default?: unknown;
}
interface Operation {
  summary: string;
  description: string;
  tags?: string[];
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

function Docs(): VNode {
  const [api, setApi] = useState<Description | null>(null);
  const [note, setNote] = useState("Loading …");
  useEffect(() => {
    call<Description>("GET", "openapi.json").then((found) => {
      setApi(found);
      setNote(`${found.info.description} OpenAPI ${found.openapi}, version ${found.info.version}.`);
    }, (problem) => {
      const isOut = problem instanceof Problem && problem.status === 401;
      setNote(isOut ? "Log in on the dashboard first." : (problem as Error).message);
    });
  }, []);
  return (
    <div class="shell">
      <header class="bar">
        <a class="brand" href="./">
          <img src="assets/logo.svg" alt="" width="24" height="24" /> <span>Picket</span>
        </a>
        <nav aria-label="Pages">
          <a href="./">Dashboard</a>
          <a href="openapi.json">openapi.json</a>
        </nav>
      </header>
      <main id="main" class="docs">
        <h1>API</h1>
        <p class="soft">{note}</p>
        {api !== null && Object.entries(api.paths).flatMap(([path, methods]) =>
          Object.entries(methods).map(([method, route]) => (
            <Route
              key={method + path}
              path={path}
              method={method}
              route={route}
              shapes={api.components.schemas}
            />
          ))
        )}
      </main>
    </div>
  );
}

function Route(
  { path, method, route, shapes }: {
    path: string;
    method: string;
    route: Operation;
    shapes: Record<string, Schema>;
  },
): VNode {
  const good = Object.entries(route.responses).find(([status]) => status.startsWith("2"))?.[1];
  const parts = [["Body", route.requestBody?.content], ["Answer", good?.content]] as const;
  return (
    <article class="panel">
      <h2>
        <span class="method">{method.toUpperCase()}</span> <span class="wire">{path}</span>
      </h2>
      <p>{route.summary}</p>
      <p class="soft small">{route.description}</p>
      {(route.parameters ?? []).length > 0 && (
        <dl class="facts">
          {route.parameters!.map(({ name, in: where, description, schema }) => [
            <dt key={`${where} ${name}`} class="wire">{name}</dt>,
            <dd key={`${where} ${name}:`} class="soft">
              {[where, kindOf(schema), standardOf(schema)].filter(Boolean).join(", ")}
              {description ? `: ${description}` : ""}
            </dd>,
          ])}
        </dl>
      )}
      {parts.map(([word, content]) => {
        const schema = content?.["application/json"]?.schema;
        if (!schema) return null;
        const name = schema.$ref?.split("/").at(-1);
        return (
          <details key={word}>
            <summary>{name ? `${word}: ${name}` : word}</summary>
            <pre tabIndex={0}>{JSON.stringify(name ? shapes[name] : schema, null, 2)}</pre>
          </details>
        );
      })}
    </article>
  );
}

function kindOf(schema: Schema): string {
  return schema.enum ? schema.enum.join(" | ") : schema.type ?? "";
}

function standardOf(schema: Schema): string {
  return schema.default === undefined ? "" : `default ${schema.default}`;
}

applyTheme();
render(<Docs />, document.getElementById("app")!);
