/** The hosts that one source asks: whether it is a fixed list asked again and again,
 * and whether it is a range walked through.
 *
 * In: an address and the packet time of each question. Out: shares. Invariant: at most `hostsMax` hosts are followed.
 * Why: monitors, printer servers and backups ask a list of their own, half of which may be off, round after round; a
 * scanner asks everybody once, and repeats what was silent within seconds (nmap after 1 s, ARP after 1 s). @module */

import type { Address } from "./address.ts";

/** Questions to one host closer together than this are tries of one round: nmap waits at most 10 s for an answer,
 * monitors ask every 15 s to 5 minutes. */
const roundS = 10;
/** So many tries are no scanner's, however close together. */
const triesMin = 6;
const hostsMax = 1_024;

interface Asked {
  address: Address;
  lastS: number;
  tries: number;
  isAgain: boolean;
}

export class AskedList {
  #only: Asked | null = null;
  #all: Map<string, Asked> | null = null;
  #again = 0;

  ask(address: Address, atS: number): void {
    const known = this.#all === null
      ? (this.#only?.address.ip === address.ip ? this.#only : undefined)
      : this.#all.get(address.ip);
    if (known === undefined) {
      this.#add({ address, lastS: atS, tries: 1, isAgain: false });
      return;
    }
    const isNewRound = Math.abs(atS - known.lastS) >= roundS;
    known.lastS = atS;
    if ((isNewRound || ++known.tries >= triesMin) && !known.isAgain) {
      known.isAgain = true;
      this.#again++;
    }
  }

  get size(): number {
    return this.#all?.size ?? (this.#only === null ? 0 : 1);
  }

  /** Half of the hosts at least were asked in a later round again. */
  get isFixed(): boolean {
    return this.#again > 0 && 2 * this.#again >= this.size;
  }

  /** Hosts of the list that sent anything since `sinceS`. */
  heardSince(sinceS: number): string[] {
    return this.#values().filter(({ address }) => address.spokeS >= sinceS).map(({ address }) => address.ip);
  }

  /** Share of the addresses between the lowest and the highest that were asked: near 1 for a range walked through. 0
   * with fewer than three hosts, and for IPv6, whose networks nobody walks through. */
  get rangeShare(): number {
    const numbers = this.#values().flatMap(({ address: { bytes } }) =>
      bytes?.length === 4 ? [((bytes[0] * 256 + bytes[1]) * 256 + bytes[2]) * 256 + bytes[3]] : []
    );
    if (numbers.length < 3) return 0;
    const lowest = numbers.reduce((a, b) => Math.min(a, b)),
      highest = numbers.reduce((a, b) => Math.max(a, b));
    return numbers.length / (highest - lowest + 1);
  }

  #add(asked: Asked): void {
    if (this.size >= hostsMax) return;
    if (this.#only === null) {
      this.#only = asked;
      return;
    }
    this.#all ??= new Map([[this.#only.address.ip, this.#only]]);
    this.#all.set(asked.address.ip, asked);
  }

  #values(): Asked[] {
    return this.#all !== null ? [...this.#all.values()] : this.#only === null ? [] : [this.#only];
  }
}
