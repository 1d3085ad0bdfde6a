/** Every route of the aggregator and who may call it, in one table.
 *
 * Invariant: what is not in this table is 404, and nobody gets past `access` without a key of that role or a higher
 * one; the tests and the OpenAPI page are made from it. `public` and `sensor` rows are the only ones without a key; a
 * sensor's rows check its signature themselves. @module */

import { assets } from "../dashboard/assets.ts";
import { type Role, roles } from "../model/access.ts";
import { audit } from "./admin/audit.ts";
import { authority } from "./admin/authority.ts";
import { batches } from "./sensors/batches.ts";
import { checkIn } from "./sensors/check_in.ts";
import { packetUploads } from "./sensors/packets.ts";
import { enrol } from "./sensors/enrol.ts";
import { askCanary } from "./sensors/canary.ts";
import { approve, release, remove, rename, revoke, tag } from "./sensors/change.ts";
import { fleet, sensor } from "./sensors/fleet.ts";
import { sensorHistory } from "./sensors/health_history.ts";
import { addPolicy, policies, policy, policyHistory, removePolicy } from "./sensors/policies.ts";
import { releasePart, releases } from "./sensors/releases.ts";
import {
  cancelUpgrade,
  pauseUpgrade,
  resumeUpgrade,
  startUpgrade,
  upgrade,
  upgrades,
} from "./sensors/upgrades.ts";
import { exportFlows, exportHosts, exportThreats } from "./export/export.ts";
import { flow, flows, latestFlows, searchFlows } from "./flows/flows.ts";
import { filterColumns } from "./filter/filter.ts";
import { deadLetters, gaps } from "./sensors/gaps.ts";
import { conversations, domains, host, hosts, services, uniqueHosts } from "./hosts/hosts.ts";
import { live } from "./live/live.ts";
import { healthz, readyz } from "./admin/health.ts";
import { login, logout, session } from "./admin/login.ts";
import { mcp } from "./mcp/mcp.ts";
import { metrics } from "./admin/metrics.ts";
import { openapi } from "./admin/openapi.ts";
import { pageOf } from "./admin/pages.ts";
import type { Access, Resource, Route } from "./route.ts";
import { protocols, series, topTalkers, totals } from "./stats/stats.ts";
import { detectors, giveFeedback } from "./threats/feedback.ts";
import { intelligence } from "./threats/intelligence.ts";
import { threatQuestion } from "./threats/question.ts";
import { incident, incidents, setIncidentStatus } from "./threats/incidents.ts";
import {
  addSuppression,
  endSuppression,
  listSuppressions,
  previewSuppression,
} from "./threats/suppressions.ts";
import { setThreatStatus, threat, threatFlows, threats } from "./threats/threats.ts";
import { askFlowPackets, askThreatPackets, flowPackets, threatPackets } from "./threats/packets.ts";
import { addKey, listKeys, revokeKey } from "./admin/keys.ts";
import { listSinks, sinkDeadLetters, testSink } from "./admin/sinks.ts";
import { addToken, listTokens, revokeToken } from "./admin/tokens.ts";

type Row = readonly [Route["method"], string, Access, Resource];

