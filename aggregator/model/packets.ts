/** Packets as evidence: what was requested from which sensor for a threat or a flow, and the outcome.
 *
 * Invariant: a request belongs to one subject and one sensor; there is one at a time.
 * Its id is also the name of its file. @module */

import type { WantedFlow } from "../../shared/packets.ts";

/** `asked`: the sensor has not answered. `arrived`: its packets are stored. `gone`: they cannot be had any more.
 * `refused`: they were not asked for, or what came could not be used. */
export const packetStates = ["asked", "arrived", "gone", "refused"] as const;
export type PacketState = typeof packetStates[number];

export interface PacketRequestRow {
  /** 16 hex digits. */
  id: string;
  /** "threat/ID" or "flow/ID". */
  subject: string;
  sensor_id: string;
  state: PacketState;
  /** A clause about the sensor, for people; "" = the state says it all. */
  reason: string;
  flows: WantedFlow[];
  /** Who asked: name of a key, or "rules". */
  asked_by: string;
  expires_ms: number;
  /** Last change. */
  at_ms: number;
  packets: number;
  bytes: number;
  /** Of the stored file, hex; "" = there is none. */
  sha256: string;
  /** Start of its newest flow: the packets leave with that flow's day. */
  flow_us: number;
}

/** What came of a request. */
export type PacketOutcomeChange = Pick<
  PacketRequestRow,
  "state" | "reason" | "at_ms" | "packets" | "bytes" | "sha256"
>;

/** A stored file. */
export type StoredPackets = Pick<PacketRequestRow, "id" | "bytes" | "at_ms">;

/** How it stands with the packets of one subject. */
export interface PacketStatus {
  state: "none" | PacketState;
  reason: string;
  sensors: {
    name: string;
    state: PacketState;
    reason: string;
    packets: number;
    bytes: number;
    at_ms: number;
  }[];
}
