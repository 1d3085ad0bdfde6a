/** Fleet, totals and threats as lines for a terminal.
 *
 * Invariant: whatever came over the wire is escaped; colour only adds to a word that is there anyway. @module */

import { escapeLine } from "../../shared/escape.ts";
import type { Incident } from "../model/incident.ts";
import type { Severity, Threat } from "../model/threat.ts";
import type { SensorStatus } from "../fleet/reasons.ts";
import { span } from "../fleet/span.ts";
import type { FleetRow } from "../fleet/page.ts";
import type { Totals } from "../model/traffic.ts";

const widthMax = 100;
const reset = "\x1b[0m", bold = "\x1b[1m";
const severityColours: Record<Severity, string> = {
  critical: "\x1b[1;97;41m",
  high: "\x1b[1;31m",
  medium: "\x1b[1;33m",
  low: "\x1b[1;36m",
  info: "\x1b[1;37m",
};
const statusColours: Partial<Record<SensorStatus, string>> = {
  healthy: "\x1b[32m",
  late: "\x1b[33m",
  lossy: "\x1b[33m",
  unwalled: "\x1b[33m",
  blind: "\x1b[31m",
  quarantined: "\x1b[31m",
};

/** One sensor: a line of numbers, then a line a reason. */
export function sensorLines(sensor: FleetRow, nowMs: number, isColourful: boolean): string[] {
  const { conservation: kept, capture, packet_ring: ring, canary } = sensor;
  const status = paint(sensor.status.replace("_", " "), statusColours[sensor.status], isColourful);
  const leftOut = kept ? Object.values(kept.left_out).reduce((sum, packets) => sum + packets, 0) : 0;
  const numbers = kept && capture
    ? `${amount(kept.packets)} packets from ${capture.source}: ${amount(kept.in_flows)} in flows, ` +
      `${amount(leftOut)} left out, ${amount(kept.dropped)} dropped` +
      (ring?.startsWith("ring") ? `; ${ring}` : "") + (canary === null ? "" : `; canary: ${canary}`)
    : "no packet reported yet";
  const seen = sensor.last_check_in_ms === null
    ? ""
    : `, checked in ${span(nowMs - sensor.last_check_in_ms)} ago`;
  return [
    `${escapeLine(sensor.name)} (site ${escapeLine(sensor.site)}): ${status}. ${escapeLine(numbers)}${seen}`,
    ...sensor.reasons.map((reason) => `  ${escapeLine(reason)}`),
  ];
}

export function totalsLine({ flows, packets, bytes, sightings, first, last }: Totals): string {
  const range = first === null || last === null ? "" : `, ${timeOf(first)} to ${timeOf(last)}`;
  return `${amount(flows)} flows, ${amount(packets)} packets, ${amount(bytes)} octets, ${
    amount(sightings)
  } sightings${range}`;
}

/** One threat: what, who, when; why to believe it; what to do. */
export function threatLines(threat: Threat, isColourful: boolean): string[] {
  const severity = paint(threat.severity.toUpperCase(), severityColours[threat.severity], isColourful);
  const port = threat.dst_port === null ? "" : ` port ${threat.dst_port}`;
  const reasons = threat.reasons.map(({ name, points }) => `${name} ${points < 0 ? "" : "+"}${points}`)
    .join(", ");
  // The rules' explanation begins with the summary; a model's stands beside it.
  const why = threat.explanation.replace(escapeLine(threat.words.summary), "").trim();
  const engine = threat.fallback === null ? threat.engine : `${threat.engine}, ${threat.fallback}`;
  return [
    `${severity}  ${escapeLine(threat.title)} (${threat.technique}, ${amount(threat.count)} times)`,
    `  ${escapeLine(between(threat.src_ips, threat.dst_ips, port))}`,
    `  ${timeOf(threat.first_seen)} to ${timeOf(threat.last_seen)}`,
    ...wrap(threat.words.summary, "  ").map((line) => paint(line, bold, isColourful)),
    ...wrap(`What to do: ${threat.suggested_action}`, "  "),
    ...wrap(`Why: ${why}`, "  "),
    ...wrap(`Score ${threat.score}: ${reasons}. Explained by: ${engine}`, "  "),
  ];
}

/** One threat on one line: when, how bad, what, who. */
export function timelineLine(threat: Threat, isColourful: boolean): string {
  const severity = paint(threat.severity.padEnd(8), severityColours[threat.severity], isColourful);
  const port = threat.dst_port === null ? "" : ` port ${threat.dst_port}`;
  const whom = threat.src_ips.length > 0 && threat.dst_ips.length === 0
    ? ends(threat.src_ips)
    : between(threat.src_ips, threat.dst_ips, port);
  return `${timeOf(threat.first_seen)}  ${severity}  ${escapeLine(threat.title)} (${threat.detector})  ${
    escapeLine(whom)
  }`;
}

/** One incident: who, how far, and its threats in the order in which they began. */
export function incidentLines(incident: Incident, isColourful: boolean): string[] {
  const severity = paint(incident.severity.toUpperCase(), severityColours[incident.severity], isColourful);
  const reached = incident.stages.length === 0 ? "" : `, ${incident.stages.join(", ")}`;
  const left = incident.threats - incident.timeline.length;
  return [
    `${severity}  ${escapeLine(between(incident.actors, incident.targets))}: ` +
    `${amount(incident.threats)} threats${reached}`,
    ...incident.timeline.map((step) =>
      `  ${timeOf(step.first_seen)}  ${step.stage}: ${escapeLine(step.title)} (${step.severity})`
    ),
    ...(left > 0 ? [`  and ${amount(left)} more`] : []),
  ];
}

/** "10.0.0.5", "10.0.0.5 and 3 more", "unknown". */
/** What is wrong with a sensor is between nobody. */
function between(from: readonly string[], to: readonly string[], port = ""): string {
  return from.length === 0 && to.length === 0 ? "no host" : `${ends(from)} -> ${ends(to)}${port}`;
}

function ends(ips: readonly string[]): string {
  if (ips.length === 0) return "unknown";
  return ips.length === 1 ? ips[0] : `${ips[0]} and ${ips.length - 1} more`;
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace("T", " ").replace(/\.[0-9]+Z$/, "Z");
}

/** 1234567 -> "1,234,567". */
export function amount(count: number): string {
  return count.toLocaleString("en-GB");
}

function paint(text: string, colour: string | undefined, isColourful: boolean): string {
  return isColourful && colour ? `${colour}${text}${reset}` : text;
}

/** Breaks text at blanks; its own line ends stay. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = indent, isEmpty = true;
    for (const word of escapeLine(paragraph).split(" ")) {
      if (!isEmpty && line.length + word.length >= widthMax) {
        lines.push(line);
        line = indent;
        isEmpty = true;
      }
      line += isEmpty ? word : ` ${word}`;
      isEmpty = false;
    }
    lines.push(line);
  }
  return lines;
}
