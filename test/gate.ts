/** The gate: the one place that says what must hold before a change is done.
 *
 * Steps: format, lint, types, the examples of docstrings, services up, all tests, services down.
 * Run as `deno task ok` or `./test/run.sh`.
 * In: test files or folders as arguments (none: all, in two lanes at once).
 * Out: progress; last line `N passed, N failed`; exit code 0 when none failed.
 * Invariant: every step runs even when one before it failed; a step that fails counts as one failure, as does a service
 * that is there but does not start. Why: type errors are found once by the types step, so that one broken file does not
 * hide the tests of all others. @module */

import { TextLineStream } from "@std/streams/text-line-stream";
import { browser } from "./services/browser.ts";
import { kafka } from "./services/kafka.ts";
import { mariadb } from "./services/mariadb.ts";
import type { Service, Start } from "./services/service.ts";
import { skippedTests, summaryLine, type Totals, totalsOfRun } from "./summary.ts";

/** By night thousands of programs are killed. */
const testTimeoutMs = (Deno.env.get("PICKET_TEST_NIGHTLY") === "1" ? 6 * 60 : 40) * 60_000;
const outputMax = 1_000_000;
const encoder = new TextEncoder();
const steps: readonly (readonly [name: string, args: string[]])[] = [
  ["format", ["fmt", "--check"]],
  ["lint", ["lint"]],
  ["types", ["check", "."]],
  ["examples", ["test", "--doc", "-A", "--no-prompt", "shared", "sensor", "aggregator"]],
];

/** What runs beside everything else. These tests need no service and no network that others see: booted machines, which
 * mostly wait, have one of their own, and the others only compute. */
const besides = [
  ...["packages", "trouble", "units", "upgrade"].map((name) => `test/deploy/booted_${name}_test.ts`),
  "test/golden",
  "test/quality",
  "test/sim",
];

const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
for (const [name, args] of steps) {
  const code = await runStep(name, args);
  if (code === 0) totals.passed++;
  else totals.failed++;
}
const { services, env } = await startServices();
const folder = await Deno.makeTempDir({ prefix: "picket-gate-" });
try {
  await runTests(folder, env);
} finally {
  await Promise.all(services.map((service) => service.stop()));
  await Deno.remove(folder, { recursive: true });
}
say(summaryLine(totals));
Deno.exit(totals.failed === 0 ? 0 : 1);

async function runStep(name: string, args: string[]): Promise<number> {
  say(`== ${name}`);
  const started = performance.now();
  const { code } = await new Deno.Command(Deno.execPath(), { args: ["-q", ...args], stdin: "null" }).spawn()
    .status;
  say(`== ${name}: ${code === 0 ? "ok" : "FAILED"} (${seconds(started)})`);
  return code;
}

/** One of each service for the whole run; the tests find them in variables. */
async function startServices(): Promise<{ services: Service[]; env: Record<string, string> }> {
  const services: Service[] = [];
  const env: Record<string, string> = {};
  await Promise.all([mariadb, kafka, browser].map(async (start: Start) => {
    const variable = `PICKET_TEST_${start.name.toUpperCase()}`;
    const started = performance.now();
    const reason = await start.missing();
    if (reason) {
      say(`== service ${start.name}: missing: ${reason}`);
      env[variable] = `missing: ${reason}`;
      return;
    }
    try {
      const service = await start.start();
      services.push(service);
      env[variable] = service.address;
      say(`== service ${start.name}: up (${seconds(started)})`);
    } catch (error) {
      totals.failed++;
      env[variable] = "missing: it did not start";
      say(`== service ${start.name}: FAILED\n${(error as Error).message}`);
    }
  }));
  return { services, env };
}

/** Two lanes, or one of the files that were asked for. */
async function runTests(folder: string, env: Record<string, string>): Promise<void> {
  say("== tests");
  if (Deno.args.length > 0) return await runLane("tests", folder, env, Deno.args, say);
  let beside = "";
  const keep = (line: string) => beside = `${beside}${line}\n`.slice(-outputMax);
  await Promise.all([
    runLane("beside", folder, env, besides, keep).then(() => {
      // In one piece, so that a test that failed stands with what it printed.
      say(`== beside\n${beside}== tests go on`);
      beside = "";
    }),
    runLane("tests", folder, env, [`--ignore=${besides.join(",")}`], say),
  ]);
}

async function runLane(
  lane: string,
  folder: string,
  env: Record<string, string>,
  which: readonly string[],
  tell: (line: string) => void,
): Promise<void> {
  const started = performance.now();
  const junit = `${folder}/${lane}.xml`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--no-prompt",
      "--no-check",
      // What a test leaves open, the program it tests may leave open too.
      "--sanitize-ops",
      "--sanitize-resources",
      `--junit-path=${junit}`,
      ...which,
    ],
    // The programs under test keep what they cache here, not in the caches of whoever runs the gate.
    env: { ...env, CACHE_DIRECTORY: `${folder}/cache-${lane}`, PICKET_TEST_SKIPS: `${folder}/skips-${lane}` },
    stdin: "null",
    stdout: "piped",
    signal: AbortSignal.timeout(testTimeoutMs),
  }).spawn();
  let output = "";
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    // Only the end holds the closing line; a talkative run must not fill the memory.
    output = `${output}${line}\n`.slice(-outputMax);
    tell(line);
  }
  const run = totalsOfRun(output, (await child.status).code);
  totals.passed += run.passed;
  totals.failed += run.failed;
  totals.skipped += run.skipped;
  if (run.skipped > 0) await listSkipped(`${folder}/skips-${lane}`, junit, tell);
  tell(`== ${lane}: ${run.failed === 0 ? "ok" : "FAILED"} (${seconds(started)})`);
}

async function listSkipped(path: string, junit: string, tell: (line: string) => void): Promise<void> {
  tell("== skipped");
  const reasons = await Deno.readTextFile(path).catch(() => "");
  for (const line of new Set(reasons.trimEnd().split("\n").filter(Boolean))) tell(`   ${line}`);
  for (const test of skippedTests(await Deno.readTextFile(junit).catch(() => ""))) {
    tell(`   ${test}`);
  }
}

function seconds(started: number): string {
  return `${((performance.now() - started) / 1_000).toFixed(1)} s`;
}

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}
