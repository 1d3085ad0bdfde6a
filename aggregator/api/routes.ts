/** Every route of the aggregator and who may call it, in one table.
 *
 * Invariant: what is not in this table is 404, and nobody gets past `access` without a key of that role or a higher one; the tests
 * and the OpenAPI page are made from it. `public` and `sensor` rows are the only ones without a key; a sensor's rows check its
 * signature themselves. @module */

import { logo, page, script, style } from "../dashboard/pages.ts";
import { type Role, roles } from "../model/access.ts";
import { authority } from "./admin/authority.ts";
import { batches } from "./sensors/batches.ts";
import { checkIn } from "./sensors/check_in.ts";
import { docsPage, docsScript } from "./admin/docs.ts";
import { enrol } from "./sensors/enrol.ts";
import { fleet, revoke, sensor } from "./sensors/fleet.ts";
import { flow, flows, latestFlows, searchFlows } from "./flows/flows.ts";
import { deadLetters, gaps } from "./sensors/gaps.ts";
import { healthz, readyz } from "./admin/health.ts";
import { login, logout, session } from "./admin/login.ts";
import { metrics } from "./admin/metrics.ts";
import { openapi } from "./admin/openapi.ts";
import type { Access, Resource, Route } from "./route.ts";
import { protocols, series, topTalkers, totals } from "./stats/stats.ts";
import { setThreatStatus, threat, threats } from "./threats/threats.ts";
import { addKey, addToken, listKeys } from "./admin/tokens.ts";

const table: readonly (readonly [Route["method"], string, Access, Resource])[] = [
  // Sensors.
  ["POST", "/api/v1/enrol", "sensor", enrol],
  ["POST", "/api/v1/check-in", "sensor", checkIn],
  ["POST", "/api/v1/batches", "sensor", batches],
  // People and their programs.
  ["GET", "/api/v1/fleet", "viewer", fleet],
  ["GET", "/api/v1/sensors/:id", "viewer", sensor],
  ["POST", "/api/v1/sensors/:id/revoke", "admin", revoke],
  ["GET", "/api/v1/flows", "viewer", flows],
  ["GET", "/api/v1/flows/latest", "viewer", latestFlows],
  ["GET", "/api/v1/flows/search", "viewer", searchFlows],
  ["GET", "/api/v1/flows/:id", "viewer", flow],
  ["GET", "/api/v1/threats", "viewer", threats],
  ["GET", "/api/v1/threats/:id", "viewer", threat],
  ["POST", "/api/v1/threats/:id/status", "analyst", setThreatStatus],
  ["GET", "/api/v1/stats/totals", "viewer", totals],
  ["GET", "/api/v1/stats/top-talkers", "viewer", topTalkers],
  ["GET", "/api/v1/stats/protocols", "viewer", protocols],
  ["GET", "/api/v1/stats/series", "viewer", series],
  ["GET", "/api/v1/gaps", "viewer", gaps],
  ["GET", "/api/v1/dead-letters", "admin", deadLetters],
  ["POST", "/api/v1/tokens", "admin", addToken],
  ["GET", "/api/v1/keys", "admin", listKeys],
  ["POST", "/api/v1/keys", "admin", addKey],
  ["GET", "/api/v1/session", "viewer", session],
  ["GET", "/openapi.json", "viewer", openapi(() => routes)],
  ["GET", "/metrics", "viewer", metrics],
  // Machines that watch machines.
  ["GET", "/healthz", "public", healthz],
  ["GET", "/readyz", "public", readyz],
  ["GET", "/ca.pem", "public", authority],
  // The dashboard's pages hold no data; what they show they fetch from above, with the session.
  ["POST", "/login", "public", login],
  ["POST", "/logout", "public", logout],
  ["GET", "/", "public", page],
  ["GET", "/assets/dashboard.css", "public", style],
  ["GET", "/assets/dashboard.js", "public", script],
  ["GET", "/assets/logo.svg", "public", logo],
  ["GET", "/docs", "public", docsPage],
  ["GET", "/assets/docs.js", "public", docsScript],
];

export const routes: readonly Route[] = table.map(([method, path, access, resource]) => ({
  method,
  path,
  access,
  ...resource,
}));

/** Whether `role` may call a route that asks for `access`. `roles` is ordered from the mightiest down. */
export function mayCall(access: Access, role: Role | null): boolean {
  if (access === "public" || access === "sensor") return true;
  return role !== null && roles.indexOf(role) <= roles.indexOf(access);
}
