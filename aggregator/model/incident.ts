/** An incident: the threats of one attacker as one story. @module */

import type { Severity, ThreatStatus } from "./threat.ts";

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
  /** That of its first threat. */
  id: string;
  network: string;
  /** Machines that acted, the first one first. */
  actors: string[];
  /** Machines acted upon, at most 100. */
  targets: string[];
  severity: Severity;
  /** Stages reached by threats of medium severity or above, in the order of {@link stages}. */
  stages: Stage[];
  /** Open while a threat is, then acknowledged while one is, then closed. */
  status: ThreatStatus;
  first_seen: number;
  last_seen: number;
  /** All threats; `timeline` may hold fewer. */
  threats: number;
  timeline: IncidentStep[];
}
