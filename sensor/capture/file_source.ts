/** A capture file, or a pipe, as a source of bytes.
 *
 * In: a path ("-" = standard input). Out: bytes into the caller's buffer, so that nothing is copied twice.
 * Invariant: a file that cannot be opened is an error with its cause; one that breaks later ends with a
 * {@link CaptureError}. Compressed captures are unpacked, wherever they come from, as every Wireshark tool does.
 * @module */

import type { CaptureError } from "./capture_error.ts";
import { CutError } from "./pieces.ts";
import { magicBytes, packingOf, unpack } from "./unpack.ts";

/** Bytes of a capture, pulled. */
export interface ByteSource {
  start(): Promise<void>;
  /** Fills the start of `into`; the number of bytes, null = no more. */
  read(into: Uint8Array): Promise<number | null>;
  stop(): Promise<void>;
  /** What ended the source early, if anything did. */
  readonly error: CaptureError | null;
}

const chunkBytes = 65_536;

export class FileSource implements ByteSource {
  error: CaptureError | null = null;
  #path: string;
  #file: Deno.FsFile | null = null;
  #unpacked: AsyncGenerator<Uint8Array> | null = null;
  /** What has been read or unpacked and not been asked for. */
  #rest: Uint8Array = new Uint8Array(0);
  #isRecognised = false;
  #isOnDisk = false;
  #reads = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {Error} when the file cannot be opened; `cause` says why. */
  async start(): Promise<void> {
    if (this.#path === "-") return;
    try {
      if ((await Deno.stat(this.#path)).isDirectory) throw new Error("it is a folder");
      this.#file = await Deno.open(this.#path);
      this.#isOnDisk = (await this.#file.stat()).isFile;
    } catch (cause) {
      const why = cause instanceof Deno.errors.NotFound ? "no such file" : (cause as Error).message;
      throw new Error(`Cannot open capture "${this.#path}": ${why}`, { cause });
    }
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      if (!this.#isRecognised) await this.#recognise();
      if (this.error !== null) return null;
      if (this.#rest.length === 0) {
        if (this.#unpacked === null) return await this.#readFile(into);
        const { value, done } = await this.#unpacked.next();
        if (done) return null;
        this.#rest = value;
      }
      const some = this.#rest.subarray(0, into.length);
      into.set(some);
      this.#rest = this.#rest.subarray(some.length);
      return some.length;
    } catch (error) {
      this.error = error instanceof CutError
        ? "cut_capture"
        : this.#unpacked === null || error instanceof ReadError
        ? "read_failed"
        : "bad_compression";
      return null;
    }
  }

  async #readFile(into: Uint8Array): Promise<number | null> {
    // A file on disk answers sooner than another thread could be asked; now and then others get their turn.
    if (this.#isOnDisk && (++this.#reads & 7) !== 0) return this.#file!.readSync(into);
    return await (this.#file ?? Deno.stdin).read(into);
  }

  /** Looks at the first octets, which a pipe may bring one by one. */
  async #recognise(): Promise<void> {
    this.#isRecognised = true;
    const head = new Uint8Array(magicBytes);
    let length = 0;
    while (length < head.length) {
      const count = await this.#readFile(head.subarray(length));
      if (count === null) break;
      length += count;
    }
    this.#rest = head.subarray(0, length);
    const packing = packingOf(this.#rest);
    if (length === 0) this.error = "empty_file";
    else if (packing === "unknown") this.error = "unknown_compression";
    else if (packing !== "none") {
      this.#unpacked = unpack(packing, this.#chunks(this.#rest));
      this.#rest = new Uint8Array(0);
    }
  }

  /** The octets of the file, `head` first. */
  async *#chunks(head: Uint8Array): AsyncGenerator<Uint8Array> {
    yield head;
    const chunk = new Uint8Array(chunkBytes);
    for (;;) {
      const count = await this.#readFile(chunk).catch((cause) => {
        throw new ReadError("Cannot read compressed capture", { cause });
      });
      if (count === null) return;
      yield chunk.subarray(0, count);
    }
  }

  async stop(): Promise<void> {
    await this.#unpacked?.return(undefined).catch(() => undefined);
    this.#unpacked = null;
    this.#file?.close();
    this.#file = null;
  }
}

/** Reading failed, not unpacking. */
class ReadError extends Error {}
