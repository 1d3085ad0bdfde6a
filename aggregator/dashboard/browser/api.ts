/** Shapes of answers that the dashboard reads beside those of the model. @module */

import type { Threat } from "../../model/threat.ts";
import type { Flow } from "../../model/flow.ts";
import type { Incident } from "../../model/incident.ts";
import type { SensorHealth } from "../../fleet/fleet.ts";
import type { FleetPage, FleetRow } from "../../fleet/page.ts";

/** A row whose fields the API chooses. */
export type Loose = Record<string, unknown>;

export type { FleetRow, Flow, Incident, SensorHealth, Threat };

export type Fleet = FleetPage & { problem: string | null };

export interface Rows<Row> {
  rows: Row[];
  next_cursor?: string;
}

export interface Series {
  from: number;
  to: number;
  step: number;
  rows: { time: number; bytes: number }[];
  /** Where it was asked for: the step that the lists begin with, and one list a part; "" = the rest. */
  first?: number;
  stacks?: { name: string; bytes: number[] }[];
}

export interface HostRow {
  ip: string;
  network: string;
  inside: boolean;
  first_seen_ms: number;
  last_seen_ms: number;
  names: string[];
  macs: string[];
  flows: number;
  packets: number;
  bytes: number;
  threats: number;
}

export interface HostDetails extends Omit<HostRow, "threats"> {
  services: Loose[];
  uses: Loose[];
  peers: { ip: string; flows: number; bytes: number }[];
  /** By the hour; hours without traffic are left out. */
  series: { at_ms: number; bytes: number; packets: number }[];
  threats: Threat[];
  /** Ids. */
  sensors: string[];
}

/** Packets of a threat or a flow that sensors were asked for. */
export interface PacketStatus {
  state: "none" | "asked" | "arrived" | "gone" | "refused";
  /** The state in words. */
  reason: string;
  sensors: { name: string; state: string; reason: string; packets: number; bytes: number; at_ms: number }[];
}
