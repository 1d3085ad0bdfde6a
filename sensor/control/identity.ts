/** Who a sensor is: its Ed25519 key, what the aggregator made of it, and the number of this start.
 *
 * In: the state folder. Out: a signer for batches and check-ins, the enrolment, the epoch.
 * Files: `identity.json` (0600; the seed of the key, the enrolment or null, and whose batches are to be carried over),
 * `identity-next.json` (the same of a new key until it is enrolled: the old one is in force meanwhile),
 * `epoch` (a number).
 * Invariant: the key exists on disk before it is ever shown to an aggregator, so that a lost answer can be asked for
 * again with the same token; the epoch of a run is above all before it: those known here, and the clock in ms, so that
 * it rises even where the file is an old one, as after a backup was restored.
 * It is durable before the first batch is sealed, if the disk allows.
 * The seed leaves this file only as a signature. @module */

import type { KeyObject } from "node:crypto";
import { keyId, keysFromSeed } from "../../shared/batch.ts";
import type { EnrolResponse } from "../../shared/control.ts";
import { integer, object, orNull, text } from "../../shared/shape.ts";
import { type Disk, OddFileError, replaceFile } from "../disk.ts";
import { enrolChecks } from "./answers.ts";

export interface Enrolment extends EnrolResponse {
  /** Address under which the aggregator answered. */
  aggregator: string;
  /** Certificate authority (PEM) to trust for it, besides the system's; null = none. */
  aggregator_ca: string | null;
}

const current = "identity.json";
const next = "identity-next.json";

/** The file that holds the key. */
export function identityPath(folder: string): string {
  return `${folder}/${current}`;
}

/** The identity there was before, whose batches still wait in the spool. */
export interface Carry {
  sensor: string;
  /** Raw, base64. */
  public_key: string;
  /** Above all epochs of that one: in which they are sealed anew. */
  epoch: number;
}

interface IdentityFile {
  version: number;
  /** 32 octets, base64. */
  seed: string;
  enrolment: Enrolment | null;
  carry: Carry | null;
}

const isIdentityFile = object<IdentityFile>({
  version: integer(1, 1),
  seed: text(/^.{44}$/),
  enrolment: orNull(object<Enrolment>({ ...enrolChecks, aggregator: text(), aggregator_ca: orNull(text()) })),
  carry: orNull(object<Carry>({ sensor: text(), public_key: text(/^.{44}$/), epoch: integer(1) })),
});

export interface Identity {
  privateKey: KeyObject;
  /** Raw, 32 octets. */
  publicKey: Uint8Array;
  /** Key id, as in every batch header. */
  key: string;
  enrolment: Enrolment | null;
  carry: Carry | null;
}

/** Cannot be used as it is; the message says what to do. */
export class IdentityError extends Error {
  override name = "IdentityError";
}

/** Reads the identity of a state folder; null when there is none yet. @throws {IdentityError} */
export async function loadIdentity(disk: Disk, folder: string): Promise<Identity | null> {
  const file = await readIdentityFile(disk, folder, current);
  return file && identityOf(file);
}

/** Makes a key from 32 random octets and writes it, not enrolled yet. */
export async function createIdentity(disk: Disk, folder: string, seed: Uint8Array): Promise<Identity> {
  await openStateFolder(disk, folder);
  const file = { version: 1, seed: base64(seed), enrolment: null, carry: null };
  await writeIdentity(disk, folder, current, file);
  return identityOf(file);
}

/** The key that is to take the other one's place, made of 32 random octets unless an earlier try has made it. */
export async function nextIdentity(disk: Disk, folder: string, seed: Uint8Array): Promise<Identity> {
  const made = await readIdentityFile(disk, folder, next).catch(() => null);
  const file = made ?? { version: 1, seed: base64(seed), enrolment: null, carry: null };
  if (made === null) await writeIdentity(disk, folder, next, file);
  return identityOf(file);
}

/** Writes what the aggregator answered beside the key, and whose batches are to be carried over. With `isNext` the next
 * key is in force from then on. */
