/** Sends canaries: a minute after the start, about every hour, and when somebody asks for one.
 *
 * In: the interfaces that are captured; questions of the centre, in answers to check-ins; the question of a command on
 * this machine, a file in the state folder. Out: the newest canary, for the check-in and the status file.
 * Rule: the centre's question is answered once, however often it comes. Nothing waits for a canary: whether it arrived
 * is found out by the centre, among the flows that it stored.
 * Bounds: {@link interfacesMax} interfaces; at most one sending every {@link pauseMs}, whoever asks. @module */

import type { Clock } from "../../shared/clock.ts";
import type { CheckInRequest, CheckInResponse } from "../../shared/control.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Disk } from "../disk.ts";

export type Canary = NonNullable<CheckInRequest["canary"]>;

/** What came of sending one: the Community ID of its flow, or why there is none. */
export type CanarySending = { communityId: string } | { problem: string };

export interface CanaryKeeperOptions {
  interfaces: readonly string[];
  /** @default 3_600_000 */
  everyMs?: number;
  /** From the start to the first one. @default 60_000 */
  firstMs?: number;
}

export interface CanaryKeeperDeps {
  /** Sends one on an interface. Never rejects. Null = the operator wants none. */
  send: ((interfaceName: string) => Promise<CanarySending>) | null;
  disk: Disk;
  folder: string;
  clock: Clock;
  reporter: Reporter;
  /** 0 <= value < 1 */
  random: () => number;
}

const interfacesMax = 16;
const lookMs = 1_000;
const pauseMs = 5_000;
const problemCharactersMax = 200;

/** A command on this machine makes it to ask for a canary. */
export function canaryQuestion(folder: string): string {
  return `${folder}/canary.ask`;
}

export class CanaryKeeper {
  readonly #interfaces: readonly string[];
  readonly #everyMs: number;
  readonly #deps: CanaryKeeperDeps;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #newest: Omit<Canary, "asked"> | null = null;
  #dueMs: number;
  /** Monotonic, of the last sending. */
  #sentAtMs = -Infinity;
  #answered: number | null = null;
  /** Question of the centre that is still to be answered. */
  #asked: number | null = null;
  #arrivedMs: number | null = null;

  constructor(
    { interfaces, everyMs = 3_600_000, firstMs = 60_000 }: CanaryKeeperOptions,
    deps: CanaryKeeperDeps,
  ) {
    this.#interfaces = interfaces.slice(0, interfacesMax);
    this.#everyMs = everyMs;
    this.#dueMs = deps.clock.monotonicMs() + firstMs;
    this.#deps = deps;
  }

  /** For the check-in; undefined = none was sent yet. */
  get state(): Canary | undefined {
    return this.#newest === null ? undefined : { ...this.#newest, asked: this.#answered };
  }

  /** When the newest one that the centre found was sent; null = none is known to be found. */
  get arrivedMs(): number | null {
    return this.#arrivedMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Takes what an answer to a check-in says. */
  heed({ ask, arrived }: NonNullable<CheckInResponse["canary"]>): void {
    this.#arrivedMs = arrived;
    if (ask !== undefined && ask !== this.#answered) this.#asked = ask;
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(lookMs, signal);
      if (signal.aborted) return;
      const nowMs = clock.monotonicMs();
      if (nowMs - this.#sentAtMs < pauseMs) continue;
      const isAskedHere = await this.#takeQuestion();
      if (isAskedHere || this.#asked !== null || nowMs >= this.#dueMs) await this.#send(nowMs);
    }
  }

  async #takeQuestion(): Promise<boolean> {
    const { disk, folder, reporter } = this.#deps;
    try {
      await disk.read(canaryQuestion(folder), 64);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
    }
    try {
      await disk.remove(canaryQuestion(folder));
      return true;
    } catch {
      // It would be answered for ever.
      reporter.count("canary_questions_unread_total");
      return false;
    }
  }

  async #send(nowMs: number): Promise<void> {
    const { send, clock, reporter, random } = this.#deps;
    const sent_ms = clock.nowMs();
    const flows: Canary["flows"] = [];
    for (const name of this.#interfaces) {
      const sending = send === null
        ? { problem: "it was told to send none (--no-canary)" }
        : await send(name);
      const isSent = "communityId" in sending;
      reporter.count("canaries_total", { outcome: isSent ? "sent" : "not_possible" });
      flows.push({
        interface: name.slice(0, 60),
        community_id: isSent ? sending.communityId : null,
        problem: isSent ? null : sending.problem.slice(0, problemCharactersMax),
      });
    }
    this.#newest = { sent_ms, flows };
    this.#answered = this.#asked ?? this.#answered;
    this.#asked = null;
    this.#sentAtMs = nowMs;
    // 90 to 110 %: a fleet that lost power together does not send in one beat for ever.
    this.#dueMs = nowMs + this.#everyMs * (0.9 + 0.2 * random());
  }
}
