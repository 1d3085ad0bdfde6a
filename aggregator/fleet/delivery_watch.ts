/** Notices what a sensor counted and the store never got: batches of any epoch, and packets of an epoch that is over.
 *
 * In: the last check-in of each sensor and of each epoch that ended, and the ledger. Out: batches that ingest should
 * expect, which opens a gap; packets that are missing, written to the store, which makes a hole in the sensor's health.
 * Rule: a sensor that says its spool is empty has handed over all it sealed. What the ledger still lacks
 * {@link WatchOptions.graceMs} later, without having come any further meanwhile, is missing: lost with a topic, never
 * read, or not yet sealed when the sensor was killed.
 * A gap closes when its batches come after all;
 * so does a hole, which is looked at again every {@link WatchOptions.againMs}.
 * Why the check-in: numbers that are missing between others show themselves; those at the end, or all of them, do not.
 * Why both: a sensor that is killed loses packets that were in no batch yet. Bound: {@link watchedMax} of each, the
 * oldest giving way. Memory holds only since when something is missing,
 * so that a restart costs another wait and nothing else. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { ExpectedBatches } from "../ingest/queue.ts";
import type { CheckInWrite, EndedEpoch, SensorRow } from "../model/sensor.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";

export interface WatchOptions {
  /** @default 120000 */
  graceMs: number;
  /** @default 30000 */
  sweepMs: number;
  /** @default 300000 */
  againMs: number;
  /** A hole is shown for this long. @default 86400000 */
  shownMs: number;
}

export interface WatchDeps {
  store: Pick<
    Store,
    | "readSensors"
    | "readPositions"
    | "readEndedEpochs"
    | "readEpochPackets"
    | "noteMissing"
    | "forgetEndedEpoch"
  >;
  /** Ingest's: it keeps the books of gaps. */
  expect: (batches: ExpectedBatches[]) => void;
  /** Whether batches are being read at all: while they are not, none is missing. */
  isReading: () => boolean;
  clock: Clock;
  reporter: Reporter;
}

/** How far the ledger has come, and since when it is no further. */
interface Wait {
  stored: number;
  sinceMs: number;
}

interface Watched extends ExpectedBatches, Wait {
  isReported: boolean;
}

const watchedMax = 20_000;
const askedPerTurn = 50;

export class DeliveryWatch {
  #options: WatchOptions;
  #deps: WatchDeps;
  #batches = new Map<string, Watched>();
  /** Of epochs that are over; `lookedMs`: when a hole was looked at last. */
  #packets = new Map<string, Wait & { lookedMs: number }>();
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(options: Partial<WatchOptions>, deps: WatchDeps) {
    const standard = { graceMs: 120_000, sweepMs: 30_000, againMs: 300_000, shownMs: 86_400_000 };
    this.#options = { ...standard, ...options };
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Compares once. @throws {StoreUnavailable} */
  async sweep(nowMs: number): Promise<void> {
    if (!this.#deps.isReading()) {
      for (const wait of [...this.#batches.values(), ...this.#packets.values()]) wait.sinceMs = nowMs;
      return;
    }
    const handedOver = new Set<string>();
    for (const { sensor_id, check_in } of await this.#deps.store.readSensors()) {
      // What is in the spool is on its way; batches of which epoch, it does not say.
      if (!check_in || check_in.spool.batches > 0) continue;
      handedOver.add(sensor_id);
      for (const [bucket, seq] of Object.entries(check_in.sealed)) {
        if (seq > 0) {
          this.#watch({ sensor: sensor_id, epoch: check_in.epoch, bucket: Number(bucket), seq }, nowMs);
        }
      }
    }
    await this.#sweepBatches(nowMs);
    await this.#sweepEnded(handedOver, nowMs);
  }

  async #sweepBatches(nowMs: number): Promise<void> {
    const epochs = Map.groupBy(this.#batches.values(), ({ sensor, epoch }) => `${sensor}|${epoch}`);
    const missing: ExpectedBatches[] = [];
    let asked = 0;
    for (const all of epochs.values()) {
      await this.#pause(++asked);
      const positions = await this.#deps.store.readPositions(all[0].sensor, all[0].epoch);
      for (const one of all) {
        const stored = positions.find(({ bucket }) => bucket === one.bucket)?.seq_max ?? 0;
        if (this.#isMissing(one, stored, nowMs)) missing.push(one);
      }
    }
    if (missing.length > 0) {
      this.#deps.expect(missing.map(({ sensor, epoch, bucket, seq }) => ({ sensor, epoch, bucket, seq })));
    }
  }

  /** A question a sensor, and thousands of them: others are answered between. */
  async #pause(asked: number): Promise<void> {
    if (asked % askedPerTurn === 0) await this.#deps.clock.sleep(0);
  }

  #watch(expected: ExpectedBatches, nowMs: number): void {
    const name = `${expected.sensor}|${expected.epoch}|${expected.bucket}`;
    const known = this.#batches.get(name);
    if (known && !known.isReported) return;
    if (known && known.seq >= expected.seq) return;
    this.#batches.set(name, { ...expected, stored: -1, sinceMs: nowMs, isReported: false });
    evictOldest(this.#batches);
  }

  /** Whether it is time to report; what is complete is forgotten. */
  #isMissing(one: Watched, stored: number, nowMs: number): boolean {
    if (stored >= one.seq) {
      this.#batches.delete(`${one.sensor}|${one.epoch}|${one.bucket}`);
      return false;
    }
    if (!this.#isOver(one, stored, nowMs) || one.isReported) return false;
    one.isReported = true;
    const { sensor, epoch, bucket, seq } = one;
    this.#deps.reporter.count("batches_never_arrived_total", undefined, seq - stored);
    this.#deps.reporter.error("batches that a sensor sealed and shipped never arrived", {
      sensor,
      epoch,
      bucket,
      from: stored + 1,
      to: seq,
    });
    return true;
  }

  /** Whether the wait is over; what came meanwhile begins a new one.
   * A clock that steps back makes it longer, never shorter. */
  #isOver(wait: Wait, stored: number, nowMs: number): boolean {
    if (stored !== wait.stored) Object.assign(wait, { stored, sinceMs: nowMs });
    return nowMs - wait.sinceMs >= this.#options.graceMs;
  }