const table: readonly Row[] = [
  // Sensors.
  ["POST", "/api/v1/enrol", "sensor", enrol],
  ["POST", "/api/v1/check-in", "sensor", checkIn],
  ["POST", "/api/v1/batches", "sensor", batches],
  ["POST", "/api/v1/packets", "sensor", packetUploads],
  ["GET", "/api/v1/releases/:id/part", "sensor", releasePart],
  // People and their programs.
  ["GET", "/api/v1/fleet", "viewer", fleet],
  ["GET", "/api/v1/sensors/:id", "viewer", sensor],
  ["GET", "/api/v1/sensors/:id/health", "viewer", sensorHistory],
  ["POST", "/api/v1/sensors/:id/canary", "analyst", askCanary],
  ["POST", "/api/v1/sensors/:id/approve", "admin", approve],
  ["POST", "/api/v1/sensors/:id/release", "admin", release],
  ["POST", "/api/v1/sensors/:id/rename", "admin", rename],
  ["POST", "/api/v1/sensors/:id/tags", "admin", tag],
  ["POST", "/api/v1/sensors/:id/revoke", "admin", revoke],
  ["DELETE", "/api/v1/sensors/:id", "admin", remove],
  ["GET", "/api/v1/policies", "viewer", policies],
  ["POST", "/api/v1/policies", "admin", addPolicy],
  ["GET", "/api/v1/policies/:id", "viewer", policy],
  ["GET", "/api/v1/policies/:id/history", "viewer", policyHistory],
  ["DELETE", "/api/v1/policies/:id", "admin", removePolicy],
  ["GET", "/api/v1/releases", "viewer", releases],
  ["GET", "/api/v1/upgrades", "viewer", upgrades],
  ["POST", "/api/v1/upgrades", "admin", startUpgrade],
  ["GET", "/api/v1/upgrades/:id", "viewer", upgrade],
  ["POST", "/api/v1/upgrades/:id/pause", "admin", pauseUpgrade],
  ["POST", "/api/v1/upgrades/:id/resume", "admin", resumeUpgrade],
  ["POST", "/api/v1/upgrades/:id/cancel", "admin", cancelUpgrade],
  ["GET", "/api/v1/flows", "viewer", flows],
  ["GET", "/api/v1/flows/latest", "viewer", latestFlows],
  ["GET", "/api/v1/flows/search", "viewer", searchFlows],
  ["GET", "/api/v1/flows/:id", "viewer", flow],
  ["GET", "/api/v1/flows/:id/packets", "analyst", flowPackets],
  ["POST", "/api/v1/flows/:id/packets", "analyst", askFlowPackets],
  ["GET", "/api/v1/incidents", "viewer", incidents],
  ["GET", "/api/v1/incidents/:id", "viewer", incident],
  ["POST", "/api/v1/incidents/:id/status", "analyst", setIncidentStatus],
  ["GET", "/api/v1/threats", "viewer", threats],
  ["GET", "/api/v1/threats/:id", "viewer", threat],
  ["GET", "/api/v1/threats/:id/flows", "viewer", threatFlows],
  ["GET", "/api/v1/threats/:id/question", "analyst", threatQuestion],
  ["POST", "/api/v1/threats/:id/status", "analyst", setThreatStatus],
  ["POST", "/api/v1/threats/:id/feedback", "analyst", giveFeedback],
  ["GET", "/api/v1/threats/:id/packets", "analyst", threatPackets],
  ["POST", "/api/v1/threats/:id/packets", "analyst", askThreatPackets],
  ["GET", "/api/v1/suppressions", "viewer", listSuppressions],
  ["POST", "/api/v1/suppressions", "analyst", addSuppression],
  ["POST", "/api/v1/suppressions/preview", "viewer", previewSuppression],
  ["POST", "/api/v1/suppressions/:id/end", "analyst", endSuppression],
  ["GET", "/api/v1/hosts", "viewer", hosts],
  ["GET", "/api/v1/hosts/:id", "viewer", host],
  ["GET", "/api/v1/services", "viewer", services],
  ["GET", "/api/v1/domains", "viewer", domains],
  ["GET", "/api/v1/conversations", "viewer", conversations],
  ["GET", "/api/v1/stats/totals", "viewer", totals],
  ["GET", "/api/v1/stats/top-talkers", "viewer", topTalkers],
  ["GET", "/api/v1/stats/protocols", "viewer", protocols],
  ["GET", "/api/v1/stats/series", "viewer", series],
  ["GET", "/api/v1/stats/unique-hosts", "viewer", uniqueHosts],
  ["GET", "/api/v1/export/flows", "analyst", exportFlows],
  ["GET", "/api/v1/export/threats", "analyst", exportThreats],
  ["GET", "/api/v1/export/hosts", "analyst", exportHosts],
  ["GET", "/api/v1/detectors", "viewer", detectors],
  ["GET", "/api/v1/intelligence", "viewer", intelligence],
  ["GET", "/api/v1/filter/columns", "viewer", filterColumns],
  ["GET", "/api/v1/live", "viewer", live],
  ["GET", "/api/v1/gaps", "viewer", gaps],
  ["GET", "/api/v1/dead-letters", "admin", deadLetters],
  ["GET", "/api/v1/audit", "admin", audit],
  ["GET", "/api/v1/sinks", "viewer", listSinks],
  ["GET", "/api/v1/sinks/:id/dead-letters", "admin", sinkDeadLetters],
  ["POST", "/api/v1/sinks/:id/test", "admin", testSink],
  ["GET", "/api/v1/tokens", "admin", listTokens],
  ["POST", "/api/v1/tokens", "admin", addToken],
  ["POST", "/api/v1/tokens/:id/revoke", "admin", revokeToken],
  ["GET", "/api/v1/keys", "admin", listKeys],
  ["POST", "/api/v1/keys", "admin", addKey],
  ["POST", "/api/v1/keys/:id/revoke", "admin", revokeKey],
  ["GET", "/api/v1/session", "viewer", session],
  ["POST", "/mcp", "viewer", mcp],
  ["GET", "/openapi.json", "viewer", openapi(() => routes)],
  ["GET", "/metrics", "viewer", metrics],
  // Machines that watch machines.
  ["GET", "/healthz", "public", healthz],
  ["GET", "/readyz", "public", readyz],
  ["GET", "/ca.pem", "public", authority],
  // The dashboard's pages hold no data; what they show they fetch from above, with the session.
  ["POST", "/login", "public", login],
  ["POST", "/logout", "public", logout],
  ...assets.map((asset): Row => ["GET", asset.path, "public", pageOf(asset)]),
];

export const routes: readonly Route[] = table.map(([method, path, access, resource]) => ({
  method,
  path,
  access,
  hasStamps: access !== "sensor" && path.startsWith("/api/v1/"),
  ...resource,
}));

/** Whether `role` may call a route that asks for `access`. `roles` is ordered from the mightiest down. */
export function mayCall(access: Access, role: Role | null): boolean {
  if (access === "public" || access === "sensor") return true;
  return role !== null && roles.indexOf(role) <= roles.indexOf(access);
}
