/** Mutation: breaks one line at a time and sees whether the tests that claim to pin it fail.
 *
 * In: the list in `mutant_list.ts`; an argument keeps the mutants whose name contains it. Out: one line a mutant,
 * `killed` or `survived` with the seconds; last line `N killed, N survived`;
 * exit code 1 when one survived or the list is out of date.
 * Invariant: the checkout is only read. A copy of what git tracks is mutated, beside a link to `../shared`; packages
 * and caches are links. Each mutant must apply at exactly one place, all tests must pass without mutants, and a run in
 * which no test fails, as the changed file does not even load, is a broken mutant, not a killed one. A run that reaches
 * its time limit counts as killed, as an endless loop is seen by the gate.
 * Run as `deno task mutants`, for some of them `deno task mutants beacon`. @module */

import { type Mutant, mutants } from "./mutant_list.ts";

/** The slowest list of tests takes a tenth of it. */
const timeLimitMs = 120_000;
/** The tests of all mutants at once, without a mutant. */
const soundLimitMs = 15 * 60_000;
const tailLines = 30;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export type Verdict = "killed" | "survived" | "broken";

/** Where `from` stands in `text`, replaced by `to`; a reason when that is not exactly one place. */
export function mutated(text: string, { from, to }: Pick<Mutant, "from" | "to">): { text: string } | string {
  const parts = text.split(from);
  if (from === to) return "changes nothing";
  if (parts.length !== 2) return `its line is found ${parts.length - 1} times`;
  return { text: parts.join(to) };
}

/** What the end of a test run says of a mutant. */
export function verdictOf(run: { code: number; isOver: boolean; output: string }): Verdict {
  if (run.isOver) return "killed";
  if (run.code === 0) return "survived";
  const hasFailed = /\| [1-9][0-9]* failed/.test(run.output) && !run.output.includes("(uncaught error)");
  return hasFailed ? "killed" : "broken";
}

if (import.meta.main) Deno.exit(await main(Deno.args[0] ?? ""));

async function main(part: string): Promise<number> {
  const chosen = mutants.filter(({ name }) => name.includes(part));
  const checkout = new URL("../", import.meta.url).pathname.replace(/\/$/, "");
  const faults = await faultsOf(chosen, checkout);
  for (const fault of faults) say(fault);
  if (chosen.length === 0 || faults.length > 0) {
    say(
      `Cannot run mutants as each must apply at one place: ${chosen.length} chosen, ${faults.length} do not`,
    );
    return 1;
  }
  const root = await Deno.makeTempDir({ prefix: "picket-mutants-" });
  try {
    const copy = await copyOf(checkout, root);
    const tests = [...new Set(chosen.flatMap(({ tests }) => tests))].sort();
    say(`== ${tests.length} test files without a mutant`);
    const sound = await runTests(copy, tests, soundLimitMs);
    if (sound.code !== 0) {
      say(
        `${sound.output.split("\n").slice(-tailLines).join("\n")}\nCannot run mutants as tests fail without`,
      );
      return 1;
    }
    return await runAll(chosen, copy);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function faultsOf(list: readonly Mutant[], checkout: string): Promise<string[]> {
  const faults: string[] = [];
  for (const mutant of list) {
    const answer = mutated(await Deno.readTextFile(`${checkout}/${mutant.file}`).catch(() => ""), mutant);
    if (typeof answer === "string") faults.push(`${mutant.name}: ${answer} in ${mutant.file}`);
  }
  return faults;
}

async function runAll(list: readonly Mutant[], copy: string): Promise<number> {
  const counts: Record<Verdict, number> = { killed: 0, survived: 0, broken: 0 };
  for (const [i, mutant] of list.entries()) {
    const path = `${copy}/${mutant.file}`;
    const before = await Deno.readTextFile(path);
    const answer = mutated(before, mutant) as { text: string };
    const started = performance.now();
    await Deno.writeTextFile(path, answer.text);
    const run = await runTests(copy, mutant.tests, timeLimitMs);
    await Deno.writeTextFile(path, before);
    const verdict = verdictOf(run);
    counts[verdict]++;
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    say(`${i + 1}/${list.length} ${verdict.padEnd(8)} ${seconds.padStart(5)} s  ${mutant.name}`);
  }
  if (counts.broken > 0) say(`${counts.broken} broken: the changed file does not load`);
  say(`${counts.killed} killed, ${counts.survived} survived`);
  return counts.survived + counts.broken > 0 ? 1 : 0;
}

/** A copy of what git tracks and of new files, below `root`. */
async function copyOf(checkout: string, root: string): Promise<string> {
  const copy = `${root}/checkout`;
  const { stdout } = await new Deno.Command("git", {
    args: ["-C", checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    stdin: "null",
  }).output();
  for (const file of decoder.decode(stdout).split("\0").filter((name) => name !== "")) {
    const to = `${copy}/${file}`;
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    // A file that was deleted and not committed is no part of the copy.
    await Deno.copyFile(`${checkout}/${file}`, to).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  for (const name of ["node_modules", ".cache"]) await link(`${checkout}/${name}`, `${copy}/${name}`);
  await link(`${checkout}/../shared`, `${root}/shared`);
  return copy;
}

async function link(target: string, at: string): Promise<void> {
  const real = await Deno.realPath(target).catch(() => null);
  if (real !== null) await Deno.symlink(real, at);
}

/** All output is kept for the verdict; the tests of one run write little. */
async function runTests(
  cwd: string,
  tests: readonly string[],
  limitMs: number,
): Promise<{ code: number; isOver: boolean; output: string }> {
  const limit = AbortSignal.timeout(limitMs);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-q", "-A", "--no-check", "--fail-fast", ...tests],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: limit,
  }).output();
  return { code, isOver: limit.aborted, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

function say(text: string): void {
  Deno.stdout.writeSync(encoder.encode(`${text}\n`));
}
