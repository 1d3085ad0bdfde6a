/** A small fleet of real processes for end-to-end tests: one aggregator, any number of sensors, temporary state.
 *
 * In: which programs (source or compiled binaries) and where the aggregator stores.
 * Out: functions that enrol, replay, ask the API.
 * Invariant: every process it started is gone, and its folder removed, when `stop()` returns. @module */

import { freePort } from "../services/guarded_child.ts";
import { TextLineStream } from "@std/streams/text-line-stream";

/** How to start the two programs. */
export interface Programs {
  sensor: string[];
  aggregator: string[];
}

const root = new URL("../../", import.meta.url).pathname;

/** The programs as `deno task` runs them. */
export const fromSource: Programs = {
  sensor: [Deno.execPath(), "run", "-A", "--no-prompt", "--no-check", `${root}sensor/main.ts`],
  aggregator: [Deno.execPath(), "run", "-A", "--no-prompt", "--no-check", `${root}aggregator/main.ts`],
};

/** The programs as `deploy/compile.sh` builds them into `folder`. */
export function compiledIn(folder: string): Programs {
  return { sensor: [`${folder}/picket-sensor`], aggregator: [`${folder}/picket-aggregator`] };
}

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end. Never throws on a bad exit code. */
export async function run(command: string[], env: Record<string, string> = {}): Promise<Finished> {
  const [program, ...args] = command;
  const output = await new Deno.Command(program, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

/** One aggregator process and its sensors. */
export class World {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-e2e-" });
  readonly port = freePort();
  readonly url = `http://127.0.0.1:${this.port}`;
  #programs: Programs;
  #serveArgs: string[];
  #env: Record<string, string>;
  #aggregator: Deno.ChildProcess | null = null;
  #sensors: Deno.ChildProcess[] = [];
  #log: Promise<string> = Promise.resolve("");

  constructor(options: { programs?: Programs; serveArgs?: string[]; env?: Record<string, string> } = {}) {
    this.#programs = options.programs ?? fromSource;
    this.#serveArgs = options.serveArgs ?? [];
    this.#env = options.env ?? {};
  }

  /** Starts the aggregator, with `more` arguments, and waits for the line that says it listens. */
  async start(...more: string[]): Promise<void> {
    const [program, ...args] = this.#programs.aggregator;
    const child = new Deno.Command(program, {
      args: [
        ...args,
        "serve",
        "--state",
        `${this.folder}/aggregator`,
        "--listen",
        `127.0.0.1:${this.port}`,
        ...this.#serveArgs,
        ...more,
      ],
      env: this.#env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#aggregator = child;
    this.#log = new Response(child.stderr).text();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    const first = await lines.getReader().read();
    if (first.done) throw new Error(`Aggregator ended before it listened:\n${await this.#log}`);
  }

  /** SIGKILL: as a power cut would. */
  async killAggregator(): Promise<void> {
    this.#aggregator?.kill("SIGKILL");
    await this.#aggregator?.status;
    this.#aggregator = null;
    await this.#log;
  }

  async stop(): Promise<void> {
    for (const child of [...this.#sensors, this.#aggregator]) {
      try {
        child?.kill("SIGTERM");
      } catch {
        // It ended by itself; its status says why.
      }
      await child?.status;
    }
    await this.#log;
    await Deno.remove(this.folder, { recursive: true });
  }

  /** Enrols a sensor with a fresh token; returns its state folder. `url` is where the sensor finds the aggregator. */
  async enrol(name: string, site = "lab", url = this.url): Promise<string> {
    const state = `${this.folder}/${name}`;
    const token = await run([
      ...this.#programs.aggregator,
      "token",
      "--state",
      `${this.folder}/aggregator`,
      ...this.#serveArgs.filter((_, i, all) => all[i] === "--store" || all[i - 1] === "--store"),
      "--site",
      site,
      "--json",
    ], this.#env);
    if (token.code !== 0) throw new Error(`Cannot make a join token: ${token.stderr}`);
    const done = await this.sensor(
      "enrol",
      "--aggregator",
      url,
      "--token",
      JSON.parse(token.stdout).token,
      "--name",
      name,
      "--state",
      state,
    );
    if (done.code !== 0) throw new Error(`Cannot enrol ${name}: ${done.stderr}`);
    return state;
  }

  /** Runs a sensor command to its end. */
  sensor(...args: string[]): Promise<Finished> {
    return run([...this.#programs.sensor, ...args]);
  }

  /** Starts a sensor command and leaves it running. */
  spawnSensor(...args: string[]): Deno.ChildProcess {
    const [program, ...first] = this.#programs.sensor;
    const child = new Deno.Command(program, {
      args: [...first, ...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#sensors.push(child);
    return child;
  }

  /** Runs an aggregator command to its end. */
  aggregator(...args: string[]): Promise<Finished> {
    return run([...this.#programs.aggregator, ...args], this.#env);
  }

  keyFile(): string {
    return `${this.folder}/aggregator/admin.key`;
  }

  /** GET of an API path, as admin; the body as JSON. */
  // deno-lint-ignore no-explicit-any -- a test reads what the API says, whatever its shape.
  async get(path: string): Promise<any> {
    const key = Deno.readTextFileSync(this.keyFile()).trim();
    const response = await fetch(`${this.url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }

  /** Asks again until `done` is content with the answer; fails after `seconds`. */
  // deno-lint-ignore no-explicit-any -- as above.
  async until(path: string, done: (body: any) => boolean, seconds = 20): Promise<any> {
    let body: unknown = null, error: unknown = null;
    for (let i = 0; i < seconds * 10; i++) {
      try {
        body = await this.get(path);
        if (done(body)) return body;
      } catch (cause) {
        error = cause;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(
      `GET ${path} did not become what was expected in ${seconds} s: ${JSON.stringify(body)} ${error ?? ""}`,
    );
  }
}
