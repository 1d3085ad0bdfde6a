/** The dashboard as it is served: two pages, one style sheet, their scripts, one picture.
 *
 * Out: texts by path. They hold no data and need no key; the scripts fetch what they show with the session.
 * Why imported as text: a compiled binary then carries them without unpacking anything to disk. Links in them are
 * relative, so that they work behind any path prefix. The scripts are made by build.ts out of `browser/`; nothing is
 * fetched from elsewhere, so that the policy `script-src 'self'` holds without exceptions. @module */

import style from "./assets/dashboard.css" with { type: "text" };
import docsPage from "./assets/docs.html" with { type: "text" };
import docsScript from "./assets/docs.js" with { type: "text" };
import indexPage from "./assets/index.html" with { type: "text" };
import logo from "./assets/logo.svg" with { type: "text" };
import mainScript from "./assets/main.js" with { type: "text" };

export interface Asset {
  path: string;
  body: string;
  type: string;
}

export const assets: readonly Asset[] = [
  { path: "/", body: indexPage, type: "text/html" },
  { path: "/docs", body: docsPage, type: "text/html" },
  { path: "/assets/dashboard.css", body: style, type: "text/css" },
  { path: "/assets/logo.svg", body: logo, type: "image/svg+xml" },
  { path: "/assets/main.js", body: mainScript, type: "text/javascript" },
  { path: "/assets/docs.js", body: docsScript, type: "text/javascript" },
];
