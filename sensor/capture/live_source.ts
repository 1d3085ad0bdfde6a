/** Live capture: keeps dumpcap running and hands its packets on.
 *
 * In: capture options and a handler. Out: packets, chunk by chunk; packets lost; what is wrong right now.
 * Invariant: only the first start fails aloud; later ends are restarted with growing pauses until `stop`, each counted. Every child
 * begins a new pcapng section, so a child that died in the middle of a block spoils nothing after it.
 * Why never give up: an interface may come back; a sensor that stopped trying would look like a quiet network. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { kernelFilter, type OwnPeer } from "../prefilter/kernel_filter.ts";
import type { NoisePolicy } from "../prefilter/noise.ts";
import { CaptureReader } from "./capture_reader.ts";
import type { PacketHandler } from "./capture_error.ts";
import { type CaptureStartError, Dumpcap, type DumpcapOptions } from "./dumpcap.ts";

export interface LiveSourceOptions extends DumpcapOptions {
  /** Aggregator and brokers: the sensor's own traffic is never captured. */
  exclude: readonly OwnPeer[];
  noise?: NoisePolicy;
}

/** One dumpcap, as this file uses it; a test puts a fake here. */
export type CaptureChild = Pick<Dumpcap, "start" | "read" | "stop" | "close" | "ending">;

const pauseMinMs = 500;
const pauseMaxMs = 30_000;

export class LiveSource {
  bytesRead = 0;
  restarts = 0;
  /** What keeps it from capturing just now, null = nothing. */
  problem: { code: string; message: string } | null = null;
  readonly name: string;
  #options: DumpcapOptions;
  #clock: Clock;
  #reporter: Reporter;
  #makeChild: (options: DumpcapOptions) => CaptureChild;
  #child: CaptureChild | null = null;
  #handler: PacketHandler = { packet() {} };
  #reader: CaptureReader;
  #dropped = 0;
  #pauseMs = pauseMinMs;
  #stopping = new AbortController();

  /** @throws {RangeError | TypeError} when an option is out of range. */
  constructor(
    options: LiveSourceOptions,
    deps: { clock: Clock; reporter: Reporter; makeChild?: (options: DumpcapOptions) => CaptureChild },
  ) {
    if (
      options.interfaces.length === 0 ||
      options.interfaces.some((name) => name === "" || name.startsWith("-"))
    ) {
      throw new TypeError(
        `Cannot capture as "interfaces" must be names of interfaces: current value is "${
          options.interfaces.join(",")
        }"`,
      );
    }
    const { exclude, noise = {}, filter } = options;
    this.#options = { ...options, filter: kernelFilter({ ownPeers: exclude, noise, expression: filter }) };
    this.name = options.interfaces.join(",");
    this.#clock = deps.clock;
    this.#reporter = deps.reporter;
    this.#makeChild = deps.makeChild ?? ((given) => new Dumpcap(given, { clock: deps.clock }));
    this.#reader = new CaptureReader(this.#handler);
  }

  /** Packets lost in the kernel, as far as children that have ended said: dumpcap tells only then. A queue that is about to overflow
   * is seen earlier, by its lag; see prefilter/overload.ts. Considered: relieving dumpcap by another one every ten minutes. Two
   * captures give one packet stamps up to 16 us apart, so that no instant divides busy traffic without loss or double counting. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Who gets the packets. */
  attach(handler: PacketHandler): void {
    this.#handler = handler;
    this.#reader = new CaptureReader(handler);
  }

  /** Starts capturing. @throws {CaptureStartError} when that is not possible. */
  start(): Promise<void> {
    return this.#startChild();
  }

  async #startChild(): Promise<void> {
    const child = this.#makeChild(this.#options);
    await child.start();
    this.#child = child;
  }

  /** Hands on the packets of the next chunk; false = stopped, and everything captured was handed on. */
  async next(): Promise<boolean> {
    if (this.#child === null) return await this.#restart();
    const count = await this.#child.read(this.#reader.space());
    if (count === null) return await this.#ended(this.#child);
    this.bytesRead += count;
    this.#pauseMs = pauseMinMs;
    this.#reader.commit(count);
    if (this.#reader.error === null) return true;
    this.#reporter.error("capture stream is damaged, starting it anew", { error: this.#reader.error });
    return await this.#ended(this.#child);
  }

  /** No new packets; those captured already still come through `next`. */
  stop(): void {
    this.#stopping.abort();
    this.#child?.stop();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#child?.close();
    this.#child = null;
  }

  async #ended(child: CaptureChild): Promise<boolean> {
    const isDamaged = this.#reader.error !== null;
    if (isDamaged) await child.close();
    const { message, drops } = await child.ending();
    // Both sources count the same losses; whichever saw more of them is right.
    this.#dropped += Math.max(drops, this.#reader.drops);
    await child.close();
    this.#child = null;
    this.#reader = new CaptureReader(this.#handler);
    if (this.#stopping.signal.aborted) return false;
    this.problem = { code: "capture_failed", message };
    this.#reporter.count("capture_restarts_total");
    this.#reporter.error("capture ended by itself, will start it again", { interfaces: this.name, message });
    return true;
  }

  async #restart(): Promise<boolean> {
    await this.#clock.sleep(this.#pauseMs, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return false;
    this.#pauseMs = Math.min(pauseMaxMs, this.#pauseMs * 2);
    try {
      await this.#startChild();
    } catch (error) {
      const { code, message } = error as CaptureStartError;
      this.problem = { code: code ?? "capture_failed", message };
      this.#reporter.warn("cannot start capture, will try again", { interfaces: this.name, message });
      return true;
    }
    this.restarts++;
    this.problem = null;
    this.#reporter.info("capturing again", { interfaces: this.name });
    return true;
  }
}
