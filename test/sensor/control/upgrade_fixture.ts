/** What the tests of upgrades share: a release key, programs that are small real ones, releases of them. @module */

import { keysFromSeed, sha256Hex } from "../../../shared/batch.ts";
import {
  type Manifest,
  releaseKeyText,
  releaseLimits,
  signRelease,
  type Target,
  targets,
  type UpgradeOffer,
  usualFits,
} from "../../../shared/release.ts";

export const releaseKeys = keysFromSeed(new Uint8Array(32).fill(9));
export const releaseKey = releaseKeyText(releaseKeys.publicKey);
export const here: Target = "x86_64-unknown-linux-gnu";

/** An ELF file of `bytes` octets that runs on x86-64: it exits with a status, or, with null, waits for ever. */
export function tinyProgram(
  exits: number | null,
  bytes = 4_096,
  target: Target = here,
): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(bytes), view = new DataView(file.buffer);
  const base = 0x400000, codeAt = 0x78;
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, targets[target], true);
  view.setUint32(20, 1, true);
  view.setUint32(24, base + codeAt, true);
  view.setUint32(32, 0x40, true); // The one program header.
  view.setUint16(52, 0x40, true);
  view.setUint16(54, 0x38, true);
  view.setUint16(56, 1, true);
  view.setUint32(0x40, 1, true); // PT_LOAD
  view.setUint32(0x44, 5, true); // Read and execute.
  view.setUint32(0x50, base, true);
  view.setUint32(0x58, base, true);
  view.setUint32(0x60, bytes, true);
  view.setUint32(0x68, bytes, true);
  view.setUint32(0x70, 0x1000, true);
  // mov edi, status; mov eax, 60; syscall: exit. mov eax, 34; syscall; jmp back: pause, again and again.
  const code = exits === null
    ? [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]
    : [0xbf, exits, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
  file.set(code, codeAt);
  return file;
}

export interface Release {
  program: Uint8Array;
  manifest: Manifest;
  offer: UpgradeOffer;
}

/** A release of `program`; `change` makes its manifest say something else. */
export function releaseOf(
  program: Uint8Array,
  change: Partial<Manifest> = {},
  offer: Partial<UpgradeOffer> = {},
): Release {
  const version = change.version ?? "1.1.0";
  const manifest: Manifest = {
    program: "picket-sensor",
    version,
    target: here,
    sha256: sha256Hex(program),
    bytes: program.length,
    fits: usualFits(version),
    ...change,
  };
  const signed = signRelease(manifest, releaseKeys.privateKey);
  return { program, manifest, offer: { ...signed, offer: "1.1", allow_older: false, ...offer } };
}

/** A part as the aggregator answers it. */
export function partOf(program: Uint8Array, from: number): Uint8Array {
  return program.slice(from, from + releaseLimits.partBytesMax);
}
