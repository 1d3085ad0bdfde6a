/** The threads that read for people, as the database sees them.
 *
 * In: work on a session. Out: what it returns, its statements run one after another, each on a thread that is free.
 * Invariant: ingest, check-ins and health never wait for it; a statement ends after {@link QueryLimits.statementMs},
 * and a thread that does not answer a second later is replaced.
 * Of those who wait, the one whose statements have taken the least time is next, so that a short question waits for one
 * statement of a long one, not for its end; waiting makes up for half of its time, so that new questions without end
 * keep no long one from its end. Whoever waits longer than {@link QueryLimits.waitMs} is told so.
 * Why one core fewer than there are, and at least one thread: the main thread keeps its core, however many people ask.
 * @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Row, Session, Value } from "./database.ts";
import { type QueryAnswer, type QueryRequest, timeUp } from "./sqlite_worker.ts";
import { StoreUnavailable } from "./store.ts";

export interface QueryLimits {
  /** @default 2000 */
  statementMs: number;
  /** @default 10000 */
  waitMs: number;
  /** @default one fewer than cores, 1 to 4 */
  threadsMax: number;
}

const graceMs = 1_000;

export class QueryThreads {
  #limits: QueryLimits;
  #path: string;
  #deps: { clock: Clock; reporter: Reporter };
  #idle: QueryThread[] = [];
  #busy = new Set<QueryThread>();
  /** In order of arrival. */
  #waiting: Waiter[] = [];
  #isClosed = false;

  constructor(path: string, limits: Partial<QueryLimits>, deps: { clock: Clock; reporter: Reporter }) {
    const threadsMax = Math.min(4, Math.max(1, navigator.hardwareConcurrency - 1));
    this.#limits = { statementMs: 2_000, waitMs: 10_000, threadsMax, ...limits };
    this.#path = path;
    this.#deps = deps;
  }

  async query<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const question: Question = { usedMs: 0, thread: null };
    try {
      return await work({
        all: (sql, values = []) => this.#readNext(question, sql, values),
        run: readOnly,
        batch: readOnly,
        insert: readOnly,
      });
    } finally {
      this.#yield(question);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const thread of [...this.#idle, ...this.#busy]) thread.end("the store is closed");
    this.#idle = [];
    for (const { take } of this.#waiting.splice(0)) take(null);
  }

  async #readNext(question: Question, sql: string, values: readonly Value[]): Promise<Row[]> {
    if (this.#isBehind(question)) this.#yield(question);
    const thread = question.thread ??= await this.#acquire(question);
    const beganMs = this.#deps.clock.monotonicMs();
    try {
      return await this.#read(thread, sql, values);
    } finally {
      question.usedMs += this.#deps.clock.monotonicMs() - beganMs;
      // Else it keeps the thread for its next statement.
      if (thread.isOver || this.#isBehind(question)) this.#yield(question);
    }
  }

  /** Somebody who has had less waits. */
  #isBehind({ usedMs }: Question): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    return this.#waiting.some((waiter) => rankOf(waiter, nowMs) < usedMs);
  }

  #yield(question: Question): void {
    const { thread } = question;
    question.thread = null;
    if (thread) this.#release(thread);
  }

  async #read(thread: QueryThread, sql: string, values: readonly Value[]): Promise<Row[]> {
    const { clock, reporter } = this.#deps;
    const { statementMs } = this.#limits;
    const given = new AbortController();
    const late = clock.sleep(statementMs + graceMs, given.signal).then(() => {
      if (given.signal.aborted) return;
      reporter.count("store_query_threads_replaced_total");
      thread.end("it did not end in its time");
    });
    const answer = await thread.read(sql, values, statementMs);
    given.abort();
    await late;
    if ("rows" in answer) return answer.rows;
    if (answer.errcode !== timeUp) {
      throw Object.assign(new Error(answer.message), { errcode: answer.errcode });
    }
    reporter.count("store_queries_interrupted_total");
    throw new StoreUnavailable(
      `Cannot answer as the query must end within ${
        statementMs / 1_000
      } s: narrow its time range or its filter`,
    );
  }

  async #acquire(question: Question): Promise<QueryThread> {
    const free = this.#isClosed ? null : this.#idle.pop() ?? this.#another();
    if (free) {
      this.#busy.add(free);
      return free;
    }
    const thread = this.#isClosed ? null : await this.#wait(question);
    if (thread) return thread;
    throw new StoreUnavailable("Cannot answer as too many queries wait: ask again later");
  }

  async #wait(question: Question): Promise<QueryThread | null> {
    const { promise, resolve } = Promise.withResolvers<QueryThread | null>();
    const waiter = { question, sinceMs: this.#deps.clock.monotonicMs(), take: resolve };
    this.#waiting.push(waiter);
    const given = new AbortController();
    this.#deps.clock.sleep(this.#limits.waitMs, given.signal).then(() => {
      if (this.#leave(waiter)) waiter.take(null);
    });
    const thread = await promise;
    given.abort();
    return thread;
  }

  /** False = it waits no more. */
  #leave(waiter: Waiter): boolean {
    const index = this.#waiting.indexOf(waiter);
    if (index >= 0) this.#waiting.splice(index, 1);
    return index >= 0;
  }

  /** Null = there are enough. */
  #another(): QueryThread | null {
    return this.#busy.size < this.#limits.threadsMax ? new QueryThread(this.#path) : null;
  }

  #release(thread: QueryThread): void {
    this.#busy.delete(thread);
    if (this.#isClosed) return;
    const nowMs = this.#deps.clock.monotonicMs();
    const next = this.#waiting.reduce<Waiter | null>(
      (least, waiter) => least && rankOf(least, nowMs) <= rankOf(waiter, nowMs) ? least : waiter,
      null,
    );
    const free = thread.isOver ? next && this.#another() : thread;
    if (!free) return;
    if (!next) {
      this.#idle.push(free);
      return;
    }
    // From hand to hand: nobody who comes now takes it before.
    this.#busy.add(free);
    this.#leave(next);
    next.take(free);
  }
}

/** What one caller has had of the threads. */
interface Question {
  usedMs: number;
  /** The one it has now. */
  thread: QueryThread | null;
}

interface Waiter {
  question: Question;
  sinceMs: number;
  /** Null = there is none in time. */
  take(thread: QueryThread | null): void;
}

/** The least is next. */
function rankOf({ question, sinceMs }: Waiter, nowMs: number): number {
  return question.usedMs - (nowMs - sinceMs) / 2;
}

function readOnly(): Promise<never> {
  return Promise.reject(new Error("Cannot change anything in a query: it only reads"));
}

/** A worker that answers one statement at a time. */
class QueryThread {
  isOver = false;
  #worker: Worker;
  #answer: ((answer: QueryAnswer) => void) | null = null;

  constructor(path: string) {
    this.#worker = new Worker(new URL("./sqlite_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<QueryAnswer>) => this.#finish(data);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // Else the program ends.
      this.end(event.message);
    };
    this.#post({ kind: "open", path });
  }

  read(sql: string, values: readonly Value[], timeMs: number): Promise<QueryAnswer> {
    if (this.isOver) return Promise.resolve({ message: "the query thread has ended", errcode: timeUp });
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#post({ kind: "read", sql, values, timeMs });
    });
  }

  end(why: string): void {
    this.isOver = true;
    this.#worker.terminate();
    this.#finish({ message: `the query thread ended: ${why}`, errcode: timeUp });
  }

  #finish(answer: QueryAnswer): void {
    this.#answer?.(answer);
    this.#answer = null;
  }

  #post(request: QueryRequest): void {
    this.#worker.postMessage(request);
  }
}
