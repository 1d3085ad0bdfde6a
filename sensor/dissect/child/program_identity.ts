/** Which tshark this is, told without running it.
 *
 * In: its name or absolute path.
 * Out: a digest that is another one as soon as what would run is; null = that cannot be told.
 * Covered, each by path, size, time and inode: the program; its libraries as the loader's list names them; the library
 * folders beside them and beside the program,
 * which change when a file in them is replaced the way package managers do it; all plugins and scripts.
 * Not covered: a library the loader's list does not name, or a plugin behind a linked folder, when it is written over
 * in place; what a wrapper script starts,
 * when it lies neither beside the script nor where the loader's list points; all other libraries.
 * Invariant: a program that may not be run, or is not there, has no identity, so that nobody skips trying it.
 * @module */

import { createHash } from "node:crypto";

/** Where programs are looked for, by us and by the children. */
export const searchFolders: readonly string[] = [
  "/usr/local/bin",
  "/usr/bin",
  "/bin",
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
];

const loaderList = "/etc/ld.so.cache";
const loaderListBytesMax = 8_000_000;
const librariesMax = 50;
const pluginFilesMax = 2_000;

/** A digest, the same as long as nothing of the program was replaced. */
export async function identifyProgram(nameOrPath: string): Promise<string | null> {
  try {
    const found = await findProgram(nameOrPath);
    if (found === null) return null;
    const program = await Deno.realPath(found);
    const prefix = folderOf(folderOf(program));
    const libraries = await loaderLibraries();
    const folders = await realFolders([
      ...libraries.map(folderOf),
      ...["lib", "lib64", `lib/${Deno.build.arch}-linux-gnu`].map((name) => `${prefix}/${name}`),
    ]);
    const plugins: string[] = [];
    for (const folder of folders) await listBelow(`${folder}/wireshark`, plugins);
    // The script that loads all others in tshark 4.0 is not among the plugins.
    const scripts = [`${prefix}/share/wireshark/init.lua`];
    const parts = [found, program, ...libraries, ...folders, ...plugins.sort(), ...scripts];
    const lines = await Promise.all(parts.map(describe));
    return createHash("sha256").update(lines.join("\n")).digest("hex");
  } catch {
    // Not readable, or too much to look at: nothing is known, and tshark is asked as if there were no cache.
    return null;
  }
}

/** The file that a child started by this name would be. */
async function findProgram(nameOrPath: string): Promise<string | null> {
  // What a relative path means depends on the folder of whoever starts it.
  if (!nameOrPath.startsWith("/") && nameOrPath.includes("/")) return null;
  const candidates = nameOrPath.startsWith("/")
    ? [nameOrPath]
    : searchFolders.map((folder) => `${folder}/${nameOrPath}`);
  for (const path of candidates) {
    const info = await Deno.stat(path).catch(() => null);
    if (!info?.isFile || ((info.mode ?? 0) & 0o111) === 0) continue;
    return (await Deno.permissions.query({ name: "run", command: path })).state === "granted" ? path : null;
  }
  return null;
}

/** Libraries of Wireshark that the loader knows, wherever they are installed. */
async function loaderLibraries(): Promise<string[]> {
  const info = await Deno.stat(loaderList).catch(() => null);
  // A system without this list (musl) has its libraries beside the program.
  if (info === null || info.size > loaderListBytesMax) return [];
  const text = new TextDecoder("latin1").decode(await Deno.readFile(loaderList));
  const paths = text.split("\0").filter((word) => /\/lib(?:wireshark|wiretap|wsutil)\.so[.\d]*$/.test(word));
  return paths.map((path) => path.slice(path.indexOf("/"))).sort().slice(0, librariesMax);
}

/** Those that exist, each once however many names lead to it. */
async function realFolders(folders: readonly string[]): Promise<string[]> {
  const real = await Promise.all(folders.map((folder) => Deno.realPath(folder).catch(() => null)));
  return [...new Set(real.filter((folder) => folder !== null))].sort();
}

/** Adds every file and folder below. @throws {RangeError} when there are too many. */
async function listBelow(folder: string, paths: string[]): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name, isDirectory } of entries) {
    if (paths.length >= pluginFilesMax) {
      throw new RangeError(`Cannot tell tshark's plugins as files must be <= ${pluginFilesMax}: ${folder}`);
    }
    paths.push(`${folder}/${name}`);
    if (isDirectory) await listBelow(`${folder}/${name}`, paths);
  }
}

async function describe(path: string): Promise<string> {
  const info = await Deno.stat(path).catch(() => null);
  if (info === null) return `${path} -`;
  // Packages set the time of modification to that of their build; the time of change is when it came here.
  const { size, mtime, ctime, ino } = info;
  return `${path} ${size} ${mtime?.getTime()} ${ctime?.getTime()} ${ino}`;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
