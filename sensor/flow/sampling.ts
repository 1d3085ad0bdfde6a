/** Flow sampling: which flows a sensor keeps while it is overloaded, the same ones on every sensor of a fleet.
 *
 * In: the first packet of a flow that is not in the table. Out: kept or left out, for as long as the flow lasts.
 * Rule: at level L a flow is kept when the last L bits of its Community ID are zero: one flow in 2^L, and what level 3
 * keeps, level 2 keeps too. The first bits choose the bucket of a batch, so the two do not interfere.
 * Invariant: a flow kept at its start is kept to its end (it is in the table, nobody asks here again); one left out
 * stays left out, also when the level falls meanwhile, so that `factor` = 2^L at its start is right for the whole flow.
 * Why a memory of flows left out: it makes that invariant true for protocols without a first packet, and spares the
 * SHA-1 for all but the first packet.
 * It forgets under pressure; a flow forgotten is judged anew, which only matters in the minutes after a fall.
 * ARP is never left out: it is small, and evidence. Hot path while sampling. @module */

import type { Packet } from "../decode/packet.ts";
import { family } from "../decode/packet.ts";
import { communityHash } from "./community_hash.ts";
import { putAddresses } from "./flow_record.ts";
import { arpProtocol } from "../../shared/protocols.ts";

/** One flow in 1024. */
export const samplingLevelMax = 10;
/** Instead of a place: the packet belongs to a flow that is left out. */
export const notSampled = -2;

const slots = 131_072;

export class FlowSampler {
  /** False as long as every flow is kept and none left out is remembered: one test per new flow. */
  isActive = false;
  #level = 0;
  #mask = 0;
  /** The longest silence within a flow. */
  idleUs: number;
  #forgottenUs = 0;
  /** Key hash of the flow left out in each slot, and when its last packet came. */
  #hashes = new Int32Array(0);
  #touchedUs = new Float64Array(0);
  #addresses = new Int32Array(8);
  #digest = new Uint8Array(20);

  constructor(idleUs: number) {
    this.idleUs = idleUs;
  }

  get level(): number {
    return this.#level;
  }

  /** From here on new flows are kept one in 2^level. @throws {RangeError} when it is no level. */
  setLevel(level: number, nowUs: number): void {
    if (!Number.isInteger(level) || level < 0 || level > samplingLevelMax) {
      throw new RangeError(
        `Cannot sample flows as "level" must be 0 to ${samplingLevelMax}: current value is ${level}`,
      );
    }
    if (level > 0 && this.#hashes.length === 0) {
      this.#hashes = new Int32Array(slots);
      this.#touchedUs = new Float64Array(slots).fill(-Infinity);
    }
    this.#level = level;
    this.#mask = 2 ** level - 1;
    this.#forgottenUs = nowUs + this.idleUs;
    this.isActive = this.isActive || level > 0;
  }

  /** Whether the flow that begins with this packet is left out. `hash` is its key's, the same for both directions. */
  leavesOut(p: Packet, hash: number, nowUs: number): boolean {
    if (p.protocol === arpProtocol) return false;
    const slot = this.#slotOf(hash, nowUs);
    if (this.#hashes[slot] === hash && nowUs - this.#touchedUs[slot] <= this.idleUs) {
      this.#touchedUs[slot] = nowUs;
      this.#forgottenUs = nowUs + this.idleUs;
      return true;
    }
    if (this.#level === 0) {
      if (nowUs > this.#forgottenUs) this.isActive = false;
      return false;
    }
    if (this.#isKept(p)) return false;
    this.#hashes[slot] = hash;
    this.#touchedUs[slot] = nowUs;
    return true;
  }

  /** Of the two slots that a flow may be in: its own, else the one untouched longer. */
  #slotOf(hash: number, nowUs: number): number {
    const one = hash & slots - 1, other = one ^ 1;
    const isFresh = nowUs - this.#touchedUs[one] <= this.idleUs;
    if (isFresh && this.#hashes[one] === hash) return one;
    if (this.#hashes[other] === hash) return other;
    return isFresh && this.#touchedUs[other] < this.#touchedUs[one] ? other : one;
  }

  #isKept(p: Packet): boolean {
    const words = this.#addresses, digest = this.#digest;
    putAddresses(words, 0, 4, p);
    const addressWords = p.family === family.ipv6 ? 4 : 1;
    communityHash(p.protocol, words, 0, 4, addressWords, p.srcPort, p.dstPort, digest);
    return ((digest[18] << 8 | digest[19]) & this.#mask) === 0;
  }
}
