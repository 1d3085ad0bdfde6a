/** The sensor's own traffic, looked for a second time: what the kernel's filter let through.
 *
 * In: aggregator and brokers by address and port; the headers of a frame.
 * Out: whether one of them is of such a TCP connection.
 * Why again: a tag or a tunnel hides addresses from the kernel's filter, and so may an expression of the operator's.
 * Invariant: no more than {@link ownPeersMax} peers, the newest; a packet whose ports are none of theirs costs two
 * lookups in a bitmap, and none is paid for with memory. @module */

import { innerHost } from "../../shared/inner_host.ts";
import { parseIp } from "../../shared/ip.ts";
import type { Packet } from "../decode/packet.ts";
import type { OwnPeer } from "./kernel_filter.ts";

/** As many as the kernel's filter takes. */
export const ownPeersMax = 64;
const tcp = 6;
/** Where an aggregator on this machine takes in once more what came to it. */
const innerWord = new DataView(parseIp(innerHost)!.buffer).getInt32(0);

export class OwnTraffic {
  /** Whether there is anything to look for. */
  isActive = false;
  /** A bit for each port. */
  #ports = new Uint8Array(8_192);
  #count = 0;
  /** Four words of address each, IPv4 in the first, and the port. */
  #words = new Int32Array(ownPeersMax * 5);
  #families = new Uint8Array(ownPeersMax);

  /** Looks for these from now on. A host that is a name is left out: only addresses stand in packets. */
  set(peers: readonly OwnPeer[]): void {
    this.#ports.fill(0);
    this.#count = 0;
    for (const { host, port } of peers.slice(-ownPeersMax)) {
      const address = parseIp(host);
      if (address === null) continue;
      const view = new DataView(address.buffer);
      const at = this.#count * 5;
      for (let i = 0; i < 4; i++) this.#words[at + i] = 4 * i < address.length ? view.getInt32(4 * i) : 0;
      this.#words[at + 4] = port;
      this.#families[this.#count++] = address.length === 4 ? 4 : 6;
      this.#ports[port >> 3] |= 1 << (port & 7);
    }
    this.isActive = this.#count > 0;
  }

  /** Whether one of the headers is of a connection to a peer. */
  isIn(layers: readonly Packet[], count: number): boolean {
    for (let i = 0; i < count; i++) {
      const packet = layers[i];
      if (packet.protocol !== tcp) continue;
      const { srcPort, dstPort } = packet;
      if (packet.family === 4 && (packet.dst0 === innerWord || packet.src0 === innerWord)) return true;
      if (
        this.#has(dstPort) &&
        this.#isPeer(packet.family, packet.dst0, packet.dst1, packet.dst2, packet.dst3, dstPort)
      ) return true;
      if (
        this.#has(srcPort) &&
        this.#isPeer(packet.family, packet.src0, packet.src1, packet.src2, packet.src3, srcPort)
      ) return true;
    }
    return false;
  }

  #has(port: number): boolean {
    return (this.#ports[port >> 3] & 1 << (port & 7)) !== 0;
  }

  #isPeer(family: number, a: number, b: number, c: number, d: number, port: number): boolean {
    const words = this.#words;
    for (let i = 0, at = 0; i < this.#count; i++, at += 5) {
      if (
        this.#families[i] === family && words[at] === a && words[at + 1] === b && words[at + 2] === c &&
        words[at + 3] === d && words[at + 4] === port
      ) return true;
    }
    return false;
  }
}
