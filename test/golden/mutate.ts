/** Damages captures, the same way for the same seed.
 *
 * In: octets of a capture, or its frames.
 * Out: a copy with bits flipped, parts cut out, doubled or moved, lengths that lie, headers swapped.
 * Why two levels: damage to the file mostly ends the reading;
 * damage to a frame goes on to the decoder, the flow table and tshark.
 * @module */

import { bytes, type CapturedPacket } from "../sensor/frames.ts";

/** An integer >= 0 and < `below`. */
export type Random = (below: number) => number;

/** A small generator of its own: the failing seed must mean the same tomorrow. */
export function generator(from: number): Random {
  let state = from | 0;
  return (below) => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return ((state ^ state >>> 13) >>> 0) % below;
  };
}

/** One to six changes anywhere in the octets of a capture. */
export function mutate(original: Uint8Array, random: Random): Uint8Array {
  let mutant: Uint8Array = original.slice();
  for (let changes = 1 + random(6); changes > 0; changes--) {
    const at = random(mutant.length), length = random(40);
    const kind = random(8);
    if (kind === 0) mutant = mutant.subarray(0, at + 1);
    else if (kind === 1) mutant = bytes(mutant.subarray(0, at), mutant.subarray(at + length));
    else if (kind === 2) mutant = bytes(mutant.subarray(0, at + length), mutant.subarray(at));
    else if (kind === 3) mutant.copyWithin(at, random(mutant.length), random(mutant.length));
    else if (kind === 4) mutant[at] = random(2) * 255;
    else mutant[at] ^= 1 << random(8);
    if (mutant.length === 0) return bytes(0);
  }
  return mutant;
}

const headerBytes = 74;
const lies = [0, 1, 19, 0x7fff, 0x8000, 0xffff];

/** About one frame in three is changed, in its headers more often than in its payload. */
export function mutateFrames(packets: readonly CapturedPacket[], random: Random): CapturedPacket[] {
  return packets.map((packet) => {
    if (packet.frame.length === 0 || random(3) > 0) return packet;
    const frame = packet.frame.slice();
    const at = random(random(3) === 0 ? frame.length : Math.min(frame.length, headerBytes));
    switch (random(6)) {
      case 0: {
        const cut = frame.subarray(0, at);
        return { ...packet, frame: cut, wireLength: random(2) === 0 ? cut.length : frame.length };
      }
      case 1: {
        const lie = lies[random(lies.length)];
        frame[at] = lie >> 8;
        if (at + 1 < frame.length) frame[at + 1] = lie & 255;
        break;
      }
      case 2: {
        const other = packets[random(packets.length)].frame;
        frame.set(other.subarray(0, Math.min(at, other.length)));
        break;
      }
      case 3:
        frame.copyWithin(at, random(frame.length), random(frame.length));
        break;
      case 4:
        return { ...packet, frame, timeUs: random(2) * 4_000_000_000_000_000 };
      default:
        for (let flips = 1 + random(8); flips > 0; flips--) frame[random(frame.length)] ^= 1 << random(8);
    }
    return { ...packet, frame };
  });
}
