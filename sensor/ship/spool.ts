/** The spool: sealed batches on disk until the other side has them. One file each, `<epoch>-<bucket>-<seq>.batch`.
 *
 * In: files of sealed batches. Out: the oldest ones to send; deleted when acknowledged.
 * Invariant: a batch for which `put` resolved with nothing left unwritten survives a power cut until `acknowledge`, unless the limit
 * (`bytesMax`, `filesMax`) dropped it, and that is counted. Writing: file, fsync, rename, fsync folder; all of it may be done again.
 * Recovery: list the folder. No file is opened, so it takes the same memory whatever is there; what cannot be read is found when
 * its turn comes, goes to `quarantine/` (bounded) and is counted, never in the way.
 * Full: the oldest batches go first. The aggregator sees the hole in their seq as a gap; `droppedBatches` says how many.
 * Why one file a batch: no reader and writer ever share a file, so nothing needs a cursor that could be wrong. @module */

import type { BatchHeader } from "../../shared/batch.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Disk } from "../disk.ts";
import { type BatchFile, type PackedBatch, unpackBatch } from "./packed_batch.ts";

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

const nameForm = /^(\d{1,15})-(\d{1,6})-(\d{1,15})\.batch$/;

export class Spool {
  /** Oldest first. */
  #entries: SpoolEntry[] = [];
  #bytes = 0;
  #dropped = 0;
  #quarantined = 0;
  /** Entries that a sender holds; never dropped to make room, since they may be stored already. */
  #lent = new Set<SpoolEntry>();
  #unwritten: BatchFile[] = [];
  /** Batches that are being written. */
  #underWay = 0;
  #writing: Promise<void> = Promise.resolve();
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
  }

  get batches(): number {
    return this.#entries.length;
  }
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
    return this.#quarantined;
  }
  /** Batches that are not on disk: being written, or refused by it. */
  get unwritten(): number {
    return this.#unwritten.length + this.#underWay;
  }

  /** Age of the oldest batch, seconds. */
  oldestS(nowMs: number): number {
    const oldest = this.#entries[0];
    return oldest ? Math.max(0, nowMs - oldest.sealedMs) / 1_000 : 0;
  }

  /** Finds what an earlier run left. Half-written files go; they were never promised to anybody. */
  async start(): Promise<void> {
    const { folder } = this.#options;
    await this.#disk.makeFolder(`${folder}/quarantine`);
    for (const file of await this.#disk.list(folder)) {
      const parts = nameForm.exec(file.name);
      if (!parts) {
        if (file.name.endsWith(".part")) await this.#disk.remove(`${folder}/${file.name}`).catch(() => {});
        continue;
      }
      const [epoch, bucket, seq] = parts.slice(1).map(Number);
      this.#add({ name: file.name, epoch, bucket, seq, bytes: file.bytes, sealedMs: file.changedMs });
    }
    this.#entries.sort((a, b) => a.epoch - b.epoch || a.seq - b.seq || a.bucket - b.bucket);
    this.#quarantined = (await this.#disk.list(`${folder}/quarantine`)).length;
  }

  /** Makes batches durable, in their order. Never rejects: what the disk refuses waits in memory for the next call. */
  put(files: readonly BatchFile[]): Promise<void> {
    this.#unwritten.push(...files);
    return this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const files = this.#unwritten;
    if (files.length === 0) return;
    this.#unwritten = [];
    this.#underWay = files.length;
    const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
    try {
      await this.#makeRoom(bytes, files.length);
      await this.#writeFiles(files).catch(async (error) => {
        if (error?.code !== "ENOSPC" || this.#entries.length === 0) throw error;
        // The disk is smaller than the limit promised: the same policy, once.
        await this.#dropOldest(bytes);
        await this.#writeFiles(files);
      });
    } catch (error) {
      this.#keepUnwritten(files, error);
      return;
    } finally {
      this.#underWay = 0;
    }
    for (const { header, bytes } of files) {
      const { epoch, bucket, seq, sealed } = header;
      this.#add({ name: nameOf(header), epoch, bucket, seq, bytes: bytes.length, sealedMs: sealed });
    }
    this.#reporter.count("batches_spooled_total", undefined, files.length);
  }

  async #writeFiles(files: readonly BatchFile[]): Promise<void> {
    const { folder } = this.#options;
    const paths = files.map(({ header }) => `${folder}/${nameOf(header)}`);
    for (const [i, { bytes }] of files.entries()) await this.#disk.write(`${paths[i]}.part`, bytes);
    await Promise.all(paths.map((path) => this.#disk.sync(`${path}.part`)));
    for (const path of paths) await this.#disk.rename(`${path}.part`, path);
    await this.#disk.syncFolder(folder); // Last: only now would a power cut leave the names in place.
  }

  #keepUnwritten(files: BatchFile[], error: unknown): void {
    this.#reporter.count("spool_write_errors_total");
    this.#reporter.error("cannot write spool, batches wait in memory", { error: messageOf(error) });
    this.#unwritten = [...files, ...this.#unwritten];
    const excess = this.#unwritten.length - this.#options.unwrittenBatchesMax;
    if (excess > 0) this.#countDropped(this.#unwritten.splice(0, excess).length, "unwritable");
  }

  /** Drops the oldest batches until `bytes` in `files` more fit. */
  async #makeRoom(bytes: number, files: number): Promise<void> {
    const { bytesMax, filesMax } = this.#options;
    const excessBytes = this.#bytes + bytes - bytesMax;
    const excessFiles = this.#entries.length + files - filesMax;
    if (excessBytes > 0 || excessFiles > 0) await this.#dropOldest(excessBytes, excessFiles);
  }

  async #dropOldest(bytes: number, files = 0): Promise<void> {
    let dropped = 0;
    try {
      for (const entry of [...this.#entries]) {
        if (bytes <= 0 && files <= 0) break;
        if (this.#lent.has(entry)) continue;
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

  /** The oldest batches, lent until `acknowledge`, `quarantine` or `giveBack`. */
  lend(batchesMax: number, bytesMax: number): SpoolEntry[] {
    const lent: SpoolEntry[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (lent.length >= batchesMax || (lent.length > 0 && bytes + entry.bytes > bytesMax)) break;
      if (this.#lent.has(entry)) continue;
      lent.push(entry);
      bytes += entry.bytes;
    }
    for (const entry of lent) this.#lent.add(entry);
    return lent;
  }

  giveBack(entry: SpoolEntry): void {
    this.#lent.delete(entry);
  }

  /** Reads a lent batch. Null: it cannot be used and has been set aside. Rejects when the disk fails, which may pass. */
  async read(entry: SpoolEntry, identity: { sensor: string; key: string }): Promise<PackedBatch | null> {
    let file: Uint8Array;
    try {
      file = await this.#disk.read(`${this.#options.folder}/${entry.name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      this.#forget(entry);
      this.#reporter.error("spooled batch vanished", { file: entry.name });
      this.#reporter.count("batches_quarantined_total", { reason: "vanished" });
      return null;
    }
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
    await this.#disk.remove(`${this.#options.folder}/${entry.name}`);
    this.#forget(entry);
  }

  /** Sets a batch aside for good; the oldest ones of the quarantine make room. */
  async quarantine(entry: SpoolEntry, reason: string): Promise<void> {
    const { folder, quarantineFilesMax } = this.#options;
    await this.#disk.rename(`${folder}/${entry.name}`, `${folder}/quarantine/${entry.name}.${reason}`);
    this.#forget(entry);
    this.#reporter.count("batches_quarantined_total", { reason });
    this.#reporter.error("batch set aside", { file: entry.name, reason });
    const held = await this.#disk.list(`${folder}/quarantine`);
    held.sort((a, b) => a.changedMs - b.changedMs);
    const excess = held.splice(0, Math.max(0, held.length - quarantineFilesMax));
    for (const file of excess) await this.#disk.remove(`${folder}/quarantine/${file.name}`);
    this.#quarantined = held.length;
  }

  #add(entry: SpoolEntry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
  }

  #forget(entry: SpoolEntry): void {
    this.#lent.delete(entry);
    const index = this.#entries.indexOf(entry);
    if (index < 0) return;
    this.#entries.splice(index, 1);
    this.#bytes -= entry.bytes;
  }
}

function nameOf({ epoch, bucket, seq }: BatchHeader): string {
  return `${epoch}-${bucket}-${seq}.batch`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
