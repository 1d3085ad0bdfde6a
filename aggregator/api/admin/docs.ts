/** The API's documentation as a page: our own rendering of `/openapi.json`, so that nothing is fetched from elsewhere.
 *
 * Invariant: the page itself holds nothing; the description is fetched with the session, so it needs a login like everything else. @module */

import { asset } from "../../dashboard/pages.ts";
import { clientDom } from "../../dashboard/client_dom.ts";

const shell = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Picket API</title>
<link rel="icon" href="assets/logo.svg" type="image/svg+xml">
<link rel="stylesheet" href="assets/dashboard.css">
<script type="module" src="assets/docs.js"></script>
</head>
<body>
<header class="bar"><a class="brand" href="./"><img src="assets/logo.svg" alt="" width="28" height="28"><span>Picket</span></a>
<nav class="jump" aria-label="Pages"><a href="./">Dashboard</a><a href="openapi.json">openapi.json</a></nav></header>
<main class="docs"><h1>API</h1><p id="note" class="soft"></p><div id="routes"></div></main>
</body>
</html>
`;

const client = clientDom + String.raw`
function describe(path, method, route) {
  const facts = h("dl");
  for (const { name, in: where, description, schema } of route.parameters ?? []) {
    const kind = schema.enum ? schema.enum.join(" | ") : schema.type ?? "";
    const standard = schema.default === undefined ? "" : ", default " + schema.default;
    append(facts, [h("dt", wire(name)), h("dd.soft", where + ", " + kind + standard + (description ? ": " + description : ""))]);
  }
  const article = h("article.panel", h("h3", h("span.method", method.toUpperCase()), wire(path)),
    h("p", route.summary), h("p.soft.small", route.description), facts);
  const body = route.requestBody?.content["application/json"]?.schema;
  const answer = route.responses["200"].content["application/json"]?.schema;
  for (const [word, schema] of [["Body", body], ["Answer", answer]]) {
    if (schema) article.append(h("details", h("summary", word), h("pre", JSON.stringify(schema, null, 2))));
  }
  return article;
}

try {
  const api = await call("GET", "openapi.json");
  byId("note").textContent = api.info.description + " OpenAPI " + api.openapi + ", version " + api.info.version + ".";
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, route] of Object.entries(methods)) byId("routes").append(describe(path, method, route));
  }
} catch (problem) {
  byId("note").textContent = problem.status === 401 ? "Log in on the dashboard first." : inert(problem.message);
}
`;

export const docsPage = asset(shell, "text/html");
export const docsScript = asset(client, "text/javascript");
