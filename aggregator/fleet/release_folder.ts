/** The signed programs that this aggregator offers to sensors.
 *
 * In: files that somebody signed elsewhere.
 * Out: releases whose signature, size and digest fit; parts of their programs.
 * Files, in `releases/` of the state folder: `key.pub`, the public key that sensors pin at enrolment;
 * `picket-sensor-VERSION-TARGET`, a program; the same with `.release`, its manifest and signature.
 * Invariant: a program is measured before it is offered, at the start and whenever its file changes; what does not fit
 * is named with its reason and never offered. At most {@link releaseFolderLimits.programsMax} programs, and so many
 * octets of them, are taken in. The private key is never here. {@link packedMax} parts are kept packed, some 25 MB: a
 * fleet asks for the same parts one after another.
 * Why a folder and not the database: a program is a hundred megabytes, and is read by the octet. @module */

import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip, type ZlibOptions } from "node:zlib";
import {
  isSignedRelease,
  type Manifest,
  readRelease,
  readReleaseKeyFile,
  releaseKeyFile,
  releaseLimits,
  type SignedRelease,
  targetOfProgram,
} from "../../shared/release.ts";

export const releaseFolderLimits = {
  programsMax: 16,
  bytesMax: 4 * 1024 * 1024 * 1024,
} as const;

export interface Release extends SignedRelease {
  read: Manifest;
}

/** What is in the folder; `problems` name the files that are not offered. */
export interface Releases {
  /** Public key, base64; null = there is none, and nothing is offered. */
  key: string | null;
  rows: Release[];
  problems: { file: string; reason: string }[];
}

const manifestBytesMax = 16 * 1024;
const pieceBytes = 1024 * 1024;
const filesMax = 200;
const packedMax = 64;
/** 16 ms for a megabyte of program, of which two fifths stay; level 6 saves 1 % more. */
const packedLevel = 3;
const pack = promisify<Uint8Array, ZlibOptions, Uint8Array>(gzip);

export class ReleaseFolder {
  readonly folder: string;
  readonly #maxAgeMs: number;
  #found: Releases = { key: null, rows: [], problems: [] };
  #readMs = -Infinity;
  #reading: Promise<void> | null = null;
  /** Digests of programs, by path, size and time of the last change. */
  #measured = new Map<string, Measured>();
  /** Packed parts, or those being packed, by digest and where they begin. */
  readonly #packed = new Map<string, Promise<Uint8Array>>();

  constructor(folder: string, options: { maxAgeMs?: number } = {}) {
    this.folder = folder;
    this.#maxAgeMs = options.maxAgeMs ?? 10_000;
  }

