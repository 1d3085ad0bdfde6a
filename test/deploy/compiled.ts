/** The compiled binaries for tests, built once for a state of the source.
 *
 * Out: a folder with picket-sensor and picket-aggregator (for another machine: picket-sensor only), or a loud skip.
 * Invariant: a folder is named after a digest of everything that goes in, and appears whole or not at all.
 * Why: a compile takes seconds, and several test files want the same two binaries. @module */

import { createHash } from "node:crypto";
import { compilerFor, type Target } from "../services/denort.ts";
import { skipLoudly } from "../services/services.ts";

const root = new URL("../../", import.meta.url).pathname;
const compileTimeoutMs = 300_000;

export interface Compiled {
  ignore: boolean;
  /** Empty when ignored. */
  folder: string;
}

export async function compiled(target: Target): Promise<Compiled> {
  const compiler = await compilerFor(target);
  if ("reason" in compiler) {
    return { ...skipLoudly(`compiled binaries for ${target}`, compiler.reason), folder: "" };
  }
  const folder = `${root}.cache/compiled/${target}-${await sourceDigest()}`;
  if (await Deno.stat(folder).then(() => true, () => false)) return { ignore: false, folder };
  await removeOlder(target, folder);
  const part = `${root}.cache/compiled/.${crypto.randomUUID()}`;
  const own = target === "x86_64-unknown-linux-gnu" ? [] : ["--only", "picket-sensor"];
  const built = await run(
    `${root}deploy/compile.sh`,
    ["--target", target, "--output", part, ...own],
    compiler.env,
  );
  if (built.code !== 0) {
    throw new Error(`Cannot compile for ${target}: deploy/compile.sh said\n${built.stderr}`);
  }
  for (const name of ["picket-sensor", "picket-aggregator"]) {
    // Those for another machine are found by the short name too.
    await Deno.symlink(`${name}-${target}`, `${part}/${name}`).catch(() => undefined);
  }
  // Two test files may build at once; the first rename wins.
  await Deno.rename(part, folder).catch(() => Deno.remove(part, { recursive: true }));
  return { ignore: false, folder };
}

export async function run(
  program: string,
  args: string[],
  env: Record<string, string> = {},
  timeoutMs = compileTimeoutMs,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(timeoutMs),
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function sourceDigest(): Promise<string> {
  const hash = createHash("sha256");
  for (const path of ["deno.json", "deno.lock", "deploy/compile.sh", "deploy/prepare.sh"]) {
    hash.update(await Deno.readFile(root + path));
  }
  for (const folder of ["shared", "sensor", "aggregator"]) {
    for (const path of (await filesBelow(root + folder)).sort()) {
      hash.update(path).update(await Deno.readFile(path));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await filesBelow(path));
    else files.push(path);
  }
  return files;
}

/** Each pair is hundreds of megabytes; those of a source that is gone are of no use. */
async function removeOlder(target: Target, present: string): Promise<void> {
  await Deno.mkdir(`${root}.cache/compiled`, { recursive: true });
  for await (const entry of Deno.readDir(`${root}.cache/compiled`)) {
    const folder = `${root}.cache/compiled/${entry.name}`;
    // What another run has just made is not older.
    if (entry.name.startsWith(target) && folder !== present) await Deno.remove(folder, { recursive: true });
  }
}
