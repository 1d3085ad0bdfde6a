/** Reads the capture files that sensors upload, and joins several into one.
 *
 * In: octets that a sensor signed, which may still be anything. Out: their packets, or the reason why not; one pcapng
 * file, in which each sensor has interfaces of its own, with its name.
 * Invariant: only the form that sensor/ring/search.ts writes is accepted: one little-endian section, interface
 * descriptions, enhanced packets with stamps in microseconds. Nothing of an uploaded file is copied into a download but
 * packets, their stamps, lengths and link types.
 * Format: pcapng (draft-ietf-opsawg-pcapng). @module */

export interface CapturedPacket {
  timeUs: number;
  wireLength: number;
  linkType: number;
  /** Where its octets are in the file; a view of each would take more memory than most packets. */
  at: number;
  length: number;
}

/** What can be wrong with an uploaded file. */
export const captureFaults = ["not_pcapng", "bad_block", "bad_interface", "bad_packet", "cut"] as const;
export type CaptureFault = typeof captureFaults[number];

/** Packets of one sensor, with what is said of it. */
export interface CapturePart {
  /** Becomes the interface's name. */
  name: string;
  comment: string;
  file: Uint8Array;
  packets: readonly CapturedPacket[];
}

const sectionBlock = 0x0a0d0d0a, interfaceBlock = 1, packetBlock = 6;
const byteOrderMagic = 0x1a2b3c4d;
const interfacesMax = 16;
const packetBytesMax = 262_144;
const wireLengthMax = 2 ** 24;

export function readCapture(file: Uint8Array): CapturedPacket[] | CaptureFault {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  if (file.length < 28 || view.getUint32(0, true) !== sectionBlock) return "not_pcapng";
  if (view.getUint32(8, true) !== byteOrderMagic || view.getUint16(12, true) !== 1) return "not_pcapng";
  const linkTypes: number[] = [];
  const packets: CapturedPacket[] = [];
  for (let at = 0; at < file.length;) {
    if (at + 12 > file.length) return "cut";
    const type = view.getUint32(at, true), size = view.getUint32(at + 4, true);
    if (size < 12 || size % 4 !== 0) return "bad_block";
    if (at + size > file.length) return "cut";
    if (view.getUint32(at + size - 4, true) !== size) return "bad_block";
    if (type === packetBlock) {
      const packet = readPacket(view, at, size, linkTypes);
      if (typeof packet === "string") return packet;
      packets.push(packet);
    } else if (type === interfaceBlock) {
      // Options could give stamps another meaning.
      if (size !== 20 || linkTypes.length === interfacesMax) return "bad_interface";
      linkTypes.push(view.getUint16(at + 8, true));
    } else if (type !== sectionBlock || at !== 0) return "bad_block";
    at += size;
  }
  return packets;
}

function readPacket(
  view: DataView,
  at: number,
  size: number,
  linkTypes: readonly number[],
): CapturedPacket | CaptureFault {
  if (size < 32) return "bad_packet";
  const linkType = linkTypes[view.getUint32(at + 8, true)];
  if (linkType === undefined) return "bad_interface";
  const high = view.getUint32(at + 12, true), low = view.getUint32(at + 16, true);
  const captured = view.getUint32(at + 20, true), wireLength = view.getUint32(at + 24, true);
  const isSound = high < 2 ** 20 && captured <= packetBytesMax && wireLength <= wireLengthMax &&
    captured <= wireLength && size === 32 + (captured + 3 & ~3);
  if (!isSound) return "bad_packet";
  return { timeUs: high * 2 ** 32 + low, wireLength, linkType, at: at + 28, length: captured };
}

/** One file of all parts, its packets in the order of their stamps. */
export function writeCapture(comment: string, parts: readonly CapturePart[]): Uint8Array {
  const heads: Uint8Array[] = [sectionOf(comment)];
  const all: { packet: CapturedPacket; file: Uint8Array; index: number }[] = [];
  let interfaces = 0, size = 0;
  for (const part of parts) {
    const indexes = new Map<number, number>();
    for (const packet of part.packets) {
      if (!indexes.has(packet.linkType)) {
        indexes.set(packet.linkType, interfaces++);
        heads.push(interfaceOf(packet.linkType, part));
      }
      all.push({ packet, file: part.file, index: indexes.get(packet.linkType)! });
      size += sizeOf(packet);
    }
  }
  // Each part is in order already, which makes this a merge.
  all.sort((a, b) => a.packet.timeUs - b.packet.timeUs);
  const out = new Uint8Array(heads.reduce((sum, head) => sum + head.length, size));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const head of heads) {
    out.set(head, at);
    at += head.length;
  }
  for (const { packet, file, index } of all) {
    putPacket(view, at, packet, index);
    out.set(file.subarray(packet.at, packet.at + packet.length), at + 28);
    at += sizeOf(packet);
  }
  return out;
}

function sizeOf({ length }: CapturedPacket): number {
  return 32 + (length + 3 & ~3);
}

/** All of a packet's block but its octets. */
function putPacket(
  view: DataView,
  at: number,
  packet: CapturedPacket,
  index: number,
): void {
  const size = sizeOf(packet);
  const { timeUs, length, wireLength } = packet;
  const words = [packetBlock, size, index, Math.floor(timeUs / 2 ** 32), timeUs >>> 0, length, wireLength];
  words.forEach((word, i) => view.setUint32(at + 4 * i, word, true));
  view.setUint32(at + size - 4, size, true);
}

function sectionOf(comment: string): Uint8Array {
  const head = new DataView(new ArrayBuffer(16));
  head.setUint32(0, byteOrderMagic, true);
  head.setUint16(4, 1, true);
  head.setBigInt64(8, -1n, true);
  return blockOf(sectionBlock, new Uint8Array(head.buffer), optionsOf([[1, comment]]));
}

function interfaceOf(linkType: number, { name, comment }: CapturePart): Uint8Array {
  const head = new DataView(new ArrayBuffer(8));
  head.setUint16(0, linkType, true);
  return blockOf(interfaceBlock, new Uint8Array(head.buffer), optionsOf([[2, name], [1, comment]]));
}

/** Options by number, and their end. */
function optionsOf(options: readonly [code: number, text: string][]): Uint8Array {
  const parts = options.map(([code, text]) => {
    const bytes = new TextEncoder().encode(text);
    const option = new Uint8Array(4 + (bytes.length + 3 & ~3));
    new DataView(option.buffer).setUint16(0, code, true);
    new DataView(option.buffer).setUint16(2, bytes.length, true);
    option.set(bytes, 4);
    return option;
  });
  return new Uint8Array([...parts.flatMap((part) => [...part]), 0, 0, 0, 0]);
}

function blockOf(type: number, head: Uint8Array, body: Uint8Array): Uint8Array {
  const size = 12 + head.length + body.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, size, true);
  bytes.set(head, 8);
  bytes.set(body, 8 + head.length);
  view.setUint32(size - 4, size, true);
  return bytes;
}
