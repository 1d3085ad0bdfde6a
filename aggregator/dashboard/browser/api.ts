/** Shapes of answers that the dashboard reads beside those of the model. @module */

import type { Threat } from "../../model/threat.ts";
import type { Flow } from "../../model/flow.ts";
import type { Incident } from "../../model/incident.ts";
import type { FleetHealth, SensorHealth } from "../../fleet/fleet.ts";

export type { Flow, Incident, SensorHealth, Threat };

export type Fleet = FleetHealth & { problem: string | null };

export interface Rows<Row> {
  rows: Row[];
  next_cursor?: string;
}

export interface Series {
  from: number;
  to: number;
  step: number;
  rows: { time: number; bytes: number; packets: number; flows: number; [group: string]: string | number }[];
}

export interface HostRow {
  ip: string;
  network: string;
  inside: boolean;
  first_seen_ms: number;
  last_seen_ms: number;
  names: (string | { name: string; source?: string })[];
  macs: (string | { mac: string; vendor?: string | null })[];
  flows: number;
  packets: number;
  bytes: number;
  threats: number;
}

/** Packets of a threat that sensors were asked for. */
export interface ThreatPackets {
  state: "none" | "asked" | "arrived" | "gone" | "refused";
  reason: string | null;
  sensors: { name: string; state: string; packets: number; bytes: number; at_ms: number }[];
}
