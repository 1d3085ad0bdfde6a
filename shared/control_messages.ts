/** What sensor and aggregator both make of the words of control.ts: the texts that are signed, and sums.
 *
 * Why apart from the schemas: the sensor needs no schema library, see shape.ts. @module */

import type { EnrolRequest, InterfaceCounters } from "./control.ts";

/** Text a sensor signs when it enrols. */
export function enrolMessage(request: Omit<EnrolRequest, "signature" | "version">): string {
  return `picket.enrol.v1\n${request.token}\n${request.name}\n${request.public_key}`;
}

/** Text a sensor signs for a check-in: header `picket-signature` = base64(Ed25519(this)). */
export function checkInMessage(sensorId: string, sentMs: number, bodySha256Hex: string): string {
  return `picket.check-in.v1\n${sensorId}\n${sentMs}\n${bodySha256Hex}`;
}

/** Packets that card and driver lost before the kernel could hand them to a capture. */
export function cardDrops(interfaces: readonly InterfaceCounters[]): number {
  return interfaces.reduce(
    (sum, { rx_dropped, rx_missed, rx_fifo }) => sum + rx_dropped + rx_missed + rx_fifo,
    0,
  );
}
