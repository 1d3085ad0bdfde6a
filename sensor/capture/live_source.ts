/** Live capture: keeps dumpcap running and hands its packets on.
 *
 * In: capture options and a handler. Out: packets, chunk by chunk; packets lost; what is wrong right now.
 * Invariant: only the first start fails aloud; later ends are restarted with growing pauses until `stop`, each counted.
 * Every child begins a new pcapng section, so a child that died in the middle of a block spoils nothing after it.
 * Why never give up: an interface may come back; a sensor that stopped trying would look like a quiet network.
 * Why hand over: the kernel tells its drops only to the process that captures, and dumpcap tells them only when it
 * ends. So every `handOverMs` a second dumpcap begins beside the first, which is ended once all that it had got before
 * has been read; what both have is handed on once, see seam.ts. A start costs 10 ms of CPU, and for half a second the
 * kernel's buffer twice. `dropped` may count a packet that the other one had, never one too few. When the clock is set
 * just then, some packets come twice; none is lost.
 * Considered: `dumpcap -S` (counts for a handle of its own, on every interface), its signals and `-Z` (say drops at the
 * end only), `ss -0`, /proc/net/packet and ptype (show no drops of a ring), the interface's packets minus ours (wrong
 * with a filter).
 * Delay: dumpcap reads with a fixed time-out of 250 ms, up to the present 4.x (`--update-interval` is another thing),
 * so that a packet waits for 125 ms in the mean, less where the kernel's block of 256 KiB is full before; no `-B`,
 * `-s`, `-t` and no `tshark -w -` changes that. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { kernelFilter, type OwnPeer } from "../prefilter/kernel_filter.ts";
import type { NoisePolicy } from "../prefilter/noise.ts";
import { CaptureReader } from "./capture_reader.ts";
import type { PacketHandler } from "./capture_error.ts";
import { type CaptureStartError, Dumpcap, type DumpcapOptions } from "./dumpcap.ts";
import { Seam } from "./seam.ts";

export interface LiveSourceOptions extends DumpcapOptions {
  /** Aggregator and brokers: the sensor's own traffic is never captured. */
  exclude: readonly OwnPeer[];
  noise?: NoisePolicy;
  /** How often a dumpcap is relieved by another. @default 20_000 */
  handOverMs?: number;
}

/** What can change while it captures. */
export type Tuning = Pick<DumpcapOptions, "filter" | "snaplen">;

/** One dumpcap, as this file uses it; a test puts a fake here. */
export type CaptureChild = Pick<Dumpcap, "start" | "read" | "stop" | "close" | "ending">;

const pauseMinMs = 500;
const pauseMaxMs = 30_000;
/** A capture that went on for so long is well. */
const steadyMs = 10_000;
const handOverMsDefault = 20_000;
/** The old dumpcap must be read up to the start of the new one in this time. */
const handOverMsMax = 10_000;
const handOverStepMs = 5;
/** For so long at least both capture: what only the old one has must be too old to be taken for what only the new one
 * has. */
const overlapMs = 5;
/** A clock that is only slowed down or sped up changes by less between two chunks, and the seam bears that. */
const clockSetMs = 15;
/** dumpcap hands on what it has at most this long after it came. */
const deliveryMs = 300;
/** Whoever has waited for a chunk for this long has read everything. */
const quietMs = 50;
/** Packets of the old dumpcap cannot come again later than this after the new one took over. */
const seamMs = 2_000;

