/** The tshark program: what it is, and how one is started as a dissector.
 *
 * In: its path. Out: {@link DissectorProcess}: pcap in, one line a packet out. Invariant: nothing else runs tshark;
 * it gets no environment but PATH, a home that does not exist and its own configuration folder, and never a terminal.
 * A profile kept by an earlier start (profile_cache.ts) spares asking it, never looking for it and never the walls.
 * Why `-r -` and not `-i -`: reading a capture from a pipe, tshark keeps no temporary file. @module */

import type { Reporter } from "../../../shared/reporter.ts";
import { disabledProtocols, preferences, readVersion } from "./profile.ts";
import { ProfileCache, type TsharkProfile } from "./profile_cache.ts";
import { identifyProgram, searchFolders } from "./program_identity.ts";
import { findPrefix, type Walls, wallsIn } from "./sandbox.ts";
import { startBehind, startHere, type WalledCommand } from "./walled_process.ts";
import { columnFormat, slotFields } from "../columns/slots.ts";

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
  /** Around the child that was started last and has shown them; null = none has. */
  readonly walls: Walls | null;
}

export interface TsharkOptions {
  /** Name or absolute path of tshark. */
  tsharkPath: string;
  /** Unix socket behind which systemd starts it; null = it is our own child. */
  socketPath: string | null;
  /** The sensor's key, which a child must not be able to read; null = there is none. */
  keyPath: string | null;
  /** Folder where what tshark says of itself is kept for the next start, made when absent;
   * null = it is asked at each. */
  cacheFolder: string | null;
  memoryBytesMax: number;
  cpuSecondsMax: number;
}

/** Where the profile of a start came from: the cache; tshark, now kept; tshark, and it could not be kept;
 * tshark, as there is no cache. */
export const profileOrigins = ["cache", "kept", "not_kept", "no_cache"] as const;
type ProfileOrigin = typeof profileOrigins[number];

export class Tshark implements DissectorProgram {
  readonly #options: TsharkOptions;
  readonly #reporter: Reporter | null;
  #folder = "";
  #format = "";
  #disabled = "";
  #prefix: readonly string[] = [];
  #walls: Walls | null = null;
  #version = "";