export async function saveEnrolment(
  disk: Disk,
  folder: string,
  enrolment: Enrolment,
  { carry = null, isNext = false }: { carry?: Carry | null; isNext?: boolean } = {},
): Promise<void> {
  const file = await readIdentityFile(disk, folder, isNext ? next : current);
  if (file === null) throw new IdentityError(`Cannot keep the enrolment as "${folder}" holds no identity`);
  await writeIdentity(disk, folder, current, { ...file, enrolment, carry });
  if (isNext) await disk.remove(`${folder}/${next}`); // Last: until then the same command does the same again.
}

/** Raises the epoch of a state folder above what it was, above `floor`, and at least to the clock in milliseconds;
 * makes it durable. `problem` says why nobody can be sure of that: the file cannot be read or written, or is damaged.
 * The sensor starts nevertheless. Then the clock may have been set back to where it was at an earlier such start, so a
 * random part keeps the two apart; and the aggregator is asked, see session.ts. */
export async function raiseEpoch(
  disk: Disk,
  folder: string,
  { nowMs, random, floor = 0 }: { nowMs: number; random: () => number; floor?: number },
): Promise<{ epoch: number; problem: string | null }> {
  let last = 0, problem: string | null = null;
  try {
    const text = new TextDecoder().decode(await disk.read(`${folder}/epoch`, epochBytesMax)).trim();
    if (/^[0-9]{1,15}$/.test(text)) last = Number(text);
    else problem = `"${folder}/epoch" is damaged`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) problem = (error as Error).message;
  }
  const least = Math.max(last + 1, floor + 1, Math.floor(nowMs));
  const keep = (epoch: number) =>
    replaceFile(disk, folder, "epoch", new TextEncoder().encode(`${epoch}\n`))
      .then(() => null, (error) => (error as Error).message);
  if (problem === null) problem = await keep(least);
  if (problem === null) return { epoch: least, problem };
  const epoch = least + Math.floor(random() * apartMax);
  // A write that failed may have changed the file.
  return { epoch, problem: await keep(epoch) ?? problem };
}

/** Makes the state folder, for its owner only. @throws {IdentityError} when that is not possible. */
export async function openStateFolder(disk: Disk, folder: string): Promise<void> {
  try {
    await disk.makeFolder(folder);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new IdentityError(
      `Cannot use state folder "${folder}": ${why}; name another one with --state`,
      { cause },
    );
  }
}

function identityOf({ seed, enrolment, carry }: IdentityFile): Identity {
  const { privateKey, publicKey } = keysFromSeed(Uint8Array.from(atob(seed), (c) => c.charCodeAt(0)));
  return { privateKey, publicKey, key: keyId(publicKey), enrolment, carry };
}

async function writeIdentity(disk: Disk, folder: string, name: string, file: IdentityFile): Promise<void> {
  await replaceFile(disk, folder, name, new TextEncoder().encode(JSON.stringify(file, null, 2) + "\n"));
}

/** @throws {IdentityError} when it is there and cannot be used. */
async function readIdentityFile(disk: Disk, folder: string, name: string): Promise<IdentityFile | null> {
  const path = `${folder}/${name}`;
  const text = await readIfThere(disk, path);
  if (text === null) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON: falls through to the same message as JSON of another shape, and never quotes what may hold the seed.
  }
  if (isIdentityFile(parsed)) return parsed;
  throw new IdentityError(
    `Cannot read identity as "${path}" is damaged: restore it from a backup, or delete it and enrol again`,
  );
}

const epochBytesMax = 64;
/** Milliseconds that an epoch nobody can be sure of may run ahead of the clock: below the time between two starts. */
const apartMax = 10_000;
const identityBytesMax = 1024 * 1024;

async function readIfThere(disk: Disk, path: string): Promise<string | null> {
  try {
    return new TextDecoder().decode(await disk.read(path, identityBytesMax));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    if (cause instanceof OddFileError) {
      throw new IdentityError(
        `Cannot read identity as ${cause.message}: restore it from a backup, or delete it and enrol again`,
        { cause },
      );
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new IdentityError(
      `Cannot read "${path}": ${why}; run as the user the sensor was enrolled as, or name the state folder with --state`,
      { cause },
    );
  }
}

export function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
