/** Slots: where the programs of upgrades lie, and which of them is started next.
 *
 * In: octets of a download. Out: a program that deploy/start-sensor.sh will try at the next start.
 * Files, in `slots/` of the state folder: `part-SHA256` (a download), `a/picket-sensor` and `b/picket-sensor`, links to
 * `a` or `b`: `active`, `next`, `tried`; `deadline`, the seconds of a trial; `ended`, how a trial ended.
 * Invariant: the program in force is never written to, and a link changes in one step: a power cut leaves the old
 * program or the new one. What is on trial becomes `active` here alone.
 * Why files of their own and not disk.ts: what is here is executable, and made of links. @module */

import { createHash } from "node:crypto";
import { statfs } from "node:fs/promises";

export type Slot = "a" | "b";

/** What a file is, whatever it was said to be. */
export interface Measured {
  bytes: number;
  sha256: string;
  /** The first octets. */
  head: Uint8Array;
}

export interface Slots {
  /** Octets there are of a download; those of any other are removed. */
  received(sha256: string): Promise<number>;
  /** Adds to a download; what is there of it has `at` octets. */
  append(sha256: string, at: number, bytes: Uint8Array): Promise<void>;
  measure(sha256: string): Promise<Measured>;
  drop(sha256: string): Promise<void>;
  freeBytes(): Promise<number>;
  /** Puts a whole download into the free slot, to be tried at the next start. */
  stage(sha256: string, deadlineS: number): Promise<void>;
  /** Slot on trial; null = none. */
  tried(): Promise<Slot | null>;
  /** How the last trial ended, as systemd has it; "" = it did not say. */
  ended(): Promise<string>;
  /** What is on trial is in force from now on. */
  pass(): Promise<void>;
  /** What was on trial is not tried again. */
  forget(): Promise<void>;
  /** What is on trial gets another start. */
  putBack(): Promise<void>;
}

const programName = "picket-sensor";
const headBytes = 64;
const pieceBytes = 1024 * 1024;
const wordsMax = 200;

export function folderSlots(folder: string): Slots {
  const part = (sha256: string) => `${folder}/part-${sha256}`;
  const link = (name: string) => `${folder}/${name}`;
  return {
    received: (sha256) => received(folder, `part-${sha256}`),
    append: (sha256, at, bytes) => append(part(sha256), at, bytes),
    measure: (sha256) => measure(part(sha256)),
    drop: (sha256) => remove(part(sha256)),
    async freeBytes() {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
    async stage(sha256, deadlineS) {
      const slot = await slotOf(link("active")) === "a" ? "b" : "a";
      await Deno.mkdir(`${folder}/${slot}`, { recursive: true, mode: 0o700 });
      await Deno.chmod(part(sha256), 0o700);
      await sync(part(sha256));
      await Deno.rename(part(sha256), `${folder}/${slot}/${programName}`);
      await sync(`${folder}/${slot}`);
      await Deno.writeTextFile(link("deadline"), `${Math.ceil(deadlineS)}\n`);
      await remove(link("tried"));
      await remove(link(".next"));
      await Deno.symlink(slot, link(".next"));
      await move(folder, ".next", "next");
    },
    tried: () => slotOf(link("tried")),
    async ended() {
      const text = await Deno.readTextFile(link("ended")).catch(() => "");
      // deno-lint-ignore no-control-regex -- what is no word is taken out.
      return text.replace(/[\u0000-\u001f]+/g, " ").trim().slice(0, wordsMax);
    },
    pass: () => move(folder, "tried", "active"),
    async forget() {
      await remove(link("tried"));
      await sync(folder);
    },
    putBack: () => move(folder, "tried", "next"),
  };
}

async function received(folder: string, name: string): Promise<number> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  let bytes = 0;
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.name.startsWith("part-")) continue;
    const info = await Deno.lstat(`${folder}/${entry.name}`);
    if (entry.name === name && info.isFile) bytes = info.size;
    else await Deno.remove(`${folder}/${entry.name}`, { recursive: true });
  }
  return bytes;
}

async function append(path: string, at: number, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
  await file.seek(at, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

async function measure(path: string): Promise<Measured> {
  using file = await Deno.open(path, { read: true });
  const hash = createHash("sha256"), piece = new Uint8Array(pieceBytes);
  let bytes = 0, head = new Uint8Array();
  for (let read = await file.read(piece); read !== null; read = await file.read(piece)) {
    if (bytes === 0) head = piece.slice(0, Math.min(read, headBytes));
    hash.update(piece.subarray(0, read));
    bytes += read;
  }
  return { bytes, sha256: hash.digest("hex"), head };
}

async function slotOf(path: string): Promise<Slot | null> {
  const to = await Deno.readLink(path).catch(() => null);
  return to === "a" || to === "b" ? to : null;
}

async function move(folder: string, from: string, to: string): Promise<void> {
  await Deno.rename(`${folder}/${from}`, `${folder}/${to}`);
  await sync(folder);
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function sync(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}
