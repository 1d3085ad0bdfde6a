/** The status of requested packets, in words.
 *
 * In: requests with their outcomes.
 * Out: one status per subject, a reason for each upload, the name and comment of a sensor's interface.
 * Invariant: names are those an operator gave; nothing here was chosen by whoever sent the packets. @module */

import type { PacketsHeader } from "../../shared/packets.ts";
import type { PacketRequestRow, PacketStatus } from "../model/packets.ts";
import type { SensorRow } from "../model/sensor.ts";
import type { CapturedPacket, CapturePart } from "./pcapng.ts";

/** `arrived` comes first: there is something to look at, whatever is still awaited. */
const order = ["arrived", "asked", "gone", "refused"] as const;

export function statusOf(
  rows: readonly PacketRequestRow[],
  nameOf: (sensorId: string) => string,
): PacketStatus {
  if (rows.length === 0) {
    return {
      state: "none",
      reason: "Nobody has asked for these packets, or no sensor is known to have seen them",
      sensors: [],
    };
  }
  const state = order.find((one) => rows.some((row) => row.state === one))!;
  const sorted = [...rows].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  return {
    state,
    reason: sorted.map((row) => sentence(row, nameOf(row.sensor_id))).join("; "),
    sensors: sorted.map((row) => ({
      name: nameOf(row.sensor_id),
      state: row.state,
      reason: sentence(row, nameOf(row.sensor_id)),
      packets: row.packets,
      bytes: row.bytes,
      at_ms: row.at_ms,
    })),
  };
}

function sentence({ state, reason, packets, bytes }: PacketRequestRow, name: string): string {
  if (state === "asked") return `waiting for sensor ${name}${reason === "" ? "" : `, which ${reason}`}`;
  if (state === "refused") return `not asked for: sensor ${name} ${reason}`;
  if (state === "gone") return `not to be had any more: sensor ${name} ${reason}`;
  const arrived = `arrived from sensor ${name}: ${packets} packets, ${bytes} octets`;
  return reason === "" ? arrived : `${arrived}; it ${reason}`;
}

/** A clause about the sensor; "" = there is nothing to add. */
export function uploadReason(header: PacketsHeader, { flows }: PacketRequestRow): string {
  const { outcome, oldest, left_out } = header;
  const since = oldest === 0
    ? "has an empty ring of packets"
    : `has no packets from before ${timeText(oldest)} in its ring any more`;
  if (outcome === "off") return "keeps no packets (--ring-payload)";
  if (outcome === "too_late") return since;
  if (outcome === "absent") return "found none of them in its ring";
  const isPartial = oldest * 1_000 > Math.min(...flows.map(({ from_us }) => from_us)) + 2e6;
  const parts = [
    ...(isPartial ? [since] : []),
    ...(left_out > 0 ? [`left out ${left_out} packets for which the file had no room`] : []),
  ];
  return parts.join(" and ");
}

/** A sensor's packets under its name, with what a reader of the file has to know. */
export function partOf(
  sensor: SensorRow | null,
  { sensor_id, flows, reason }: PacketRequestRow,
  file: Uint8Array,
  packets: readonly CapturedPacket[],
): CapturePart {
  const name = sensor?.name ?? sensor_id;
  const offset = sensor?.clock_offset_ms ?? 0;
  const comment = [
    `Sensor ${name}${
      sensor ? `, site ${sensor.site}` : ""
    }: ${packets.length} packets of ${flows.length} flows`,
    ...(offset === 0
      ? []
      : [`its clock is ${Math.abs(offset)} ms ${offset > 0 ? "ahead" : "behind"}, stamps are its own`]),
    ...(reason === "" ? [] : [`it ${reason}`]),
  ];
  return { name, comment: comment.join("; "), file, packets };
}

function timeText(ms: number): string {
  return `${new Date(Math.min(ms, 8e15)).toISOString().slice(0, 19)}Z`;
}
