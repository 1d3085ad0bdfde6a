/** The dashboard as it is served: two pages, one style sheet, their scripts, one picture.
 *
 * Out: texts by path. They hold no data and need no key; the scripts fetch what they show with the session.
 * Why imported as text: a compiled binary then carries them without unpacking anything to disk. Links in them are relative, so that they
 * work behind any path prefix. The scripts are made by build.ts out of `browser/`.
 * Why no framework: the policy `script-src 'self'` holds without exceptions, and there is nothing to update. @module */

import callScript from "./assets/call.js" with { type: "text" };
import style from "./assets/dashboard.css" with { type: "text" };
import docsPage from "./assets/docs.html" with { type: "text" };
import docsScript from "./assets/docs.js" with { type: "text" };
import domScript from "./assets/dom.js" with { type: "text" };
import fleetScript from "./assets/fleet.js" with { type: "text" };
import flowsScript from "./assets/flows.js" with { type: "text" };
import incidentsScript from "./assets/incidents.js" with { type: "text" };
import indexPage from "./assets/index.html" with { type: "text" };
import logo from "./assets/logo.svg" with { type: "text" };
import mainScript from "./assets/main.js" with { type: "text" };
import sessionScript from "./assets/session.js" with { type: "text" };
import threatsScript from "./assets/threats.js" with { type: "text" };
import trafficScript from "./assets/traffic.js" with { type: "text" };

export interface Asset {
  path: string;
  body: string;
  type: string;
}

const scripts = {
  call: callScript,
  docs: docsScript,
  dom: domScript,
  fleet: fleetScript,
  flows: flowsScript,
  incidents: incidentsScript,
  main: mainScript,
  session: sessionScript,
  threats: threatsScript,
  traffic: trafficScript,
};

export const assets: readonly Asset[] = [
  { path: "/", body: indexPage, type: "text/html" },
  { path: "/docs", body: docsPage, type: "text/html" },
  { path: "/assets/dashboard.css", body: style, type: "text/css" },
  { path: "/assets/logo.svg", body: logo, type: "image/svg+xml" },
  ...Object.entries(scripts).map(([name, body]) => ({
    path: `/assets/${name}.js`,
    body,
    type: "text/javascript",
  })),
];