  async all(nowMs: number): Promise<Releases> {
    if (Math.abs(nowMs - this.#readMs) >= this.#maxAgeMs) {
      this.#reading ??= this.#read(nowMs).finally(() => this.#reading = null);
      await this.#reading;
    }
    return this.#found;
  }

  async find(version: string, target: string, nowMs: number): Promise<Release | null> {
    const { rows } = await this.all(nowMs);
    return rows.find(({ read }) => read.version === version && read.target === target) ?? null;
  }

  /** Octets of the program with this digest; null = it is not here. Empty = it ends before. */
  async part(sha256: string, from: number, nowMs: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const { rows } = await this.all(nowMs);
    const release = rows.find(({ read }) => read.sha256 === sha256);
    if (!release) return null;
    using file = await Deno.open(`${this.folder}/${programName(release.read)}`, { read: true });
    await file.seek(from, Deno.SeekMode.Start);
    const part = new Uint8Array(
      Math.max(0, Math.min(releaseLimits.partBytesMax, release.read.bytes - from)),
    );
    let at = 0;
    while (at < part.length) {
      const read = await file.read(part.subarray(at));
      if (read === null) break;
      at += read;
    }
    return part.subarray(0, at);
  }

  /** The same, packed with gzip. */
  async packedPart(sha256: string, from: number, nowMs: number): Promise<Uint8Array | null> {
    const key = `${sha256} ${from}`, part = this.#packed.get(key);
    // What was removed is not handed out from memory.
    if (part !== undefined) {
      return (await this.all(nowMs)).rows.some(({ read }) => read.sha256 === sha256) ? part : null;
    }
    const plain = await this.part(sha256, from, nowMs);
    if (plain === null) return null;
    const packed = pack(plain, { level: packedLevel });
    if (this.#packed.size >= packedMax) this.#packed.delete(this.#packed.keys().next().value!);
    this.#packed.set(key, packed);
    packed.catch(() => this.#packed.delete(key));
    return packed;
  }

  /** Makes this key the one that releases must be signed with. */
  async trust(key: string): Promise<void> {
    await this.#makeFolder();
    await this.#put("key.pub", new TextEncoder().encode(releaseKeyFile(key)));
  }

  /** Takes a program and its `.release` in. Returns why not; null = it is there. */
  async add(
    path: string,
    nowMs: number,
  ): Promise<{ ok: true; manifest: Manifest } | { ok: false; reason: string }> {
    this.forget();
    const { key, rows } = await this.all(nowMs);
    if (key === null) {
      return { ok: false, reason: "there is no release key: picket-aggregator release trust FILE" };
    }
    const checked = await this.#check(path, `${path}.release`, key);
    if (!checked.ok) return checked;
    const { read, manifest, signature } = checked.release;
    const others = rows.filter((row) => programName(row.read) !== programName(read));
    const bytes = others.reduce((sum, row) => sum + row.read.bytes, read.bytes);
    const { programsMax, bytesMax } = releaseFolderLimits;
    if (others.length >= programsMax || bytes > bytesMax) {
      const reason =
        `there may be ${programsMax} programs with ${bytesMax} octets in all: remove an older version`;
      return { ok: false, reason };
    }
    const name = programName(read);
    await this.#sweep();
    await Deno.copyFile(path, `${this.folder}/.${name}.part`);
    await Deno.chmod(`${this.folder}/.${name}.part`, 0o600);
    await this.#settle(`.${name}.part`, name);
    // Last, as it is what says that there is a release.
    await this.#put(`${name}.release`, new TextEncoder().encode(JSON.stringify({ manifest, signature })));
    this.forget();
    return { ok: true, manifest: read };
  }

  /** Removes all programs of a version; returns how many. */
  async remove(version: string, nowMs: number): Promise<number> {
    this.forget();
    const rows = (await this.all(nowMs)).rows.filter(({ read }) => read.version === version);
    for (const { read } of rows) {
      await Deno.remove(`${this.folder}/${programName(read)}.release`);
      await Deno.remove(`${this.folder}/${programName(read)}`);
    }
    this.forget();
    return rows.length;
  }

  /** Makes the next look read the folder. */
  forget(): void {
    this.#readMs = -Infinity;
  }

  async #read(nowMs: number): Promise<void> {
    const found: Releases = { key: null, rows: [], problems: [] };
    const names: string[] = [];
    try {
      found.key = await this.#key();
      for await (const { name } of Deno.readDir(this.folder)) {
        if (/^picket-sensor-.*\.release$/.test(name)) names.push(name);
        if (names.length <= filesMax) continue;
        found.problems.push({ file: names.pop()!, reason: `there are more than ${filesMax} releases` });
        break;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        found.problems.push({ file: this.folder, reason: (error as Error).message });
      }
    }
    for (const name of names.sort()) {
      if (found.key === null) break;
      const program = name.slice(0, -".release".length);
      const checked = await this.#check(`${this.folder}/${program}`, `${this.folder}/${name}`, found.key);
      if (!checked.ok) found.problems.push({ file: program, reason: checked.reason });
      else if (program === programName(checked.release.read)) found.rows.push(checked.release);
      else found.problems.push({ file: program, reason: "its manifest is of another program" });
    }
    const paths = new Set(names.map((name) => `${this.folder}/${name.slice(0, -".release".length)}`));
    for (const path of this.#measured.keys()) if (!paths.has(path)) this.#measured.delete(path);
    this.#found = found;
    this.#readMs = nowMs;
  }

  /** @throws when it cannot be read, or is none */
  async #key(): Promise<string> {
    const key = readReleaseKeyFile(await Deno.readTextFile(`${this.folder}/key.pub`));
    if (key === null) throw new Error("key.pub holds no release key");
    return key;
  }

  async #check(
    program: string,
    manifest: string,
    key: string,
  ): Promise<{ ok: true; release: Release } | { ok: false; reason: string }> {
    try {
      const info = await Deno.stat(manifest);
      if (info.size > manifestBytesMax) return { ok: false, reason: "its manifest is too long" };
      const signed: unknown = JSON.parse(await Deno.readTextFile(manifest));
      const checked = readRelease(signed, key);
      if (!checked.ok || !isSignedRelease(signed)) {
        const reason = checked.ok || checked.problem === "malformed"
          ? "its manifest cannot be read"
          : "its signature is not of the release key";
        return { ok: false, reason };
      }
      const { manifest: read } = checked;
      const found = await this.#measure(program);
      if (found.bytes !== read.bytes || found.sha256 !== read.sha256) {
        return { ok: false, reason: "it is not the program that was signed" };
      }
      if (found.target !== read.target) return { ok: false, reason: `it is no program for ${read.target}` };
      return { ok: true, release: { manifest: signed.manifest, signature: signed.signature, read } };
    } catch (error) {
      return {
        ok: false,
        reason: error instanceof SyntaxError ? "its manifest cannot be read" : (error as Error).message,
      };
    }
  }

  async #measure(path: string): Promise<Measured> {
    const { size, mtime } = await Deno.stat(path);
    const known = this.#measured.get(path), changedMs = mtime?.getTime() ?? 0;
    if (known?.bytes === size && known.changedMs === changedMs) return known;
    const measured = { ...await measureProgram(path), changedMs };
    this.#measured.set(path, measured);
    return measured;
  }

