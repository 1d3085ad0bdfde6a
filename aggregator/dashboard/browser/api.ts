/** Shapes of answers that the dashboard reads beside those of the model. @module */

import type { Host, HostDetails as Details } from "../../model/host.ts";
import type { PacketStatus } from "../../model/packets.ts";
import type { Threat as StoredThreat } from "../../model/threat.ts";
import type { Flow as StoredFlow } from "../../model/flow.ts";
import type { Place, PlacedAddress, PlacedEnds } from "../../model/place.ts";
import type { Incident } from "../../model/incident.ts";
import type { SensorHealth } from "../../fleet/fleet.ts";
import type { FleetPage, FleetRow } from "../../fleet/page.ts";

/** A row whose fields the API chooses. */
export type Loose = Record<string, unknown>;

export type { FleetRow, Incident, PacketStatus, SensorHealth };

/** Those of its addresses that GeoIP files know. */
export type Threat = StoredThreat & { outside?: PlacedAddress[] };

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

/** Places where GeoIP files tell some, of addresses outside. */
export type Flow = StoredFlow & PlacedEnds;

export type HostRow = Host & { inside: boolean; place?: Place };

/** Of one host; its threats themselves, where a row counts them. */
export type HostDetails = Omit<HostRow, "threats"> & Details & { threats: Threat[] };