export class LiveSource {
  bytesRead = 0;
  restarts = 0;
  /** What keeps it from capturing just now, null = nothing. */
  problem: { code: string; message: string } | null = null;
  readonly name: string;
  #options: DumpcapOptions;
  /** As it was asked for; `#options` has the filter with the own peers. */
  #tuning: Tuning;
  #ownPeers: readonly OwnPeer[];
  #noise: NoisePolicy;
  #clock: Clock;
  #reporter: Reporter;
  #makeChild: (options: DumpcapOptions) => CaptureChild;
  #child: CaptureChild | null = null;
  /** The one that relieves it, once it captures. */
  #next: CaptureChild | null = null;
  /** Those that do not capture yet. */
  #starting = new Set<CaptureChild>();
  #handingOver: Promise<void> | null = null;
  #seam!: Seam;
  #reader!: CaptureReader;
  #handOverMs: number;
  #startedMs = 0;
  /** As `#startedMs`, but of the first of those that relieved each other. */
  #beganMs = 0;
  /** Wall clock minus monotonic clock, of the last chunk or of the hand-over's begin. */
  #offsetMs = 0;
  /** Since when the next chunk is waited for; Infinity = it is not, as the packets of one are being handed on. */
  #waitingMs = Infinity;
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
    const { exclude, noise = {}, filter, handOverMs = handOverMsDefault } = options;
    if (!(handOverMs >= 1)) {
      throw new RangeError(`Cannot capture as "handOverMs" must be >= 1: current value is ${handOverMs}`);
    }
    this.#handOverMs = handOverMs;
    this.#tuning = { filter, snaplen: options.snaplen };
    this.#ownPeers = exclude;
    this.#noise = noise;
    this.#options = options;
    this.#compose();
    this.name = options.interfaces.join(",");
    this.#clock = deps.clock;
    this.#reporter = deps.reporter;
    this.#makeChild = deps.makeChild ?? ((given) => new Dumpcap(given, { clock: deps.clock }));
    this.attach({ packet() {} });
  }

  /** Packets lost in the kernel or in dumpcap, up to the last hand-over. A queue that is about to overflow is seen
   * earlier, by its lag; see prefilter/overload.ts. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Who gets the packets. */
  attach(handler: PacketHandler): void {
    this.#seam = new Seam(handler, () => this.#reader.interfaceIndex);
    this.#reader = new CaptureReader(this.#seam);
  }

  async #begin(child: CaptureChild): Promise<void> {
    this.#starting.add(child);
    try {
      await child.start();
    } finally {
      this.#starting.delete(child);
    }
  }

  /** Leaves the traffic of these out from the next dumpcap on. */
  exclude(ownPeers: readonly OwnPeer[]): void {
    this.#ownPeers = ownPeers;
    this.#compose();
  }

  #compose(): void {
    const { filter, snaplen } = this.#tuning;
    const whole = kernelFilter({ ownPeers: this.#ownPeers, noise: this.#noise, expression: filter });
    this.#options = { ...this.#options, snaplen, filter: whole };
  }

  get tuning(): Tuning {
    return this.#tuning;
  }

  /** Captures with these from now on: a dumpcap begins with them beside the one that captures, and relieves it, so that
   * no packet is lost. Resolves with the words of one that cannot begin, and then nothing has changed; null = it does.
   * While nothing is captured the next try to start has them. Packets that are about to be handed on may come twice
   * when either snaplen is below the octets that the seam compares. */
  async retune(tuning: Tuning): Promise<string | null> {
    const before = this.#tuning;
    await this.#handingOver;
    // One that was relieved may not have been read to its end.
    const { signal } = this.#stopping;
    const sinceMs = this.#clock.monotonicMs();
    while (this.#next !== null && !signal.aborted && this.#clock.monotonicMs() - sinceMs < handOverMsMax) {
      await this.#clock.sleep(handOverStepMs, signal);
    }
    this.#tuning = tuning;
    this.#compose();
    const child = this.#child;
    if (child === null || this.#isEnding) return null;
    this.#startedMs = this.#clock.monotonicMs();
    let failure: unknown = null;
    this.#handingOver = this.#handOver(child).then((error) => void (failure = error))
      .finally(() => this.#handingOver = null);
    await this.#handingOver;
    // One that only came too late begins with the next hand-over.
    if (failure === null) return null;
    this.#tuning = before;
    this.#compose();
    return (failure as Error).message;
  }

  /** Starts capturing. @throws {CaptureStartError} when that is not possible; `next` tries again. */
  async start(): Promise<void> {
    try {
      await this.#startChild();
    } catch (error) {
      this.#noteFailure(error);
      throw error;
    }
  }

  #noteFailure(error: unknown): void {
    const { code, message } = error as CaptureStartError;
    this.problem = { code: code ?? "capture_failed", message };
    this.#reporter.count("capture_start_failures_total");
    this.#reporter.warn("cannot start capture, will try again", { interfaces: this.name, message });
  }

  async #startChild(): Promise<void> {
    const child = this.#makeChild(this.#options);
    await this.#begin(child);
    this.#child = child;
    // Told to stop meanwhile.
    if (this.#stopping.signal.aborted) child.stop();
    this.#startedMs = this.#beganMs = this.#clock.monotonicMs();
    this.#offsetMs = this.#clock.nowMs() - this.#startedMs;
  }

  /** Hands on the packets of the next chunk; false = stopped, and everything captured was handed on. */
  async next(): Promise<boolean> {
    return await (await this.read())();
  }

  /** Waits for the next chunk; its packets are handed on when what it resolves with is called,
   * which says as `next` whether there are more.
   * Not to be asked again before. */
  async read(): Promise<() => boolean | Promise<boolean>> {
    const child = this.#child;
    if (child === null) {
      const isMore = await this.#restart();
      return () => isMore;
    }
    this.#relieve(child);
    this.#waitingMs = this.#clock.monotonicMs();
    const count = await child.read(this.#reader.space());
    this.#waitingMs = Infinity;
    if (count === null) {
      const isMore = await this.#ended(child);
      return () => isMore;
    }
    return () => this.#hand(count, child);
  }

  #hand(count: number, child: CaptureChild): boolean | Promise<boolean> {
    if (this.#seam.isCrossed && this.#isClockSet()) this.#seam.end();
    this.bytesRead += count;
    this.#reader.commit(count);
    // A dumpcap told to end while it writes may leave the packet it was at in pieces; the other one has it too.
    if (this.#reader.error === null || this.#isEnding) return true;
    this.#reporter.error("capture stream is damaged, restarting it", { error: this.#reader.error });
    return this.#ended(child);
  }

  /** No new packets; those captured already still come through `next`. */
  stop(): void {
    this.#stopping.abort();
    // Somebody may wait for a hand-over, and so for a dumpcap that hangs in its start.
    if (this.#handingOver !== null) { for (const child of this.#starting) child.stop(); }
    this.#child?.stop();
    this.#next?.stop();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    // One that hangs in its start would be waited for without end.
    await Promise.all([...this.#starting].map((child) => child.close()));
    await this.#handingOver;
    await this.#child?.close();
    await this.#next?.close();
    this.#child = this.#next = null;
  }

  /** Whether the child that is read was told to end. */
  get #isEnding(): boolean {
    return this.#next !== null || this.#stopping.signal.aborted;
  }

  /** Whether the clock was set since then: stamps of before and after cannot be compared. */
  #isClockSet(): boolean {
    return Math.abs(this.#clock.nowMs() - this.#clock.monotonicMs() - this.#offsetMs) > clockSetMs;
  }

  /** Begins a hand-over when it is time. */
  #relieve(child: CaptureChild): void {
    if (this.#handingOver !== null || this.#isEnding) return;
    const nowMs = this.#clock.monotonicMs(), passedMs = nowMs - this.#startedMs;
    // After the clock was set, what still waits has stamps of before.
    const isClockSet = this.#isClockSet();
    if (isClockSet) this.#startedMs = nowMs;
    if (this.#seam.isCrossed && (isClockSet || passedMs > seamMs)) this.#seam.end();
    this.#offsetMs = this.#clock.nowMs() - nowMs;
    if (passedMs < this.#handOverMs || isClockSet) return;
    // One that fails is tried again after another such time.
    this.#startedMs = nowMs;
    this.#handingOver = this.#handOver(child).then(() => {}).finally(() => this.#handingOver = null);
  }

  /** Returns why the other one could not begin; null = it did, whether it relieved this one or not. */
  async #handOver(child: CaptureChild): Promise<unknown> {
    const next = this.#makeChild(this.#options);
    let failure: unknown = null;
    let message = "the one before it could not be read up to its start, or the clock was set";
    this.#seam.begin();
    try {
      await this.#begin(next);
      if (await this.#isReadUpTo(child, (this.#clock.nowMs() + overlapMs) * 1_000)) {
        this.#next = next;
        child.stop();
        return null;
      }
    } catch (error) {
      failure = error;
      message = (error as Error).message;
    }
    this.#seam.end();
    await next.close();
    if (this.#stopping.signal.aborted) return null;
    this.#reporter.count("capture_hand_over_failures_total");
    this.#reporter.warn("cannot relieve capture, packets dropped are not known yet", { message });
    return failure;
  }

  /** Waits until everything was read that `child` had got at a moment which is now past. */
  async #isReadUpTo(child: CaptureChild, timeUs: number): Promise<boolean> {
    const { signal } = this.#stopping;
    const sinceMs = this.#clock.monotonicMs();
    // Each interface has its own queue: a later stamp of one says nothing of another.
    const leastMs = this.#options.interfaces.length > 1 ? deliveryMs : 0;
    for (let passedMs = 0; passedMs < handOverMsMax; passedMs = this.#clock.monotonicMs() - sinceMs) {
      await this.#clock.sleep(handOverStepMs, signal);
      if (signal.aborted || this.#child !== child || this.#isClockSet()) return false;
      if (passedMs >= leastMs && this.#seam.stampUs >= timeUs) return true;
      if (passedMs >= deliveryMs && this.#clock.monotonicMs() - this.#waitingMs >= quietMs) return true;
    }
    return false;
  }

  async #ended(child: CaptureChild): Promise<boolean> {
    // One that writes nonsense need not end by itself.
    if (this.#reader.error !== null && !this.#isEnding) await child.close();
    const { message, drops, flushed } = await child.ending();
    // What it threw away once it was told to end, the one that relieves it has. Else words and capture count the same
    // losses; whichever saw more of them is right.
    this.#dropped += this.#next !== null ? drops - flushed : Math.max(drops, this.#reader.drops);
    await child.close();
    this.#child = this.#next;
    this.#next = null;
    this.#reader = new CaptureReader(this.#seam);
    if (this.#child !== null) {
      this.#seam.cross();
      this.#startedMs = this.#clock.monotonicMs();
      this.#reporter.count("capture_hand_overs_total");
      return true;
    }
    if (this.#stopping.signal.aborted) return false;
    this.problem = { code: "capture_failed", message };
    // One that starts and ends at once, as on an interface that is being set up, is asked ever less often too.
    if (this.#clock.monotonicMs() - this.#beganMs >= steadyMs) this.#pauseMs = pauseMinMs;
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
      this.#noteFailure(error);
      return true;
    }
    this.restarts++;
    this.problem = null;
    this.#reporter.info("capturing again", { interfaces: this.name });
    return true;
  }
}
