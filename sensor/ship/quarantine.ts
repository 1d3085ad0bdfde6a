/** Where the spool sets aside what it cannot use, `quarantine/` below it:
 * for somebody to look at, and never in the way.
 *
 * In: the name of a file in the spool, and why. Out: the file moved, counted; how many there are.
 * Bound: `filesMax`; the oldest make room.
 * Never rejects: a file that the disk keeps where it is will be set aside by the next run. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { Disk } from "../disk.ts";

export class Quarantine {
  /** Files in it. */
  files = 0;
  /** Batches set aside since the start. */
  taken = 0;
  #folder: string;
  #filesMax: number;
  #disk: Disk;
  #reporter: Reporter;

  /** Of the spool in `folder`. */
  constructor(options: { folder: string; filesMax: number }, deps: { disk: Disk; reporter: Reporter }) {
    this.#folder = options.folder;
    this.#filesMax = options.filesMax;
    this.#disk = deps.disk;
    this.#reporter = deps.reporter;
  }

  async start(): Promise<void> {
    this.files = (await this.#disk.list(`${this.#folder}/quarantine`).catch(() => [])).length;
  }

  /** One that is in memory only is merely counted. */
  async take(name: string, reason: string, isOnDisk: boolean): Promise<void> {
    this.taken++;
    this.files++;
    this.#reporter.count("batches_quarantined_total", { reason });
    this.#reporter.error("batch set aside", { file: name, reason });
    if (!isOnDisk) return;
    const folder = `${this.#folder}/quarantine`;
    try {
      await this.#disk.rename(`${this.#folder}/${name}`, `${folder}/${name}.${reason}`);
      const held = await this.#disk.list(folder);
      held.sort((a, b) => a.changedMs - b.changedMs);
      const excess = held.splice(0, Math.max(0, held.length - this.#filesMax));
      for (const file of excess) await this.#disk.remove(`${folder}/${file.name}`).catch(() => {});
      this.files = held.length;
    } catch (error) {
      this.#reporter.count("spool_disk_errors_total");
      this.#reporter.warn("cannot move a batch aside", { file: name, error: (error as Error).message });
    }
  }
}
