/** Follows a file that another program writes and rotates, a bounded piece at a time.
 *
 * In: a path, and where an earlier run stopped. Out: whole lines, and where this run stands.
 * Invariant: a file that was renamed is read to its end before the new one is begun; one that was truncated is begun
 * anew. A file that was there at the first look is followed from its end: what stood there before is old.
 * Bounds: {@link TailedFile.read} reads at most `piecesMax` pieces of `pieceBytes` octets; a line longer than `lineMax`
 * is left out, and counted. @module */

import { lineOctetsMax as lineMax } from "./suricata_alerts.ts";

const pieceBytes = 65_536, piecesMax = 64;

export interface FilePlace {
  inode: number;
  position: number;
}

export class TailedFile {
  readonly #path: string;
  #file: Deno.FsFile | null = null;
  #place: FilePlace | null;
  /** The beginning of a line that is not whole yet. */
  #rest = new Uint8Array();
  #isTooLong = false;
  #wasAbsent = false;
  /** Lines left out so far. */
  tooLong = 0;

  constructor(path: string, place: FilePlace | null) {
    this.#path = path;
    this.#place = place;
  }

  /** After the last whole line; null = the file was never there. */
  get place(): FilePlace | null {
    if (this.#place === null) return null;
    const { inode, position } = this.#place;
    return { inode, position: position - this.#rest.length };
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  /** What was written since the last call, as whole lines. @throws when the file cannot be read. */
  async read(): Promise<string[]> {
    const lines: string[] = [];
    if (this.#file === null && !await this.#open(this.#place)) return lines;
    if (await this.#readPieces(lines)) return lines;
    // At the end: is it still the file of that name?
    const named = await infoOf(this.#path);
    if (named === null) return lines;
    if (named.inode !== this.#place!.inode || named.size < this.#place!.position) {
      this.close();
      if (await this.#open({ inode: named.inode, position: 0 })) await this.#readPieces(lines);
    }
    return lines;
  }

  async #open(place: FilePlace | null): Promise<boolean> {
    const named = await infoOf(this.#path);
    if (named === null) {
      this.#wasAbsent = true;
      return false;
    }
    this.#file = await Deno.open(this.#path);
    const info = await this.#file.stat();
    const inode = info.ino ?? 0;
    const isKnown = place !== null && place.inode === inode && place.position <= info.size;
    const position = isKnown ? place.position : place === null && !this.#wasAbsent ? info.size : 0;
    await this.#file.seek(position, Deno.SeekMode.Start);
    this.#place = { inode, position };
    this.#rest = new Uint8Array();
    this.#isTooLong = false;
    return true;
  }

  /** True when there is more. */
  async #readPieces(lines: string[]): Promise<boolean> {
    const buffer = new Uint8Array(pieceBytes);
    for (let piece = 0; piece < piecesMax; piece++) {
      const read = await this.#file!.read(buffer);
      if (read === null) return false;
      this.#place!.position += read;
      this.#split(buffer.subarray(0, read), lines);
    }
    return true;
  }

  #split(piece: Uint8Array, lines: string[]): void {
    const octets = new Uint8Array(this.#rest.length + piece.length);
    octets.set(this.#rest);
    octets.set(piece, this.#rest.length);
    let from = 0;
    for (let end = octets.indexOf(10); end >= 0; end = octets.indexOf(10, from)) {
      if (this.#isTooLong || end - from > lineMax) this.tooLong++;
      else lines.push(decoder.decode(octets.subarray(from, end)));
      this.#isTooLong = false;
      from = end + 1;
    }
    this.#rest = octets.slice(from);
    if (this.#rest.length <= lineMax) return;
    this.#rest = new Uint8Array();
    this.#isTooLong = true;
  }
}

const decoder = new TextDecoder();

async function infoOf(path: string): Promise<{ inode: number; size: number } | null> {
  try {
    const { ino, size } = await Deno.stat(path);
    return { inode: ino ?? 0, size };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
