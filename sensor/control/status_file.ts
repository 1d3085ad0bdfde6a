/** The status file: the last health report, for people on the sensor itself.
 *
 * In: the report of each check-in. Out: `status.json` in the state folder; the same read back by `picket-sensor status`.
 * Invariant: never half written; not synced, since a power cut makes it worthless anyway. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { Disk } from "../disk.ts";

export interface Status {
  written_ms: number;
  pid: number;
  /** The sensor ended in order. */
  stopped: boolean;
  clock_offset_ms: number | null;
  check_in_error: string | null;
  health: Omit<CheckInRequest, "sent_ms">;
}

export async function writeStatus(disk: Disk, folder: string, status: Status): Promise<void> {
  const part = `${folder}/status.json.part`;
  await disk.write(part, new TextEncoder().encode(JSON.stringify(status) + "\n"));
  await disk.rename(part, `${folder}/status.json`);
}

/** Null when there is none, or none that can be read. */
export async function readStatus(disk: Disk, folder: string): Promise<Status | null> {
  try {
    const status = JSON.parse(new TextDecoder().decode(await disk.read(`${folder}/status.json`)));
    return typeof status?.written_ms === "number" && typeof status.health?.capture === "object"
      ? status
      : null;
  } catch {
    return null;
  }
}
