/** Builds frames and captures for tests, octet by octet.
 *
 * Out: byte arrays that say what they hold; lengths are right unless a test asks for wrong ones. @module */

import { parseIp } from "../../shared/ip.ts";

export function bytes(...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => typeof part === "number" ? [part] : [...part]));
}

export function u16(value: number): number[] {
  return [value >> 8 & 255, value & 255];
}

export function u32(value: number): number[] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}

export const macA = [2, 0, 0, 0, 0, 0xa];
export const macB = [2, 0, 0, 0, 0, 0xb];

export function ethernet(type: number, payload: Uint8Array, from = macA, to = macB): Uint8Array {
  return bytes(to, from, u16(type), payload);
}

export function vlan(id: number, type: number, payload: Uint8Array): Uint8Array {
  return bytes(u16(id), u16(type), payload);
}

export interface Ipv4Options {
  src?: string;
  dst?: string;
  id?: number;
  /** Flags and offset field. */
  fragment?: number;
  /** Total length as written; default the true one. */
  total?: number;
  ttl?: number;
  options?: readonly number[];
}

export function ipv4(protocol: number, payload: Uint8Array, given: Ipv4Options = {}): Uint8Array {
  const { src = "10.0.0.1", dst = "10.0.0.2", id = 7, fragment = 0, ttl = 64, options = [] } = given;
  const headerBytes = 20 + options.length;
  const total = given.total ?? headerBytes + payload.length;
  return bytes(
    0x40 | headerBytes / 4,
    0,
    u16(total),
    u16(id),
    u16(fragment),
    ttl,
    protocol,
    [0, 0],
    parseIp(src)!,
    parseIp(dst)!,
    options,
    payload,
  );
}

export function ipv6(
  next: number,
  payload: Uint8Array,
  given: { src?: string; dst?: string; length?: number } = {},
): Uint8Array {
  const { src = "2001:db8::1", dst = "2001:db8::2", length = payload.length } = given;
  return bytes([0x60, 0, 0, 0], u16(length), next, 64, parseIp(src)!, parseIp(dst)!, payload);
}

export interface TcpOptions {
  src?: number;
  dst?: number;
  flags?: number;
  seq?: number;
  ack?: number;
  payload?: Uint8Array;
}

export const syn = 2, ack = 16, fin = 1, rst = 4, psh = 8;

export function tcp(given: TcpOptions = {}): Uint8Array {
  const { src = 40_000, dst = 80, flags = ack, seq = 1000, ack: acked = 0, payload = bytes() } = given;
  return bytes(u16(src), u16(dst), u32(seq), u32(acked), 0x50, flags, [0xff, 0xff, 0, 0, 0, 0], payload);
}

export function udp(src: number, dst: number, payload: Uint8Array = bytes()): Uint8Array {
  return bytes(u16(src), u16(dst), u16(8 + payload.length), [0, 0], payload);
}

export function icmp(type: number, code = 0): Uint8Array {
  return bytes(type, code, [0, 0, 0, 1, 0, 1], new Uint8Array(8));
}

export function arp(
  senderMac: readonly number[],
  senderIp: string,
  targetIp: string,
  operation = 1,
): Uint8Array {
  return bytes(
    [0, 1, 8, 0, 6, 4],
    u16(operation),
    senderMac,
    parseIp(senderIp)!,
    [0, 0, 0, 0, 0, 0],
    parseIp(targetIp)!,
  );
}

/** A packet of a capture: stamp in microseconds, octets, length on the wire if it was cut. */
export interface CapturedPacket {
  timeUs: number;
  frame: Uint8Array;
  wireLength?: number;
}

/** Classic pcap, little- or big-endian, microseconds or nanoseconds. */
export function pcap(
  packets: readonly CapturedPacket[],
  given: { linkType?: number; bigEndian?: boolean; nano?: boolean } = {},
): Uint8Array {
  const { linkType = 1, bigEndian = false, nano = false } = given;
  const size = 24 + packets.reduce((sum, { frame }) => sum + 16 + frame.length, 0);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  const little = !bigEndian;
  view.setUint32(0, nano ? 0xa1b23c4d : 0xa1b2c3d4, little);
  view.setUint16(4, 2, little);
  view.setUint16(6, 4, little);
  view.setUint32(16, 262_144, little);
  view.setUint32(20, linkType, little);
  let at = 24;
  for (const { timeUs, frame, wireLength = frame.length } of packets) {
    view.setUint32(at, Math.floor(timeUs / 1e6), little);
    view.setUint32(at + 4, (timeUs % 1e6) * (nano ? 1000 : 1), little);
    view.setUint32(at + 8, frame.length, little);
    view.setUint32(at + 12, wireLength, little);
    out.set(frame, at + 16);
    at += 16 + frame.length;
  }
  return out;
}

/** One pcapng block around a body. */
export function block(type: number, body: Uint8Array, bigEndian = false): Uint8Array {
  const padded = body.length + 3 & ~3;
  const out = new Uint8Array(12 + padded);
  const view = new DataView(out.buffer);
  view.setUint32(0, type, !bigEndian);
  view.setUint32(4, out.length, !bigEndian);
  out.set(body, 8);
  view.setUint32(8 + padded, out.length, !bigEndian);
  return out;
}

/** Little-endian numbers of the given octet widths, for bodies of blocks. */
export function fields(bigEndian: boolean, ...values: [width: 2 | 4 | 8, value: number][]): Uint8Array {
  const out = new Uint8Array(values.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [width, value] of values) {
    if (width === 2) view.setUint16(at, value, !bigEndian);
    else if (width === 4) view.setUint32(at, value, !bigEndian);
    else view.setBigInt64(at, BigInt(value), !bigEndian);
    at += width;
  }
  return out;
}

export function sectionHeader(bigEndian = false): Uint8Array {
  return block(0x0a0d0d0a, fields(bigEndian, [4, 0x1a2b3c4d], [2, 1], [2, 0], [8, -1]), bigEndian);
}

export function interfaceBlock(
  linkType: number,
  given: { resolution?: number; offsetSeconds?: number; snapLength?: number; bigEndian?: boolean } = {},
): Uint8Array {
  const { resolution, offsetSeconds, snapLength = 0, bigEndian = false } = given;
  const options = [fields(bigEndian, [2, linkType], [2, 0], [4, snapLength])];
  if (resolution !== undefined) options.push(fields(bigEndian, [2, 9], [2, 1]), bytes(resolution, 0, 0, 0));
  if (offsetSeconds !== undefined) options.push(fields(bigEndian, [2, 14], [2, 8], [8, offsetSeconds]));
  return block(1, bytes(...options), bigEndian);
}

export function enhancedPacket(
  index: number,
  units: bigint,
  frame: Uint8Array,
  bigEndian = false,
  wireLength = frame.length,
): Uint8Array {
  const head = fields(
    bigEndian,
    [4, index],
    [4, Number(units >> 32n)],
    [4, Number(units & 0xffffffffn)],
    [4, frame.length],
    [4, wireLength],
  );
  return block(6, bytes(head, frame), bigEndian);
}
