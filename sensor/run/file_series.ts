/** Several capture files, one after the other, as a source of packets.
 *
 * In: sources in the order of their packets.
 * Out: their packets as if they were of one capture: a flow goes on in the next file.
 * Invariant: all are opened before the first packet;
 * what is wrong with one of them costs that file alone, and the first such is told.
 * Bound: {@link filesMax}, as all are open at once. @module */

import type { PacketHandler } from "../capture/capture_error.ts";
import type { CaptureSource } from "./stages.ts";

export const filesMax = 256;
/** Names that are told; the others are counted. */
const namesMax = 3;

export class FileSeries implements CaptureSource {
  readonly name: string;
  #files: readonly CaptureSource[];
  #current = 0;

  constructor(files: readonly CaptureSource[]) {
    this.#files = files;
    const names = files.slice(0, namesMax).map(({ name }) => name).join(", ");
    this.name = files.length > namesMax ? `${names} and ${files.length - namesMax} more` : names;
  }

  get bytesRead(): number {
    return this.#files.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  get bytesTotal(): number | null {
    return this.#files.reduce<number | null>(
      (sum, { bytesTotal }) => sum === null || bytesTotal === null ? null : sum + bytesTotal,
      0,
    );
  }

  get dropped(): number {
    return this.#files.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  get problem(): { code: string; message: string } | null {
    const file = this.#files.find(({ problem }) => problem !== null);
    if (file === undefined) return null;
    const { code, message } = file.problem!;
    return { code, message: `"${file.name}": ${message}` };
  }

  async start(): Promise<void> {
    try {
      for (const file of this.#files) await file.start();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  attach(handler: PacketHandler): void {
    for (const file of this.#files) file.attach(handler);
  }

  async next(): Promise<boolean> {
    for (; this.#current < this.#files.length; this.#current++) {
      if (await this.#files[this.#current].next()) return true;
    }
    return false;
  }

  stop(): void {
    for (const file of this.#files) file.stop();
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }
}
