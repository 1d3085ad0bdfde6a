/** An incident: the threats of one attacker as one story. @module */

import type { Severity } from "./threat.ts";

/** Steps of an attack, in their order (a short form of ATT&CK's tactics). */
export const stages = [
  "reconnaissance",
  "access",
  "execution",
  "command",
  "spread",
  "theft",
  "impact",
  "exposure",
] as const;
export type Stage = typeof stages[number];

export interface IncidentStep {
  threat_id: string;
  stage: Stage;
  title: string;
  detector: string;
  severity: Severity;
  first_seen: number;
  last_seen: number;
  /** One sentence. */
  summary: string;
}

export interface Incident {
  /** 16 hex digits; the same while its first threat is the same. */
  id: string;
  network: string;
  /** Machines that acted, the first one first. */
  actors: string[];
  /** Machines acted upon, at most 100. */
  targets: string[];
  severity: Severity;
  /** Stages reached by threats of medium severity or above, in the order of {@link stages}. */
  stages: Stage[];
  status: "open" | "closed";
  first_seen: number;
  last_seen: number;
  /** All threats; `timeline` may hold fewer. */
  threats: number;
  timeline: IncidentStep[];
}
