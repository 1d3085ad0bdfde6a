/** Spreads what segments add over the seconds they lasted.
 *
 * In: packets and bytes of a span of packet time. Out: traffic rows.
 * Invariant: the rows' sums are what was added, to the last packet.
 * Bounds: a span has at most {@link stepsMax} steps; a longer one is spread in longer steps. Once there are
 * {@link rowsMax} rows, all of a span is counted in its first second:
 * spans that a sensor made up must not make more rows than it sent segments. @module */

import { SumTable } from "../model/sum_table.ts";
import type { TrafficRow } from "../model/traffic.ts";

const stepsMax = 120;
const rowsMax = 50_000;
const secondMax = 2 ** 32 - 1;

export class TrafficSums {
  /** By second and by number of the pair. */
  readonly #sums = new SumTable(3);
  readonly #pairs: { sensor_id: string; protocol: string }[] = [];
  readonly #numbers = new Map<string, Map<string, number>>();
  /** Spans counted in their first second, as there were {@link rowsMax} rows. */
  lumped = 0;

  /** `flows` are counted in the first second.
   * Times are microseconds since the epoch, of the first and the last packet. */
  add(
    firstUs: number,
    lastUs: number,
    sensorId: string,
    protocol: string,
    flows: number,
    packets: number,
    bytes: number,
  ): void {
    if (flows === 0 && packets === 0 && bytes === 0) return;
    const pair = this.#pair(sensorId, protocol);
    const first = Math.min(secondMax, Math.max(0, Math.floor(firstUs / 1e6)));
    const seconds = Math.min(secondMax + 1 - first, Math.max(1, Math.floor(lastUs / 1e6) - first + 1));
    const isFull = this.#sums.size >= rowsMax;
    const wanted = Math.min(seconds, stepsMax, Math.max(1, packets));
    if (isFull && wanted > 1) this.lumped++;
    const steps = isFull ? 1 : wanted;
    let packetsBefore = 0, bytesBefore = 0;
    for (let step = 0; step < steps; step++) {
      // Rounded up, so that a single packet is in the first second; the last step takes what is left.
      const isLast = step === steps - 1;
      const packetsNow = isLast ? packets : Math.ceil(packets * (step + 1) / steps);
      const bytesNow = isLast ? bytes : Math.ceil(bytes * (step + 1) / steps);
      const row = this.#sums.row(first + Math.floor(step * seconds / steps), pair);
      if (step === 0) this.#sums.add(row, 0, flows);
      this.#sums.add(row, 1, packetsNow - packetsBefore);
      this.#sums.add(row, 2, bytesNow - bytesBefore);
      packetsBefore = packetsNow;
      bytesBefore = bytesNow;
    }
  }

  rows(): TrafficRow[] {
    return Array.from({ length: this.#sums.size }, (_, row) => ({
      second: this.#sums.first[row],
      ...this.#pairs[this.#sums.second[row]],
      flows: this.#sums.get(row, 0),
      packets: this.#sums.get(row, 1),
      bytes: this.#sums.get(row, 2),
    }));
  }

  #pair(sensorId: string, protocol: string): number {
    let ofSensor = this.#numbers.get(sensorId);
    if (!ofSensor) this.#numbers.set(sensorId, ofSensor = new Map());
    let number = ofSensor.get(protocol);
    if (number === undefined) {
      number = this.#pairs.push({ sensor_id: sensorId, protocol }) - 1;
      ofSensor.set(protocol, number);
    }
    return number;
  }
}
