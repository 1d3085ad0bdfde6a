/** Retro-hunt: what a threat-intelligence list brings anew is looked for in the flows that are stored already.
 *
 * In: fresh entries of lists; pages of stored flows, the newest first. Out: findings of the intelligence detector, each
 * marked as found afterwards, under an identity of its own: a contact of last week never grows into one of today.
 * Invariant: one hunt at a time, in the background; lists that change meanwhile wait for the next. Nothing that is
 * ingested waits for it. After a restart the lists in force are taken as known.
 * Bounds: {@link RetroHuntOptions.days} back, `rowsMax` flows, `pauseMs` of rest after each page, `triesMax` tries of a
 * page while the store is away, and `waitingMax` lists that wait; each is counted when it is reached.
 * Why the newest first: when a bound cuts it short, what matters most was seen. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { FreshEntries, type FreshList } from "../intel/fresh_entries.ts";
import type { Page } from "../model/page.ts";
import type { Flow } from "../model/flow.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";
import { intelligence } from "./detectors/intelligence.ts";
import { type Declaration, startDetector } from "./detector.ts";
import { updateOfFlow } from "./engine.ts";
import type { Episode } from "./episodes.ts";
import { field, type FreshFinding, reason } from "./finding.ts";
import { prepare, PrepareBooks } from "./prepared.ts";

export interface RetroHuntOptions {
  days: number;
  /** @default 2000000 */
  rowsMax?: number;
  /** @default 1000 */
  pageRows?: number;
  /** @default 50 */
  pauseMs?: number;
  /** @default 60000 */
  retryMs?: number;
}

export interface RetroHuntDeps {
  store: Pick<Store, "readFlows">;
  clock: Clock;
  reporter: Reporter;
  onFound: (findings: readonly FreshFinding[]) => Promise<void>;
}

const waitingMax = 64, triesMax = 10;

/** How a hunt ended. The label set of `retro_hunts_total`. */
type Outcome = "done" | "cut" | "stopped" | "failed";

export class RetroHunt {
  readonly #options: Required<RetroHuntOptions>;
  readonly #deps: RetroHuntDeps;
  readonly #stopping = new AbortController();
  #waiting: FreshList[] = [];
  #running: Promise<void> | null = null;

  constructor(options: RetroHuntOptions, deps: RetroHuntDeps) {
    this.#options = { rowsMax: 2_000_000, pageRows: 1_000, pauseMs: 50, retryMs: 60_000, ...options };
    this.#deps = deps;
  }

  /** Looks for these entries soon. Returns at once. */
  take(fresh: FreshList): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#waiting.length >= waitingMax) {
      this.#deps.reporter.count("retro_hunt_lists_dropped_total");
      this.#deps.reporter.error("list is not looked for in stored flows as too many wait", {
        list: fresh.list,
      });
      return;
    }
    this.#waiting.push(fresh);
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { reporter } = this.#deps;
    while (this.#waiting.length > 0 && !this.#stopping.signal.aborted) {
      const entries = new FreshEntries(this.#waiting);
      this.#waiting = [];
      const lists = entries.lists.map(({ list }) => list);
      reporter.info("looking for new entries of lists in stored flows", { lists, entries: entries.entries });
      let hunt = { outcome: "failed" as Outcome, flows: 0, findings: 0 };
      try {
        hunt = await this.#hunt(entries);
      } catch (error) {
        reporter.error("cannot look for new entries of lists in stored flows", { lists, error });
      }
      reporter.count("retro_hunts_total", { outcome: hunt.outcome });
      reporter.info("looked for new entries of lists in stored flows", { lists, ...hunt });
    }
    this.#running = null;
  }

  async #hunt(entries: FreshEntries): Promise<{ outcome: Outcome; flows: number; findings: number }> {
    const { clock, reporter, onFound } = this.#deps, { days, rowsMax, pauseMs } = this.#options;
    const { signal } = this.#stopping;
    const detector = startDetector(afterwards(entries)), books = new PrepareBooks();
    const from = clock.nowMs() / 1_000 - days * 86_400;
    let flows = 0, findings = 0, cursor: string | undefined;
    do {
      const page = await this.#read(from, cursor);
      if (page === null) return { outcome: "stopped", flows, findings };
      for (const update of prepare(page.rows.map(updateOfFlow), books)) detector.step(update);
      const found = detector.collect();
      if (found.length > 0) await onFound(found);
      flows += page.rows.length;
      findings += found.length;
      reporter.count("retro_hunt_flows_total", undefined, page.rows.length);
      cursor = page.next_cursor;
      if (cursor !== undefined && flows >= rowsMax) return { outcome: "cut", flows, findings };
      if (cursor !== undefined) await clock.sleep(pauseMs, signal);
    } while (cursor !== undefined);
    return { outcome: "done", flows, findings };
  }

  /** Null = told to stop. @throws when the store stays away. */
  async #read(from: number, cursor: string | undefined): Promise<Page<Flow> | null> {
    const { store, clock } = this.#deps, { pageRows, retryMs } = this.#options;
    const { signal } = this.#stopping;
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        return await store.readFlows({ from }, {
          limit: pageRows,
          signal,
          ...(cursor === undefined ? {} : { cursor }),
        });
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || tries >= triesMax) throw error;
        await clock.sleep(retryMs, signal);
      }
    }
    return null;
  }
}

/** The intelligence detector, whose findings say that they were made afterwards. */
function afterwards(entries: FreshEntries): Declaration {
  const declared = intelligence(entries);
  return {
    ...declared,
    key(update, limits, item) {
      const key = declared.key(update, limits, item);
      return key === null ? null : `afterwards|${key}`;
    },
    finding(state: Episode, limits) {
      const found = declared.finding(state, limits);
      return {
        ...found,
        title: "Threat-intelligence match, found afterwards",
        reasons: [
          ...found.reasons,
          reason("found_afterwards", 0, "found afterwards: the list named it only after the contact"),
        ],
        evidence: { ...found.evidence, found: field("found", "afterwards, among the stored flows") },
      };
    },
  };
}
