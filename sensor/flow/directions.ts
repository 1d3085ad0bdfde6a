/** Directions of flows: decided at their first packet, doubted as long as they are a guess,
 * remembered when they end and may go on.
 *
 * In: packets that begin a flow, flows that end. Out: a {@link side} for each first packet.
 * Order: what the packet says, what is remembered of the same two ends, what their ports say; see direction.ts.
 * Invariant: a memory is that of the last flow between the same two ends, no older than {@link memoryUs} of table time.
 * Bound: {@link slots} flows, two places each; the one noted longer ago makes room.
 * Nothing is allocated after the first note.
 * Why only flows whose ports do not say the same: HTTPS and DNS would fill the memory, and need it least. @module */

import type { Packet } from "../decode/packet.ts";
import { guessByPorts, senderByPorts, senderOf, side } from "./direction.ts";
import { directionOf, flowOf } from "./find.ts";
import type { FlowKey } from "./flow_key.ts";
import { turnFlow } from "./flow_record.ts";
import { strideWords, word } from "./layout.ts";
import { flag, stateBit } from "./tcp_state.ts";

/** TCP keep-alives come every two hours where nobody set them otherwise. */
const memoryUs = 7_500_000_000;
const slots = 65_536;
const slotWords = 4;
/** Beside a {@link side}: it is a guess. */
export const guessBit = 4;
/** A guess is held against the first packets with payload, up to this many. */
const doubtsMax = 8;

export class Directions {
  /** By slot: hash of the flow; hash of the initiator's end without its lowest bit, which is set for a guess; as one
   * float64, when it was noted. Both places of a flow share a line of the cache. */
  #words = new Int32Array(0);
  #floats = new Float64Array(0);

  /** Which side sent the first packet of a flow, with {@link guessBit} where nothing tells. */
  senderOf(key: FlowKey, p: Packet, bytes: Uint8Array, nowUs: number): number {
    if (key.isOneWay) return side.initiator;
    const said = senderOf(p, bytes);
    if (said !== side.unknown) return said;
    const remembered = this.#remembered(key, nowUs);
    if (remembered !== side.unknown) return remembered;
    const byPorts = senderByPorts(p.protocol, p.srcPort, p.dstPort);
    if (byPorts !== side.unknown) return byPorts;
    const isLikelyAnswer = guessByPorts(p.protocol, p.srcPort, p.dstPort) === side.responder;
    return guessBit | (isLikelyAnswer ? side.responder : side.initiator);
  }

  /** A flow ended in silence, or early, and may go on. */
  noteEnded(words: Int32Array, base: number, key: FlowKey, nowUs: number): void {
    const protocol = words[base + word.meta] & 511;
    // ICMP says it with every packet; and who alone was heard will be heard first again.
    if (protocol === 1 || protocol === 58 || words[base + word.flags] >>> 24 === 0) return;
    const ports = words[base + word.ports];
    if (senderByPorts(protocol, ports >>> 16, ports & 0xffff) === side.initiator) return;
    // A guess is kept too, as one: a flow is not to change its sides with every silence.
    const isGuess = (words[base + word.state] & stateBit.directionGuessed) !== 0;
    this.#note(words[base + word.hash], key.initiatorOf(words, base), isGuess, nowUs);
  }

  /** A flow is left out; once it was answered, it may go on when nothing is left out any more. */
  noteLeftOut(key: FlowKey, p: Packet, nowUs: number): void {
    if ((p.tcpFlags & 0x12) === 0x12) this.#note(key.hash, key.dstEnd, false, nowUs);
  }

  #note(hash: number, initiator: number, isGuess: boolean, nowUs: number): void {
    if (this.#words.length === 0) {
      this.#words = new Int32Array(slots * slotWords);
      this.#floats = new Float64Array(this.#words.buffer);
    }
    const words = this.#words, floats = this.#floats;
    const one = hash & slots - 1, other = one ^ 1;
    let slot = one;
    if (words[one * slotWords] !== hash) {
      if (words[other * slotWords] === hash || floats[2 * other + 1] < floats[2 * one + 1]) slot = other;
    }
    words[slot * slotWords] = hash;
    words[slot * slotWords + 1] = (initiator & ~1) | (isGuess ? 1 : 0);
    floats[2 * slot + 1] = nowUs;
  }

  #remembered(key: FlowKey, nowUs: number): number {
    const words = this.#words;
    if (words.length === 0) return side.unknown;
    const { hash } = key;
    let slot = hash & slots - 1;
    if (words[slot * slotWords] !== hash) slot ^= 1;
    if (words[slot * slotWords] !== hash || nowUs - this.#floats[2 * slot + 1] > memoryUs) {
      return side.unknown;
    }
    const noted = words[slot * slotWords + 1];
    const guess = (noted & 1) !== 0 ? guessBit : 0;
    if ((noted & ~1) === (key.srcEnd & ~1)) return guess | side.initiator;
    return (noted & ~1) === (key.dstEnd & ~1) ? guess | side.responder : side.unknown;
  }
}

/** The direction of the flow at `place` is a guess: a packet that says more turns the flow round, as long as nothing of
 * it was reported. Returns the packet's place. */
export function doubted(
  words: Int32Array,
  floats: Float64Array,
  place: number,
  p: Packet,
  bytes: Uint8Array,
): number {
  const base = flowOf(place) * strideWords;
  if (p.payloadLength === 0 && (p.tcpFlags & flag.syn) === 0) return place;
  if (words[base + word.segment] > 0) return place;
  if (words[base + word.payloads] + words[base + word.payloads + 1] >= doubtsMax) return place;
  const sender = senderOf(p, bytes);
  if (sender === side.unknown) return place;
  words[base + word.state] &= ~stateBit.directionGuessed;
  if ((sender === side.responder) === (directionOf(place) === 1)) return place;
  turnFlow(words, floats, base);
  return place ^ 1;
}
