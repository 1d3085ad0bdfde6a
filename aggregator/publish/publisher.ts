/** Publishes rows of the store to a topic, in the background.
 *
 * In: a source that says what changed after a position. Out: records, sent before their position is saved: each change
 * at least once, and nothing that was not committed. Invariant: ingest never waits for it; what could not be sent is
 * read and sent again later, with pauses that grow to {@link pauseMsMax}. Of several aggregators the one with the lease
 * publishes; a position moves only under its lease.
 * Bound: one chunk in memory. A source may forget what waits too long; how much is counted. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { LeaseStore } from "../store/store.ts";

export interface PublishedRecord {
  /** Host; records of one host stay in order. */
  key: string;
  value: string;
}

export interface Chunk {
  records: PublishedRecord[];
  /** Where to go on. */
  position: string;
  /** Changes that were forgotten before they could be read. */
  missed: number;
  /** Changes that still wait; null = unknown. */
  behind: number | null;
  /** After they were sent. */
  done?: () => Promise<void>;
}

export interface Source {
  /** Label of counters and name of the lease. */
  name: "flows" | "threats";
  read(position: string): Promise<Chunk>;
}

/** Where records go; resolves when all of them are durable there. */
export type Send = (records: readonly PublishedRecord[]) => Promise<void>;

export interface PublisherDeps {
  store: LeaseStore;
  source: Source;
  send: Send;
  /** Of this process. */
  holder: string;
  clock: Clock;
  reporter: Reporter;
}

export const leaseMs = 30_000;
const idleMs = 1_000;
/** Another one publishes. */
const standbyMs = 5_000;
const pauseMsFirst = 1_000;
const pauseMsMax = 30_000;
const stopMsMax = 5_000;

export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Returns at once, whether or not a broker answers. */
  start(): void {
    this.#running = this.#run();
  }

  /** What is being sent to a broker that does not answer is not waited for: the next start sends it again. */
  async stop(): Promise<void> {
    const { store, holder, clock } = this.#deps;
    this.#stopping.abort();
    const given = new AbortController();
    await Promise.race([this.#running, clock.sleep(stopMsMax, given.signal)]);
    given.abort();
    await store.releaseLease(this.#lease, holder).catch(() => undefined); // It ends by itself.
  }

  /** One chunk: "sent" = there may be more. */
  async turn(): Promise<"sent" | "idle" | "standby"> {
    const { store, source, send, holder, reporter } = this.#deps;
    const { name: topic } = source;
    const lease = await store.takeLease(this.#lease, holder, leaseMs);
    if (lease === null) return "standby";
    const chunk = await source.read(lease.position);
    if (chunk.behind !== null) reporter.gauge("publish_behind", chunk.behind, { topic });
    if (chunk.records.length > 0) await send(chunk.records);
    // After they are durable there: a crash before this sends them again.
    await chunk.done?.();
    if (chunk.position !== lease.position && !await store.moveLease(this.#lease, lease, chunk.position)) {
      reporter.count("publish_fenced_total", { topic });
      return "standby";
    }
    reporter.count("published_records_total", { topic }, chunk.records.length);
    if (chunk.missed > 0) {
      reporter.count("publish_missed_total", { topic }, chunk.missed);
      reporter.error("changes were forgotten before they could be published", {
        topic,
        changes: chunk.missed,
      });
    }
    return chunk.records.length > 0 ? "sent" : "idle";
  }

  get #lease(): string {
    return `publish.${this.#deps.source.name}`;
  }

  async #run(): Promise<void> {
    const { clock, reporter, source } = this.#deps;
    const { signal } = this.#stopping;
    let pauseMs = pauseMsFirst;
    while (!signal.aborted) {
      try {
        const result = await this.turn();
        pauseMs = pauseMsFirst;
        if (result !== "sent") await clock.sleep(result === "idle" ? idleMs : standbyMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        reporter.count("publish_failures_total", { topic: source.name });
        reporter.warn("cannot publish, will retry", { topic: source.name, pause_ms: pauseMs, error });
        await clock.sleep(pauseMs, signal);
        pauseMs = Math.min(2 * pauseMs, pauseMsMax);
      }
    }
  }
}
