/** Which hardware addresses claim which addresses by ARP, and who asks for them.
 *
 * In: ARP flows, each a claim of its sender's address; beginnings of other flows, for the address of a machine that was
 * not heard by ARP. Out: rivals for an address, turns between them, answers that nobody asked for.
 * Invariant: at most `addressesMax` addresses and as many MACs are remembered, the half that was claimed longest ago
 * goes; at most `rivalsMax` MACs an address.
 * Hardware addresses that several machines share by design claim nothing: {@link isSharedMac}.
 * Why turns: a network card that was replaced, and a standby that takes over, change an address once; whoever forges it
 * must do so again and again, against the owner's own packets. @module */

import { Halves } from "../../model/halves.ts";
import type { PreparedUpdate } from "../prepared.ts";
import { Distinct } from "./distinct.ts";

const addressesMax = 16_384, rivalsMax = 4, heldMax = 256, networksMax = 64;
/** What systems begin with: packets that were passed on have less. */
const firstTtls: ReadonlySet<number> = new Set([64, 128, 255]);
/** A single claim may be a damaged packet. */
const claimsMin = 2;
/** A claim this old was given up. */
const forgottenS = 600;

/** VRRP and CARP (RFC 5798), HSRP 1 and 2, GLBP, Microsoft NLB. */
export function isSharedMac(mac: string): boolean {
  return /^(?:00:00:5e:00:0[12]|00:00:0c:07:ac|00:00:0c:9f:f|00:07:b4|0[23]:bf):?/.test(mac);
}

/** Network cards of virtual machines, as their makers registered them with the IEEE: VirtualBox, VMware, Xen, Hyper-V,
 * Parallels, and those that QEMU and Docker make up. */
export function isVirtualMac(mac: string): boolean {
  return /^(?:08:00:27|0a:00:27|00:0c:29|00:50:56|00:05:69|00:1c:14|00:16:3e|00:15:5d|00:1c:42|52:54:00|02:42)/
    .test(mac);
}

export interface Claim {
  firstS: number;
  lastS: number;
  packets: number;
  /** Answers among them. */
  replies: number;
}

interface Claimed {
  claims: Map<string, Claim>;
  holder: string;
  lastS: number;
  turns: number;
  /** Questions for it. */
  questions: number;
}

interface Sender {
  ip: string;
}

const makeSenders = () => new Halves<string, Sender>(addressesMax);
const makeSender = (): Sender => ({ ip: "" });

export class ArpClaims {
  readonly #addresses = new Halves<string, Claimed>(addressesMax);
  readonly #macs = new Halves<string, Distinct<string>>(addressesMax);
  readonly #senders = new Halves<string, Halves<string, Sender>>(networksMax);

  /** Learns an address of the machine that a flow comes from. */
  send({ network, src, segment: { src_mac, fwd_ttl } }: PreparedUpdate): void {
    if (src_mac === "" || !src.isOwn || !firstTtls.has(fwd_ttl)) return;
    const sender = this.#senders.get(network, makeSenders).get(src_mac, makeSender);
    if (sender.ip === "") sender.ip = src.ip;
  }

  /** The first address of a machine that was learnt by {@link send}; "" = none was. */
  senderOf(network: string, mac: string): string {
    return this.#senders.get(network, makeSenders).get(mac, makeSender).ip;
  }

  /** `startS` to `atS`: the time in which it was claimed. */
  claim(
    place: string,
    ip: string,
    mac: string,
    startS: number,
    atS: number,
    packets: number,
    isReply: boolean,
  ): void {
    const held = this.#macs.get(`${place}|${mac}`, () => new Distinct<string>(heldMax));
    held.add(ip);
    const claimed = this.#claimed(place, ip);
    if (Math.abs(atS - claimed.lastS) > forgottenS) {
      claimed.claims.clear();
      claimed.turns = 0;
      claimed.holder = mac;
    }
    if (claimed.holder !== mac) claimed.turns++;
    claimed.holder = mac;
    claimed.lastS = Math.max(claimed.lastS, atS);
    const claim = claimed.claims.get(mac);
    if (claim !== undefined) {
      claim.firstS = Math.min(claim.firstS, startS);
      claim.lastS = Math.max(claim.lastS, atS);
      claim.packets += packets;
      if (isReply) claim.replies += packets;
    } else if (claimed.claims.size < rivalsMax) {
      claimed.claims.set(mac, { firstS: startS, lastS: atS, packets, replies: isReply ? packets : 0 });
    }
  }

  ask(place: string, ip: string, packets: number): void {
    this.#claimed(place, ip).questions += packets;
  }

  /** Other MACs that claim `ip` and hold fewer addresses than `mac`, in turns with it. A host with two network cards
   * answers with either for both of its addresses, so that neither holds more. */
  rivals(place: string, ip: string, mac: string, turnsMin: number): string[] {
    const { claims, turns } = this.#claimed(place, ip);
    if (turns < turnsMin || !claims.has(mac)) return [];
    const held = this.#held(place, mac);
    return [...claims].filter(([other, { packets }]) =>
      other !== mac && packets >= claimsMin && this.#held(place, other) < held
    ).map(([other]) => other);
  }

  /** Other MACs that claim `ip` at the same time, and give fewer answers for it. */
  owners(place: string, ip: string, mac: string): string[] {
    const { claims } = this.#claimed(place, ip), own = claims.get(mac);
    if (own === undefined) return [];
    return [...claims].filter(([other, { firstS, lastS, replies }]) =>
      other !== mac && firstS <= own.lastS && lastS >= own.firstS && replies < own.replies
    ).map(([other]) => other);
  }

  /** Answers of `mac` for `ip` beyond the questions that were seen. */
  unasked(place: string, ip: string, mac: string): number {
    const { claims, questions } = this.#claimed(place, ip);
    return Math.max(0, (claims.get(mac)?.replies ?? 0) - questions);
  }

  #held(place: string, mac: string): number {
    return this.#macs.get(`${place}|${mac}`, () => new Distinct<string>(heldMax)).size;
  }

  #claimed(place: string, ip: string): Claimed {
    return this.#addresses.get(
      `${place}|${ip}`,
      () => ({ claims: new Map(), holder: "", lastS: -Infinity, turns: 0, questions: 0 }),
    );
  }
}
