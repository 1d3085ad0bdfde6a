/** Prefilter: leaves out classes of noise, by policy.
 *
 * In: the outermost header of a frame. Out: 0 = keep, or the reason it is left out.
 * Policy: `keep` (the default for all), `count` (left out here, counted),
 * `drop` (left out by the kernel where it can, else here).
 * Why keep ARP by default: it is noise in volume but evidence in content. Hot path: one test when everything is kept.
 * @module */

import type { Packet } from "../decode/packet.ts";
import { reason } from "../decode/reasons.ts";
import { type NoiseClass, noiseClasses } from "../../shared/policy.ts";

export type NoiseAction = "keep" | "count" | "drop";
export type NoisePolicy = Partial<Record<NoiseClass, NoiseAction>>;

export class NoiseFilter {
  /** Whether any class is left out at all. */
  readonly isActive: boolean;
  #leaves: Record<NoiseClass, boolean>;

  constructor(policy: NoisePolicy) {
    const leaves = (name: NoiseClass) => policy[name] === "count" || policy[name] === "drop";
    this.#leaves = Object.fromEntries(noiseClasses.map((name) => [name, leaves(name)])) as Record<
      NoiseClass,
      boolean
    >;
    this.isActive = noiseClasses.some(leaves);
  }

  /** 0 = keep the packet, else the reason's number. */
  leaveOut(p: Packet, bytes: Uint8Array): number {
    const leaves = this.#leaves;
    if (p.protocol === 256) return leaves.arp ? reason.arp : 0;
    if (p.protocol === 17) {
      const why = this.#byPort(p.srcPort, p.dstPort);
      if (why !== 0) return why;
    } else if (p.protocol === 2 && leaves.igmp) return reason.igmp;
    if (leaves.loopback && isLoopback(p)) return reason.loopback;
    return leaves.broadcast && isBroadcast(p, bytes) ? reason.broadcast : 0;
  }

  #byPort(src: number, dst: number): number {
    const leaves = this.#leaves;
    if (leaves.mdns && (src === 5353 || dst === 5353)) return reason.mdns;
    if (leaves.ssdp && (src === 1900 || dst === 1900)) return reason.ssdp;
    if (leaves.llmnr && (src === 5355 || dst === 5355)) return reason.llmnr;
    if (leaves.netbios && (isNetbios(src) || isNetbios(dst))) return reason.netbios;
    return leaves.dhcp && (isDhcp(src) || isDhcp(dst)) ? reason.dhcp : 0;
  }
}

function isNetbios(port: number): boolean {
  return port === 137 || port === 138;
}

function isDhcp(port: number): boolean {
  return port === 67 || port === 68 || port === 546 || port === 547;
}

function isLoopback(p: Packet): boolean {
  if (p.family === 4) return p.src0 >>> 24 === 127;
  return p.src0 === 0 && p.src1 === 0 && p.src2 === 0 && p.src3 === 1;
}

function isBroadcast(p: Packet, bytes: Uint8Array): boolean {
  if (p.family === 4 && p.dst0 === -1) return true;
  const o = p.dstMacOffset;
  if (o < 0) return false;
  return (bytes[o] & bytes[o + 1] & bytes[o + 2] & bytes[o + 3] & bytes[o + 4] & bytes[o + 5]) === 255;
}
