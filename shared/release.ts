/** Releases: what a program must be before it takes the place of a running sensor.
 *
 * In: a manifest as text, its signature, a public key. Out: the manifest, or why it is not one.
 * Invariant: the signature covers the text as it is, so that nothing is read before it has been checked, and both sides
 * check the same octets. The release key signs releases and nothing else.
 * Versions: `MAJOR.MINOR.PATCH`, with `+REVISION` for another build of the same. A release fits a range of minor
 * versions: those whose spool, identity and batches it reads, and that read its own. @module */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { keyId, publicKeyFromRaw, signText, verifyText } from "./batch.ts";
import { integer, object, text } from "./shape.ts";

export const releaseLimits = {
  /** Octets of one program. */
  programBytesMax: 512 * 1024 * 1024,
  manifestCharactersMax: 2_000,
  /** Octets of one part of a download. */
  partBytesMax: 1024 * 1024,
} as const;

/** Machines that programs are built for, with their number in the header of an ELF file. */
export const targets = {
  "x86_64-unknown-linux-gnu": 62,
  "aarch64-unknown-linux-gnu": 183,
} as const;
export type Target = keyof typeof targets;

export interface Manifest {
  program: "picket-sensor";
  version: string;
  target: Target;
  /** Of the program, hex. */
  sha256: string;
  bytes: number;
  /** Minor versions, `MAJOR.MINOR`, both included. */
  fits: { min: string; max: string };
}

/** As it lies beside a program, and as it travels. */
export interface SignedRelease {
  /** JSON of a {@link Manifest}. */
  manifest: string;
  /** Ed25519 over {@link releaseMessage}, base64. */
  signature: string;
}

/** What an aggregator offers a sensor. */
export interface UpgradeOffer extends SignedRelease {
  /** Rollout and attempt, `7.1`: one that failed is not tried again under the same. */
  offer: string;
  /** The version may be older than the one that runs. */
  allow_older: boolean;
}

export const releaseProblems = ["malformed", "signature"] as const;
export type ReleaseCheck = { ok: true; manifest: Manifest } | {
  ok: false;
  problem: typeof releaseProblems[number];
};

const keyWord = "picket-release-key";
const versionForm = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:\+(\d{1,9}))?$/;
const minorForm = /^\d{1,6}\.\d{1,6}$/;

const isManifest = object<Manifest>({
  program: (value): value is "picket-sensor" => value === "picket-sensor",
  version: text(versionForm),
  target: (value): value is Target => typeof value === "string" && Object.hasOwn(targets, value),
  sha256: text(/^[0-9a-f]{64}$/),
  bytes: integer(1, releaseLimits.programBytesMax),
  fits: object({ min: text(minorForm), max: text(minorForm) }),
});

export const isSignedRelease = object<SignedRelease>({
  manifest: (value): value is string =>
    typeof value === "string" && value.length <= releaseLimits.manifestCharactersMax,
  signature: text(/^[A-Za-z0-9+/]{86}==$/),
});

export const isUpgradeOffer = object<UpgradeOffer>({
  manifest: text(),
  signature: text(),
  offer: text(/^[0-9]{1,15}\.[0-9]{1,9}$/),
  allow_older: (value): value is boolean => typeof value === "boolean",
});

/** Text that the release key signs. */
function releaseMessage(manifest: string): string {
  return `picket.release.v1\n${manifest}`;
}

/** Signs a manifest.
 *
 * @example From the machine that builds to a sensor, and a manifest that was changed on the way.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { keysFromSeed } from "./batch.ts";
 * import { readRelease, releaseKeyText, signRelease } from "./release.ts";
 *
 * const { privateKey, publicKey } = keysFromSeed(new Uint8Array(32).fill(7));
 * const manifest = {
 *   program: "picket-sensor",
 *   version: "1.1.0",
 *   target: "aarch64-unknown-linux-gnu",
 *   sha256: "0".repeat(64),
 *   bytes: 1_000,
 *   fits: { min: "1.0", max: "1.2" },
 * } as const;
 * const release = signRelease(manifest, privateKey);
 * assertEquals(readRelease(release, releaseKeyText(publicKey)), { ok: true, manifest });
 * const changed = { ...release, manifest: release.manifest.replace("1.1.0", "9.9.9") };
 * assertEquals(readRelease(changed, releaseKeyText(publicKey)), { ok: false, problem: "signature" });
 * ``` */
