/** The API's documentation: our own rendering of `openapi.json`, so that nothing is fetched from elsewhere. @module */

import { append, byId, h, inert, wire } from "./dom.js";
import { call,              } from "./call.js";

function describe(
  path        ,
  method        ,
  route           ,
  shapes                        ,
)              {
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
  const parts = [["Body", route.requestBody?.content], ["Answer", good?.content]]         ;
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
  const api = await call             ("GET", "openapi.json");
  byId("note").textContent = api.info.description + " OpenAPI " + api.openapi + ", version " +
    api.info.version + ".";
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      byId("routes").append(describe(path, method, route, api.components.schemas));
    }
  }
} catch (problem) {
  const { status, message } = problem           ;
  byId("note").textContent = status === 401 ? "Log in on the dashboard first." : inert(message);
}
