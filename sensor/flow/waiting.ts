/** Segments on their way out: those whose flow has questions open in the deep lane wait for the answers.
 *
 * In: exported rows with their segment's number and the last ticket of their flow. Out: rows, with facts where there are any.
 * Invariant: every row leaves once; rows that wait leave in the order they came, and no later than `waitMs` (Infinity in a replay).
 * Bound: `rowsMax` waiting rows; beyond it the oldest leave with the facts there are, counted in `hurried`.
 * Why pages: rows that came together wait together and leave as they are; copying each row cost more than making it. @module */

import type { Facts } from "../../shared/facts.ts";
import { SegmentRows } from "./segment_rows.ts";
import type { RowTarget } from "./table.ts";

/** The part of the deep lane that is asked for facts. */
export interface FactSource {
  readonly answeredTicket: number;
  takeFacts(flowId: number, segment: number): { app_protocol: string; facts: Facts | null };
}

const pageRowsMax = 512;

/** Rows that wait together, with the flow, the segment and the last ticket of each. */
class Page {
  rows = new SegmentRows();
  flowIds: number[] = [];
  segments: number[] = [];
  tickets: number[] = [];
  lastTicket = 0;
  /** When it began to wait, by the clock of `release`; -1 = since the last release. */
  sinceMs = -1;
}

export class WaitingRows implements RowTarget {
  /** Rows that left before their answers, because too many waited or for too long. */
  hurried = 0;
  waitingCount = 0;
  #ready = new SegmentRows();
  #pages: Page[] = [];
  #answered: SegmentRows[] = [];
  #waitMs: number;
  #rowsMax: number;

  constructor(options: { waitMs: number; rowsMax: number }) {
    this.#waitMs = options.waitMs;
    this.#rowsMax = options.rowsMax;
  }

  rowsFor(flowId: number, ticket: number, segment = 0): SegmentRows {
    if (ticket === 0) return this.#ready;
    let page = this.#pages.at(-1);
    if (page === undefined || page.sinceMs >= 0 || page.rows.length >= pageRowsMax) {
      this.#pages.push(page = new Page());
    }
    page.flowIds.push(flowId);
    page.segments.push(segment);
    page.tickets.push(ticket);
    if (ticket > page.lastTicket) page.lastTicket = ticket;
    this.waitingCount++;
    return page.rows;
  }

  /** Lets go the pages that have their answers, or have waited long enough. */
  release(source: FactSource, nowMs: number): void {
    for (let index = this.#pages.length - 1; index >= 0 && this.#pages[index].sinceMs < 0; index--) {
      this.#pages[index].sinceMs = nowMs;
    }
    let left = 0;
    for (const page of this.#pages) {
      const isLate = nowMs - page.sinceMs >= this.#waitMs || this.waitingCount > this.#rowsMax;
      if (page.lastTicket > source.answeredTicket && !isLate) break;
      this.#answer(page, source);
      left++;
    }
    if (left > 0) this.#pages.splice(0, left);
  }

  #answer(page: Page, source: FactSource): void {
    const answered = source.answeredTicket;
    for (let index = 0; index < page.rows.length; index++) {
      if (page.tickets[index] > answered) this.hurried++;
      const { app_protocol, facts } = source.takeFacts(page.flowIds[index], page.segments[index]);
      page.rows.setFacts(index, app_protocol, facts);
    }
    this.waitingCount -= page.rows.length;
    this.#answered.push(page.rows);
  }

  /** Takes the rows that wait for nothing any more; never an empty one. */
  take(): SegmentRows[] {
    const taken = this.#answered;
    this.#answered = [];
    if (this.#ready.length > 0) {
      taken.push(this.#ready);
      this.#ready = new SegmentRows();
    }
    return taken;
  }
}
