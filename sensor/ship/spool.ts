/** The spool: sealed batches on disk until the other side has them. One file each, `<epoch>-<bucket>-<seq>.batch`.
 *
 * In: files of sealed batches. Out: the oldest ones to send; deleted when acknowledged.
 * Invariant: a batch for which `put` resolved with nothing left unwritten survives a power cut until `acknowledge`,
 * unless a limit (`bytesMax`, `filesMax`) dropped it, counted. Writing: file, fsync, rename, fsync folder.
 * Recovery: list the folder. No file is opened, so memory does not depend on what is there. What cannot be read, found
 * in its turn, goes to `quarantine/` (bounded) and is counted; what is too large, or no file, goes there at once.
 * Full: the oldest batches go first. The aggregator sees the hole in seq as a gap; `droppedBatches` counts them.
 * A disk that takes nothing: batches wait in memory (`unwrittenBatchesMax`) and are sent from there; see `problem`.
 * Why one file a batch: reader and writer never share a file, so no cursor can be wrong. @module */

import { type BatchHeader, batchLimits } from "../../shared/batch.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Disk, type FileInfo, isDiskFull, OddFileError } from "../disk.ts";
import { type BatchFile, type PackedBatch, unpackBatch } from "./packed_batch.ts";
import { Quarantine } from "./quarantine.ts";

export interface SpoolOptions {
  folder: string;
  /** @default 268435456 (256 MiB) */
  bytesMax?: number;
  /** Files, quarantine not included. @default 200000 */
  filesMax?: number;
  /** @default 100 */
  quarantineFilesMax?: number;
  /** Batches kept in memory while the disk refuses to take them. @default 256 */
  unwrittenBatchesMax?: number;
  /** Batches of earlier epochs stay where they are. @default 0 */
  epochMin?: number;
}

/** One spooled batch, known by its name alone. */
export interface SpoolEntry {
  readonly name: string;
  readonly epoch: number;
  readonly bucket: number;
  readonly seq: number;
  readonly bytes: number;
  /** Sealed, or for those found on start when the file was written; ms since the epoch. */
  readonly sealedMs: number;
}

/** `file`: its octets, while they are not on disk. */
type Held = SpoolEntry & { file: BatchFile | null };

export const nameForm = /^(\d{1,15})-(\d{1,6})-(\d{1,15})\.batch$/;
/** Of the longest batch there can be, stored without compression. */
export const fileBytesMax = batchLimits.valueBytesMax + 65_536;
/** Acknowledged files that the disk would not delete, tried again with each that follows. */
const litterMax = 1_000;

export class Spool {
  /** Oldest first. */
  #entries: Held[] = [];
  #bytes = 0;
  #dropped = 0;
  #quarantine: Quarantine;
  /** Entries that a sender holds; never dropped to make room, since they may be stored already. */
  #lent = new Set<SpoolEntry>();
  /** Entries that the disk would not read: they come last. */
  #unreadable = new Set<SpoolEntry>();
  #litter: string[] = [];
  #isListed = false;
  /** Of the batches that were put. */
  readonly #epochs = new Set<number>();
  #put: Held[] = [];
  #unwritten: Held[] = [];
  /** Batches that are being written for the first time. */
  #underWay = 0;
  #writing: Promise<void> = Promise.resolve();
  #problem: string | null = null;
  #options: Required<SpoolOptions>;
  #disk: Disk;
  #reporter: Reporter;

