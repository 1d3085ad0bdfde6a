/** A disk in memory that forgets what was not synced, fails the Nth operation, and can be full.
 *
 * In: the calls of `Disk`. Out: the same, or the fault asked for; `crash` leaves what a power cut might have left.
 * Model: content is durable after `sync`; names are durable after `syncFolder`, and a power cut keeps any prefix of the
 * name changes made since, and any prefix of content that was not synced. @module */

import { type Disk, type FileInfo, OddFileError } from "../../../sensor/disk.ts";

interface File {
  live: Uint8Array;
  /** What a power cut cannot take; null = nothing yet. */
  durable: Uint8Array | null;
}

type NameChange = { kind: "set"; path: string; file: File } | { kind: "delete"; path: string };

/** The disk of a machine that lost power: nothing answers any more. */
export class PowerCut extends Error {
  override name = "PowerCut";
}

export class FakeDisk implements Disk {
  #names = new Map<string, File>();
  #durableNames = new Map<string, File>();
  #pending: NameChange[] = [];
  #operations = 0;
  #isOff = false;
  /** Operation that fails (counted from 1), with which error; 0 = none. */
  failAt = 0;
  /** Operation at which the power goes; 0 = none. */
  cutAt = 0;
  /** Each operation fails with this probability. */
  failRatio = 0;
  bytesMax = Infinity;
  /** True: `sync` does nothing, as on a disk (or in a program) that lies. */
  ignoresSync = false;

  constructor(readonly random: () => number = () => 0) {}

  get operations(): number {
    return this.#operations;
  }
  get bytes(): number {
    return [...this.#names.values()].reduce((sum, file) => sum + file.live.length, 0);
  }

  /** Files whose name begins with `prefix`, as they look now. */
  paths(prefix = ""): string[] {
    return [...this.#names.keys()].filter((path) => path.startsWith(prefix)).sort();
  }

  /** Cuts the power and gives it back: only what was durable, and by chance some of the rest, is there. */
  crash(): void {
    const kept = Math.floor(this.random() * (this.#pending.length + 1));
    for (const change of this.#pending.slice(0, kept)) apply(this.#durableNames, change);
    this.#names = new Map();
    for (const [path, file] of this.#durableNames) {
      const durable = file.durable ?? file.live.slice(0, Math.floor(this.random() * (file.live.length + 1)));
      this.#names.set(path, { live: durable, durable });
    }
    this.#durableNames = new Map(this.#names);
    this.#pending = [];
    this.#isOff = false;
    this.cutAt = 0;
  }

  /** Changes octets behind the program's back. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const file = this.#names.get(path)!;
    file.live = file.durable = change(file.live);
  }

  makeFolder(): Promise<void> {
    return this.#do(() => {});
  }
  list(folder: string): Promise<FileInfo[]> {
    return this.#do(() =>
      this.paths(`${folder}/`).filter((path) => !path.slice(folder.length + 1).includes("/"))
        .map((path) => ({
          name: path.slice(folder.length + 1),
          bytes: this.#names.get(path)!.live.length,
          changedMs: 0,
          isFile: true,
        }))
    );
  }
  read(path: string, bytesMax = Infinity): Promise<Uint8Array> {
    return this.#do(() => {
      const { live } = this.#find(path);
      if (live.length > bytesMax) throw new OddFileError("too_large", path);
      return live.slice();
    });
  }
  overwrite(path: string, bytes: Uint8Array): Promise<void> {
    return this.#do(() => {
      const file = this.#find(path);
      if (this.bytes - file.live.length + Math.max(file.live.length, bytes.length) > this.bytesMax) {
        throw diskFull();
      }
      file.live = new Uint8Array([...bytes, ...file.live.slice(bytes.length)]);
    });
  }
  write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#do(() => {
      if (this.bytes + bytes.length > this.bytesMax) {
        throw diskFull();
      }
      // A name that is written again may lose its old content too, as after O_TRUNC.
      this.#change({ kind: "set", path, file: { live: bytes.slice(), durable: null } });
    });
  }
  sync(path: string): Promise<void> {
    return this.#do(() => {
      const file = this.#find(path);
      if (!this.ignoresSync) file.durable = file.live;
    });
  }
  syncFolder(): Promise<void> {
    return this.#do(() => {
      if (this.ignoresSync) return;
      for (const change of this.#pending) apply(this.#durableNames, change);
      this.#pending = [];
    });
  }
  rename(from: string, to: string): Promise<void> {
    return this.#do(() => {
      const within = this.paths(`${from}/`);
      for (const path of within) {
        this.#change({ kind: "set", path: `${to}${path.slice(from.length)}`, file: this.#find(path) });
        this.#change({ kind: "delete", path });
      }
      if (within.length > 0) return;
      const file = this.#find(from);
      this.#change({ kind: "set", path: to, file });
      this.#change({ kind: "delete", path: from });
    });
  }
  remove(path: string): Promise<void> {
    return this.#do(() => this.#change({ kind: "delete", path }));
  }

  #change(change: NameChange): void {
    apply(this.#names, change);
    this.#pending.push(change);
  }

  #find(path: string): File {
    const file = this.#names.get(path);
    if (!file) throw new Deno.errors.NotFound(path);
    return file;
  }

  #do<Result>(operation: () => Result): Promise<Result> {
    try {
      if (this.#isOff) throw new PowerCut("power is off");
      this.#operations++;
      if (this.#operations === this.cutAt) {
        this.#isOff = true;
        throw new PowerCut("power is off");
      }
      if (this.#operations === this.failAt || (this.failRatio > 0 && this.random() < this.failRatio)) {
        throw Object.assign(new Error("Input/output error"), { code: "EIO" });
      }
      return Promise.resolve(operation());
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

function diskFull(): Error {
  return Object.assign(new Error("No space left on device"), { code: "ENOSPC" });
}

function apply(names: Map<string, File>, change: NameChange): void {
  if (change.kind === "set") names.set(change.path, change.file);
  else names.delete(change.path);
}
