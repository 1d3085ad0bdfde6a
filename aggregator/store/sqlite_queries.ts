/** The threads that read for people, as the database sees them.
 *
 * In: work on a session. Out: what it returns, its statements run one after another on one of the threads. Invariant:
 * ingest, check-ins and health never wait for it; a statement ends after {@link QueryLimits.statementMs}, and a thread
 * that does not answer a second later is replaced.
 * Whoever waits longer than {@link QueryLimits.waitMs} for a thread is told so.
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
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(path: string, limits: Partial<QueryLimits>, deps: { clock: Clock; reporter: Reporter }) {
    const threadsMax = Math.min(4, Math.max(1, navigator.hardwareConcurrency - 1));
    this.#limits = { statementMs: 2_000, waitMs: 10_000, threadsMax, ...limits };
    this.#path = path;
    this.#deps = deps;
  }

  async query<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const thread = await this.#acquire();
    try {
      return await work({
        all: (sql, values = []) => this.#read(thread, sql, values),
        run: readOnly,
        batch: readOnly,
        insert: readOnly,
      });
    } finally {
      this.#release(thread);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const thread of [...this.#idle, ...this.#busy]) thread.end("the store is closed");
    this.#idle = [];
    for (const wake of this.#waiting.splice(0)) wake();
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

  async #acquire(): Promise<QueryThread> {
    const { clock } = this.#deps;
    const given = new AbortController();
    const endsMs = clock.monotonicMs() + this.#limits.waitMs;
    while (!this.#isClosed) {
      const idle = this.#idle.pop();
      const thread = idle ?? (this.#busy.size < this.#limits.threadsMax ? new QueryThread(this.#path) : null);
      if (thread) {
        this.#busy.add(thread);
        return thread;
      }
      const leftMs = endsMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      let wake = () => {};
      const woken = new Promise<void>((resolve) => this.#waiting.push(wake = resolve));
      await Promise.race([woken, clock.sleep(leftMs, given.signal)]);
      given.abort();
      this.#waiting = this.#waiting.filter((other) => other !== wake);
    }
    throw new StoreUnavailable("Cannot answer as too many queries wait: ask again later");
  }

  #release(thread: QueryThread): void {
    this.#busy.delete(thread);
    if (!thread.isOver && !this.#isClosed) this.#idle.push(thread);
    this.#waiting.shift()?.();
  }
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
