/** A file of lines, rotated by size: `path`, then `path.1`, the newest, and so on; and the newest report as a page.
 *
 * Invariant: a line is on disk before it counts as sent;
 * a file that was cut short by a crash gets an end of line first. @module */

import { type MakeReport, rangeOf } from "./reports.ts";
import { type Receiver, Refused } from "./sender.ts";
import { lineOf } from "./formats.ts";
import type { SettingsOf } from "./settings.ts";

export function fileSink(
  { path, format, bytesMax, files, report }:
    & Pick<SettingsOf<"file">, "path" | "format" | "files" | "report">
    & {
      bytesMax: number;
    },
  { makeReport }: { makeReport: MakeReport },
): Receiver {
  return {
    async send(message) {
      if (message.kind === "report") {
        // The schedule may have gone while the message waited.
        if (report === undefined) throw new Refused("reports are not written to this file any more");
        return await replace(report.path, await makeReport(rangeOf(message)));
      }
      const line = new TextEncoder().encode(`${lineOf(message, format)}\n`);
      const size = await Deno.stat(path).then(({ size }) => size, () => 0);
      if (size > 0 && size + line.length > bytesMax) await rotate(path, files);
      const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o640 });
      try {
        const end = await file.seek(0, Deno.SeekMode.End);
        if (end > 0 && !await endsLine(file)) await writeAll(file, new Uint8Array([10]));
        await writeAll(file, line);
        await file.sync();
      } finally {
        file.close();
      }
    },
  };
}

/** Whole or not at all. */
async function replace(path: string, text: string): Promise<void> {
  const file = await Deno.open(`${path}.new`, { create: true, write: true, truncate: true, mode: 0o640 });
  try {
    await writeAll(file, new TextEncoder().encode(text));
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(`${path}.new`, path);
}

async function endsLine(file: Deno.FsFile): Promise<boolean> {
  const last = new Uint8Array(1);
  await file.seek(-1, Deno.SeekMode.End);
  await file.read(last);
  return last[0] === 10;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

/** `files` with the one that is written to; the oldest leaves. */
async function rotate(path: string, files: number): Promise<void> {
  const name = (index: number) => index === 0 ? path : `${path}.${index}`;
  for (let index = files - 1; index > 0; index--) {
    await Deno.rename(name(index - 1), name(index)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  if (files === 1) await Deno.remove(path);
}
