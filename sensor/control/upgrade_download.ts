/** Downloads the program of a release, part by part, and checks that it is what the manifest says.
 *
 * In: a manifest whose signature was checked, a way to ask for parts. Out: null once all of it is on the disk and
 * right; else why not.
 * Invariant: the disk keeps room for the spool: a program for which there is not enough is not begun. What was received
 * stays over a restart or a lost connection, and the rest is asked for. No part is larger than
 * {@link releaseLimits.partBytesMax}; no more than `triesMax` in a row fail, and an aggregator that is busy with others
 * is asked again `waitsMax` times in all; nothing that is not right stays.
 * Rate: after each part it waits, so that no more than `bytesPerS` go over the line in the mean. @module */

import type { Clock } from "../../shared/clock.ts";
import { type Manifest, releaseLimits, targetOfProgram } from "../../shared/release.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { isDiskFull } from "../disk.ts";
import type { Slots } from "./slots.ts";

export type Part = { ok: true; bytes: Uint8Array } | {
  ok: false;
  problem: string;
  /** Asking again is of no use. */
  isFinal: boolean;
  /** The aggregator is busy, and says when to come again. */
  retryAfterMs: number | null;
};

export interface DownloadDeps {
  slots: Slots;
  fetchPart: (sha256: string, from: number, signal: AbortSignal) => Promise<Part>;
  /** Octets a second. */
  bytesPerS: () => number;
  clock: Clock;
  reporter: Reporter;
  /** Called with the octets there are. */
  onProgress: (bytes: number) => void;
}

/** Left free for the spool and for what else lives on the disk. */
const freeBytesMin = 64 * 1024 * 1024;
const triesMax = 20;
const waitsMax = 5_000;
const retryMsFirst = 5_000;
const retryMsMax = 60_000;

/** Null = it is there and right; "" = it was aborted. */
export async function download(
  manifest: Manifest,
  deps: DownloadDeps,
  signal: AbortSignal,
): Promise<string | null> {
  const { slots } = deps;
  try {
    return await fetchAll(manifest, deps, signal) ?? (signal.aborted ? "" : await check(manifest, slots));
  } catch (error) {
    if (isDiskFull(error)) {
      await slots.drop(manifest.sha256).catch(() => undefined);
      return "the disk is full";
    }
    return `the disk does not take it: ${(error as Error).message}`;
  }
}

async function fetchAll(
  { sha256, bytes }: Manifest,
  { slots, fetchPart, bytesPerS, clock, reporter, onProgress }: DownloadDeps,
  signal: AbortSignal,
): Promise<string | null> {
  let at = await slots.received(sha256);
  if (at > bytes) {
    await slots.drop(sha256);
    at = 0;
  }
  const free = await slots.freeBytes(), needed = bytes - at + freeBytesMin;
  if (free < needed) {
    return `the disk has ${megabytes(free)} MB free, and it needs ${megabytes(needed)} MB`;
  }
  let failures = 0, waits = 0;
  while (at < bytes) {
    onProgress(at);
    const sinceMs = clock.monotonicMs();
    const part = await fetchPart(sha256, at, signal);
    if (signal.aborted) return "";
    if (
      part.ok && part.bytes.length > 0 &&
      part.bytes.length <= Math.min(bytes - at, releaseLimits.partBytesMax)
    ) {
      await slots.append(sha256, at, part.bytes);
      at += part.bytes.length;
      failures = 0;
      reporter.count("upgrade_bytes_total", {}, part.bytes.length);
      const dueMs = part.bytes.length / bytesPerS() * 1_000;
      await clock.sleep(Math.max(0, dueMs - (clock.monotonicMs() - sinceMs)), signal);
      continue;
    }
    const problem = part.ok ? `a part of ${part.bytes.length} octets came` : part.problem;
    if (!part.ok && part.isFinal) return `it cannot be downloaded: ${problem}`;
    const askedMs = part.ok ? null : part.retryAfterMs;
    if (askedMs === null ? ++failures >= triesMax : ++waits >= waitsMax) {
      return `${askedMs === null ? triesMax : waitsMax} tries to download it failed: ${problem}`;
    }
    if (askedMs === null) reporter.count("upgrade_part_errors_total");
    await clock.sleep(askedMs ?? Math.min(retryMsMax, retryMsFirst * 2 ** (failures - 1)), signal);
    if (signal.aborted) return "";
  }
  onProgress(at);
  return null;
}

async function check({ sha256, bytes, target }: Manifest, slots: Slots): Promise<string | null> {
  const found = await slots.measure(sha256);
  const problem = found.bytes !== bytes
    ? `${found.bytes} octets came where the release has ${bytes}`
    : found.sha256 !== sha256
    ? `its SHA-256 is ${found.sha256} where the release has ${sha256}`
    : targetOfProgram(found.head) !== target
    ? `it is no program for ${target}`
    : null;
  if (problem !== null) await slots.drop(sha256);
  return problem;
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1e6);
}
