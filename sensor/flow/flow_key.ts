/** The key of a flow: addresses, ports, VLAN, protocol, and what it travels in.
 *
 * In: a packet. Out: the words that are compared, and a hash that is the same for both directions.
 * Invariant: one reused object; `ports` and `reverse` are the key's port word seen from either side.
 * Why a seeded hash: whoever sends packets chooses addresses and ports,
 * and must not be able to choose the hash chain. Hot path. @module */

import { icmpCounterpart } from "../../shared/community_id.ts";
import type { Packet } from "../decode/packet.ts";
import { word } from "./layout.ts";

const oneWayBit = 1 << 24;
/** Answering ICMP type, 255 = one-way; for ICMPv6 from 256 on. */
const counterparts = new Uint8Array(512).map((_, index) => {
  const answer = icmpCounterpart(index < 256 ? 1 : 58, index & 255);
  return answer < 0 ? 255 : answer;
});

/** The key of one packet at a time.
 *
 * @example Question and answer are packets of one flow.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Packet } from "../decode/packet.ts";
 * import { FlowKey } from "./flow_key.ts";
 *
 * const question = Object.assign(new Packet(), {
 *   family: 4, protocol: 17, src0: 0x0a000005, dst0: 0x0a000001, srcPort: 40_000, dstPort: 53,
 * });
 * const answer = Object.assign(new Packet(), {
 *   family: 4, protocol: 17, src0: 0x0a000001, dst0: 0x0a000005, srcPort: 53, dstPort: 40_000,
 * });
 * const key = new FlowKey(42);
 * key.of(question);
 * const { hash, ports } = key;
 * key.of(answer);
 * assertEquals([key.hash, key.reverse], [hash, ports]);
 * ``` */
export class FlowKey {
  ports = 0;
  reverse = 0;
  meta = 0;
  vlan = 0;
  hash = 0;
  isOneWay = false;
  /** Hashes of the sender's address and port, and of the receiver's. */
  srcEnd = 0;
  dstEnd = 0;
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** Computes the key of `p`. */
  of(p: Packet): void {
    const protocol = p.protocol;
    let meta = protocol | p.family << 9 | p.depth << 12 | p.tunnel << 16;
    const srcPort = p.srcPort;
    let dstPort = p.dstPort;
    this.isOneWay = false;
    if (protocol === 1 || protocol === 58) {
      const answer = counterparts[(protocol === 58 ? 256 : 0) + (srcPort & 255)];
      if (answer === 255) {
        this.isOneWay = true;
        meta |= oneWayBit;
      } else dstPort = answer;
    } else if (protocol === 256) {
      this.isOneWay = true;
      meta |= oneWayBit;
    }
    this.ports = srcPort << 16 | dstPort;
    this.reverse = dstPort << 16 | srcPort;
    this.meta = meta;
    this.vlan = p.vlan | p.vlanInner << 12;
    let src = Math.imul(p.src0 ^ this.#seed, 0x9e3779b1 | 0);
    let dst = Math.imul(p.dst0 ^ this.#seed, 0x9e3779b1 | 0);
    if (p.family !== 4) {
      src = fold(fold(fold(src, p.src1), p.src2), p.src3);
      dst = fold(fold(fold(dst, p.dst1), p.dst2), p.dst3);
    }
    src = fold(src, srcPort);
    dst = fold(dst, dstPort);
    this.srcEnd = src;
    this.dstEnd = dst;
    // Sum and product are the same either way round.
    let hash = (src + dst | 0) ^ Math.imul(src ^ this.#seed, dst ^ this.#seed);
    hash = Math.imul(hash ^ meta ^ this.vlan << 5, 0x85ebca6b | 0);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35 | 0);
    this.hash = hash ^ hash >>> 16;
  }

  /** Hash of the initiator's address and port, of an open flow: what `srcEnd` is for its packets. */
  initiatorOf(words: Int32Array, base: number): number {
    const from = base + word.src;
    let end = Math.imul(words[from] ^ this.#seed, 0x9e3779b1 | 0);
    if ((words[base + word.meta] >> 9 & 7) !== 4) {
      end = fold(fold(fold(end, words[from + 1]), words[from + 2]), words[from + 3]);
    }
    return fold(end, words[base + word.ports] >>> 16);
  }
}

function fold(hash: number, value: number): number {
  hash = Math.imul(hash ^ hash >>> 15 ^ value, 0x85ebca77 | 0);
  return hash ^ hash >>> 13;
}
