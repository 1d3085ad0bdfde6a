/** Puts reports that are due into the outbox of their sinks.
 *
 * In: sinks with a schedule, the time. Out: a message per report, which says what range it is about; the sender has the
 * page made when it sends it.
 * Invariant: the message and the note that it was made are one transaction under the lease of the sink's reports, so
 * that of several aggregators one makes it, once. After a pause only the newest is made. A sink that is new begins with
 * the next one. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { SinkMessage } from "../model/message.ts";
import { writeTime } from "../model/time_text.ts";
import type { LeaseStore, SinkStore } from "../store/store.ts";
import { blankMessage } from "./message.ts";
import { lastDue, type Schedule, spanMs } from "./schedule.ts";

const leaseMs = 60_000;

/** Epoch seconds. */
export interface ReportRange {
  fromS: number;
  toS: number;
}

/** Makes the page about a range. @throws when it cannot be made now */
export type MakeReport = (range: ReportRange) => Promise<string>;

export interface ReportsDeps {
  store: LeaseStore & SinkStore;
  sinks: () => readonly { name: string; report?: Schedule | undefined }[];
  holder: string;
  clock: Clock;
  reporter: Reporter;
}

export class Reports {
  readonly #deps: ReportsDeps;
  /** Of each sink, the moment that is known to be done. */
  readonly #done = new Map<string, number>();

  constructor(deps: ReportsDeps) {
    this.#deps = deps;
  }

  async turn(): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    for (const { name, report } of this.#deps.sinks()) {
      if (report === undefined) continue;
      const dueMs = lastDue(report, nowMs);
      if (this.#done.get(name) === dueMs) continue;
      if (await this.#make(name, dueMs, spanMs(report))) this.#done.set(name, dueMs);
    }
  }

  /** False = another aggregator has the lease. */
  async #make(sink: string, dueMs: number, spanMs: number): Promise<boolean> {
    const { store, holder, clock, reporter } = this.#deps;
    const name = `report.${sink}`;
    const lease = await store.takeLease(name, holder, leaseMs);
    if (lease === null) return false;
    const isNew = lease.position === "";
    if (!isNew && Number(lease.position) >= dueMs) {
      await store.releaseLease(name, holder);
      return true;
    }
    const message = reportMessage(sink, dueMs, spanMs);
    const row = {
      sink,
      id: message.id,
      state: "waiting" as const,
      made_ms: clock.nowMs(),
      due_ms: clock.nowMs(),
      attempts: 0,
      reason: "",
      message,
    };
    const write = { position: `${dueMs}`, told: [], messages: isNew ? [] : [row] };
    const isNoted = await store.noteForSinks(name, lease, write, []);
    if (!isNoted) reporter.count("sink_fenced_total");
    else if (!isNew) reporter.count("sink_messages_total", { sink, kind: message.kind });
    await store.releaseLease(name, holder);
    return isNoted;
  }
}

/** What a report's message is about. */
export function rangeOf({ first_seen, last_seen }: SinkMessage): ReportRange {
  return { fromS: first_seen, toS: last_seen };
}

export function reportMessage(sink: string, toMs: number, spanMs: number): SinkMessage {
  const fromMs = toMs - spanMs;
  return {
    ...blankMessage(`report-${sink}-${toMs / 60_000}`, "report", toMs),
    title: `Network report, ${dayOf(fromMs)} to ${dayOf(toMs)}`,
    summary: `From ${writeTime(fromMs / 1_000)} to ${writeTime(toMs / 1_000)}.`,
    first_seen: fromMs / 1_000,
    last_seen: toMs / 1_000,
  };
}

/** In UTC. */
function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
