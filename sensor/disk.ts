/** The disk as a dependency: the few operations that spool and identity are built from.
 *
 * In: paths and octets. Out: the same calls on the real disk; tests put one behind it that forgets, fails and fills up.
 * Invariant: nothing is durable before `sync` of the file and `syncFolder` of its folder have resolved.
 * Why asynchronous: an fsync on an SD card takes tens of milliseconds, and the capture pipe must be read meanwhile. @module */

export interface FileInfo {
  name: string;
  bytes: number;
  /** Last change, ms since the epoch; 0 = unknown. */
  changedMs: number;
}

export interface Disk {
  /** Makes a folder and its parents, open to nobody else; content with one that is there. */
  makeFolder(path: string): Promise<void>;
  /** Files of a folder, in no order; folders in it are left out. */
  list(folder: string): Promise<FileInfo[]>;
  /** @throws {Deno.errors.NotFound} when there is none. */
  read(path: string): Promise<Uint8Array>;
  /** Creates or replaces a file (mode 0600); not durable yet. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  sync(path: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Content with a file that is not there. */
  remove(path: string): Promise<void>;
}

export const realDisk: Disk = {
  async makeFolder(path) {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  },
  async list(folder) {
    const files: FileInfo[] = [];
    for await (const entry of Deno.readDir(folder)) {
      if (!entry.isFile) continue;
      const info = await Deno.stat(`${folder}/${entry.name}`).catch(() => null);
      if (info) files.push({ name: entry.name, bytes: info.size, changedMs: info.mtime?.getTime() ?? 0 });
    }
    return files;
  },
  read: (path) => Deno.readFile(path),
  write: (path, bytes) => Deno.writeFile(path, bytes, { mode: 0o600 }),
  sync: (path) => syncOpened(path),
  // A folder opened for reading can be synced on Linux, which is what makes a rename durable.
  syncFolder: (folder) => syncOpened(folder),
  rename: (from, to) => Deno.rename(from, to),
  async remove(path) {
    try {
      await Deno.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
};

async function syncOpened(path: string): Promise<void> {
  const file = await Deno.open(path, { read: true });
  try {
    await file.sync();
  } finally {
    file.close();
  }
}

/** Replaces `folder/name` so that a power cut leaves either the old or the new content. */
export async function replaceFile(
  disk: Disk,
  folder: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const part = `${folder}/${name}.part`;
  await disk.write(part, bytes);
  await disk.sync(part);
  await disk.rename(part, `${folder}/${name}`);
  await disk.syncFolder(folder);
}
