/** Segments on their way out: those whose flow has questions open in the deep lane wait for the answers.
 *
 * In: exported segments with the last ticket of their flow. Out: pages of segments, with facts where there are any.
 * Invariant: every segment leaves once;
 * those that wait leave in the order they came, and no later than `waitMs` (Infinity in a replay).
 * Bound: `rowsMax` waiting segments; beyond it the oldest leave with the facts there are, counted in `hurried`.
 * Why pages: segments that came together wait together and leave as they are; pages handed back are filled again.
 * @module */

import { float, strideWords, word } from "./layout.ts";
import type { Octets } from "./octets.ts";
import { SegmentPage } from "./segment_page.ts";
import type { SegmentTarget } from "./table.ts";

/** The part of the deep lane that is asked for facts. */
export interface FactSource {
  readonly answeredTicket: number;
  takeFacts(flowId: number, segment: number, out: Octets): string;
}

/** Pages kept for reuse. */
const sparePagesMax = 16;

interface WaitingPage {
  page: SegmentPage;
  lastTicket: number;
  /** When it began to wait, by the clock of `release`; -1 = since the last release. */
  sinceMs: number;
}

export class WaitingRows implements SegmentTarget {
  /** Segments that left before their answers, because too many waited or for too long. */
  hurried = 0;
  waitingCount = 0;
  #spare: SegmentPage[] = [];
  /** Takes segments that wait for nothing. */
  #open: SegmentPage = new SegmentPage();
  #ready: SegmentPage[] = [];
  #pages: WaitingPage[] = [];
  #waitMs: number;
  #rowsMax: number;

  constructor(options: { waitMs: number; rowsMax: number }) {
    this.#waitMs = options.waitMs;
    this.#rowsMax = options.rowsMax;
  }

  pageFor(ticket: number): SegmentPage {
    if (ticket === 0) {
      if (this.#open.isFull) this.#close();
      return this.#open;
    }
    let last = this.#pages.at(-1);
    if (last === undefined || last.sinceMs >= 0 || last.page.isFull) {
      this.#pages.push(last = { page: this.#newPage(), lastTicket: 0, sinceMs: -1 });
    }
    if (ticket > last.lastTicket) last.lastTicket = ticket;
    this.waitingCount++;
    return last.page;
  }

  /** Lets go the pages that have their answers, or have waited long enough. */
  release(source: FactSource, nowMs: number): void {
    for (let index = this.#pages.length - 1; index >= 0 && this.#pages[index].sinceMs < 0; index--) {
      this.#pages[index].sinceMs = nowMs;
    }
    let left = 0;
    for (const waiting of this.#pages) {
      const isLate = nowMs - waiting.sinceMs >= this.#waitMs || this.waitingCount > this.#rowsMax;
      if (waiting.lastTicket > source.answeredTicket && !isLate) break;
      this.#answer(waiting.page, source);
      left++;
    }
    if (left > 0) this.#pages.splice(0, left);
  }

  #answer(page: SegmentPage, source: FactSource): void {
    const answered = source.answeredTicket;
    for (let index = 0; index < page.length; index++) {
      const base = index * strideWords, half = base >> 1;
      if (page.floats[half + float.ticket] > answered) this.hurried++;
      const flowId = page.floats[half + float.flowId];
      const app = source.takeFacts(flowId, page.words[base + word.segment], page.facts);
      page.endFacts(index, app);
    }
    this.waitingCount -= page.length;
    this.#ready.push(page);
  }

  /** Takes the pages that wait for nothing any more; never an empty one. */
  take(): SegmentPage[] {
    if (this.#open.length > 0) this.#close();
    const taken = this.#ready;
    this.#ready = [];
    return taken;
  }

  /** A page that was taken may be filled again. */
  giveBack(page: SegmentPage): void {
    page.clear();
    if (this.#spare.length < sparePagesMax) this.#spare.push(page);
  }

  #close(): void {
    this.#ready.push(this.#open);
    this.#open = this.#newPage();
  }

  #newPage(): SegmentPage {
    return this.#spare.pop() ?? new SegmentPage();
  }
}
