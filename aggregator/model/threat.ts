/** A threat: what a detector found, with the reasons and the evidence a person needs to believe it.
 *
 * Invariant: repeats carry the same `identity` and are one threat;
 * severity follows from the score, the score from the reasons. @module */

export const severities = ["info", "low", "medium", "high", "critical"] as const;
export type Severity = typeof severities[number];

export const threatStatuses = ["open", "acknowledged", "closed"] as const;
export type ThreatStatus = typeof threatStatuses[number];

export const verdicts = ["true", "benign", "false"] as const;
export type Verdict = typeof verdicts[number];

/** What a person says of a threat: an attack, harmless though what it says is so, or wrong. The last word holds. */
export interface Feedback {
  verdict: Verdict;
  /** "" = none. */
  note: string;
  by: string;
  at_ms: number;
}

/** Addresses of each side that a threat keeps. */
export const threatAddressesMax = 100;

/** A named part of the score. `points` add up, capped at 100. */
export interface Reason {
  /** Short stable name: "distinct_ports". */
  name: string;
  points: number;
  /** A sentence with the measured value and the threshold, both with units. */
  text: string;
}

/** A measured value an explanation may rest on. `id` is "e1", "e2", ... within the threat. */
export interface Evidence {
  id: string;
  /** Short name: "ports tried". */
  name: string;
  value: string | number;
  /** The value was chosen by whoever sent the packets (a DNS name, a user agent). */
  hostile: boolean;
}

/** The sentences of a finding, for people who are no experts. Each is true of the evidence beside it. */
export interface Words {
  /** One sentence that stands on its own: who did what to whom, with the numbers that matter. */
  summary: string;
  /** Why anyone would do that. */
  meaning: string;
  /** What to do next, most urgent first. */
  action: string;
  /** How to rule out a false alarm. */
  false_alarm: string;
}

/** Threats that say what is wrong with a sensor. No detector finds them, and they end when the sensor is well. */
export function isOfSensor({ detector }: Pick<Finding, "detector">): boolean {
  return detector.startsWith("sensor_");
}

/** What a detector says; the engine adds id, times of storage and triage. Times are packet times, epoch seconds. */
export interface Finding {
  detector: string;
  /** Says when it is the same threat again, e.g. "port_scan_vertical|site-a|10.0.0.5|10.0.0.9". */
  identity: string;
  /** ATT&CK technique id, e.g. "T1046". */
  technique: string;
  /** A few words: "Vertical port scan". */
  title: string;
  network: string;
  src_ips: string[];
  dst_ips: string[];
  /** The one port concerned; null when many or none. */
  dst_port: number | null;
  first_seen: number;
  last_seen: number;
  /** Flows (or messages) this rests on. */
  count: number;
  reasons: Reason[];
  evidence: Evidence[];
  words: Words;
  /** A bounded sample of the flows concerned, the first ones. */
  flow_ids: string[];
  /** All flows concerned; the first 100,000 are linked in the store. */
  flows: number;
  sensors: string[];
}

/** The explanation of a threat and who gave it. */
export interface Triage {
  explanation: string;
  suggested_action: string;
  /** "rules", or the model's name: "gemini:gemini-2.5-flash". */
  engine: string;
  /** 0..1; rules say 1 for what they measured. */
  confidence: number;
  /** Why a model's answer was not used; null = it was, or none was asked. */
  fallback: string | null;
  /** The rules' own words, where `explanation` and `suggested_action` hold a model's beside them. */
  rules?: { explanation: string; suggested_action: string };
}

/** Flows to link to a threat, beside those linked before. */
export interface ThreatLinks {
  threat_id: string;
  flow_ids: string[];
}

/** What triage gives back for one threat. */
export interface TriageResult {
  threatId: string;
  severity: Severity;
  triage: Triage;
}

/** A stored threat. Words, reasons and evidence are those of its strongest episode, taken together; times, counts,
 * addresses, flows and sensors are those of all its episodes. */
export interface Threat extends Finding, Triage {
  /** 16 hex digits. What comes after a closed or long silent threat of the same identity has another. */
  id: string;
  /** Capped sum of the reasons' points, 0..100. */
  score: number;
  /** What the score says. */
  rules_severity: Severity;
  /** Severity in force: the rules', or up to one step more that a model gave;
   * asking again gives what asking once gave. */
  severity: Severity;
  /** Times the identity came back after a pause, plus one. */
  episodes: number;
  status: ThreatStatus;
  stored_ms: number;
  updated_ms: number;
  /** The suppression that hides it now; as stored, absent in one that was just found. */
  suppressed_by?: string | null;
  feedback?: Feedback | null;
}

/** Severity of a score: 20 low, 40 medium, 70 high, 90 critical. */
export function severityOf(score: number): Severity {
  return score >= 90
    ? "critical"
    : score >= 70
    ? "high"
    : score >= 40
    ? "medium"
    : score >= 20
    ? "low"
    : "info";
}

/** Capped sum of the reasons' points. */
export function scoreOf(reasons: readonly Reason[]): number {
  return Math.max(0, Math.min(100, reasons.reduce((sum, reason) => sum + reason.points, 0)));
}
