/** The disk as a dependency: the few operations that spool and identity are built from.
 *
 * In: paths and octets. Out: the same calls on the real disk; tests put one behind it that forgets, fails and fills up.
 * Invariant: nothing is durable before `sync` of the file and `syncFolder` of its folder have resolved. A file is
 * measured before it is read, and what is no plain file is neither opened nor followed:
 * a FIFO would be waited for without end.
 * Owners: what root makes belongs to the owner of its folder, so that a command given as root leaves nothing that the
 * service, which is somebody else, cannot use.
 * Why asynchronous: an fsync on an SD card takes tens of milliseconds, and the capture pipe must be read meanwhile.
 * @module */

export interface FileInfo {
  name: string;
  bytes: number;
  /** Last change, ms since the epoch; 0 = unknown. */
  changedMs: number;
  /** Neither a folder, a link, a FIFO, nor a device. */
  isFile: boolean;
}

/** Why a file is not read, whatever is in it. */
export const oddities = ["too_large", "not_a_file"] as const;

/** Not a file that we wrote. */
export class OddFileError extends Error {
  override name = "OddFileError";
  constructor(readonly oddity: typeof oddities[number], message: string) {
    super(message);
  }
}

export interface Disk {
  /** Makes a folder and its parents, open to nobody else; content with one that is there. */
  makeFolder(path: string): Promise<void>;
  /** What is in a folder, in no order. */
  list(folder: string): Promise<FileInfo[]>;
  /** @throws {Deno.errors.NotFound} when there is none, {OddFileError} when it is longer, or no file. */
  read(path: string, bytesMax: number): Promise<Uint8Array>;
  /** Creates or replaces a file (mode 0600); not durable yet. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Writes over the beginning of a file that is there; needs no room on the disk that the file does not have. */
  overwrite(path: string, bytes: Uint8Array): Promise<void>;
  sync(path: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Content with a file that is not there. */
  remove(path: string): Promise<void>;
}

async function makeFolder(path: string): Promise<void> {
  if (await Deno.stat(path).then((info) => info.isDirectory, () => false)) return;
  const parent = parentOf(path);
  if (parent !== path) await makeFolder(parent);
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await giveToOwner(path);
}

async function list(folder: string): Promise<FileInfo[]> {
  const files: FileInfo[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const info = await Deno.lstat(`${folder}/${name}`).catch(() => null);
    if (info === null) continue;
    const changedMs = info.mtime?.getTime() ?? 0;
    files.push({ name, bytes: info.size, changedMs, isFile: info.isFile });
  }
  return files;
}

async function read(path: string, bytesMax: number): Promise<Uint8Array> {
  const info = await Deno.lstat(path);
  if (!info.isFile) throw new OddFileError("not_a_file", `"${path}" is not a file`);
  if (info.size > bytesMax) {
    const message =
      `"${path}" is too large, as it must be <= ${bytesMax} octets: current value is ${info.size}`;
    throw new OddFileError("too_large", message);
  }
  return await Deno.readFile(path);
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const before = await Deno.lstat(path).catch(() => null);
  // Opening a FIFO would wait, and a link would lead elsewhere.
  if (before !== null && !before.isFile) await Deno.remove(path);
  await Deno.writeFile(path, bytes, { mode: 0o600 });
  await giveToOwner(path);
}

async function overwrite(path: string, bytes: Uint8Array): Promise<void> {
  if (!(await Deno.lstat(path)).isFile) throw new OddFileError("not_a_file", `"${path}" is not a file`);
  using file = await Deno.open(path, { write: true });
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export const realDisk: Disk = {
  makeFolder,
  list,
  read,
  write,
  overwrite,
  sync: (path) => syncOpened(path),
  // A folder opened for reading can be synced on Linux, which is what makes a rename durable.
  syncFolder: (folder) => syncOpened(folder),
  rename: (from, to) => Deno.rename(from, to),
  remove,
};

async function syncOpened(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

/** Root only: whoever has the folder has what is in it. */
async function giveToOwner(path: string): Promise<void> {
  if (Deno.uid() !== 0) return;
  const { uid, gid } = await Deno.stat(parentOf(path));
  if (uid !== 0 && uid !== null) await Deno.chown(path, uid, gid);
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
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

/** No room: whoever frees some helps. */
export function isDiskFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as { code?: string })?.code ?? "");
}
