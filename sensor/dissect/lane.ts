/** The deep lane: chosen packets through supervised dissector children, their facts joined to flows.
 *
 * In: packets offered by the pipeline. Out: tickets answered in order, facts by flow, health.
 * Invariant: every ticket is answered (by a child, or at once where the packet can be read here) or given up; packets
 * offered to children = answered + given up + waiting. The fast lane never waits in live mode: what does not fit is
 * refused and counted. In replay mode `turn` waits instead, so that nothing is refused.
 * Supervision: a child that owes answers, or its end, and says nothing for `silenceMs` is killed, one that dies is
 * replaced after a growing delay, one that has seen `handOverPackets` is relieved: the new child takes the new packets,
 * the old one finishes the messages it has begun.
 * Why hand over: tshark keeps 100-500 bytes for every packet it has ever seen. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { DeepLane } from "./deep_lane.ts";
import { type ChildEnd, DissectorChild } from "./child/child.ts";
import { ChildFailures } from "./child_failures.ts";
import type { Octets } from "../flow/octets.ts";
import { FactsJoin } from "./join.ts";
import { type LaneOptions, laneOptions } from "./lane_options.ts";
import type { ChosenPacket } from "./plain/plain.ts";
import { plainKind } from "./plain/plain_kind.ts";
import type { Walls } from "./child/sandbox.ts";
import type { DissectorProgram } from "./child/tshark.ts";

/** A payload read on the spot costs this part of a packet given to a child. */
const plainTokens = 0.1;

/** Children alive at once: the one taking packets, and those answering what they have. */
const childrenMax = 3;

/** Why a packet was not taken. */
export const refusalReasons = ["packets_max", "bytes_max", "rate", "no_child"] as const;
type RefusalReason = typeof refusalReasons[number];

export interface LaneHealth {
  version: string;
  /** Walls around the child, as it has shown them, see sandbox.ts; null = none has. */
  walls: Walls | null;
  /** Process ids of the children alive. */
  children: number[];
  offered: number;
  /** Payloads read without a child. */
  read_here: number;
  answered: number;
  given_up: number;
  refused: number;
  /** Ends that nobody asked for, and starts that failed. */
  failures: { total: number; lately: number; words: string };
  /** Packets the current child has taken since it started. */
  child_packets: number;
}

interface Watched {
  child: DissectorChild;
  startedMs: number;
  /** When it last answered, or last owed nothing. */
  progressMs: number;
  answeredThen: number;
}

export class DissectLane implements DeepLane {
  readonly #options: LaneOptions;
  readonly #program: DissectorProgram;
  readonly #clock: Clock;
  readonly #reporter: Reporter;
  readonly #join: FactsJoin;
  readonly #chooser: ChosenPacket | null;
  /** Oldest first; the last one takes packets when `#current` is it. */
  readonly #children: Watched[] = [];
  #current: Watched | null = null;
  /** The child before it, while it may have messages to finish. */
  #previous: Watched | null = null;
  /** Flows the current child has had packets of while there is a previous one. */
  readonly #begun = new Set<number>();
  #lastTicket = 0;
  #answered = 0;
  #givenUp = 0;
  #readHere = 0;
  /** Tickets of octets that were kept. */
  #noted = 0;
  readonly #refused: Record<RefusalReason, number> = { packets_max: 0, bytes_max: 0, rate: 0, no_child: 0 };
  /** What the reporter was told last, by counter. */
  readonly #told = new Map<string, number>();
  #tokens: number;
  #refilledMs = 0;
  readonly #failures = new ChildFailures();
  /** In a row, for the pause before the next start. */
  #failuresInRow = 0;
  #restartAtMs = 0;
  readonly #stopping = new AbortController();
  #tending: Promise<void> | null = null;
  #draining = false;
  #changed: (() => void) | null = null;

  constructor(
    options: Partial<LaneOptions>,
    deps: { program: DissectorProgram; clock: Clock; reporter: Reporter; chooser?: ChosenPacket },
  ) {
    this.#options = laneOptions(options);
    this.#program = deps.program;
    this.#chooser = deps.chooser ?? null;
    this.#clock = deps.clock;
    this.#reporter = deps.reporter;
    this.#join = new FactsJoin(this.#options.flowsMax);
    this.#tokens = this.#options.packetsPerSecondMax;
  }

  /** Finds the dissector and starts the first child. Rejects with a message for the operator when there is none. */
  async start(): Promise<void> {
    await this.#program.prepare();
    this.#refilledMs = this.#clock.monotonicMs();
    this.#spawn("start");
    this.#tending = this.#tend();
  }

