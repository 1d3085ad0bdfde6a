/** What tshark says of itself, kept between starts: asking takes longer than anything else a start does.
 *
 * In: a folder, and which tshark it is (program_identity.ts). Out: its profile as it was read last, or null: ask it.
 *
 * | `tshark.json` | |
 * | --- | --- |
 * | line 1 | `picket-tshark-profile-1`, a space, SHA-256 of the rest in hex |
 * | rest | one JSON object: `key`, and the profile |
 *
 * Invariant: the allow-list of dissectors rests on this file, so nothing is taken from a folder or file that anybody
 * but us and root owns or may write;
 * nor from one that is cut, damaged, or about another tshark or another allow-list. It is replaced, never changed.
 * Why no sync: after a power cut the digest tells whether it is whole. Why one file for all: a machine has one tshark.
 * Why not the child's own folder: it reads that for hours, and a cache may be emptied at any time. @module */

import { createHash } from "node:crypto";
import { exactly, listOf, orNull, text as textOf } from "../../../shared/shape.ts";
import { allowedProtocols } from "./profile.ts";
import { slotFields } from "../columns/slots.ts";

const formatName = "picket-tshark-profile-1";
const fileName = "tshark.json";
const fileBytesMax = 1_000_000;
/** A part this much older than ours is of a start that was killed. */
const partAgeMsMax = 60_000;
const othersMayWrite = 0o022;

export interface TsharkProfile {
  version: string;
  /** Text of `disabled_protos`. */
  disabled: string;
  /** Those of `slotFields` that it has; null = all. */
  fields: string[] | null;
}

/** `key`: digest of the program's identity and of what it was asked. */
const isKeptProfile = exactly<TsharkProfile & { key: string }>({
  key: textOf(/^.{64}$/),
  version: textOf(/^\d+\.\d+\.\d+$/),
  disabled: textOf(/^(?:[\w.-]+\n)+$/),
  fields: orNull(listOf(textOf(), slotFields.length)),
});

export class ProfileCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The profile of this tshark; null = none that can be used. */
  async read(identity: string): Promise<TsharkProfile | null> {
    try {
      if (!isOurs(await Deno.stat(this.#folder))) return null;
      const text = await readOurs(`${this.#folder}/${fileName}`);
      const end = text.indexOf("\n") + 1;
      if (text.slice(0, end) !== firstLine(text.slice(end))) return null;
      const kept: unknown = JSON.parse(text.slice(end));
      if (!isKeptProfile(kept)) return null;
      const { key, ...profile } = kept;
      return key === keyOf(identity) ? profile : null;
    } catch {
      // Absent, not readable, or of another shape: all the same to whoever can ask.
      return null;
    }
  }

  /** Keeps the profile for the next start. False when that is not possible, or not safe. */
  async write(identity: string, profile: TsharkProfile): Promise<boolean> {
    try {
      const kept = { key: keyOf(identity), ...profile };
      if (!isKeptProfile(kept)) return false;
      const rest = JSON.stringify(kept);
      await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
      if (!isOurs(await Deno.stat(this.#folder))) return false;
      // A name of its own: another sensor may be starting too.
      const part = await Deno.makeTempFile({ dir: this.#folder, prefix: "tshark-", suffix: ".part" });
      try {
        await Deno.writeTextFile(part, firstLine(rest) + rest);
        await this.#removeOldParts(part);
        await Deno.rename(part, `${this.#folder}/${fileName}`);
        return true;
      } catch (error) {
        await Deno.remove(part);
        throw error;
      }
    } catch {
      // Read-only, full, or somebody else's: the next start asks again.
      return false;
    }
  }

  async #removeOldParts(ours: string): Promise<void> {
    const changedMs = async (path: string) => (await Deno.stat(path)).mtime?.getTime() ?? 0;
    const nowMs = await changedMs(ours);
    for await (const { name } of Deno.readDir(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      if (!name.endsWith(".part") || path === ours) continue;
      // One that is gone by now was renamed by the sensor that wrote it.
      if (nowMs - await changedMs(path).catch(() => nowMs) > partAgeMsMax) await Deno.remove(path);
    }
  }
}

/** Only we and root can have written it. */
function isOurs({ uid, mode }: Deno.FileInfo): boolean {
  return (uid === 0 || uid === Deno.uid()) && ((mode ?? othersMayWrite) & othersMayWrite) === 0;
}

/** Text of a file that is ours. @throws {TypeError} when it is not, or is no such file at all. */
async function readOurs(path: string): Promise<string> {
  // Before opening it: a pipe would wait for a writer.
  if (!(await Deno.lstat(path)).isFile) throw new TypeError(`Cannot use ${path} as it is not a file`);
  using file = await Deno.open(path);
  const info = await file.stat();
  if (!isOurs(info)) throw new TypeError(`Cannot use ${path} as others may have written it`);
  if (info.size > fileBytesMax) {
    throw new TypeError(`Cannot use ${path} as it must be <= ${fileBytesMax} octets`);
  }
  const bytes = new Uint8Array(info.size);
  for (let filled = 0; filled < bytes.length;) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return new TextDecoder().decode(bytes);
}

function firstLine(rest: string): string {
  return `${formatName} ${createHash("sha256").update(rest).digest("hex")}\n`;
}

/** What is asked is part of the key: a Picket with another allow-list or other fields must ask again. */
function keyOf(identity: string): string {
  const asked = JSON.stringify([identity, [...allowedProtocols], slotFields]);
  return createHash("sha256").update(asked).digest("hex");
}
