/** Finds the packets of some flows in the ring and writes them as pcapng.
 *
 * In: Community IDs, each with a time span, and a limit of octets, as the aggregator asks for them. Out: a capture file
 * that Wireshark opens, with the wire's own lengths also where payload was cut,
 * and a comment that says whose packets these are.
 * Invariant: never more than `bytesMax` octets; what did not fit is counted in `left_out`.
 * Capture goes on between portions.
 * What it does not find: ARP, which has no Community ID, and fragments after the first, which carry no ports.
 * Format: pcapng (draft-ietf-opsawg-pcapng):
 * one section, an interface description for each link type, enhanced packets. @module */

import { Decoder } from "../decode/decoder.ts";
import type { Packet } from "../decode/packet.ts";
import { communityHash } from "../flow/community_hash.ts";
import type { PacketRing, StoredPacket } from "./packet_ring.ts";

export interface SearchedFlow {
  /** As in segments: "1:" and the digest in Base64. */
  communityId: string;
  fromUs: number;
  toUs: number;
}

export interface PacketQuery {
  flows: readonly SearchedFlow[];
  /** Octets of the file. */
  bytesMax: number;
}

export interface FoundPackets {
  file: Uint8Array;
  packets: number;
  /** Packets that belong to the flows and did not fit. */
  left_out: number;
}

/** Packets looked at before others may run: some 5 ms. */
const portion = 10_000;
const interfacesMax = 16;

/** Searches the ring; `turn` is awaited between portions, and ends the search when it says so.
 * @throws {RangeError} when the query is not one. */
export async function findPackets(
  ring: PacketRing,
  { flows, bytesMax }: PacketQuery,
  turn: () => Promise<boolean | void>,
): Promise<FoundPackets> {
  const matcher = new Matcher(flows);
  const whose = flows.length === 1 ? `flow ${flows[0].communityId}` : `${flows.length} flows`;
  const writer = new PcapngWriter(bytesMax, `Packets of ${whose}`);
  const found = { packets: 0, left_out: 0 };
  const fromUs = Math.min(...flows.map((flow) => flow.fromUs));
  const toUs = Math.max(...flows.map((flow) => flow.toUs));
  const walk = ring.walk(fromUs, toUs, portion, (packet) => {
    if (!matcher.matches(packet)) return true;
    if (writer.add(packet)) found.packets++;
    else found.left_out++;
    return true;
  });
  for (const _ of walk) if (await turn() === false) break;
  return { file: writer.file, ...found };
}

function digestOf(communityId: string): Uint8Array {
  const text = /^1:([A-Za-z0-9+/]{27}=)$/.exec(communityId)?.[1];
  if (text === undefined) {
    throw new RangeError(
      `Cannot find packets as "communityId" must be "1:" and 28 characters of Base64: current value is ${
        JSON.stringify(communityId.slice(0, 64))
      }`,
    );
  }
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Tells the packets of the flows by the Community ID of each of their headers, tunnels included. */
class Matcher {
  #wanted: readonly (SearchedFlow & { digest: Uint8Array })[];
  #digest = new Uint8Array(20);
  #words = new Int32Array(8);
  #decoder = new Decoder();

  constructor(flows: readonly SearchedFlow[]) {
    this.#wanted = flows.map((flow) => ({ ...flow, digest: digestOf(flow.communityId) }));
  }

  matches({ bytes, wireLength, linkType, timeUs }: StoredPacket): boolean {
    const decoder = this.#decoder;
    if (decoder.decode(bytes, 0, bytes.length, wireLength, linkType) !== 0) return false;
    for (let layer = 0; layer < decoder.layerCount; layer++) {
      if (this.#isWanted(decoder.layers[layer], timeUs)) return true;
    }
    return false;
  }

  #isWanted(p: Packet, timeUs: number): boolean {
    if (p.family === 1) return false;
    const words = this.#words;
    words[0] = p.src0, words[1] = p.src1, words[2] = p.src2, words[3] = p.src3;
    words[4] = p.dst0, words[5] = p.dst1, words[6] = p.dst2, words[7] = p.dst3;
    communityHash(p.protocol, words, 0, 4, p.family === 4 ? 1 : 4, p.srcPort, p.dstPort, this.#digest);
    return this.#wanted.some(({ digest, fromUs, toUs }) =>
      digest[0] === this.#digest[0] && timeUs >= fromUs && timeUs <= toUs &&
      this.#digest.every((octet, i) => octet === digest[i])
    );
  }
}

class PcapngWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #end = 0;
  #bytesMax: number;
  #interfaces = new Map<number, number>();

  constructor(bytesMax: number, comment: string) {
    this.#bytesMax = bytesMax;
    this.#bytes = new Uint8Array(Math.min(bytesMax, 65_536));
    this.#view = new DataView(this.#bytes.buffer);
    const text = new TextEncoder().encode(comment);
    const padded = text.length + 3 & ~3;
    const size = 28 + 4 + padded + 4;
    if (!this.#reserve(size)) {
      // A section without its header could not be read: nothing fits.
      this.#bytesMax = 0;
      return;
    }
    const at = this.#begin(0x0a0d0d0a, size);
    this.#view.setUint32(at + 8, 0x1a2b3c4d, true);
    this.#view.setUint16(at + 12, 1, true);
    this.#view.setBigInt64(at + 16, -1n, true);
    this.#view.setUint16(at + 24, 1, true); // opt_comment
    this.#view.setUint16(at + 26, text.length, true);
    this.#bytes.set(text, at + 28);
  }

  get file(): Uint8Array {
    return this.#bytes.slice(0, this.#end);
  }

  /** False when there is no room for it. */
  add({ timeUs, wireLength, linkType, bytes }: StoredPacket): boolean {
    const size = 32 + (bytes.length + 3 & ~3);
    const known = this.#interfaces.get(linkType);
    if (known === undefined && this.#interfaces.size >= interfacesMax) return false;
    if (!this.#reserve(size + (known === undefined ? 20 : 0))) return false;
    const index = known ?? this.#describe(linkType);
    const at = this.#begin(6, size);
    this.#view.setUint32(at + 8, index, true);
    this.#view.setUint32(at + 12, Math.floor(timeUs / 2 ** 32), true);
    this.#view.setUint32(at + 16, timeUs >>> 0, true);
    this.#view.setUint32(at + 20, bytes.length, true);
    this.#view.setUint32(at + 24, wireLength, true);
    this.#bytes.set(bytes, at + 28);
    return true;
  }

  #describe(linkType: number): number {
    const at = this.#begin(1, 20);
    this.#view.setUint16(at + 8, linkType, true);
    const index = this.#interfaces.size;
    this.#interfaces.set(linkType, index);
    return index;
  }

  #begin(type: number, size: number): number {
    const at = this.#end;
    this.#view.setUint32(at, type, true);
    this.#view.setUint32(at + 4, size, true);
    this.#view.setUint32(at + size - 4, size, true);
    this.#end += size;
    return at;
  }

  #reserve(size: number): boolean {
    if (this.#end + size > this.#bytesMax) return false;
    if (this.#end + size > this.#bytes.length) {
      const grown = new Uint8Array(
        Math.min(this.#bytesMax, Math.max(this.#bytes.length * 2, this.#end + size)),
      );
      grown.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return true;
  }
}
