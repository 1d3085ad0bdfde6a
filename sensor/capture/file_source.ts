/** A capture file, or a pipe, as a source of bytes.
 *
 * In: a path ("-" = standard input). Out: bytes into the caller's buffer, so that nothing is copied twice.
 * Invariant: a file that cannot be opened is an error with its cause; one that breaks later ends with `read_failed`.
 * Gzipped captures are read too, as every Wireshark tool does. @module */

import type { CaptureError } from "./capture_error.ts";

/** Bytes of a capture, pulled. */
export interface ByteSource {
  start(): Promise<void>;
  /** Fills the start of `into`; the number of bytes, null = no more. */
  read(into: Uint8Array): Promise<number | null>;
  stop(): Promise<void>;
  /** What ended the source early, if anything did. */
  readonly error: CaptureError | null;
}

export class FileSource implements ByteSource {
  error: CaptureError | null = null;
  #path: string;
  #file: Deno.FsFile | null = null;
  #inflated: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #rest: Uint8Array | null = null;
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
    } catch (cause) {
      const why = cause instanceof Deno.errors.NotFound ? "no such file" : (cause as Error).message;
      throw new Error(`Cannot open capture "${this.#path}": ${why}`, { cause });
    }
    const magic = new Uint8Array(2);
    this.#isOnDisk = await isSeekable(this.#file);
    if (!this.#isOnDisk) return;
    const count = await this.#file.read(magic);
    await this.#file.seek(0, Deno.SeekMode.Start);
    if (count !== 2) return;
    if (magic[0] !== 0x1f || magic[1] !== 0x8b) return;
    const gunzip = new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>;
    this.#inflated = this.#file.readable.pipeThrough(gunzip).getReader();
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      if (this.#inflated !== null) return await this.#readInflated(into);
      // A file on disk answers sooner than another thread could be asked; now and then others get their turn.
      if (this.#isOnDisk && (++this.#reads & 7) !== 0) return this.#file!.readSync(into);
      return await (this.#file ?? Deno.stdin).read(into);
    } catch {
      this.error = this.#inflated !== null ? "cut_capture" : "read_failed";
      return null;
    }
  }

  async #readInflated(into: Uint8Array): Promise<number | null> {
    let chunk = this.#rest;
    if (chunk === null) {
      const { value, done } = await this.#inflated!.read();
      if (done) return null;
      chunk = value;
    }
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    this.#rest = count < chunk.length ? chunk.subarray(count) : null;
    return count;
  }

  async stop(): Promise<void> {
    // Cancelling the stream closes the file behind it.
    if (this.#inflated !== null) await this.#inflated.cancel().catch(() => undefined);
    else this.#file?.close();
    this.#file = null;
    this.#inflated = null;
  }
}

/** A named pipe cannot be rewound: it is read as it comes. */
async function isSeekable(file: Deno.FsFile): Promise<boolean> {
  return (await file.stat()).isFile;
}
