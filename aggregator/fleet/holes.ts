/** Holes: packets that a sensor had counted in flows, and that no batch brought.
 *
 * In: check-ins, as they come, and the ledger. Out: for each sensor the epochs that ended with packets missing, and since when.
 * Rule: an epoch has ended when a check-in of a later one comes. `graceMs` later, once the sensor's spool is empty, all its packets have
 * to be in stored batches: a sensor that was killed loses what it had not sealed. What is missing is looked for again, as it may still
 * come. Missing batches are another matter: they are gaps, see epoch_watch.ts.
 * Invariant: nothing is called missing that may still wait in the sensor's spool or in a log nobody reads; at most `sensorsMax` sensors
 * are remembered, {@link endedMax} epochs each, and each sensor costs one query in `lookMs`. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { IngestStore } from "../store/store.ts";

export interface HoleOptions {
  /** A batch may take this long from the sensor into the store. @default 60000 */
  graceMs?: number;
  /** @default 20000 */
  lookMs?: number;
  /** What is missing is looked for again after this. @default 300000 */
  againMs?: number;
  /** A hole is shown for this long. @default 86400000 */
  shownMs?: number;
  /** @default 10000 */
  sensorsMax?: number;
}

export interface HoleDeps {
  store: Pick<IngestStore, "readEpochPackets">;
  /** Whether batches are being read at all. */
  isReading: () => boolean;
}

export interface Hole {
  epoch: number;
  packets: number;
  /** Aggregator's clock: the last check-in of the epoch, and when the hole was found. */
  from_ms: number;
  found_ms: number;
}

interface Ended {
  epoch: number;
  inFlows: number;
  lastMs: number;
  dueMs: number;
  hole: Hole | null;
}

interface Watch {
  ended: Ended[];
  lookedMs: number;
}

const endedMax = 8;

export class Holes {
  #options: Required<HoleOptions>;
  #deps: HoleDeps;
  #watches = new Map<string, Watch>();

  constructor(options: HoleOptions, deps: HoleDeps) {
    const standard = {
      graceMs: 60_000,
      lookMs: 20_000,
      againMs: 300_000,
      shownMs: 86_400_000,
      sensorsMax: 10_000,
    };
    this.#options = { ...standard, ...options };
    this.#deps = deps;
  }

  /** Takes a check-in in. `before`: the one stored before it, and when that came. */
  async note(
    checkIn: CheckInRequest,
    before: { checkIn: CheckInRequest | null; atMs: number | null },
    nowMs: number,
  ): Promise<void> {
    const watch = this.#watchOf(checkIn.sensor_id, nowMs);
    const last = before.checkIn;
    if (last && last.epoch < checkIn.epoch && !watch.ended.some(({ epoch }) => epoch === last.epoch)) {
      const { epoch, capture: { in_flows: inFlows } } = last;
      watch.ended.push({
        epoch,
        inFlows,
        lastMs: before.atMs ?? nowMs,
        dueMs: nowMs + this.#options.graceMs,
        hole: null,
      });
      if (watch.ended.length > endedMax) watch.ended.shift();
    }
    if (
      nowMs - watch.lookedMs < this.#options.lookMs || checkIn.spool.batches > 0 || !this.#deps.isReading()
    ) return;
    watch.lookedMs = nowMs;
    const due = watch.ended.find(({ dueMs }) => nowMs >= dueMs);
    if (due) await this.#look(watch, due, checkIn.sensor_id, nowMs);
  }

  /** Holes to show, the newest last. */
  of(sensorId: string, nowMs: number): Hole[] {
    return (this.#watches.get(sensorId)?.ended ?? []).flatMap(({ hole }) =>
      hole && nowMs - hole.found_ms <= this.#options.shownMs ? [hole] : []
    );
  }

  #watchOf(sensorId: string, nowMs: number): Watch {
    const watch = this.#watches.get(sensorId) ?? { ended: [], lookedMs: nowMs };
    this.#watches.delete(sensorId);
    this.#watches.set(sensorId, watch);
    if (this.#watches.size > this.#options.sensorsMax) {
      this.#watches.delete(this.#watches.keys().next().value!);
    }
    return watch;
  }

  async #look(watch: Watch, due: Ended, sensorId: string, nowMs: number): Promise<void> {
    const packets = due.inFlows - await this.#deps.store.readEpochPackets(sensorId, due.epoch);
    const foundMs = due.hole?.found_ms ?? nowMs;
    if (packets <= 0 || nowMs - foundMs > this.#options.shownMs) {
      watch.ended = watch.ended.filter((one) => one !== due);
      return;
    }
    due.hole = { epoch: due.epoch, packets, from_ms: due.lastMs, found_ms: foundMs };
    due.dueMs = nowMs + this.#options.againMs;
  }
}
