/** What each vantage has seen of a flow: in memory always, in the store once a second vantage saw it.
 *
 * In: arrivals. Out: rows of sightings. Invariant: the only sighting of a flow has no row, as its counts are the
 * flow's; the second one brings a row for both, each the whole of what it has seen,
 * and from then on increments are written. @module */

import type { SightingRows } from "../model/sighting_rows.ts";
import type { Arrival } from "./arrival.ts";
import type { MergeState } from "./merge_state.ts";
import type { Vantages } from "./vantages.ts";

export class SightingWriter {
  readonly #state: MergeState;
  readonly #vantages: Vantages;

  constructor(state: MergeState, vantages: Vantages) {
    this.#state = state;
    this.#vantages = vantages;
  }

  /** Adds an arrival to what its vantage has seen. */
  add(sighting: number, arrival: Arrival, isNew: boolean): void {
    const { sightings } = this.#state;
    sightings.touch(sighting);
    const { columns } = sightings;
    columns.fwdPackets[sighting] += arrival.fwdPackets;
    columns.fwdBytes[sighting] += arrival.fwdBytes;
    columns.bwdPackets[sighting] += arrival.bwdPackets;
    columns.bwdBytes[sighting] += arrival.bwdBytes;
    columns.segments[sighting]++;
    columns.offsetUs[sighting] = arrival.offsetUs;
    const ownStartUs = arrival.flowStartUs - arrival.offsetUs;
    columns.ownStartUs[sighting] = isNew ? ownStartUs : Math.min(columns.ownStartUs[sighting], ownStartUs);
    if (isNew || arrival.endUs >= columns.endUs[sighting]) {
      columns.endUs[sighting] = arrival.endUs;
      columns.endReason[sighting] = arrival.endReason;
    }
  }

  /** The only sighting of a flow has no row: its counts are the flow's. The second one brings a row for both. */
  write(
    flow: number,
    sighting: number,
    isNew: boolean,
    arrival: Arrival,
    rows: SightingRows,
  ): void {
    const { columns } = this.#state.sightings;
    const first = this.#state.flows.columns.sightings[flow];
    if (columns.next[first] < 0) return;
    if (!isNew) return this.#putSighting(flow, sighting, arrival, rows);
    for (let one = first; one >= 0; one = columns.next[one]) {
      if (columns.isStored[one] === 1) continue;
      this.#state.sightings.touch(one);
      columns.isStored[one] = 1;
      this.#putSighting(flow, one, null, rows);
    }
  }

  /** The increment in `arrival`, or null = all that the sighting has. */
  #putSighting(flow: number, sighting: number, arrival: Arrival | null, rows: SightingRows): void {
    const flows = this.#state.flows.columns, from = this.#state.sightings.columns;
    const vantage = from.vantage[sighting];
    const i = rows.append(this.#vantages.sensorOf(vantage));
    const to = rows.columns;
    to.isNew[i] = arrival === null ? 1 : 0;
    to.idUs[i] = flows.idUs[flow];
    to.slot[i] = flows.slot[flow];
    to.vlan[i] = this.#vantages.vlanOf(vantage);
    to.ipDepth[i] = this.#vantages.ipDepthOf(vantage);
    to.startUs[i] = from.ownStartUs[sighting];
    to.endUs[i] = from.endUs[sighting] - from.offsetUs[sighting];
    to.offsetUs[i] = from.offsetUs[sighting];
    to.segments[i] = arrival === null ? from.segments[sighting] : 1;
    to.fwdPackets[i] = arrival === null ? from.fwdPackets[sighting] : arrival.fwdPackets;
    to.fwdBytes[i] = arrival === null ? from.fwdBytes[sighting] : arrival.fwdBytes;
    to.bwdPackets[i] = arrival === null ? from.bwdPackets[sighting] : arrival.bwdPackets;
    to.bwdBytes[i] = arrival === null ? from.bwdBytes[sighting] : arrival.bwdBytes;
  }
}
