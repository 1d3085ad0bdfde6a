/** Runs commands of the aggregator: in this process with edges the test owns, or as the real program. @module */

import { TextLineStream } from "@std/streams/text-line-stream";
import { openStore } from "../../../aggregator/store/open.ts";
import type { Command } from "../../../shared/command.ts";
import { dispatch, type DispatchEdges, type Program } from "../../../shared/dispatch.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../api/fixture.ts";

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `args` through the dispatcher with `commands`. */
export async function runInside(
  commands: readonly Command[],
  args: string[],
  world: { env?: Record<string, string>; files?: Record<string, string>; clock?: TestClock } = {},
): Promise<Ran> {
  const stdout: string[] = [], stderr: string[] = [];
  const clock = world.clock ?? new TestClock();
  const edges: DispatchEdges = {
    print: (line) => stdout.push(line),
    complain: (line) => stderr.push(line),
    isColourful: false,
    progress: null,
    clock,
    reporter: createReporter({ component: "test", write: (line) => stderr.push(line), clock }),
    env: (name) => world.env?.[name],
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    signal: new AbortController().signal,
    onReload: () => () => {},
    readTextFile: (path) => {
      const text = world.files?.[path];
      if (text === undefined) throw new Error("No such file");
      return text;
    },
    withLogs: () => edges,
  };
  const program = {
    name: "picket-aggregator",
    about: "a test",
    configPath: "/etc/picket/aggregator.json",
    firstSteps: [["serve", "first"]],
    commands,
    isEnvironment: (error: unknown) => error instanceof StoreUnavailable,
  } satisfies Program;
  const code = await dispatch(args, program, edges);
  return { code, stdout: stdout.join("\n"), stderr: stderr.join("\n") };
}

const main = new URL("../../../aggregator/main.ts", import.meta.url).pathname;

/** Those of the task, which are those of the compiled program: what works with all permissions may fail with them. */
const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../../deno.json", import.meta.url)));
const permissions: string[] = tasks.aggregator.split(" ").filter((word: string) => word.startsWith("--"));

/** The real program, from source. */
export function spawnProgram(
  args: string[],
  env: Record<string, string> = {},
  stdin: "null" | "piped" = "null",
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, "--no-check", main, ...args],
    env,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The real program to its end. */
export async function runProgram(args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const { code, stdout, stderr } = await spawnProgram(args, env).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** A store in `folder`, as the commands open it. */
export function storeIn(folder: string) {
  const clock = new TestClock();
  return openStore(`sqlite:${folder}/picket.db`, {
    reporter: createReporter({ component: "test", write: () => undefined, clock }),
    clock,
  });
}

export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-commands-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The first line that a program prints; what comes after it stays in the program's stream. */
export async function firstLine(child: Deno.ChildProcess): Promise<string> {
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const { value } = await lines.read();
  lines.releaseLock();
  return value ?? "";
}
