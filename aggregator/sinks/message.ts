/** Makes messages about incidents, and digests of many.
 *
 * Bound: lists and texts are cut, so that a message is a few KiB whatever the incident. @module */

import { severities, type Severity } from "../model/threat.ts";
import type { SinkMessage } from "../model/message.ts";
import { rankOf, type Story } from "./rules.ts";

const addressesMax = 20;
const textMax = 600;
const worstMax = 10;

export function messageOf(
  { incident, threats }: Story,
  { id, kind, nowMs, nameOf }: {
    id: string;
    kind: "incident" | "rise";
    nowMs: number;
    nameOf: (sensorId: string) => string;
  },
): SinkMessage {
  const worst = [...threats].sort((a, b) => rankOf(b.severity) - rankOf(a.severity) || b.score - a.score)[0];
  const others = incident.threats - 1;
  const step = incident.timeline.find(({ threat_id }) => threat_id === worst.id);
  return {
    id,
    kind,
    severity: incident.severity,
    title: cut(others === 0 ? worst.title : `${worst.title} and ${others} more`, 200),
    summary: cut(step?.summary ?? worst.explanation),
    action: cut(worst.suggested_action),
    incident: incident.id,
    network: incident.network,
    detector: worst.detector,
    technique: worst.technique,
    actors: incident.actors.slice(0, addressesMax),
    targets: incident.targets.slice(0, addressesMax),
    dst_port: worst.dst_port,
    sensors: [...new Set(threats.flatMap(({ sensors }) => sensors))].slice(0, addressesMax).map(nameOf),
    threats: incident.threats,
    incidents: 1,
    first_seen: incident.first_seen,
    last_seen: incident.last_seen,
    at_ms: nowMs,
  };
}

/** A message that tells of no incident: to be filled as a digest or a report, or sent as a test. */
export function blankMessage(id: string, kind: "digest" | "report" | "test", nowMs: number): SinkMessage {
  return {
    id,
    kind,
    severity: "info",
    title: kind === "test" ? "Test message" : "",
    summary: kind === "test" ? "Picket reaches this sink." : "",
    action: "",
    incident: "",
    network: "",
    detector: "",
    technique: "",
    actors: [],
    targets: [],
    dst_port: null,
    sensors: [],
    threats: 0,
    incidents: 0,
    first_seen: nowMs / 1_000,
    last_seen: nowMs / 1_000,
    at_ms: nowMs,
  };
}

/** An empty digest. */
export function digestOf(id: string, nowMs: number): SinkMessage {
  return { ...blankMessage(id, "digest", nowMs), digest: { by_severity: {}, more_threats: 0, worst: [] } };
}

/** The digest with `stories` added to it, and `grown` new threats of incidents that were told before. */
export function digestWith(
  digest: SinkMessage,
  stories: readonly Story[],
  grown: number,
  nowMs: number,
): SinkMessage {
  const { by_severity, more_threats, worst } = digest.digest!;
  const counts: Partial<Record<Severity, number>> = { ...by_severity };
  for (const { incident: { severity } } of stories) counts[severity] = (counts[severity] ?? 0) + 1;
  const lines = stories.map(({ incident }) => {
    const { title } = incident.timeline[0];
    return `${incident.severity}: ${title}, ${incident.actors[0] ?? "?"} (${incident.network})`.slice(0, 200);
  });
  const rankOfLine = (line: string) => (severities as readonly string[]).indexOf(line.split(":")[0]);
  const incidents = digest.incidents + stories.length;
  const threats = stories.reduce((sum, { incident }) => sum + incident.threats, digest.threats);
  const more = more_threats + grown;
  const tail = more === 0 ? "" : ` ${more} more threats in incidents told before.`;
  return {
    ...digest,
    severity: severities.findLast((severity) => counts[severity]) ?? "info",
    title: incidents === 0 ? `${more} more threats` : `${incidents} incidents held back`,
    summary: `${incidents} incidents with ${threats} threats were held back.${tail}`,
    threats,
    incidents,
    last_seen: nowMs / 1_000,
    at_ms: nowMs,
    digest: {
      by_severity: counts,
      more_threats: more,
      worst: [...worst, ...lines].sort((a, b) => rankOfLine(b) - rankOfLine(a)).slice(0, worstMax),
    },
  };
}

function cut(text: string, most = textMax): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