  /** Removes what an addition left that was stopped. */
  async #sweep(): Promise<void> {
    for await (const { name } of Deno.readDir(this.folder)) {
      if (/^\.picket-sensor-.*\.part$/.test(name)) await Deno.remove(`${this.folder}/${name}`);
    }
  }

  async #makeFolder(): Promise<void> {
    await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.#give(this.folder);
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    await Deno.writeFile(`${this.folder}/.${name}.part`, bytes, { mode: 0o600 });
    await this.#settle(`.${name}.part`, name);
  }

  async #settle(part: string, name: string): Promise<void> {
    using file = await Deno.open(`${this.folder}/${part}`, { read: true });
    await file.sync();
    await this.#give(`${this.folder}/${part}`);
    await Deno.rename(`${this.folder}/${part}`, `${this.folder}/${name}`);
  }

  /** What root's command leaves in a service's folder is the service's, which could not read it else. */
  async #give(path: string): Promise<void> {
    if (Deno.uid() !== 0) return;
    const { uid, gid } = await Deno.stat(path.slice(0, path.lastIndexOf("/")));
    if (uid !== null && gid !== null) await Deno.chown(path, uid, gid);
  }
}

interface Measured {
  bytes: number;
  sha256: string;
  target: Manifest["target"] | null;
  changedMs: number;
}

/** Size, digest and machine of a file. */
export async function measureProgram(path: string): Promise<Omit<Measured, "changedMs">> {
  using file = await Deno.open(path, { read: true });
  const hash = createHash("sha256"), piece = new Uint8Array(pieceBytes);
  let bytes = 0, target: Measured["target"] = null;
  for (let read = await file.read(piece); read !== null; read = await file.read(piece)) {
    if (bytes === 0) target = targetOfProgram(piece.subarray(0, read));
    hash.update(piece.subarray(0, read));
    bytes += read;
  }
  return { bytes, sha256: hash.digest("hex"), target };
}

export function programName(
  { program, version, target }: Pick<Manifest, "program" | "version" | "target">,
): string {
  return `${program}-${version}-${target}`;
}
