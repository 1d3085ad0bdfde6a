/** Push parser of a capture: bytes in as they come, packets out.
 *
 * In: `space()` says where the next bytes go, `commit(n)` that they are there. Out: packets to the handler, in order.
 * Invariant: every whole packet before the first error is handed on;
 * bytes are copied only to join a record cut by a chunk's end.
 * Bound: one buffer of `bufferBytes`;
 * longer records are refused by the formats, longer blocks skipped without being held.
 * @module */

import { type CaptureError, packetBytesMax, type PacketHandler, type RecordParser } from "./capture_error.ts";
import { isPcap, pcapHeaderBytes, PcapRecords } from "./pcap.ts";
import { isPcapng, PcapngBlocks } from "./pcapng.ts";

const bufferBytesMin = 2 * packetBytesMax;

export class CaptureReader {
  #bytes: Uint8Array;
  #length = 0;
  /** Octets still to be thrown away: the rest of a block nobody needs. */
  #skip = 0;
  #format: RecordParser | null = null;
  #error: CaptureError | null = null;
  #handler: PacketHandler;

  constructor(handler: PacketHandler, options: { bufferBytes?: number } = {}) {
    const { bufferBytes = 1024 * 1024 } = options;
    if (bufferBytes < bufferBytesMin) {
      throw new RangeError(
        `Cannot read captures as "bufferBytes" must be >= ${bufferBytesMin}: current value is ${bufferBytes}`,
      );
    }
    this.#bytes = new Uint8Array(bufferBytes);
    this.#handler = handler;
  }

  /** First thing found wrong; nothing is parsed after it. */
  get error(): CaptureError | null {
    return this.#error;
  }

  /** Packets the capture says were lost before they reached it. */
  get drops(): number {
    return this.#format?.drops ?? 0;
  }

  /** Which interface of the capture the packet being handed on is of. */
  get interfaceIndex(): number {
    return this.#format?.interfaceIndex ?? 0;
  }

  /** Where the next bytes go; never empty. */
  space(): Uint8Array {
    return this.#bytes.subarray(this.#length);
  }

  /** `count` bytes were written to the start of `space()`. */
  commit(count: number): void {
    if (this.#error !== null) return;
    this.#length += count;
    let at = 0;
    if (this.#skip > 0) {
      at = Math.min(this.#skip, this.#length);
      this.#skip -= at;
    }
    if (this.#format === null && !this.#recognise()) return;
    if (this.#format !== null && at < this.#length) {
      at = this.#format.parse(this.#bytes, at === 0 ? this.#start() : at, this.#length);
      this.#error = this.#format.error;
    }
    this.#keepFrom(at);
  }

  /** The bytes ended. Returns the first thing found wrong, null = a whole capture. */
  end(): CaptureError | null {
    if (this.#error === null && this.#format === null) this.#error = this.#unrecognised();
    else if (this.#error === null && (this.#length > 0 || this.#skip > 0)) this.#error = "cut_capture";
    return this.#error;
  }

  #headerPending = 0;

  /** Where records begin in the first chunk: after the file header of a classic capture. */
  #start(): number {
    const from = this.#headerPending;
    this.#headerPending = 0;
    return from;
  }

  #recognise(): boolean {
    if (this.#length < pcapHeaderBytes) return false;
    if (isPcap(this.#bytes, 0)) {
      this.#format = new PcapRecords(this.#bytes, 0, this.#handler);
      this.#headerPending = pcapHeaderBytes;
    } else if (isPcapng(this.#bytes, 0)) {
      this.#format = new PcapngBlocks(this.#handler);
    } else {
      this.#error = "not_a_capture";
      return false;
    }
    return true;
  }

  /** A file shorter than any header: cut, when it begins like a capture. */
  #unrecognised(): CaptureError {
    if (this.#length === 0) return "empty_file";
    const begins = this.#length >= 4 && (isPcap(this.#bytes, 0) || this.#bytes[0] === 0x0a);
    return begins ? "cut_capture" : "not_a_capture";
  }

  #keepFrom(at: number): void {
    if (at >= this.#length) {
      this.#skip += at - this.#length;
      this.#length = 0;
    } else if (at > 0) {
      this.#bytes.copyWithin(0, at, this.#length);
      this.#length -= at;
    }
  }
}
