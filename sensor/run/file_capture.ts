/** A capture file as a source of packets.
 *
 * In: the bytes of a file. Out: packets to the handler, one buffer at a time;
 * what was wrong with the capture, if anything.
 * Invariant: only `start` fails aloud; anything later ends the reading, not the program. @module */

import { type CaptureError, captureErrorTexts, type PacketHandler } from "../capture/capture_error.ts";
import { CaptureReader } from "../capture/capture_reader.ts";
import type { ByteSource } from "../capture/file_source.ts";
import { CommandError, exitCodes } from "../../shared/command.ts";
import type { CaptureSource } from "./stages.ts";

export class FileCapture implements CaptureSource {
  readonly name: string;
  bytesRead = 0;
  bytesTotal: number | null = null;
  #source: ByteSource;
  #reader: CaptureReader | null = null;
  #error: CaptureError | null = null;
  #isStopped = false;
  #chunkBytes: number;

  /** `chunkBytes` bounds what one `next` reads, for those who want to do something in between. */
  constructor(path: string, source: ByteSource, chunkBytes = Infinity) {
    this.name = path;
    this.#source = source;
    this.#chunkBytes = chunkBytes;
  }

  get dropped(): number {
    return this.#reader?.drops ?? 0;
  }

  get problem(): { code: string; message: string } | null {
    return this.#error && { code: this.#error, message: captureErrorTexts[this.#error] };
  }

  async start(): Promise<void> {
    try {
      await this.#source.start();
    } catch (cause) {
      throw new CommandError(exitCodes.environment, (cause as Error).message, { cause });
    }
    const info = await Deno.stat(this.name).catch(() => null);
    this.bytesTotal = info?.isFile ? info.size : null;
  }

  attach(handler: PacketHandler): void {
    this.#reader = new CaptureReader(handler);
  }

  async next(): Promise<boolean> {
    const reader = this.#reader;
    if (reader === null || this.#isStopped) return false;
    const count = await this.#source.read(reader.space().subarray(0, this.#chunkBytes));
    if (count === null) {
      // Where reading itself failed, the missing end is no news.
      this.#error = this.#source.error ?? reader.end();
      return false;
    }
    this.bytesRead += count;
    reader.commit(count);
    this.#error = reader.error;
    return this.#error === null;
  }

  stop(): void {
    this.#isStopped = true;
  }

  close(): Promise<void> {
    return this.#source.stop();
  }
}
