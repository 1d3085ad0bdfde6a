/** Deep marks: what the deep lane and its chooser keep in a flow of the table.
 *
 * In: a place, see find.ts. Out: plain numbers.
 * Invariant: good for as long as the flow is open; places are those just looked up.
 * Why apart from the table: nobody outside this folder knows where in a flow's memory something stands. Hot path.
 * @module */

import type { Packet } from "../decode/packet.ts";
import { directionOf, flowOf } from "./find.ts";
import { float, strideWords, word } from "./layout.ts";
import type { FlowTable } from "./table.ts";

export class DeepMarks {
  #table: FlowTable;

  constructor(table: FlowTable) {
    this.#table = table;
  }

  /** Packets with payload that this direction had before `p`, which has been counted already. */
  payloadIndex(place: number, p: Packet): number {
    return this.#table.words[sideOf(place) + word.payloads] - (p.payloadLength > 0 ? 1 : 0);
  }

  /** What the chooser said of this direction's packet before; 0 at first. */
  memory(place: number): number {
    return this.#table.words[sideOf(place) + word.memory];
  }

  remember(place: number, memory: number): void {
    this.#table.words[sideOf(place) + word.memory] = memory;
  }

  flowId(place: number): number {
    return this.#table.floats[(flowOf(place) * strideWords >> 1) + float.flowId];
  }

  segment(place: number): number {
    return this.#table.words[flowOf(place) * strideWords + word.segment];
  }

  /** The flow waits for the answer to this ticket. */
  noteTicket(place: number, ticket: number): void {
    this.#table.floats[(flowOf(place) * strideWords >> 1) + float.ticket] = ticket;
  }
}

/** Where the first of two words that stand side by side, one a direction, would be the one of this direction. */
function sideOf(place: number): number {
  return flowOf(place) * strideWords + directionOf(place);
}
