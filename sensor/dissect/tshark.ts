/** The tshark program: what it is, and how one is started as a dissector.
 *
 * In: its path. Out: {@link DissectorProcess}: pcapng in, one line a packet out. Invariant: the only file that runs tshark;
 * it gets no environment but PATH, a home that does not exist and its own configuration folder, and never a terminal.
 * Why `-r -` and not `-i -`: reading a capture from a pipe, tshark keeps no temporary file. @module */

import { disabledProtocols, preferences, readVersion } from "./profile.ts";
import { findSandbox, type Sandbox } from "./sandbox.ts";
import { columnFormat, slotFields } from "./slots.ts";

/** A running dissector. */
export interface DissectorProcess {
  readonly pid: number;
  /** Resolves when the bytes have left for the child; rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** End of input; the child answers what it has and exits. */
  end(): Promise<void>;
  /** Standard output. Ends when the child does. */
  readonly output: AsyncIterable<Uint8Array>;
  kill(): void;
  /** How it ended, in words, with the last words of its standard error; "" = exit status 0. */
  readonly exited: Promise<string>;
}

/** Makes dissector processes; the seam for tests. */
export interface DissectorProgram {
  /** Finds out what is there. Rejects with a message for the operator when it cannot be used. */
  prepare(): Promise<void>;
  spawn(): DissectorProcess;
  /** Removes what `prepare` made. */
  dispose(): Promise<void>;
  readonly version: string;
  readonly walls: readonly string[];
}

export interface TsharkOptions {
  /** Name or absolute path of tshark. */
  tsharkPath: string;
  /** Folder for the child's configuration, made when absent; null = a private temporary one, removed by `dispose`. */
  profileFolder: string | null;
  memoryBytesMax: number;
  cpuSecondsMax: number;
}

const stderrCharactersMax = 2_000;

export class Tshark implements DissectorProgram {
  readonly #options: TsharkOptions;
  #folder = "";
  #format = "";
  #sandbox: Sandbox = { prefix: [], walls: [] };
  #version = "";

  constructor(options: Partial<TsharkOptions> = {}) {
    this.#options = {
      tsharkPath: "tshark",
      profileFolder: null,
      memoryBytesMax: 2_000_000_000,
      cpuSecondsMax: 3_600,
      ...options,
    };
  }

  get version(): string {
    return this.#version;
  }

  get walls(): readonly string[] {
    return this.#sandbox.walls;
  }

  async prepare(): Promise<void> {
    const { tsharkPath, profileFolder } = this.#options;
    // Side by side: each takes a fifth of a second, and somebody may wait for the first flow.
    const [versionText, protocols, sandbox] = await Promise.all([
      this.#read(["--version"]),
      this.#read(["-G", "protocols"]),
      findSandbox(this.#options, tryCommand),
    ]);
    const version = readVersion(versionText);
    if (version === null) {
      throw new Error(
        `Cannot use tshark as ${tsharkPath} does not say its version: install Wireshark's tshark`,
      );
    }
    this.#version = version;
    if (profileFolder !== null) await Deno.mkdir(profileFolder, { recursive: true });
    this.#folder = profileFolder ?? await Deno.makeTempDir({ prefix: "picket-tshark-" });
    await Deno.writeTextFile(`${this.#folder}/disabled_protos`, disabledProtocols(protocols));
    // The child may run as another user; nothing in this folder is secret.
    await Deno.chmod(this.#folder, 0o755);
    await Deno.chmod(`${this.#folder}/disabled_protos`, 0o644);
    this.#format = columnFormat(version.startsWith("4.0.") ? undefined : await this.#knownFields());
    this.#sandbox = sandbox;
  }

  spawn(): DissectorProcess {
    const words = [...this.#sandbox.prefix, this.#options.tsharkPath, ...this.#arguments()];
    const child = new Deno.Command(words[0], {
      args: words.slice(1),
      clearEnv: true,
      env: environment(this.#folder),
      cwd: "/",
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    const complaint = readTail(child.stderr);
    const exited = (async () => {
      const [status, words] = await Promise.all([child.status, complaint]);
      if (status.success) return "";
      const how = status.signal ? `killed by ${status.signal}` : `exit status ${status.code}`;
      return words === "" ? how : `${how}: ${words}`;
    })();
    return {
      pid: child.pid,
      write: (bytes) => writer.write(bytes),
      end: () => writer.close(),
      output: child.stdout,
      kill() {
        try {
          child.kill("SIGKILL");
        } catch {
          // Already gone: that is what was wanted.
        }
      },
      exited,
    };
  }

  async dispose(): Promise<void> {
    if (this.#folder === "" || this.#options.profileFolder !== null) return;
    const folder = this.#folder;
    this.#folder = "";
    await Deno.remove(folder, { recursive: true });
  }

  #arguments(): string[] {
    const set = [...preferences, `gui.column.format:${this.#format}`].flatMap((text) => ["-o", text]);
    return ["-Q", "-n", "-r", "-", "-T", "tabs", ...set];
  }

  async #knownFields(): Promise<(field: string) => boolean> {
    const wanted = new Set(slotFields);
    const found = new Set<string>();
    for (const line of (await this.#read(["-G", "fields"])).split("\n")) {
      const name = line.startsWith("F\t") ? line.split("\t", 3)[2] : "";
      if (wanted.has(name)) found.add(name);
    }
    return (field) => found.has(field);
  }

  async #read(args: string[]): Promise<string> {
    const { tsharkPath } = this.#options;
    try {
      const command = new Deno.Command(tsharkPath, {
        args,
        clearEnv: true,
        env: environment("/nonexistent"),
        stderr: "null",
        stdin: "null",
      });
      return new TextDecoder().decode((await command.output()).stdout);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new Error(
        `Cannot find tshark: no program ${tsharkPath}; install it (apt install tshark) or set its path`,
        { cause },
      );
    }
  }
}

function environment(folder: string): Record<string, string> {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    HOME: "/nonexistent",
    WIRESHARK_CONFIG_DIR: folder,
    LC_ALL: "C.UTF-8",
    TZ: "UTC",
  };
}

async function tryCommand(command: string, args: readonly string[]): Promise<boolean> {
  try {
    const silent = { stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, { args: [...args], ...silent }).output()).success;
  } catch {
    // Not installed, or not allowed by the permissions of this process: no such wall.
    return false;
  }
}

/** Last characters of a stream, read to its end so that the child never blocks on it. */
async function readTail(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-stderrCharactersMax);
  }
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.filter((line) => !line.startsWith("Running as user")).join("; ");
}
