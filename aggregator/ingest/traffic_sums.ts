/** Spreads what segments add over the seconds they lasted.
 *
 * In: packets and bytes of a span of packet time. Out: traffic rows. Invariant: the rows' sums are what was added, to the last packet.
 * Bounds: a span has at most {@link stepsMax} steps; a longer one is spread in longer steps. Once there are {@link rowsMax} rows, all of a
 * span is counted in its first second: spans that a sensor made up must not make more rows than it sent segments. @module */

import type { TrafficRow } from "../model/traffic.ts";

const stepsMax = 120;
const rowsMax = 50_000;

export interface TrafficPart {
  /** First and last packet, microseconds since the epoch. */
  spanUs: readonly [number, number];
  sensor_id: string;
  protocol: string;
  /** Counted in the first second. */
  flows: number;
  packets: number;
  bytes: number;
}

export class TrafficSums {
  #rows = new Map<string, TrafficRow>();

  add({ spanUs, sensor_id, protocol, flows, packets, bytes }: TrafficPart): void {
    if (flows === 0 && packets === 0 && bytes === 0) return;
    const first = Math.max(0, Math.floor(spanUs[0] / 1e6));
    const seconds = Math.max(1, Math.floor(spanUs[1] / 1e6) - first + 1);
    const isFull = this.#rows.size >= rowsMax;
    const steps = isFull ? 1 : Math.min(seconds, stepsMax, Math.max(1, packets));
    let packetsBefore = 0, bytesBefore = 0;
    for (let step = 0; step < steps; step++) {
      // Rounded up, so that a single packet is in the first second.
      const packetsNow = Math.ceil(packets * (step + 1) / steps),
        bytesNow = Math.ceil(bytes * (step + 1) / steps);
      const row = this.#row(first + Math.floor(step * seconds / steps), sensor_id, protocol);
      if (step === 0) row.flows += flows;
      row.packets += packetsNow - packetsBefore;
      row.bytes += bytesNow - bytesBefore;
      packetsBefore = packetsNow;
      bytesBefore = bytesNow;
    }
  }

  rows(): TrafficRow[] {
    return [...this.#rows.values()];
  }

  #row(second: number, sensorId: string, protocol: string): TrafficRow {
    const key = `${second}|${protocol}|${sensorId}`;
    let row = this.#rows.get(key);
    if (!row) {
      row = { second, sensor_id: sensorId, protocol, flows: 0, packets: 0, bytes: 0 };
      this.#rows.set(key, row);
    }
    return row;
  }
}
