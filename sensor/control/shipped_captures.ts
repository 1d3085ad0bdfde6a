/** Captures that were shipped, so that none is shipped twice without being asked for: its flows would be counted twice.
 *
 * In: the first packets of a capture. Out: whether one that begins with them was shipped before, and when.
 * Meaning: stamp, lengths and octets of up to {@link packetsMax} packets; so that a copy, a compressed one, one that
 * comes through a pipe, and one of more packets that has grown since are recognised too.
 * File: `shipped.json` in the state folder, the last {@link capturesMax}. A capture is noted before its first batch,
 * and once more when all of it was sealed: what was interrupted was shipped in part. Without the file, or with a
 * damaged one, nothing is recognised and shipping goes on. @module */

import { createHash, type Hash } from "node:crypto";
import { flag, integer, listOf, object, text } from "../../shared/shape.ts";
import type { PacketHandler } from "../capture/capture_error.ts";
import { type Disk, replaceFile } from "../disk.ts";

const packetsMax = 256;
const capturesMax = 1_000;
const fileBytesMax = 4 * 1024 * 1024;
const nameCharactersMax = 400;

export interface ShippedCapture {
  /** SHA-256 of its first packets. */
  digest: string;
  file: string;
  at_ms: number;
  /** All of it was sealed. */
  whole: boolean;
}

const isList = listOf(
  object<ShippedCapture>({ digest: text(/^[0-9a-f]{64}$/), file: text(), at_ms: integer(0), whole: flag }),
  capturesMax,
);

/** Passes packets on, and takes the first of them for the digest. */
export class FirstPackets implements PacketHandler {
  #next: PacketHandler;
  #left = packetsMax;
  #hash: Hash = createHash("sha256");
  #numbers = new Float64Array(4);

  constructor(next: PacketHandler) {
    this.#next = next;
  }

  /** As many were seen as count. */
  get isWhole(): boolean {
    return this.#left === 0;
  }

  /** Of the packets so far; null = there were none. To be asked for once. */
  digest(): string | null {
    return this.#left === packetsMax ? null : this.#hash.digest("hex");
  }

  packet(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
  ): void {
    if (this.#left > 0) {
      this.#left--;
      this.#numbers.set([timeUs, wireLength, capturedLength, linkType]);
      this.#hash.update(new Uint8Array(this.#numbers.buffer)).update(
        buffer.subarray(offset, offset + capturedLength),
      );
    }
    this.#next.packet(buffer, offset, capturedLength, wireLength, timeUs, linkType);
  }
}

export class ShippedCaptures {
  #disk: Disk;
  #folder: string;
  #all: ShippedCapture[] = [];

  constructor(folder: string, disk: Disk) {
    this.#folder = folder;
    this.#disk = disk;
  }

  /** Reads the file. Never rejects. */
  async start(): Promise<void> {
    try {
      const bytes = await this.#disk.read(`${this.#folder}/shipped.json`, fileBytesMax);
      const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
      if (isList(parsed)) this.#all = parsed;
    } catch {
      // None yet, or none that can be read.
    }
  }

  find(digest: string): ShippedCapture | null {
    return this.#all.find((capture) => capture.digest === digest) ?? null;
  }

  /** Notes a capture; the oldest gives way. Rejects when the disk does not take it. */
  async add(capture: ShippedCapture): Promise<void> {
    const others = this.#all.filter(({ digest }) => digest !== capture.digest);
    const file = capture.file.slice(0, nameCharactersMax);
    this.#all = [...others, { ...capture, file }].slice(-capturesMax);
    await this.#save();
  }

  /** Of which nothing was shipped after all. */
  async forget(digest: string): Promise<void> {
    this.#all = this.#all.filter((capture) => capture.digest !== digest);
    await this.#save();
  }

  async #save(): Promise<void> {
    const text = JSON.stringify(this.#all) + "\n";
    await replaceFile(this.#disk, this.#folder, "shipped.json", new TextEncoder().encode(text));
  }
}
