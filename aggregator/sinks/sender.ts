/** Sends what waits for one sink, in the background.
 *
 * In: the outbox. Out: messages, deleted once the receiver has accepted them:
 * each sent at least once, under the same id.
 * Invariant: a failure postpones the message and pauses only this sink, longer each time up to {@link pauseMsMax}; what
 * the receiver refuses for good, and what could not be sent for {@link giveUpMs}, becomes a dead letter, the newest
 * {@link deadMax} of which are kept. Of several aggregators the one with the lease sends.
 * Bounds: {@link perTurn} messages in memory and {@link timeoutMs} per try. While pauses are at their longest, one
 * try gives up all overdue messages of a turn: more than can come in meanwhile. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { OutboxMessage, SinkMessage } from "../model/message.ts";
import type { Lease, LeaseStore, SinkStore } from "../store/store.ts";

/** The receiver says that it will never take this message. */
export class Refused extends Error {
  override name = "Refused";
}

/** Where messages of one sink go. Resolves when the receiver has taken it. @throws {Refused} */
export interface Receiver {
  send(message: SinkMessage, signal: AbortSignal): Promise<void>;
}

export interface SenderDeps {
  sink: string;
  receiver: Receiver;
  store: LeaseStore & SinkStore;
  holder: string;
  clock: Clock;
  reporter: Reporter;
}

export const timeoutMs = 15_000;
const leaseMs = 60_000;
const perTurn = 20;
export const pauseMsFirst = 1_000;
export const pauseMsMax = 300_000;
export const giveUpMs = 72 * 3_600_000;
export const deadMax = 1_000;
const idleMs = 2_000;
const standbyMs = 5_000;
const stopMsMax = 3_000;

export class Sender {
  readonly #deps: SenderDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #pauseMs = 0;

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    const { store, sink, holder, clock } = this.#deps;
    this.#stopping.abort();
    const given = new AbortController();
    await Promise.race([this.#running, clock.sleep(stopMsMax, given.signal)]);
    given.abort();
    await store.releaseLease(`sink.${sink}`, holder).catch(() => undefined); // It ends by itself.
  }

  /** Sends what is due until one fails. */
  async turn(): Promise<"more" | "idle" | "standby" | "failed"> {
    const { store, sink, holder, clock } = this.#deps;
    if (await store.takeLease(`sink.${sink}`, holder, leaseMs) === null) return "standby";
    const due = await store.readDueMessages(sink, clock.nowMs(), perTurn);
    for (const [index, one] of due.entries()) {
      if (this.#stopping.signal.aborted) return "idle";
      const lease = await store.takeLease(`sink.${sink}`, holder, leaseMs);
      if (lease === null) return "standby";
      const problem = await this.#send(one, lease);
      if (problem === null) continue;
      // One try a pause: more can come in than would ever be given up one by one.
      if (this.#pauseMs === pauseMsMax) await this.#giveUpOverdue(due.slice(index + 1), problem);
      return "failed";
    }
    return due.length === perTurn ? "more" : "idle";
  }

  get isFailing(): boolean {
    return this.#pauseMs > 0;
  }

  /** Milliseconds to wait after what a turn gave. */
  pauseAfter(result: Awaited<ReturnType<Sender["turn"]>>): number {
    if (result !== "failed") this.#pauseMs = 0;
    else this.#pauseMs = Math.min(pauseMsMax, 2 * this.#pauseMs || pauseMsFirst);
    return { more: 0, idle: idleMs, standby: standbyMs, failed: this.#pauseMs }[result];
  }

  /** Why the sink fails; null = the next message may be sent. */
  async #send({ id, message, made_ms }: OutboxMessage, lease: Lease): Promise<string | null> {
    const { store, sink, clock, reporter } = this.#deps;
    try {
      await sendWithin(this.#deps, message, this.#stopping.signal);
    } catch (error) {
      // The receiver is not to blame; the message stays as it was.
      if (this.#stopping.signal.aborted && !(error instanceof Refused)) return null;
      const reason = (error as Error).message || "no reason given";
      const nowMs = clock.nowMs();
      reporter.count("sink_failures_total", { sink });
      if (error instanceof Refused || nowMs - made_ms >= giveUpMs) {
        await this.#giveUp(id, reason);
        // The receiver answers: the next one may be taken.
        return error instanceof Refused ? null : reason;
      }
      // Others get their turn first.
      await store.postponeMessage(sink, id, nowMs + pauseMsFirst, reason);
      reporter.warn("cannot send to a sink, will retry", { sink, reason });
      return reason;
    }
    await store.forgetMessage(sink, id);
    await store.moveLease(`sink.${sink}`, lease, `${clock.nowMs()}`);
    reporter.count("sink_sent_total", { sink });
    return null;
  }

  async #giveUpOverdue(messages: readonly OutboxMessage[], reason: string): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    for (const { id, made_ms } of messages) if (nowMs - made_ms >= giveUpMs) await this.#giveUp(id, reason);
  }

  async #giveUp(id: string, reason: string): Promise<void> {
    const { store, sink, reporter } = this.#deps;
    const forgotten = await store.giveUpMessage(sink, id, reason, deadMax);
    reporter.count("sink_dead_total", { sink });
    reporter.count("sink_dead_forgotten_total", { sink }, forgotten);
    reporter.error("message of a sink given up, kept as a dead letter", { sink, id, reason });
  }

  async #run(): Promise<void> {
    const { clock, reporter, sink } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const result = await this.turn().catch((error) => {
        reporter.warn("cannot read what waits for a sink, will retry", { sink, error });
        return "failed" as const;
      });
      const pauseMs = this.pauseAfter(result);
      if (pauseMs > 0) await clock.sleep(pauseMs, signal);
    }
  }
}

/** One try, bounded in time. @throws what the receiver throws, and when it does not answer. */
export async function sendWithin(
  { receiver, clock }: Pick<SenderDeps, "receiver" | "clock">,
  message: SinkMessage,
  stop?: AbortSignal,
): Promise<void> {
  const late = new AbortController(), done = new AbortController();
  const signal = stop === undefined ? late.signal : AbortSignal.any([late.signal, stop]);
  const waited = clock.sleep(timeoutMs, AbortSignal.any([done.signal, ...stop ? [stop] : []])).then(() => {
    if (done.signal.aborted) return;
    late.abort();
    throw new Error(
      stop?.aborted ? "the program ends" : `the receiver did not answer within ${timeoutMs / 1_000} s`,
    );
  });
  const sent = receiver.send(message, signal);
  sent.catch(() => undefined); // It may fail after nobody waits for it.
  try {
    await Promise.race([sent, waited]);
  } finally {
    done.abort();
  }
}
