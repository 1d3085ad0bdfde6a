/** Builds Ethernet frames and writes them as a capture file: for the bundled demonstration and for tests that need a
 * scenario.
 *
 * In: addresses, ports, payloads, times.
 * Out: frames with valid lengths and checksums; a pcap file of them in order of time.
 * Invariant: the same seed gives the same bytes.
 * Bound: the caller's; a scenario is a few thousand packets. @module */

import { parseIp } from "../../shared/ip.ts";

export interface Host {
  ip: string;
  mac: string;
  /** Initial TTL of the host's stack. */
  ttl?: number;
}
export interface Frame {
  timeUs: number;
  bytes: Uint8Array;
}
export const tcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

const arpType = 0x0806, ipv4Type = 0x0800;
const tcpProtocol = 6, udpProtocol = 17, icmpProtocol = 1;
const ttlDefault = 64;

/** Frames of one capture, and the random numbers of its scenario. */
export class Capture {
  readonly frames: Frame[] = [];
  #state: number;
  #identification = 1;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= value < 1, by mulberry32: small, and the same everywhere. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Whole number, `from` <= value < `to`. */
  between(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from));
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.between(0, 256));
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.between(0, items.length)];
  }

  arp(timeS: number, sender: Host, target: Host, isReply: boolean): void {
    const broadcast = "ff:ff:ff:ff:ff:ff";
    const body = concat([
      Uint8Array.of(0, 1, 8, 0, 6, 4, 0, isReply ? 2 : 1),
      macBytes(sender.mac),
      parseIp(sender.ip)!,
      isReply ? macBytes(target.mac) : new Uint8Array(6),
      parseIp(target.ip)!,
    ]);
    this.#frame(timeS, isReply ? target.mac : broadcast, sender.mac, arpType, body);
  }

  udp(timeS: number, from: Host, fromPort: number, to: Host, toPort: number, payload: Uint8Array): void {
    const header = concat([u16(fromPort), u16(toPort), u16(8 + payload.length), u16(0)]);
    this.#ipv4(timeS, from, to, udpProtocol, header, 6, payload);
  }

  tcp(
    timeS: number,
    from: Host,
    fromPort: number,
    to: Host,
    toPort: number,
    fields: { flags: number; seq: number; ack: number; payload?: Uint8Array },
  ): void {
    const isSyn = (fields.flags & tcpFlag.syn) !== 0;
    const options = isSyn ? Uint8Array.of(2, 4, 5, 0xb4, 4, 2, 1, 1) : new Uint8Array(0);
    const header = concat([
      u16(fromPort),
      u16(toPort),
      u32(fields.seq),
      u32(fields.ack),
      Uint8Array.of((5 + options.length / 4) << 4, fields.flags),
      u16(64_240),
      u16(0),
      u16(0),
      options,
    ]);
    this.#ipv4(timeS, from, to, tcpProtocol, header, 16, fields.payload ?? new Uint8Array(0));
  }

  /** ICMP echo request or reply. */
  echo(timeS: number, from: Host, to: Host, isReply: boolean, sequence: number, payload: Uint8Array): void {
    const header = concat([Uint8Array.of(isReply ? 0 : 8, 0), u16(0), u16(0x1234), u16(sequence)]);
    this.#ipv4(timeS, from, to, icmpProtocol, header, 2, payload);
  }

  /** A TCP conversation: handshake, the given messages in turn, and its end. Returns the time of its last packet. */
  conversation(
    timeS: number,
    from: Host,
    fromPort: number,
    to: Host,
    toPort: number,
    messages: readonly { fromClient: boolean; payload: Uint8Array; waitS?: number }[],
    end: "fin" | "rst" | "open" = "fin",
  ): number {
    const rttS = 0.004 + this.random() * 0.03;
    let clientSeq = this.between(1, 0x7fff_ffff), serverSeq = this.between(1, 0x7fff_ffff);
    let nowS = timeS;
    const send = (fromClient: boolean, flags: number, payload?: Uint8Array) => {
      const [a, aPort, b, bPort] = fromClient
        ? [from, fromPort, to, toPort] as const
        : [to, toPort, from, fromPort] as const;
      const seq = fromClient ? clientSeq : serverSeq;
      const ack = flags & tcpFlag.ack ? (fromClient ? serverSeq : clientSeq) : 0;
      this.tcp(nowS, a, aPort, b, bPort, { flags, seq, ack, ...(payload ? { payload } : {}) });
      const taken = (payload?.length ?? 0) + (flags & (tcpFlag.syn | tcpFlag.fin) ? 1 : 0);
      if (fromClient) clientSeq = (clientSeq + taken) >>> 0;
      else serverSeq = (serverSeq + taken) >>> 0;
      nowS += rttS / 2;
    };
    send(true, tcpFlag.syn);
    send(false, tcpFlag.syn | tcpFlag.ack);
    send(true, tcpFlag.ack);
    for (const { fromClient, payload, waitS = 0 } of messages) {
      nowS += waitS;
      for (let at = 0; at < payload.length; at += 1_400) {
        send(fromClient, tcpFlag.psh | tcpFlag.ack, payload.subarray(at, at + 1_400));
      }
      send(!fromClient, tcpFlag.ack);
    }
    if (end === "rst") send(true, tcpFlag.rst | tcpFlag.ack);
    if (end === "fin") {
      send(true, tcpFlag.fin | tcpFlag.ack);
      send(false, tcpFlag.fin | tcpFlag.ack);
      send(true, tcpFlag.ack);
    }
    return nowS;
  }

  /** All frames as a pcap file, microseconds, little-endian, sorted by time. */
  toPcap(): Uint8Array {
    const sorted = [...this.frames].sort((a, b) => a.timeUs - b.timeUs);
    const parts = [le32(0xa1b2c3d4), Uint8Array.of(2, 0, 4, 0), le32(0), le32(0), le32(262_144), le32(1)];
    for (const { timeUs, bytes } of sorted) {
      parts.push(
        le32(Math.floor(timeUs / 1e6)),
        le32(timeUs % 1e6),
        le32(bytes.length),
        le32(bytes.length),
        bytes,
      );
    }
    return concat(parts);
  }

  #ipv4(
    timeS: number,
    from: Host,
    to: Host,
    protocol: number,
    header: Uint8Array,
    checksumOffset: number,
    payload: Uint8Array,
  ): void {
    const source = parseIp(from.ip)!, target = parseIp(to.ip)!;
    const length = header.length + payload.length;
    const pseudo = protocol === icmpProtocol
      ? new Uint8Array(0)
      : concat([source, target, Uint8Array.of(0, protocol), u16(length)]);
    const body = concat([header, payload]);
    // A UDP checksum of zero would mean "none": it is sent as all ones (RFC 768).
    const sum = checksum(concat([pseudo, body])) || (protocol === udpProtocol ? 0xffff : 0);
    body.set(u16(sum), checksumOffset);
    const ip = concat([
      Uint8Array.of(0x45, 0),
      u16(20 + length),
      u16(this.#identification++ & 0xffff),
      u16(0x4000),
      Uint8Array.of(from.ttl ?? ttlDefault, protocol, 0, 0),
      source,
      target,
    ]);
    ip.set(u16(checksum(ip)), 10);
    this.#frame(timeS, multicastMac(target) ?? to.mac, from.mac, ipv4Type, concat([ip, body]));
  }

  #frame(timeS: number, to: string, from: string, type: number, body: Uint8Array): void {
    const bytes = concat([macBytes(to), macBytes(from), u16(type), body]);
    this.frames.push({ timeUs: Math.round(timeS * 1e6), bytes });
  }
}

/** Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] << 8 | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function multicastMac(ip: Uint8Array): string | null {
  if (ip[0] < 224 || ip[0] > 239) return null;
  return ["01", "00", "5e", ...[ip[1] & 127, ip[2], ip[3]].map((byte) => byte.toString(16).padStart(2, "0"))]
    .join(":");
}

function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => parseInt(part, 16));
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8 & 255, value & 255);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24 & 255, value >>> 16 & 255, value >>> 8 & 255, value & 255);
}

function le32(value: number): Uint8Array {
  return u32(value).reverse();
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