  /** Ends all children at once; what they owe is given up. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const ends = this.#children.map((watched) => watched.child.ended);
    for (const watched of this.#children) watched.child.kill("stopped");
    await Promise.all(ends);
    await this.#tending;
    this.#tell();
    await this.#program.dispose();
  }

  offer(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    flowId: number,
    segment = 0,
  ): number {
    if (this.#readsPlain(buffer, flowId, segment)) return ++this.#lastTicket;
    if (this.#current === null) return this.#refuse("no_child");
    const child = this.#childFor(flowId, this.#current);
    const refusal = child.refusal;
    if (refusal !== "") return this.#refuse(refusal);
    if (this.#options.live && this.#tokens < 1) return this.#refuse("rate");
    const ticket = this.#lastTicket + 1;
    child.offer(buffer, offset, capturedLength, wireLength, timeUs, ticket, flowId, segment);
    this.#tokens--;
    return this.#lastTicket = ticket;
  }

  noteStart(flowId: number, direction: number, buffer: Uint8Array, at: number, captured: number): number {
    // What is read on the spot has a name.
    if (this.#chooser !== null && this.#chooser.plainKind !== plainKind.none) return 0;
    this.#join.noteStart(flowId, direction, buffer, at, captured);
    this.#noted++;
    return ++this.#lastTicket;
  }

  get answeredTicket(): number {
    let oldest = this.#lastTicket + 1;
    for (const { child } of this.#children) {
      const ticket = child.oldestTicket;
      if (ticket < oldest) oldest = ticket;
    }
    return oldest - 1;
  }

  takeFacts(flowId: number, segment: number, out: Octets): string {
    return this.#join.take(flowId, segment, out);
  }

  async turn(): Promise<void> {
    for (const { child } of this.#children) child.pump();
    const taken = this.#current?.child.offered ?? 0;
    if (this.#previous && taken >= this.#options.overlapPackets) this.#endOverlap();
    if (taken >= this.#options.handOverPackets) this.#handOver();
    if (this.#options.live) return;
    while (!this.#hasRoom() && !this.#stopping.signal.aborted) await this.#change();
  }

  async drain(): Promise<void> {
    this.#draining = true;
    this.#current = null;
    this.#previous = null;
    for (const { child } of this.#children) void child.finish();
    while (this.#children.length > 0 && !this.#stopping.signal.aborted) await this.#change();
    this.#tell();
  }

  get health(): LaneHealth {
    return {
      version: this.#program.version,
      walls: this.#program.walls,
      children: this.#children.map(({ child }) => child.pid),
      offered: this.#lastTicket - this.#readHere - this.#noted,
      read_here: this.#readHere,
      answered: this.#answered,
      given_up: this.#givenUp,
      refused: Object.values(this.#refused).reduce((sum, count) => sum + count, 0),
      failures: {
        total: this.#failures.total,
        lately: this.#failures.lately(this.#clock.monotonicMs()),
        words: this.#failures.words,
      },
      child_packets: this.#current?.child.offered ?? 0,
    };
  }

  /** Reads a plain payload on the spot; what the chooser saw last is the packet being offered. */
  #readsPlain(buffer: Uint8Array, flowId: number, segment: number): boolean {
    const chooser = this.#chooser;
    if (chooser === null || chooser.plainKind === plainKind.none) return false;
    if (this.#options.live && this.#tokens < plainTokens) return false;
    if (!this.#join.addPlain(flowId, segment, chooser, buffer)) return false;
    if (chooser.plainKind === plainKind.laterHello) return false;
    chooser.settle();
    this.#tokens -= plainTokens;
    this.#readHere++;
    return true;
  }

  /** What was to be read twice has been read here, and that is worth waiting for. */
  #refuse(reason: RefusalReason): number {
    this.#refused[reason]++;
    if (this.#chooser?.plainKind !== plainKind.laterHello) return 0;
    this.#readHere++;
    return ++this.#lastTicket;
  }

  /** Replay: half of every bound is free, so that the next chunk fits. */
  #hasRoom(): boolean {
    if (this.#current === null) return false;
    const { child } = this.#current;
    const { waitingPacketsMax, replayPacketsMax } = this.#options;
    return child.waiting <= Math.min(waitingPacketsMax / 2, replayPacketsMax) &&
      child.bufferedBytes <= this.#options.bufferBytesMax / 2;
  }

  /** Resolves when a child answered, started or ended. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#changed;
      this.#changed = before ? () => (before(), resolve()) : resolve;
    });
  }

  #signal(): void {
    const waiting = this.#changed;
    this.#changed = null;
    waiting?.();
  }

  #spawn(reason: "start" | "restart" | "hand_over"): boolean {
    const nowMs = this.#clock.monotonicMs();
    const { waitingPacketsMax, bufferBytesMax } = this.#options;
    let child: DissectorChild;
    try {
      const bounds = { packetsMax: waitingPacketsMax, bytesMax: bufferBytesMax };
      child = new DissectorChild(this.#program.spawn(), bounds, (flowId, segment, columns) => {
        this.#answered++;
        this.#join.add(flowId, segment, columns);
        if (this.#changed) this.#signal();
      });
    } catch (error) {
      this.#failed(nowMs, error instanceof Error ? error.message : String(error));
      return false;
    }
    const watched = { child, startedMs: nowMs, progressMs: nowMs, answeredThen: 0 };
    this.#children.push(watched);
    this.#current = watched;
    this.#reporter.count("dissector_starts_total", { reason });
    void child.ended.then((end) => this.#ended(watched, end));
    this.#signal();
    return true;
  }

  #ended(watched: Watched, end: ChildEnd): void {
    this.#children.splice(this.#children.indexOf(watched), 1);
    const wasCurrent = this.#current === watched;
    if (wasCurrent) this.#current = null;
    if (this.#previous === watched) this.#previous = null;
    if (end.givenUp > 0) {
      this.#givenUp += end.givenUp;
      this.#reporter.count("facts_given_up_total", { reason: end.reason }, end.givenUp);
    }
    if (!this.#stopping.signal.aborted && end.reason !== "drained") {
      this.#noteFailure(end.reason, end.words);
      this.#reporter.warn("the dissector ended, facts of these packets are lost", {
        packets: end.givenUp,
        reason: end.words,
      });
      if (wasCurrent && watched.child.answered > 0) this.#failuresInRow = 0;
      if (wasCurrent) this.#failed(this.#clock.monotonicMs(), "");
    }
    this.#signal();
  }

  #failed(nowMs: number, words: string): void {
    const { restartMinMs, restartMaxMs } = this.#options;
    this.#restartAtMs = nowMs + Math.min(restartMaxMs, restartMinMs * 2 ** Math.min(this.#failuresInRow, 20));
    this.#failuresInRow++;
    if (words === "") return;
    this.#noteFailure("no_start", words);
    this.#reporter.warn("cannot start the dissector, will retry", { reason: words });
  }

  #noteFailure(reason: Exclude<ChildEnd["reason"], "drained"> | "no_start", words: string): void {
    this.#failures.add(words, this.#clock.monotonicMs());
    this.#reporter.count("dissector_failures_total", { reason });
  }

  #handOver(): void {
    const old = this.#current;
    if (old === null || this.#children.length >= childrenMax) return;
    this.#endOverlap();
    if (this.#spawn("hand_over")) this.#previous = old;
  }

  /** The rest of a message goes to the child that has its beginning. */
  #childFor(flowId: number, current: Watched): DissectorChild {
    if (this.#previous === null) return current.child;
    if (this.#chooser?.isContinuing && !this.#begun.has(flowId)) return this.#previous.child;
    this.#begun.add(flowId);
    return current.child;
  }

  #endOverlap(): void {
    void this.#previous?.child.finish();
    this.#previous = null;
    this.#begun.clear();
  }

  async #tend(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#clock.sleep(this.#options.tendMs, signal);
      if (signal.aborted) return;
      const nowMs = this.#clock.monotonicMs();
      this.#refill(nowMs);
      for (const watched of [...this.#children]) this.#watch(watched, nowMs);
      this.#relieve(nowMs);
      this.#tell();
    }
  }

  #refill(nowMs: number): void {
    const { packetsPerSecondMax } = this.#options;
    const gained = (nowMs - this.#refilledMs) / 1_000 * packetsPerSecondMax;
    this.#tokens = Math.min(packetsPerSecondMax, this.#tokens + gained);
    this.#refilledMs = nowMs;
  }

  #watch(watched: Watched, nowMs: number): void {
    const { child } = watched;
    child.pump();
    if (child.answered !== watched.answeredThen || (child.waiting === 0 && !child.isEnding)) {
      watched.answeredThen = child.answered;
      watched.progressMs = nowMs;
    }
    const limitMs = child.answered === 0 ? this.#options.startMs : this.#options.silenceMs;
    if (nowMs - watched.progressMs > limitMs) {
      child.kill(`no answer for ${Math.round(nowMs - watched.progressMs)} ms`);
    } else if (child.waiting > 0 && (this.#options.live || nowMs > watched.progressMs)) {
      // A replay at full speed pushes by itself; one that is paced, or waits, does not.
      child.push();
    }
  }

  #relieve(nowMs: number): void {
    if (this.#draining) return;
    const { handOverMs, handOverPackets, overlapMs } = this.#options;
    if (this.#previous && this.#current && nowMs - this.#current.startedMs >= overlapMs) this.#endOverlap();
    if (this.#current === null) {
      if (nowMs >= this.#restartAtMs && this.#children.length < childrenMax) this.#spawn("restart");
    } else if (
      this.#current.child.offered >= handOverPackets || nowMs - this.#current.startedMs >= handOverMs
    ) {
      this.#handOver();
    }
  }

  /** Counters grow on the hot path as plain numbers; the reporter learns of them here. */
  #tell(): void {
    this.#tellOne("facts_offered_total", this.#lastTicket - this.#readHere - this.#noted);
    this.#tellOne("facts_answered_total", this.#answered);
    this.#tellOne("facts_read_here_total", this.#readHere);
    this.#tellOne("facts_flows_dropped_total", this.#join.dropped);
    for (const reason of refusalReasons) {
      this.#tellOne("facts_refused_total", this.#refused[reason], reason);
    }
    this.#reporter.gauge("dissector_children", this.#children.length);
  }

  #tellOne(name: string, value: number, reason?: RefusalReason): void {
    const key = reason === undefined ? name : `${name} ${reason}`;
    const before = this.#told.get(key) ?? 0;
    if (value === before) return;
    this.#told.set(key, value);
    this.#reporter.count(name, reason === undefined ? undefined : { reason }, value - before);
  }
}
