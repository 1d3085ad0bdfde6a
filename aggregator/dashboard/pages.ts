/** The dashboard as it is served: one page, one style sheet, one script, one picture.
 *
 * Out: resources of the route table. They hold no data and need no key; the script fetches what it shows with the session.
 * Why text in modules: a compiled binary then carries them without unpacking anything to disk, on every Deno we build with.
 * Why no framework and no build: the policy `script-src 'self'` holds without exceptions, and there is nothing to update. @module */

import { type Resource, resource } from "../api/route.ts";
import { clientDom } from "./client_dom.ts";
import { clientFleet } from "./client_fleet.ts";
import { clientFlows } from "./client_flows.ts";
import { clientMain } from "./client_main.ts";
import { clientThreats } from "./client_threats.ts";
import { clientTraffic } from "./client_traffic.ts";
import { logoSvg, shell } from "./shell.ts";
import { styleSheet } from "./style.ts";

/** One script, in the order its parts need each other. */
const dashboardScript = [clientDom, clientFleet, clientThreats, clientTraffic, clientFlows, clientMain].join(
  "\n",
);

export const page = asset(shell, "text/html");
export const style = asset(styleSheet, "text/css");
export const script = asset(dashboardScript, "text/javascript");
export const logo = asset(logoSvg, "image/svg+xml");

/** A text that never changes while the program runs. */
export function asset(body: string, type: string): Resource {
  return resource({
    summary: null,
    handle: () => ({
      text: { body, type: `${type}; charset=utf-8` },
      headers: { "cache-control": "no-cache" },
    }),
  });
}
