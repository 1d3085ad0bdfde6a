/** Whether a sink is notified of an incident, and when.
 *
 * In: an incident with its threats, the sink's rules, the time. Out: at once, with a digest, or not at all. @module */

import { severities, type Severity, type Threat } from "../model/threat.ts";
import type { Incident } from "../model/incident.ts";
import type { SinkSettings } from "./settings.ts";

export type Rules = Pick<
  SinkSettings,
  | "severity_min"
  | "sites"
  | "tags"
  | "detectors"
  | "quiet"
  | "urgent"
  | "digest_minutes"
  | "messages_per_hour"
>;

/** What is held back by the limit of messages comes with a digest after this long. */
export const overflowMinutes = 60;

export interface Story {
  incident: Incident;
  threats: readonly Threat[];
}

/** Whether the sink wants to hear of it. `tagsOf` gives the tags of a sensor. */
export function isWanted(
  { incident, threats }: Story,
  rules: Rules,
  tagsOf: (sensorId: string) => readonly string[],
): boolean {
  const { severity_min, sites, tags, detectors } = rules;
  return incident.status === "open" && rankOf(incident.severity) >= rankOf(severity_min) &&
    (sites.length === 0 || sites.includes(incident.network)) &&
    (detectors.length === 0 || threats.some(({ detector }) => detectors.includes(detector))) &&
    (tags.length === 0 ||
      threats.some(({ sensors }) => sensors.some((id) => tagsOf(id).some((tag) => tags.includes(tag)))));
}

/** Minutes until it may be told; 0 = at once. `sentThisHour`: messages told at once within the last hour. */
export function minutesToWait(
  severity: Severity,
  { quiet, urgent, digest_minutes, messages_per_hour }: Rules,
  nowMs: number,
  sentThisHour: number,
): number {
  if (sentThisHour >= messages_per_hour) return overflowMinutes;
  if (rankOf(severity) >= rankOf(urgent)) return 0;
  return Math.max(quiet === undefined ? 0 : quietMinutesLeft(quiet, nowMs), digest_minutes);
}

/** 0 = it is not quiet now. */
export function quietMinutesLeft(
  { from, to, zone }: { from: string; to: string; zone: string },
  nowMs: number,
): number {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(nowMs);
  const day = 1_440;
  const [now, start, end] = [parts, from, to].map((text) => {
    const [hours, minutes] = text.split(":").map(Number);
    return hours * 60 + minutes;
  });
  const length = (end - start + day) % day, since = (now - start + day) % day;
  return since < length ? length - since : 0;
}

export function rankOf(severity: Severity): number {
  return severities.indexOf(severity);
}