  /** @throws {RangeError} when a limit is below 1. */
  constructor(options: SpoolOptions, deps: { disk: Disk; reporter: Reporter }) {
    this.#options = {
      bytesMax: 256 * 1024 * 1024,
      filesMax: 200_000,
      quarantineFilesMax: 100,
      unwrittenBatchesMax: 256,
      epochMin: 0,
      ...options,
    };
    for (const name of ["bytesMax", "filesMax", "quarantineFilesMax", "unwrittenBatchesMax"] as const) {
      const value = this.#options[name];
      if (!(value >= 1)) {
        throw new RangeError(`Cannot open spool as "${name}" must be >= 1: current value is ${value}`);
      }
    }
    this.#disk = deps.disk;
    this.#reporter = deps.reporter;
    const { folder, quarantineFilesMax: filesMax } = this.#options;
    this.#quarantine = new Quarantine({ folder, filesMax }, deps);
  }

  get batches(): number {
    return this.#entries.length;
  }
  /** On disk. */
  get bytes(): number {
    return this.#bytes;
  }
  get bytesMax(): number {
    return this.#options.bytesMax;
  }
  get droppedBatches(): number {
    return this.#dropped;
  }
  get quarantined(): number {
    return this.#quarantine.files;
  }
  /** Set aside since the start. */
  get setAside(): number {
    return this.#quarantine.taken;
  }
  /** Batches that are not on disk: being written, or refused by it. */
  get unwritten(): number {
    return this.#put.length + this.#underWay + this.#unwritten.length;
  }
  /** Why the disk does not do its part just now; null = it does. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Age of the oldest batch, seconds. */
  oldestS(nowMs: number): number {
    const oldest = this.#entries[0];
    return oldest ? Math.max(0, nowMs - oldest.sealedMs) / 1_000 : 0;
  }

  /** Finds what an earlier run left. Half-written files go; they were never promised to anybody. Never rejects: a disk
   * that fails now may do its part later, and what is captured meanwhile is sent from memory. */
  async start(): Promise<void> {
    const { folder } = this.#options;
    await this.#disk.makeFolder(`${folder}/quarantine`).catch((error) => this.#note(error));
    await this.#findAll();
    await this.#quarantine.start();
  }

  /** A disk that cannot be listed is tried again before each write: its batches were promised. This run's are known. */
  async #findAll(): Promise<void> {
    const files = await this.#disk.list(this.#options.folder).catch((error) => (this.#note(error), null));
    this.#isListed = files !== null;
    for (const file of files ?? []) await this.#find(file);
    this.#entries.sort((a, b) => a.epoch - b.epoch || a.seq - b.seq || a.bucket - b.bucket);
  }

  async #find(file: FileInfo): Promise<void> {
    const parts = nameForm.exec(file.name);
    if (!parts) {
      if (!file.name.endsWith(".part")) return;
      await this.#disk.remove(`${this.#options.folder}/${file.name}`).catch(() => {});
      return;
    }
    const [epoch, bucket, seq] = parts.slice(1).map(Number);
    if (epoch < this.#options.epochMin || this.#epochs.has(epoch)) return;
    const { name, bytes, changedMs, isFile } = file;
    const entry = { name, epoch, bucket, seq, bytes, sealedMs: changedMs, file: null };
    // Not counted among the octets: nothing intact may be dropped to make room for it.
    if (!isFile) await this.quarantine(entry, "not_a_file");
    else if (bytes > fileBytesMax) await this.quarantine(entry, "too_large");
    else this.#add(entry);
  }

  #note(error: unknown): void {
    this.#problem = isDiskFull(error) ? `the disk is full: ${messageOf(error)}` : messageOf(error);
    this.#reporter.count("spool_disk_errors_total");
    this.#reporter.error("the disk does not take the spool, batches are sent from memory", {
      error: this.#problem,
    });
  }

  /** Makes batches durable, in their order. Never rejects: what the disk refuses waits in memory for the next call. */
  put(files: readonly BatchFile[]): Promise<void> {
    for (const file of files) {
      const { epoch, bucket, seq, sealed } = file.header;
      this.#epochs.add(epoch);
      const bytes = file.bytes.length;
      this.#put.push({ name: nameOf(file.header), epoch, bucket, seq, bytes, sealedMs: sealed, file });
    }
    return this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const fresh = this.#put.splice(0);
    const late = [...this.#unwritten];
    const all = [...late, ...fresh];
    if (all.length === 0) return;
    this.#underWay = fresh.length;
    if (!this.#isListed) await this.#findAll();
    try {
      await this.#makeRoom(sum(all), all.length);
      await this.#writeFiles(all);
    } catch (error) {
      await this.#keepUnwritten(fresh, error);
      return;
    } finally {
      this.#underWay = 0;
    }
    this.#problem = null;
    this.#entries.push(...fresh);
    for (const entry of all) await this.#written(entry);
    this.#unwritten = this.#unwritten.filter((entry) => entry.file !== null);
    this.#reporter.count("batches_spooled_total", undefined, all.length);
  }

  /** The file of an entry is on disk; one that was acknowledged meanwhile goes again. */
  async #written(entry: Held): Promise<void> {
    entry.file = null;
    if (this.#entries.includes(entry)) this.#bytes += entry.bytes;
    else await this.#delete(entry.name);
  }

  async #writeFiles(entries: readonly Held[]): Promise<void> {
    const { folder } = this.#options;
    const paths = entries.map(({ name }) => `${folder}/${name}`);
    try {
      for (const [i, { file }] of entries.entries()) await this.#disk.write(`${paths[i]}.part`, file!.bytes);
      await Promise.all(paths.map((path) => this.#disk.sync(`${path}.part`)));
      for (const path of paths) await this.#disk.rename(`${path}.part`, path);
      await this.#disk.syncFolder(folder); // Last: only now would a power cut leave the names in place.
    } catch (error) {
      // Halves of files would take the room that the rest needs.
      if (isDiskFull(error)) {
        await Promise.all(paths.map((path) => this.#disk.remove(`${path}.part`).catch(() => {})));
      }
      throw error;
    }
  }

  /** They can be sent from memory. When there are too many, the oldest of all go. */
  async #keepUnwritten(fresh: readonly Held[], error: unknown): Promise<void> {
    this.#reporter.count("spool_write_errors_total");
    this.#note(error);
    this.#entries.push(...fresh);
    this.#unwritten.push(...fresh);
    const excess = this.#unwritten.length - this.#options.unwrittenBatchesMax;
    if (excess <= 0) return;
    if (isDiskFull(error) && this.#bytes > 0) {
      // The disk is smaller than the limit promised: the same policy.
      const bytes = sum(this.#unwritten);
      await this.#dropOldest(bytes, 0).catch(() => {});
      const isWritten = await this.#writeFiles(this.#unwritten).then(() => true, () => false);
      if (isWritten) {
        for (const entry of this.#unwritten) await this.#written(entry);
        this.#unwritten = [];
        this.#problem = null;
        return;
      }
    }
    const dropped = this.#unwritten.filter((entry) => !this.#lent.has(entry)).slice(0, excess);
    for (const entry of dropped) this.#forget(entry);
    if (dropped.length > 0) this.#countDropped(dropped.length, "unwritable");
  }

  /** Drops the oldest batches until `bytes` in `files` more fit. */
  async #makeRoom(bytes: number, files: number): Promise<void> {
    const { bytesMax, filesMax } = this.#options;
    const excessBytes = this.#bytes + bytes - bytesMax;
    const excessFiles = this.#entries.length + files - filesMax;
    if (excessBytes > 0 || excessFiles > 0) await this.#dropOldest(excessBytes, excessFiles);
  }

  async #dropOldest(bytes: number, files: number): Promise<void> {
    let dropped = 0;
    try {
      for (const entry of [...this.#entries]) {
        if (bytes <= 0 && files <= 0) break;
        if (this.#lent.has(entry) || entry.file !== null) continue;
        await this.#disk.remove(`${this.#options.folder}/${entry.name}`);
        this.#forget(entry);
        dropped++;
        bytes -= entry.bytes;
        files--;
      }
    } finally {
      if (dropped > 0) this.#countDropped(dropped, "full");
    }
  }

  #countDropped(count: number, reason: "full" | "unwritable"): void {
    this.#dropped += count;
    this.#reporter.count("batches_dropped_total", { reason }, count);
    this.#reporter.error("spool dropped its oldest batches", { reason, batches: count });
  }

  /** The oldest batches, lent until `acknowledge`, `quarantine` or `giveBack`. Those of one start of the sensor at a
   * time: what an earlier one sealed has been taken before anything newer is sent, whatever the clock said then. */
  lend(batchesMax: number, bytesMax: number): SpoolEntry[] {
    const isReadable = (entry: Held) => !this.#unreadable.has(entry);
    const readable = this.#lendOf(isReadable, batchesMax, bytesMax);
    return readable.length > 0 ? readable : this.#lendOf(() => true, batchesMax, bytesMax);
  }

  #lendOf(isWanted: (entry: Held) => boolean, batchesMax: number, bytesMax: number): SpoolEntry[] {
    const lent: SpoolEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (!isWanted(entry) || this.#lent.has(entry)) continue;
      if (lent.length > 0 && entry.epoch !== lent[0].epoch) break;
      if (lent.length >= batchesMax || (lent.length > 0 && bytes + entry.bytes > bytesMax)) break;
      lent.push(entry);
      bytes += entry.bytes;
    }
    for (const entry of lent) this.#lent.add(entry);
    return lent;
  }

  giveBack(entry: SpoolEntry): void {
    this.#lent.delete(entry);
  }

  /** Reads a lent batch. Null: it cannot be used and has been set aside. Rejects when the disk fails, which may pass;
   * the batch comes after all others then. */
  async read(entry: SpoolEntry, identity: { sensor: string; key: string }): Promise<PackedBatch | null> {
    let file: Uint8Array;
    try {
      file = (entry as Held).file?.bytes ??
        await this.#disk.read(`${this.#options.folder}/${entry.name}`, fileBytesMax);
    } catch (error) {
      if (error instanceof OddFileError) {
        await this.quarantine(entry, error.oddity);
        return null;
      }
      this.#unreadable.add(entry);
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      this.#forget(entry);
      this.#reporter.error("spooled batch vanished", { file: entry.name });
      this.#reporter.count("batches_quarantined_total", { reason: "vanished" });
      return null;
    }
    this.#unreadable.delete(entry);
    const batch = unpackBatch(file);
    const damage = typeof batch === "string"
      ? batch
      : nameOf(batch.header) !== entry.name
      ? "name"
      : batch.header.sensor !== identity.sensor || batch.header.key !== identity.key
      ? "identity"
      : null;
    if (damage === null) return batch as PackedBatch;
    await this.quarantine(entry, damage);
    return null;
  }

  /** Deletes a batch that the other side has. A crash before the deletion sends it again; the ledger drops it. */
  async acknowledge(entry: SpoolEntry): Promise<void> {
    const isOnDisk = (entry as Held).file === null;
    this.#forget(entry);
    if (isOnDisk) await this.#delete(entry.name);
  }

  /** Never rejects: a file that stays is sent again by the next run, and no more. */
  async #delete(name: string): Promise<void> {
    for (const each of [name, ...this.#litter.splice(0, 8)]) {
      try {
        await this.#disk.remove(`${this.#options.folder}/${each}`);
      } catch (error) {
        this.#reporter.count("spool_delete_errors_total");
        this.#reporter.warn("cannot delete a batch that was sent", { file: each, error: messageOf(error) });
        if (this.#litter.length < litterMax) this.#litter.push(each);
      }
    }
  }

  /** Sets a batch aside for good. */
  async quarantine(entry: SpoolEntry, reason: string): Promise<void> {
    this.#forget(entry);
    await this.#quarantine.take(entry.name, reason, (entry as Held).file === null);
  }

  #add(entry: Held): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
  }

  #forget(entry: SpoolEntry): void {
    this.#lent.delete(entry);
    this.#unreadable.delete(entry);
    const index = this.#entries.indexOf(entry as Held);
    if (index < 0) return;
    this.#entries.splice(index, 1);
    if ((entry as Held).file === null) this.#bytes -= entry.bytes;
    else this.#unwritten = this.#unwritten.filter((other) => other !== entry);
  }
}

function sum(entries: readonly SpoolEntry[]): number {
  return entries.reduce((total, { bytes }) => total + bytes, 0);
}

function nameOf({ epoch, bucket, seq }: BatchHeader): string {
  return `${epoch}-${bucket}-${seq}.batch`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
