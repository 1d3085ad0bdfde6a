/** What the fast lane asks of the deep one: whether it wants a packet, and what it read in those it got.
 *
 * In: packets that were counted already. Out: facts by flow and segment. Invariant: asking never waits: a slow or dead
 * lane may cost facts, never a count. @module */

import type { Packet } from "../decode/packet.ts";
import type { Octets } from "../flow/octets.ts";

/** The slow lane that reads payloads. */
export interface DeepLane {
  /** Copies the packet, from its innermost IP header on, for dissection. Returns a ticket (1, 2, 3, ... rising), or 0
   * when refused; the lane counts refusals.
   * `segment`, by default 0, is the number of the flow's segment the packet was counted in. */
  offer(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    flowId: number,
    segment?: number,
  ): number;
  /** The first payload of a flow's direction (0 = of its initiator) begins at `buffer[at]`, `captured` octets of it;
   * called after the chooser and before `offer`. Returns a ticket, or 0: nothing was kept. */
  noteStart(flowId: number, direction: number, buffer: Uint8Array, at: number, captured: number): number;
  /** Every ticket <= this one has been answered, or given up and counted. */
  readonly answeredTicket: number;
  /** Adds the JSON of what was read in the packets of this segment to `out`, nothing when there was nothing; returns
   * the application protocol, "" = not recognised. The segments of a flow are asked for in order. */
  takeFacts(flowId: number, segment: number, out: Octets): string;
  /** Lets I/O happen; called between chunks. Resolves soon; applies back-pressure in replay mode. */
  turn(): Promise<void>;
  /** No more packets: resolves when all tickets are answered or given up. */
  drain(): Promise<void>;
}

/** Picks the packets that the deep lane sees. Pure, on the hot path, no allocation. */
export interface Chooser {
  /** `packet` is the innermost header of its frame. `payloadIndex` says how many packets with payload this direction of
   * the flow had before this one. `memory` is what this returned for the direction's previous packet (0 at first): the
   * chooser's 32 bits of state. Returns the new memory; its lowest bit set = hand this packet to the deep lane. Also
   * called for packets without payload. */
  choose(packet: Packet, buffer: Uint8Array, payloadIndex: number, memory: number): number;
}

/** The lane once it is drained: there is nothing left to wait for, whatever the tickets say. */
export function answeredAll(lane: DeepLane): Pick<DeepLane, "answeredTicket" | "takeFacts"> {
  return {
    answeredTicket: Infinity,
    takeFacts: (flowId, segment, out) => lane.takeFacts(flowId, segment, out),
  };
}
