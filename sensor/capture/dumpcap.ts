/** dumpcap as a child: the only program that opens an interface.
 *
 * In: interfaces, filter, lengths. Out: pcapng bytes; a classified reason when it cannot start or ends by itself.
 * Invariant: standard error is always read, so that a talkative child never blocks; `stop` is SIGINT, and what was
 * captured by then still comes through `read`; a child that does not obey within `stopTimeoutMs` is killed.
 * Why a child: capture rights stay with a small, audited program; the sensor itself needs none. @module */

import type { Clock } from "../../shared/clock.ts";

/** Why capturing cannot begin, or ended. */
export const captureFailures = [
  "dumpcap_missing",
  "no_permission",
  "no_such_interface",
  "interface_down",
  "bad_filter",
  "capture_failed",
] as const;
export type CaptureFailure = typeof captureFailures[number];

/** Capturing cannot begin. `code` says why, the message what to do. */
export class CaptureStartError extends Error {
  override readonly name = "CaptureStartError";
  constructor(readonly code: CaptureFailure, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

export interface DumpcapOptions {
  interfaces: readonly string[];
  /** BPF expression, "" = everything; see prefilter/kernel_filter.ts. */
  filter: string;
  /** Octets kept of each packet, 0 = all. */
  snaplen: number;
  /** Kernel buffer of each interface. */
  bufferMb: number;
  dumpcapPath: string;
}

const stopTimeoutMs = 5_000;
const stderrCharactersMax = 16_384;
const chunkBytes = 65_536;
/** Bounds of dumpcap's own queue: what it can count to. */
const queuePacketsMax = 1_000_000;
const queueBytesMax = 2 ** 31 - 1;

export class Dumpcap {
  #options: DumpcapOptions;
  #clock: Clock;
  #child: Deno.ChildProcess | null = null;
  #reader: ReadableStreamBYOBReader | null = null;
  #chunk = new ArrayBuffer(chunkBytes);
  #rest: Uint8Array | null = null;
  #words = "";
  #wordsRead: Promise<void> = Promise.resolve();

  constructor(options: DumpcapOptions, deps: { clock: Clock }) {
    this.#options = options;
    this.#clock = deps.clock;
  }

  /** Starts the child and waits until it captures.
   * @throws {CaptureStartError} when it cannot. */
  async start(): Promise<void> {
    const { dumpcapPath } = this.#options;
    try {
      const command = new Deno.Command(dumpcapPath, {
        args: dumpcapArguments(this.#options),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      });
      this.#child = command.spawn();
    } catch (cause) {
      const why = cause instanceof Deno.errors.NotFound ? "no such program" : (cause as Error).message;
      throw new CaptureStartError(
        "dumpcap_missing",
        `Cannot capture as "${dumpcapPath}" does not start: ${why}; install tshark or name it with --dumpcap-path`,
        { cause },
      );
    }
    this.#wordsRead = this.#readWords(this.#child.stderr);
    this.#reader = this.#child.stdout.getReader({ mode: "byob" });
    // The file header comes as soon as the interfaces are open: the first bytes say that it works.
    if (await this.#fill()) return;
    await this.#wordsRead;
    await this.#child.status;
    const { code, message } = explainFailure(this.#words, this.#options);
    await this.close();
    throw new CaptureStartError(code, message);
  }

  /** Fills the start of `into`; the number of bytes, null = the child has ended and everything is read. */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.#rest === null && !(await this.#fill())) return null;
    const rest = this.#rest!;
    const count = Math.min(rest.length, into.length);
    into.set(rest.subarray(0, count));
    this.#rest = count < rest.length ? rest.subarray(count) : null;
    return count;
  }

  async #fill(): Promise<boolean> {
    if (this.#reader === null) return false;
    const { value, done } = await this.#reader.read(new Uint8Array(this.#chunk, 0, chunkBytes));
    if (value) this.#chunk = value.buffer as ArrayBuffer;
    if (done || !value || value.length === 0) return false;
    this.#rest = value;
    return true;
  }

  /** Asks the child to end; `read` goes on until it has. */
  stop(): void {
    const child = this.#child;
    if (child === null) return;
    signal(child, "SIGINT");
    const done = new AbortController();
    child.status.then(() => done.abort());
    this.#clock.sleep(stopTimeoutMs, done.signal).then(() => {
      if (!done.signal.aborted) signal(child, "SIGKILL");
    });
  }

  /** Ends the child whatever it does, and waits for it. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    signal(child, "SIGKILL");
    await this.#reader?.cancel().catch(() => undefined);
    this.#reader = null;
    await this.#wordsRead;
    await child.status;
  }

  /** What the child said at its end: a failure, and packets lost, `flushed` of them as it had been told to end. Call
   * after `read` returned null. */
  async ending(): Promise<{ isFailure: boolean; message: string; drops: number; flushed: number }> {
    await this.#wordsRead;
    const status = await this.#child?.status;
    const isFailure = status !== undefined && !status.success;
    return {
      isFailure,
      message: explainFailure(this.#words, this.#options).message,
      ...dropsIn(this.#words),
    };
  }

  async #readWords(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of stream) {
        this.#words = (this.#words + decoder.decode(chunk, { stream: true })).slice(-stderrCharactersMax);
      }
    } catch {
      // The pipe broke: the child is gone, and `status` says how.
    }
  }
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch {
    // It has ended by itself.
  }
}

/** Arguments: what stands before the first `-i` holds for every interface. Of several interfaces dumpcap makes a queue
 * of its own behind those of the kernel; left as it is, it holds 1,000 packets and loses a third of the traffic that
 * fits into a buffer like the kernel's. */
export function dumpcapArguments(options: DumpcapOptions): string[] {
  const { interfaces, filter, snaplen, bufferMb } = options;
  const args = ["-q", "-s", String(snaplen > 0 ? snaplen : 262_144), "-B", String(bufferMb)];
  if (filter !== "") args.push("-f", filter);
  if (interfaces.length > 1) {
    args.push("-N", String(queuePacketsMax), "-C", String(Math.min(bufferMb * 1024 * 1024, queueBytesMax)));
  }
  for (const name of interfaces) args.push("-i", name);
  return [...args, "-w", "-"];
}

/** Packets lost, from the line "Packets received/dropped on interface 'x':
 * 10/2 (pcap:1/dumpcap:0/flushed:1/..." of each interface. */
export function dropsIn(words: string): { drops: number; flushed: number } {
  let drops = 0, flushed = 0;
  const line =
    /received\/dropped on interface '[^']*': \d+\/(\d+)(?: \(pcap:\d+\/dumpcap:\d+\/flushed:(\d+))?/g;
  for (const match of words.matchAll(line)) {
    drops += Number(match[1]);
    flushed += Number(match[2] ?? 0);
  }
  return { drops, flushed };
}

/** The reason in dumpcap's words, and what to do about it. */
export function explainFailure(
  words: string,
  options: { interfaces: readonly string[]; filter: string },
): { code: CaptureFailure; message: string } {
  const names = options.interfaces.map((name) => `"${name}"`).join(", ");
  const line = words.split("\n").find((text) =>
    text.startsWith("dumpcap: ") && !text.includes("cap_set_proc")
  );
  const said = (line ?? words.trim().split("\n").at(-1) ?? "").replace(/^dumpcap: /, "").slice(0, 200);
  if (
    /permission to capture|Operation not permitted|Permission denied/.test(
      words.replace(/.*cap_set_proc.*/g, ""),
    )
  ) {
    return {
      code: "no_permission",
      message:
        `Cannot capture on ${names} as the permission is missing: run as root, or give it with "setcap cap_net_raw,cap_net_admin+eip" on dumpcap`,
    };
  }
  if (/no device named|No such device|no interface/i.test(words)) {
    return {
      code: "no_such_interface",
      message:
        `Cannot capture on ${names} as there is no such interface: "picket-sensor interfaces" lists those there are`,
    };
  }
  if (/Invalid capture filter|isn't a valid capture filter/.test(words)) {
    return {
      code: "bad_filter",
      message: `Cannot capture as the filter is not valid: current value is "${options.filter}"`,
    };
  }
  if (/not up|is down|network is down/i.test(words)) {
    return {
      code: "interface_down",
      message: `Cannot capture on ${names} as the interface is down: ${said}`,
    };
  }
  return {
    code: "capture_failed",
    message: `Cannot capture on ${names}: ${said || "dumpcap ended without a word"}`,
  };
}