  async #sweepEnded(handedOver: ReadonlySet<string>, nowMs: number): Promise<void> {
    const rows = await this.#deps.store.readEndedEpochs();
    const names = new Set(rows.map(nameOf));
    for (const name of this.#packets.keys()) if (!names.has(name)) this.#packets.delete(name);
    let asked = 0;
    for (const row of rows) {
      await this.#pause(++asked);
      if (!handedOver.has(row.sensor_id)) this.#packets.delete(nameOf(row));
      else await this.#lookAt(row, nowMs);
    }
  }

  async #lookAt(row: EndedEpoch, nowMs: number): Promise<void> {
    const { store, reporter } = this.#deps;
    const { sensor_id, epoch, in_flows, found_ms } = row;
    const name = nameOf(row);
    const wait = this.#packets.get(name) ?? { stored: -1, sinceMs: nowMs, lookedMs: -Infinity };
    this.#packets.set(name, wait);
    evictOldest(this.#packets);
    // The ledger of a long epoch is long.
    if (found_ms !== null && Math.abs(nowMs - wait.lookedMs) < this.#options.againMs) return;
    wait.lookedMs = nowMs;
    const stored = await store.readEpochPackets(sensor_id, epoch);
    const missing = in_flows - stored;
    if (missing <= 0 || (found_ms !== null && nowMs - found_ms > this.#options.shownMs)) {
      this.#packets.delete(name);
      return await store.forgetEndedEpoch(sensor_id, epoch);
    }
    if (found_ms === null) {
      if (!this.#isOver(wait, stored, nowMs)) return;
      reporter.count("packets_never_arrived_total", undefined, missing);
      reporter.error("packets that a sensor had counted in flows never arrived", {
        sensor: sensor_id,
        epoch,
        packets: missing,
      });
    } else if (missing === row.missing) return;
    await store.noteMissing(sensor_id, epoch, missing, nowMs);
  }

  async #run(): Promise<void> {
    const { clock, reporter } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(this.#options.sweepMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      try {
        await this.sweep(clock.nowMs());
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) {
          reporter.error("cannot look for what is missing", { error });
        }
      }
    }
  }
}

/** The epoch that a check-in shows to be over, as the one before it counted. */
export function endedBy(
  checkIn: CheckInRequest,
  { check_in: last, last_check_in_ms }: Pick<SensorRow, "check_in" | "last_check_in_ms">,
  nowMs: number,
): CheckInWrite["ended"] {
  if (last === null || last.epoch >= checkIn.epoch) return [];
  return [{ epoch: last.epoch, in_flows: last.capture.in_flows, last_ms: last_check_in_ms ?? nowMs }];
}

function nameOf({ sensor_id, epoch }: EndedEpoch): string {
  return `${sensor_id}|${epoch}`;
}

function evictOldest(map: Map<string, unknown>): void {
  if (map.size > watchedMax) map.delete(map.keys().next().value!);
}
