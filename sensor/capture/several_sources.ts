/** Several interfaces as one source: a dumpcap each, so that one which is gone, down,
 * late or of another kind costs the others nothing.
 *
 * In: capture options and a handler. Out: the packets of all, chunk by chunk; how each interface is.
 * Invariant: packets reach the handler only while `next` is being answered; who waits longest has its turn first.
 * Starting fails aloud only when no interface can be captured;
 * each that fails is tried again by its own source, with growing pauses.
 * Why not one dumpcap for all: it ends when one of its interfaces does,
 * and takes one link type's refusal of a filter for all. @module */

import type { Clock } from "../../shared/clock.ts";
import type { PacketHandler } from "./capture_error.ts";
import { LiveSource, type LiveSourceOptions, type Tuning } from "./live_source.ts";
import type { OwnPeer } from "../prefilter/kernel_filter.ts";

/** As many as a check-in tells of. */
export const interfacesMax = 16;
/** So long those that start at once wait for the others. */
const startMs = 2_000;

/** How the capture of one interface is. */
export interface LinkState {
  name: string;
  /** Why nothing is captured on it just now; null = it is. */
  error: string | null;
  dropped: number;
  restarts: number;
}

type Deps = ConstructorParameters<typeof LiveSource>[1];

export class SeveralSources {
  readonly name: string;
  #sources: LiveSource[];
  /** Chunks that were read, oldest first. */
  #ready: { source: LiveSource; hand: () => boolean | Promise<boolean> }[] = [];
  /** Sources that are being read, or whose chunk is ready. */
  #asked = new Set<LiveSource>();
  #ended = new Set<LiveSource>();
  /** Settles once the first try of a source is over. */
  #started = new Map<LiveSource, Promise<void>>();
  #clock: Clock;
  #failure: unknown = null;
  #news = Promise.withResolvers<void>();

  /** @throws {RangeError | TypeError} when an option is out of range. */
  constructor(options: LiveSourceOptions, deps: Deps) {
    const names = [...new Set(options.interfaces)];
    if (names.length > interfacesMax) {
      throw new RangeError(
        `Cannot capture as "interfaces" must be <= ${interfacesMax}: current value is ${names.length}`,
      );
    }
    if (names.length === 0) names.push(""); // To be refused like any other wrong name.
    this.#sources = names.map((name) => new LiveSource({ ...options, interfaces: [name] }, deps));
    this.name = names.join(",");
    this.#clock = deps.clock;
  }

  get bytesRead(): number {
    return this.#sources.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  /** Packets lost in the kernel or in dumpcap, up to the last hand-over. */
  get dropped(): number {
    return this.#sources.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  /** What keeps every interface from being captured; null = at least one is. */
  get problem(): { code: string; message: string } | null {
    return this.#sources.every(({ problem }) => problem !== null) ? this.#sources[0].problem : null;
  }

  get links(): LinkState[] {
    return this.#sources.map(({ name, problem, dropped, restarts }) => ({
      name,
      error: problem?.message ?? null,
      dropped,
      restarts,
    }));
  }

  attach(handler: PacketHandler): void {
    for (const source of this.#sources) source.attach(handler);
  }

  exclude(ownPeers: readonly OwnPeer[]): void {
    for (const source of this.#sources) source.exclude(ownPeers);
  }

  /** Captures with these from now on, on every interface or on none. Resolves with why not; null = it does. */
  async retune(change: Tuning): Promise<string | null> {
    const before = this.#sources.map(({ tuning }) => tuning);
    for (const [index, source] of this.#sources.entries()) {
      const problem = await source.retune(change);
      if (problem === null) continue;
      for (let i = 0; i < index; i++) await this.#sources[i].retune(before[i]);
      return problem;
    }
    return null;
  }

  /** Starts capturing, on those that take long in the background.
   * @throws {CaptureStartError} when no interface can be captured. */
  async start(): Promise<void> {
    const starts = this.#sources.map((source) => source.start());
    starts.forEach((start, i) => this.#started.set(this.#sources[i], start.catch(() => {})));
    try {
      await Promise.any(starts);
    } catch (error) {
      throw (error as AggregateError).errors[0];
    }
    const given = new AbortController();
    await Promise.race([Promise.allSettled(starts), this.#clock.sleep(startMs, given.signal)]);
    given.abort();
  }

  /** Hands on the packets of the next chunk of any interface;
   * false = stopped, and everything captured was handed on. */
  async next(): Promise<boolean> {
    for (const source of this.#sources) this.#ask(source);
    while (this.#ready.length === 0) {
      if (this.#ended.size === this.#sources.length) return false;
      await this.#news.promise;
      this.#news = Promise.withResolvers();
      if (this.#failure !== null) throw this.#failure;
    }
    const { source, hand } = this.#ready.shift()!;
    const isMore = await hand();
    this.#asked.delete(source);
    if (!isMore) this.#ended.add(source);
    return this.#ended.size < this.#sources.length;
  }

  /** Begins to read the next chunk, unless that is under way. */
  #ask(source: LiveSource): void {
    if (this.#asked.has(source) || this.#ended.has(source)) return;
    this.#asked.add(source);
    const started = this.#started.get(source) ?? Promise.resolve();
    started.then(() => source.read()).then(
      (hand) => void this.#ready.push({ source, hand }),
      (error) => this.#failure = error,
    )
      .then(() => this.#news.resolve());
  }

  /** No new packets; those captured already still come through `next`. */
  stop(): void {
    for (const source of this.#sources) source.stop();
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }
}
