/** What the tests of the deep lane share: lines of a dissector, a program that is none, packets made by hand.
 * @module */

import { bytes } from "../frames.ts";
import { Packet } from "../../../sensor/decode/packet.ts";
import { slot, slotCount, type SlotName } from "../../../sensor/dissect/columns/slots.ts";
import type { DissectorProcess, DissectorProgram } from "../../../sensor/dissect/child/tshark.ts";

/** Columns of one line: those named, the others empty. */
export function columnsOf(values: Partial<Record<SlotName, string>>): string[] {
  const columns = new Array<string>(slotCount).fill("");
  for (const [name, value] of Object.entries(values)) columns[slot[name as SlotName]] = value;
  return columns;
}

/** One line as the dissector prints it. */
export function lineOf(frame: number, values: Partial<Record<SlotName, string>> = {}): string {
  return columnsOf({ protocols: "eth:ethertype:ip:udp:data", ...values, frame: String(frame) }).join("\t") +
    "\n";
}

/** A process in the hands of the test: it counts the packets written to it, and says what it is told to. */
export class FakeProcess implements DissectorProcess {
  static #pids = 0;
  readonly pid = ++FakeProcess.#pids;
  readonly output: ReadableStream<Uint8Array>;
  readonly exited: Promise<string>;
  bytes = 0;
  /** Enhanced packet blocks written so far. */
  packets = 0;
  ended = false;
  killed = false;
  /** While set, writes do not return. */
  held: Promise<void> | null = null;
  #said = 0;
  #exit!: (words: string) => void;
  #control!: ReadableStreamDefaultController<Uint8Array>;
  #rest: number[] = [];
  /** The header of the file is behind us. */
  #isBegun = false;
  #gone = false;

  constructor(readonly answersItself: boolean) {
    this.output = new ReadableStream({ start: (control) => void (this.#control = control) });
    this.exited = new Promise((resolve) => this.#exit = resolve);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gone) throw new Error("broken pipe");
    if (this.held) await this.held;
    this.bytes += bytes.length;
    this.#count(bytes);
    if (this.answersItself) this.answer();
  }

  end(): Promise<void> {
    this.ended = true;
    if (this.answersItself) this.exit("");
    return Promise.resolve();
  }

  kill(): void {
    this.killed = true;
    this.exit("killed by SIGKILL");
  }

  /** Answers the next `count` packets; by default all. */
  answer(count = this.packets - this.#said): void {
    for (let i = 0; i < count; i++) this.say(lineOf(++this.#said));
  }

  say(text: string): void {
    if (!this.#gone) this.#control.enqueue(new TextEncoder().encode(text));
  }

  exit(words: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#control.close();
    this.#exit(words);
  }

  #count(bytes: Uint8Array): void {
    this.#rest.push(...bytes);
    if (!this.#isBegun && this.#rest.length >= 24) {
      this.#isBegun = true;
      this.#rest = this.#rest.slice(24);
    }
    while (this.#isBegun && this.#rest.length >= 16) {
      const size = 16 + new DataView(Uint8Array.from(this.#rest.slice(8, 12)).buffer).getUint32(0, true);
      if (this.#rest.length < size) return;
      this.packets++;
      this.#rest = this.#rest.slice(size);
    }
  }
}

/** A program whose processes are {@link FakeProcess}es. */
export class FakeProgram implements DissectorProgram {
  readonly version = "0.0.0";
  readonly walls = null;
  readonly processes: FakeProcess[] = [];
  disposed = false;
  /** Set to make the next spawns fail. */
  refusal: Error | null = null;

  constructor(readonly answersItself = true) {}

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  spawn(): FakeProcess {
    if (this.refusal) throw this.refusal;
    const process = new FakeProcess(this.answersItself);
    this.processes.push(process);
    return process;
  }

  dispose(): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

/** A packet with `payload`, as the decoder would leave it; the buffer holds the payload alone. */
export function packetOf(
  payload: Uint8Array,
  fields: Partial<Packet> = {},
): { packet: Packet; buffer: Uint8Array } {
  const packet = Object.assign(new Packet(), {
    family: 4,
    protocol: 6,
    srcPort: 40_000,
    dstPort: 8_123,
    payloadOffset: 0,
    payloadLength: payload.length,
    payloadCaptured: payload.length,
    ...fields,
  });
  return { packet, buffer: payload };
}

export const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));

/** A DNS message: header words, then octets. */
export function dnsMessage(header: readonly number[], body: readonly (string | number)[]): Uint8Array {
  const octets: number[] = header.flatMap((word) => [word >> 8, word & 255]);
  for (const part of body) {
    if (typeof part === "number") octets.push(part);
    else octets.push(part.length, ...bytesOf(part));
  }
  return Uint8Array.from(octets);
}

/** A raw IPv4 UDP datagram, for a real dissector. */
export function rawUdp(srcPort: number, dstPort: number, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(28 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  packet[8] = 64;
  packet[9] = 17;
  packet.set([192, 0, 2, 1], 12);
  packet.set([192, 0, 2, 2], 16);
  view.setUint16(20, srcPort);
  view.setUint16(22, dstPort);
  view.setUint16(24, 8 + payload.length);
  packet.set(payload, 28);
  return packet;
}

const sized = (size: 1 | 2, payload: Uint8Array) =>
  bytes(...(size === 2 ? [payload.length >> 8] : []), payload.length & 255, payload);

/** A ClientHello that asks for `name`, in one record (RFC 8446, 4.1.2). */
export function clientHello(name: string): Uint8Array {
  const serverName = bytes(0, 0, sized(2, sized(2, bytes(0, sized(2, bytesOf(name))))));
  const groups = bytes(0, 10, sized(2, bytes(0, 2, 0, 29)));
  const versions = bytes(0, 43, sized(2, bytes(2, 3, 4)));
  const offer = bytes(sized(2, bytes(0x13, 1, 0x13, 2)), 1, 0, sized(2, bytes(serverName, groups, versions)));
  const body = bytes(3, 3, new Uint8Array(32).fill(7), 0, offer);
  return bytes(22, 3, 1, sized(2, bytes(1, 0, sized(2, body))));
}
