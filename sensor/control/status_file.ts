/** The status file: the last health report, for people on the sensor itself.
 *
 * In: the report of each check-in.
 * Out: `status.json` in the state folder; the same read back by `picket-sensor status`.
 * Invariant: never half written while the disk has room; without room it is written over in place, for which it keeps
 * some blanks at its end. Not synced, since a power cut makes it worthless anyway. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import { type Disk, isDiskFull } from "../disk.ts";

export interface Status {
  written_ms: number;
  pid: number;
  /** The sensor ended in order. */
  stopped: boolean;
  clock_offset_ms: number | null;
  check_in_error: string | null;
  /** When the newest canary was sent that the centre found; null = none is known to be found. */
  canary_arrived_ms: number | null;
  health: Omit<CheckInRequest, "sent_ms">;
}

/** A running sensor writes its status at each check-in; one that is older stopped or hangs. */
const freshMs = 60_000;

/** The sensor that wrote it runs. */
export function isFresh(status: Status | null, nowMs: number): boolean {
  return status !== null && !status.stopped && nowMs - status.written_ms < freshMs;
}

export async function writeStatus(disk: Disk, folder: string, status: Status): Promise<void> {
  const path = `${folder}/status.json`;
  const part = `${path}.part`;
  const text = new TextEncoder().encode(JSON.stringify(status));
  const bytes = new Uint8Array(Math.ceil((text.length + 1) / blockBytes) * blockBytes).fill(32);
  bytes.set(text);
  bytes[bytes.length - 1] = 10;
  try {
    await disk.write(part, bytes);
    await disk.rename(part, path);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    await disk.remove(part);
    await disk.overwrite(path, bytes);
  }
}

/** Room for a status that grows, and more than most need. */
const blockBytes = 16_384;
const statusBytesMax = 4 * 1024 * 1024;

/** Null when there is none, or none that can be read. */
export async function readStatus(disk: Disk, folder: string): Promise<Status | null> {
  try {
    const status = JSON.parse(
      new TextDecoder().decode(await disk.read(`${folder}/status.json`, statusBytesMax)),
    );
    return typeof status?.written_ms === "number" && typeof status.health?.capture === "object"
      ? status
      : null;
  } catch {
    return null;
  }
}

/** "sent 12 min ago, found at the centre"; of several interfaces those that cannot send one besides. */
export function canaryText({ health, canary_arrived_ms, written_ms }: Status): string {
  const { canary } = health;
  if (!canary) return "none was sent yet";
  const problems = canary.flows.flatMap(({ interface: name, problem }) =>
    problem === null ? [] : [`${name}: ${problem}`]
  );
  if (problems.length === canary.flows.length) return `not possible: ${problems.join("; ")}`;
  const ago = `sent ${Math.max(0, Math.round((written_ms - canary.sent_ms) / 1_000))} s ago`;
  const found = canary_arrived_ms === canary.sent_ms ? "found at the centre" : "not found at the centre yet";
  return [`${ago}, ${found}`, ...problems].join("; ");
}