  constructor(options: Partial<TsharkOptions> = {}, deps: { reporter?: Reporter } = {}) {
    this.#options = {
      tsharkPath: "tshark",
      socketPath: null,
      keyPath: null,
      cacheFolder: null,
      memoryBytesMax: 2_000_000_000,
      cpuSecondsMax: 3_600,
      ...options,
    };
    this.#reporter = deps.reporter ?? null;
  }

  get version(): string {
    return this.#version;
  }

  get walls(): Walls | null {
    return this.#walls;
  }

  async prepare(): Promise<void> {
    const isHere = this.#options.socketPath === null;
    // Side by side: somebody may wait for the first flow.
    const [{ profile, origin }, prefix] = await whenAllEnded([
      this.#findProfile(),
      isHere ? findPrefix(this.#options, tryCommand) : [],
    ]);
    const { version, disabled, fields } = profile;
    this.#reporter?.count("dissector_profiles_total", { origin });
    this.#version = version;
    this.#disabled = disabled;
    this.#prefix = prefix;
    this.#format = columnFormat(fields === null ? undefined : (field) => fields.includes(field));
    if (!isHere) return;
    this.#folder = await Deno.makeTempDir({ prefix: "picket-tshark-" });
    await Deno.writeTextFile(`${this.#folder}/disabled_protos`, disabled);
    // The child may run as another user; nothing in this folder is secret.
    await Deno.chmod(this.#folder, 0o755);
    await Deno.chmod(`${this.#folder}/disabled_protos`, 0o644);
  }

  spawn(): DissectorProcess {
    const { tsharkPath, socketPath, keyPath } = this.#options;
    const command: WalledCommand = {
      words: [tsharkPath, ...this.#arguments()],
      env: environment(this.#folder),
      keyPath,
      onReport: (report) => this.#see(report),
    };
    return socketPath === null
      ? startHere(this.#prefix, command)
      : startBehind(socketPath, { ...command, files: { disabled_protos: this.#disabled } });
  }

  /** Said when it changes: the next child may have what this one lacks. */
  #see(report: string): void {
    const { socketPath, keyPath } = this.#options;
    const before = this.#walls?.missing.join();
    this.#walls = wallsIn(report, { uid: Deno.uid(), keyPath, isBehindUnit: socketPath !== null });
    const { standing, missing } = this.#walls;
    this.#reporter?.gauge("dissector_walls_missing", missing.length);
    if (missing.join() === before) return;
    if (missing.length === 0) {
      // Who only reads a file has no key to guard, and other things to read.
      if (keyPath !== null) this.#reporter?.info("walls around tshark", { walls: standing.join(", ") });
    } else {
      this.#reporter?.error("walls around tshark are missing", {
        missing: missing.join(", "),
        standing: standing.join(", ") || "none",
      });
    }
  }

  async dispose(): Promise<void> {
    if (this.#folder === "") return;
    const folder = this.#folder;
    this.#folder = "";
    await Deno.remove(folder, { recursive: true });
  }

  #arguments(): string[] {
    const set = [...preferences, `gui.column.format:${this.#format}`].flatMap((text) => ["-o", text]);
    return ["-Q", "-n", "-r", "-", "-T", "tabs", ...set];
  }

  async #findProfile(): Promise<{ profile: TsharkProfile; origin: ProfileOrigin }> {
    const { cacheFolder, tsharkPath } = this.#options;
    if (cacheFolder === null) return { profile: await this.#ask(), origin: "no_cache" };
    const cache = new ProfileCache(cacheFolder);
    const identity = await identifyProgram(tsharkPath);
    const known = identity === null ? null : await cache.read(identity);
    if (known !== null) return { profile: known, origin: "cache" };
    const profile = await this.#ask();
    // Replaced meanwhile: nobody knows which of the two has answered.
    const isSame = identity !== null && await identifyProgram(tsharkPath) === identity;
    return { profile, origin: isSame && await cache.write(identity, profile) ? "kept" : "not_kept" };
  }

  async #ask(): Promise<TsharkProfile> {
    const { tsharkPath } = this.#options;
    // Side by side: each takes a fifth of a second.
    const [about, protocols] = await whenAllEnded([
      this.#run(["--version"]),
      this.#run(["-G", "protocols"]),
    ]);
    const version = readVersion(about.text);
    if (version === null) {
      throw new Error(
        `Cannot use tshark as ${tsharkPath} does not say its version: install Wireshark's tshark`,
      );
    }
    const disabled = disabledProtocols(complete(protocols));
    return { version, disabled, fields: version.startsWith("4.0.") ? null : await this.#knownFields() };
  }

  async #knownFields(): Promise<string[]> {
    const wanted = new Set(slotFields);
    const found = new Set<string>();
    for (const line of complete(await this.#run(["-G", "fields"])).split("\n")) {
      const name = line.startsWith("F\t") ? line.split("\t", 3)[2] : "";
      if (wanted.has(name)) found.add(name);
    }
    return [...found];
  }

  async #run(args: string[]): Promise<Answer> {
    const { tsharkPath, socketPath } = this.#options;
    const question = `${tsharkPath} ${args.join(" ")}`;
    if (socketPath !== null) return { question, ...await this.#askBehind(socketPath, args) };
    try {
      const command = new Deno.Command(tsharkPath, {
        args,
        clearEnv: true,
        env: environment("/nonexistent"),
        stderr: "null",
        stdin: "null",
      });
      const { success, stdout } = await command.output();
      return { question, success, text: new TextDecoder().decode(stdout) };
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new Error(
        `Cannot find tshark: no program ${tsharkPath}; install it (apt install tshark) or set its path`,
        { cause },
      );
    }
  }

  async #askBehind(socketPath: string, args: string[]): Promise<{ success: boolean; text: string }> {
    const words = [this.#options.tsharkPath, ...args];
    const env = environment("/nonexistent");
    const child = startBehind(socketPath, { words, env, keyPath: null, files: {}, onReport: () => {} });
    await child.end().catch(() => {
      // It could not be opened; `exited` says why.
    });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of child.output) text += decoder.decode(chunk, { stream: true });
    const how = await child.exited;
    if (how !== "" && text === "") throw new Error(`Cannot use tshark: ${how}`);
    return { success: how === "", text };
  }
}

interface Answer {
  question: string;
  success: boolean;
  text: string;
}

/** A list that was cut would let through what it does not name, and would be kept. @throws {Error} */
function complete({ question, success, text }: Answer): string {
  if (success && text !== "") return text;
  throw new Error(`Cannot use tshark as \`${question}\` did not end well: install Wireshark's tshark`);
}

/** `Promise.all`, but a failure waits for the others: what they started must not outlive it. */
async function whenAllEnded<T extends readonly unknown[]>(
  tasks: [...T],
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(tasks);
  return await Promise.all(tasks);
}

function environment(folder: string): Record<string, string> {
  return {
    PATH: searchFolders.join(":"),
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