export function signRelease(manifest: Manifest, privateKey: KeyObject): SignedRelease {
  const words = JSON.stringify(manifest);
  return { manifest: words, signature: signText(releaseMessage(words), privateKey) };
}

/** `key` as {@link releaseKeyText} makes it. */
export function readRelease(given: unknown, key: string): ReleaseCheck {
  const raw = releaseKeyOf(key);
  if (!isSignedRelease(given) || raw === null) return { ok: false, problem: "malformed" };
  if (!verifyText(releaseMessage(given.manifest), given.signature, publicKeyFromRaw(raw))) {
    return { ok: false, problem: "signature" };
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(given.manifest);
  } catch {
    return { ok: false, problem: "malformed" };
  }
  if (!isManifest(parsed) || compareMinors(parsed.fits.min, parsed.fits.max) > 0) {
    return { ok: false, problem: "malformed" };
  }
  return { ok: true, manifest: parsed };
}

/** A public release key in one word: raw octets, base64. */
export function releaseKeyText(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString("base64");
}

/** Null = it is not one. */
function releaseKeyOf(key: string): Uint8Array | null {
  const raw = Buffer.from(key, "base64");
  return raw.length === 32 && raw.toString("base64") === key ? new Uint8Array(raw) : null;
}

export function isReleaseKey(key: unknown): key is string {
  return typeof key === "string" && releaseKeyOf(key) !== null;
}

/** A file of the public key: one line that says what it is. */
export function releaseKeyFile(key: string): string {
  return `${keyWord} ${key}\n`;
}

/** The public key of such a file; null = it is none. */
export function readReleaseKeyFile(content: string): string | null {
  const [word, key, ...rest] = content.trim().split(" ");
  return word === keyWord && rest.length === 0 && isReleaseKey(key) ? key : null;
}

/** What people compare: 16 hex digits. @throws {TypeError} when it is none. */
export function releaseKeyId(key: string): string {
  const raw = releaseKeyOf(key);
  if (raw === null) throw new TypeError("Cannot name a release key as it must be 32 octets in base64");
  return keyId(raw);
}

export function isVersion(given: string): boolean {
  return versionForm.test(given);
}

/** Below 0 = `a` is older than `b`. Both must be versions. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((one) => versionForm.exec(one)?.slice(1).map((part) => Number(part ?? 0)));
  if (!left || !right) {
    throw new TypeError(
      `Cannot compare versions as both must be like 1.2.3 or 1.2.3+4: current values are "${a}" and "${b}"`,
    );
  }
  const at = left.findIndex((part, index) => part !== right[index]);
  return at < 0 ? 0 : left[at] - right[at];
}

/** The same of their minor versions alone. */
export function compareMinorsOf(a: string, b: string): number {
  return compareMinors(minorOf(a), minorOf(b));
}

/** Whether a program of `version` and a release that fits `fits` read what the other one left. */
export function doesFit({ min, max }: Manifest["fits"], version: string): boolean {
  const minor = minorOf(version);
  return compareMinors(minor, min) >= 0 && compareMinors(minor, max) <= 0;
}

/** Unless it is said otherwise: one minor version down, one up. */
export function usualFits(version: string): Manifest["fits"] {
  const [major, minor] = minorOf(version).split(".").map(Number);
  return { min: `${major}.${Math.max(0, minor - 1)}`, max: `${major}.${minor + 1}` };
}

export function isMinor(given: string): boolean {
  return minorForm.test(given);
}

function minorOf(version: string): string {
  return version.split(".", 2).join(".");
}

function compareMinors(a: string, b: string): number {
  return compareVersions(`${a}.0`, `${b}.0`);
}

/** The machine that an ELF file is for, by its first 20 octets; null = it is none that we know. */
export function targetOfProgram(head: Uint8Array): Target | null {
  const isElf = head.length >= 20 && head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c &&
    head[3] === 0x46;
  // 64 bits, little end first.
  if (!isElf || head[4] !== 2 || head[5] !== 1) return null;
  const machine = head[18] | head[19] << 8;
  const found = Object.entries(targets).find(([, number]) => number === machine);
  return found ? found[0] as Target : null;
}

/** Text that a sensor signs for a part of a program: header `picket-signature` = base64(Ed25519(this)). */
export function partMessage(sensorId: string, sha256: string, from: number): string {
  return `picket.release-part.v1\n${sensorId}\n${sha256}\n${from}`;
}
