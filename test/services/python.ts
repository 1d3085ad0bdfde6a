/** A Python environment of the tests' own, made once in `.cache/readers`, for readers that are not ours.
 *
 * Out: what a script printed, or why packages are not there. @module */

const folder = new URL("../../.cache/readers", import.meta.url).pathname;
const python = `${folder}/bin/python`;

/** Runs a program to its end. @throws what it said */
async function run(command: string, args: string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).slice(-1_000));
  return new TextDecoder().decode(stdout);
}

export function runPython(args: string[], cwd?: string): Promise<string> {
  return run(python, args, cwd);
}

/** Why scripts with these imports cannot be run; undefined when they can.
 * `packages` are installed when they are missing. */
export async function missingPython(imports: string[], packages: string[]): Promise<string | undefined> {
  try {
    if (await Deno.stat(python).then(() => false, () => true)) await run("python3", ["-m", "venv", folder]);
    await runPython(["-c", `import ${imports.join(", ")}`]).catch(() =>
      runPython(["-m", "pip", "--quiet", "install", ...packages])
    );
    return undefined;
  } catch (error) {
    return `Python's ${packages.join(", ")} are not there: ${(error as Error).message}`;
  }
}
