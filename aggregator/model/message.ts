/** A message to a sink: what happened, in a form that any format can be made of.
 *
 * Invariant: bounded; strings in it may come from the wire and are as hostile as they came:
 * each format makes them inert. @module */

import type { Severity } from "./threat.ts";

export const messageKinds = ["incident", "rise", "digest", "report", "test"] as const;

/** What waits in the outbox, as JSON. */
export interface SinkMessage {
  /** The same for each try: receivers tell a second delivery by it. */
  id: string;
  /** A new incident; one that became more severe; what was held back; a report about a time; a test. */
  kind: typeof messageKinds[number];
  severity: Severity;
  /** A few words. */
  title: string;
  /** A sentence or two. */
  summary: string;
  /** What to do next; "" = nothing is known. */
  action: string;
  /** Id of the incident; "" for what tells of none or of several. */
  incident: string;
  network: string;
  detector: string;
  /** ATT&CK technique; "" = none. */
  technique: string;
  actors: string[];
  targets: string[];
  dst_port: number | null;
  /** Names of the sensors. */
  sensors: string[];
  /** Threats of the incident, or of all incidents of the digest. */
  threats: number;
  /** Incidents this tells of. */
  incidents: number;
  /** Packet time, epoch seconds; of a report what it is about. */
  first_seen: number;
  last_seen: number;
  /** Aggregator's clock. */
  at_ms: number;
  /** Incidents of a digest by severity, and the worst of them, one line each. */
  digest?: { by_severity: Partial<Record<Severity, number>>; more_threats: number; worst: string[] };
}

export interface OutboxMessage {
  sink: string;
  id: string;
  state: "waiting" | "dead";
  made_ms: number;
  due_ms: number;
  attempts: number;
  /** Why the last try failed; "" = there was none. */
  reason: string;
  message: SinkMessage;
}

/** Of which machine's incident a sink was told. */
export interface ToldRow {
  sink: string;
  subject: string;
  severity_rank: number;
  until_s: number;
  told_ms: number;
}

/** What one turn notes for all sinks. */
export interface SinkWrite {
  position: string;
  told: readonly ToldRow[];
  messages: readonly OutboxMessage[];
}

export interface SinkCounts {
  sink: string;
  waiting: number;
  dead: number;
  /** When the oldest that waits was made; null = none waits. */
  oldest_ms: number | null;
  last_sent_ms: number | null;
  /** Why one that waits could not be sent yet; "" = each is at its first try. */
  reason: string;
}
