/** Bounds of the tables that grow with what the network shows: hosts, services, names and the like.
 *
 * In: how many rows each transaction wrote to a table. Out: rows deleted, counted. Invariant: no table has more rows
 * than its limit, those of one write, and twice {@link countEvery}: so many may be written before it is counted again,
 * and so many more while its rows leave. Then the next write waits for as many to leave.
 * Deleted first: what was seen in only one flow, as the inventions of a flood are; then the oldest.
 * What is seen again later starts over.
 * Why beside the transactions and in slices: a tenth of a table leaves, and a batch would wait seconds for it. Each
 * slice takes the row of totals first, as every writer of these tables does, so that none waits in a circle.
 * Why counted now and then: counting costs a scan. @module */

import { systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Database } from "./database.ts";
import { keysOf, sizeOfNext } from "./drop_day.ts";

interface Bound {
  rowsMax: number;
  /** Oldest first; the names of indexed columns. */
  order: readonly [string] | readonly [string, string];
  /** What goes before all else. */
  weak?: string;
}

export const rowBounds = {
  hosts: { rowsMax: 100_000, order: ["last_us"], weak: "flows < 2" },
  host_hours: { rowsMax: 1_000_000, order: ["hour"] },
  services: { rowsMax: 100_000, order: ["last_us"], weak: "flows < 2" },
  conversations: { rowsMax: 500_000, order: ["day", "bytes"] },
  neighbours: { rowsMax: 100_000, order: ["last_us"] },
  host_names: { rowsMax: 200_000, order: ["last_us"] },
  domains: { rowsMax: 100_000, order: ["last_us"], weak: "queries < 2" },
} as const satisfies Record<string, Bound>;
export type BoundTable = keyof typeof rowBounds;
export type RowBounds = Record<BoundTable, Bound>;

const countEvery = 20_000;
/** Of a full table so much stays. */
const lowWatermark = 0.9;
const firstSlice = 1_000;

export class RowCaps {
  readonly #database: Database;
  readonly #reporter: Reporter;
  readonly #bounds: RowBounds;
  readonly #countEvery: number;
  readonly #states = new Map<BoundTable, { written: number; left: number; allowed: number }>();
  #trimming: Promise<void> | null = null;
  #noteSlice: () => void = () => {};
  #isStopping = false;

  constructor(
    database: Database,
    deps: { reporter: Reporter; bounds?: RowBounds; countEvery?: number },
  ) {
    this.#database = database;
    this.#reporter = deps.reporter;
    this.#bounds = deps.bounds ?? rowBounds;
    this.#countEvery = deps.countEvery ?? countEvery;
  }

  get isTrimming(): boolean {
    return this.#trimming !== null;
  }

  wrote(table: BoundTable, rows: number): void {
    this.#stateOf(table).written += rows;
  }

  /** Rows written since the table was counted, rows that left meanwhile, rows that may be written until it is counted
   * again. */
  #stateOf(table: BoundTable): { written: number; left: number; allowed: number } {
    let state = this.#states.get(table);
    if (!state) this.#states.set(table, state = { written: 0, left: 0, allowed: 0 });
    return state;
  }

  /** Counts the tables that are due, and lets rows leave; to be called after a commit, which does not wait for it. */
  trim(): void {
    if (this.#trimming !== null || this.#isStopping || this.#due().length === 0) return;
    this.#trimming = this.#trimDue().finally(() => {
      this.#trimming = null;
      this.#noteSlice();
    });
  }

  /** Before a transaction: waits while more was written to a table than it may have. */
  async room(): Promise<void> {
    const isOver = () =>
      this.#states.values().some(({ written, left }) => written - left >= this.#countEvery);
    if (this.#trimming === null || !isOver()) return;
    this.#reporter.count("rollup_trim_waits_total");
    while (this.#trimming !== null && isOver()) {
      await new Promise<void>((resolve) => this.#noteSlice = resolve);
    }
  }

  /** Ends after the slice at work. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#trimming;
    this.#isStopping = false;
  }

  #due(): BoundTable[] {
    return [...this.#states].filter(([, { written, allowed }]) => written > 0 && written >= allowed)
      .map(([table]) => table);
  }

  async #trimDue(): Promise<void> {
    const due = this.#due();
    for (const table of due) Object.assign(this.#stateOf(table), { written: 0, left: 0, allowed: 0 });
    for (const table of due) {
      try {
        await this.#trimOne(table);
      } catch (error) {
        // Nothing is allowed to it yet: the next commit that writes to it tries again.
        this.#reporter.count("rollup_trims_failed_total", { table });
        this.#reporter.warn("cannot drop rows of a full table, will retry", { table, error });
      }
      if (this.#isStopping) return;
    }
  }

  async #trimOne(table: BoundTable): Promise<void> {
    const { rowsMax, weak } = this.#bounds[table], state = this.#stateOf(table);
    const [{ present }] = await this.#database.read((session) =>
      session.all(`SELECT COUNT(*) AS present FROM ${table}`)
    );
    let stored = Number(present);
    const stay = stored > rowsMax ? Math.floor(rowsMax * lowWatermark) : stored;
    if (weak !== undefined) stored -= await this.#drop(table, stored - stay, weak);
    stored -= await this.#drop(table, stored - stay, "1 = 1");
    if (this.#isStopping) return;
    state.allowed = Math.min(this.#countEvery, Math.max(1, rowsMax - stored));
    state.left = 0;
  }

  /** Deletes rows in slices; returns how many. */
  async #drop(table: BoundTable, count: number, where: string): Promise<number> {
    const { dialect } = this.#database;
    const order = this.#bounds[table].order.join(", ");
    const keys = dialect.name === "mariadb" ? null : await keysOf(this.#database, table);
    let dropped = 0, rows = firstSlice;
    while (dropped < count && !this.#isStopping) {
      const limit = Math.min(rows, count - dropped);
      const some = `FROM ${table} WHERE ${where} ORDER BY ${order} LIMIT ${limit}`;
      const sql = keys === null
        ? `DELETE ${some}`
        : `DELETE FROM ${table} WHERE (${keys}) IN (SELECT ${keys} ${some})`;
      const begunMs = systemClock.monotonicMs();
      const deleted = await this.#database.transaction(async (session) => {
        await session.all(`SELECT flows FROM totals WHERE name = 'all'${dialect.forUpdate}`);
        return await session.run(sql);
      }, { isDurable: false });
      const tookMs = systemClock.monotonicMs() - begunMs;
      dropped += deleted;
      this.#reporter.count("rollup_rows_dropped_total", { table }, deleted);
      this.#stateOf(table).left += deleted;
      this.#noteSlice();
      if (deleted < limit) break;
      await systemClock.sleep(tookMs / 4);
      rows = sizeOfNext(rows, tookMs);
    }
    return dropped;
  }
}
