/** One live client: rows that fit its filter, as a stream of server-sent events.
 *
 * In: rows of the feed. Out: text, piece by piece: `flow` or `threat` with the row, `missed` with how many rows are not
 * in the stream (null = not known), `end` with why; a comment where there is nothing to say.
 * Invariant: at most {@link queuedMax} events and {@link queuedCharactersMax} characters wait; beyond that rows are
 * dropped, reported and counted, and no other client waits. @module */

import type { Clock } from "../../../shared/clock.ts";
import type { Reporter } from "../../../shared/reporter.ts";
import type { LiveRow, Topic } from "./feed.ts";

const queuedMax = 500;
const queuedCharactersMax = 4_000_000;
/** A proxy closes what is silent for longer; whether the watcher may still watch is asked as often. */
export const heartbeatMs = 10_000;

export interface WatcherDeps {
  topic: Topic;
  keyHash: string;
  /** Whether a row is wanted. */
  accepts: (row: LiveRow["row"]) => boolean;
  /** The row as the API answers it. */
  present: (row: LiveRow["row"]) => unknown;
  /** Whether its key or session still holds. */
  isAllowed: () => Promise<boolean>;
  clock: Clock;
  reporter: Reporter;
}

type EndReason = "stopped" | "session" | "busy";

export class Watcher {
  readonly topic: Topic;
  readonly keyHash: string;
  series = 0;
  #deps: WatcherDeps;
  #queue: string[] = [];
  #characters = 0;
  /** Since the last event that went out or waits; null = more than can be counted. */
  #missed: number | null = 0;
  #missedNumber = 0;
  #ended: EndReason | null = null;
  #isOver = false;
  #checkedMs: number;
  #wake: () => void = () => {};

  constructor(deps: WatcherDeps) {
    this.topic = deps.topic;
    this.keyHash = deps.keyHash;
    this.#deps = deps;
    this.#checkedMs = deps.clock.monotonicMs();
  }

  offer({ number, row }: LiveRow): void {
    if (this.#ended !== null || !this.#deps.accepts(row)) return;
    const isFull = this.#queue.length >= queuedMax || this.#characters >= queuedCharactersMax;
    if (isFull) {
      this.#deps.reporter.count("live_rows_missed_total", { topic: this.topic });
      return this.miss(1, number);
    }
    if (this.#missed !== 0) this.#push(this.#takeMissed());
    this.#push(eventOf(this.topic.slice(0, -1), this.#deps.present(row), `${this.series}-${number}`));
  }

  /** So many rows up to `number` will not come. */
  miss(rows: number | null, number: number): void {
    this.#missed = this.#missed === null || rows === null ? null : this.#missed + rows;
    this.#missedNumber = number;
    this.#wake();
  }

  end(reason: EndReason): void {
    this.#ended ??= reason;
    this.#wake();
  }

  /** The next piece; null = the stream has ended. */
  async next(): Promise<string | null> {
    const { clock } = this.#deps;
    for (;;) {
      await this.#check();
      if (this.#queue.length > 0) return this.#takeAll();
      if (this.#missed !== 0) return this.#takeMissed();
      if (this.#ended !== null) return this.#takeEnd();
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await clock.sleep(heartbeatMs, woken.signal);
      if (woken.signal.aborted) continue;
      await this.#check();
      if (this.#ended === null) return ": nothing new\n\n";
    }
  }

  /** Also of who gets rows all the time: what its key may no longer see is not sent. */
  async #check(): Promise<void> {
    const { clock, isAllowed } = this.#deps;
    if (this.#ended !== null || clock.monotonicMs() - this.#checkedMs < heartbeatMs) return;
    this.#checkedMs = clock.monotonicMs();
    if (await isAllowed()) return;
    this.#takeAll();
    this.#missed = 0;
    this.end("session");
  }

  #takeEnd(): string | null {
    if (this.#isOver) return null;
    this.#isOver = true;
    return eventOf("end", { reason: this.#ended });
  }

  #takeAll(): string {
    const text = this.#queue.join("");
    this.#queue = [];
    this.#characters = 0;
    return text;
  }

  #takeMissed(): string {
    const rows = this.#missed;
    this.#missed = 0;
    return eventOf("missed", { rows }, `${this.series}-${this.#missedNumber}`);
  }

  #push(text: string): void {
    this.#queue.push(text);
    this.#characters += text.length;
    this.#wake();
  }
}

/** JSON has no line end of its own, so one `data` line holds it. */
function eventOf(name: string, data: unknown, id?: string): string {
  return `event: ${name}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}
