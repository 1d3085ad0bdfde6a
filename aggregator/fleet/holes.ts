/** Holes: what a sensor said it had, and the store never got.
 *
 * In: check-ins, as they come, and the ledger. Out: for each sensor the batches and packets that are missing, from when to when.
 * Two questions. Of the running epoch: is what had left the sensor `graceMs` ago stored by now? Of one that ended: did all its sealed
 * batches come, and all packets that it had counted in flows? A sensor that was killed loses what it had not sealed.
 * Invariant: nothing is called missing that may still wait in the sensor's spool, nor within the grace; at most `sensorsMax` sensors
 * are remembered, with a bounded number of epochs and holes each, and each is looked at once in `lookMs`.
 * Why not gaps alone: a gap is seen between two batches that came; what is missing after the last one leaves none. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { IngestStore } from "../store/store.ts";

export interface HoleOptions {
  /** A batch may take this long from the sensor into the store. @default 60000 */
  graceMs?: number;
  /** @default 20000 */
  lookMs?: number;
  /** A hole of an ended epoch is shown for this long. @default 86400000 */
  shownMs?: number;
  /** @default 10000 */
  sensorsMax?: number;
}

export interface Hole {
  epoch: number;
  /** Sealed, and never stored. */
  batches: number;
  /** Counted in flows, and in no stored batch; 0 while the epoch runs. */
  packets: number;
  /** Aggregator's clock: when the batches had left, or the last check-in of the epoch. */
  from_ms: number;
  /** Aggregator's clock: when that was found. */
  found_ms: number;
}

interface Ended {
  last: CheckInRequest;
  lastMs: number;
  dueMs: number;
}

interface Watch {
  epoch: number;
  /** Batches that had left the sensor at a time, oldest first. */
  marks: { atMs: number; left: number }[];
  /** Of the running epoch. */
  running: Hole | null;
  ended: Ended[];
  holes: Hole[];
  lookedMs: number;
}

const marksMax = 8;
const endedMax = 4;
const holesMax = 8;

export class Holes {
  #options: Required<HoleOptions>;
  #store: Pick<IngestStore, "readPositions" | "readEpochPackets">;
  #watches = new Map<string, Watch>();

  constructor(
    options: HoleOptions,
    deps: { store: Pick<IngestStore, "readPositions" | "readEpochPackets"> },
  ) {
    const { graceMs = 60_000, lookMs = 20_000, shownMs = 86_400_000, sensorsMax = 10_000 } = options;
    this.#options = { graceMs, lookMs, shownMs, sensorsMax };
    this.#store = deps.store;
  }

  /** Takes a check-in in. `before`: the one stored before it, and when that came. */
  async note(
    checkIn: CheckInRequest,
    before: { checkIn: CheckInRequest | null; atMs: number | null },
    nowMs: number,
  ): Promise<void> {
    const watch = this.#watchOf(checkIn.sensor_id, checkIn.epoch, nowMs);
    const last = before.checkIn;
    if (last && last.epoch < checkIn.epoch && !watch.ended.some((one) => one.last.epoch === last.epoch)) {
      watch.ended.push({ last, lastMs: before.atMs ?? nowMs, dueMs: nowMs + this.#options.graceMs });
      if (watch.ended.length > endedMax) watch.ended.shift();
    }
    if (checkIn.epoch > watch.epoch) Object.assign(watch, { epoch: checkIn.epoch, marks: [], running: null });
    if (nowMs - watch.lookedMs < this.#options.lookMs) return;
    watch.lookedMs = nowMs;
    await this.#lookAtRunning(watch, checkIn, nowMs);
    if (checkIn.spool.batches === 0) await this.#lookAtEnded(watch, checkIn.sensor_id, nowMs);
  }

  /** Holes to show, the newest last. */
  of(sensorId: string, nowMs: number): Hole[] {
    const watch = this.#watches.get(sensorId);
    if (!watch) return [];
    const shown = watch.holes.filter(({ found_ms }) => nowMs - found_ms <= this.#options.shownMs);
    return watch.running ? [...shown, watch.running] : shown;
  }

  #watchOf(sensorId: string, epoch: number, nowMs: number): Watch {
    const known = this.#watches.get(sensorId);
    // The first look comes a while after the first check-in, as every later one.
    const watch = known ?? { epoch, marks: [], running: null, ended: [], holes: [], lookedMs: nowMs };
    this.#watches.delete(sensorId);
    this.#watches.set(sensorId, watch);
    if (this.#watches.size > this.#options.sensorsMax) {
      this.#watches.delete(this.#watches.keys().next().value!);
    }
    return watch;
  }

  async #lookAtRunning(watch: Watch, checkIn: CheckInRequest, nowMs: number): Promise<void> {
    if (checkIn.epoch !== watch.epoch) return;
    const mark = watch.marks.findLast(({ atMs }) => nowMs - atMs >= this.#options.graceMs);
    watch.marks.push({ atMs: nowMs, left: leftOf(checkIn) });
    if (watch.marks.length > marksMax) watch.marks.shift();
    if (!mark) return;
    const batches = mark.left - await this.#storedOf(checkIn.sensor_id, checkIn.epoch);
    watch.running = batches <= 0 ? null : {
      epoch: checkIn.epoch,
      batches,
      packets: 0,
      from_ms: mark.atMs,
      found_ms: watch.running?.found_ms ?? nowMs,
    };
  }

  async #lookAtEnded(watch: Watch, sensorId: string, nowMs: number): Promise<void> {
    const due = watch.ended.find(({ dueMs }) => nowMs >= dueMs);
    if (!due) return;
    const { last, lastMs } = due;
    const batches = Math.max(
      0,
      sealedOf(last) - last.spool.dropped_batches - await this.#storedOf(sensorId, last.epoch),
    );
    const stored = await this.#store.readEpochPackets(sensorId, last.epoch);
    const packets = Math.max(0, last.capture.in_flows - stored);
    watch.ended = watch.ended.filter((one) => one !== due);
    if (batches === 0 && packets === 0) return;
    watch.holes.push({ epoch: last.epoch, batches, packets, from_ms: lastMs, found_ms: nowMs });
    if (watch.holes.length > holesMax) watch.holes.shift();
  }

  async #storedOf(sensorId: string, epoch: number): Promise<number> {
    const positions = await this.#store.readPositions(sensorId, epoch);
    return positions.reduce((sum, { batches }) => sum + batches, 0);
  }
}

function sealedOf({ sealed }: CheckInRequest): number {
  return Object.values(sealed).reduce((sum, seq) => sum + seq, 0);
}

/** Batches no longer with the sensor; at least so many, as the spool may also hold some of earlier epochs. */
function leftOf(checkIn: CheckInRequest): number {
  return Math.max(0, sealedOf(checkIn) - checkIn.spool.batches - checkIn.spool.dropped_batches);
}
