/** Notes how every sensor is: when that changes, and every ten minutes.
 *
 * In: the sensors, their open gaps, what is missing of ended epochs. Out: rows in the store.
 * Rule: a change is another status, or reasons of other kinds; that a number in a sentence grew is none.
 * Invariant: one aggregator at a time does this, under a lease. A sensor has at most one row a minute for its changes,
 * one for each ten minutes besides, and none of what did not change once it is revoked.
 * Bound: {@link sensorsMax} sensors, {@link gapsMax} open gaps; retention drops rows by their age, and keeps one an
 * hour of old ones. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { EndedEpoch } from "../model/sensor.ts";
import type { HealthRow } from "../model/sensor_health.ts";
import type { Store } from "../store/store.ts";
import type { LeasedWork } from "./leased_loop.ts";
import type { SensorDirectory } from "./directory.ts";
import { fleetHealth, type SensorHealth } from "./fleet.ts";

export interface HealthHistoryDeps {
  store: Pick<
    Store,
    "saveHealth" | "readLastHealth" | "readGaps" | "readEndedEpochs"
  >;
  directory: Pick<SensorDirectory, "all">;
  clock: Clock;
  reporter: Reporter;
}

const pointMs = 600_000, hourMs = 3_600_000;
/** Between two changes of one sensor. */
const changeMs = 60_000;
/** They change when an epoch ends, and there are many. */
const endedMs = 300_000;
const sensorsMax = 20_000, gapsMax = 1_000;
const kindsMax = 16, reasonsMax = 8, textCharactersMax = 400;

interface Last {
  state: string;
  savedMs: number;
  changedMs: number;
}

export class HealthHistory implements LeasedWork {
  readonly lease = "sensor_health";
  readonly leaseMs = 120_000;
  readonly everyMs = 30_000;
  readonly #deps: HealthHistoryDeps;
  /** By sensor; null = another aggregator does this. */
  #last: Map<string, Last> | null = null;
  #ended: { rows: EndedEpoch[]; readMs: number } = { rows: [], readMs: -Infinity };

  constructor(deps: HealthHistoryDeps) {
    this.#deps = deps;
  }

  lost(): void {
    this.#last = null;
  }

  failed(error: Error): void {
    const { reporter } = this.#deps;
    reporter.count("sensor_health_errors_total");
    reporter.warn("cannot note how the sensors are, will retry", { error: error.message });
  }

  async look(): Promise<void> {
    const { store, directory, clock, reporter } = this.#deps;
    const nowMs = clock.nowMs();
    const last = this.#last ??= await this.#readLast(nowMs);
    if (Math.abs(nowMs - this.#ended.readMs) >= endedMs) {
      this.#ended = { rows: await store.readEndedEpochs(), readMs: nowMs };
    }
    const gaps = await store.readGaps({ open: true }, gapsMax);
    if (gaps.length === gapsMax) reporter.count("sensor_health_gaps_cut_total");
    const all = await directory.all(nowMs);
    if (all.length > sensorsMax) {
      reporter.count("sensor_health_left_out_total", undefined, all.length - sensorsMax);
    }
    const { sensors } = fleetHealth(all.slice(0, sensorsMax), gaps, new Map(), nowMs, this.#ended.rows);
    const due = sensors.flatMap((sensor) => rowFor(sensor, last.get(sensor.sensor_id), nowMs) ?? []);
    await store.saveHealth(due);
    // Once they are stored: a failure is made up for at the next turn.
    for (const row of due) {
      const before = last.get(row.sensor_id);
      last.set(row.sensor_id, {
        state: stateOf(row),
        savedMs: nowMs,
        changedMs: row.weight === 2 ? nowMs : before?.changedMs ?? -Infinity,
      });
    }
    const known = new Set(sensors.map(({ sensor_id }) => sensor_id));
    for (const id of last.keys()) if (!known.has(id)) last.delete(id);
    reporter.count("sensor_health_rows_total", undefined, due.length);
  }

  async #readLast(nowMs: number): Promise<Map<string, Last>> {
    const rows = await this.#deps.store.readLastHealth(nowMs - 24 * hourMs);
    return new Map(
      rows.map((row) => [row.sensor_id, { state: stateOf(row), savedMs: row.at_ms, changedMs: -Infinity }]),
    );
  }
}

function stateOf({ status, kinds }: Pick<HealthRow, "status" | "kinds">): string {
  return `${status} ${[...kinds].sort().join(" ")}`;
}

/** Null = nothing is due. */
function rowFor(sensor: SensorHealth, last: Last | undefined, nowMs: number): HealthRow | null {
  const kinds = [...new Set(sensor.kinds)].slice(0, kindsMax);
  const isOther = last === undefined || last.state !== stateOf({ status: sensor.status, kinds });
  // Of a sensor that changes all the time each minute tells. A clock that was set back counts as time that passed.
  const hasChanged = isOther && Math.abs(nowMs - (last?.changedMs ?? -Infinity)) >= changeMs;
  const isPoint = last === undefined || isOtherPart(last.savedMs, nowMs, pointMs);
  if (!hasChanged && (!isPoint || sensor.status === "revoked")) return null;
  const isFirst = last === undefined || isOtherPart(last.savedMs, nowMs, hourMs);
  const { conservation: counts, check_in } = sensor;
  return {
    sensor_id: sensor.sensor_id,
    at_ms: nowMs,
    weight: hasChanged ? 2 : isFirst ? 1 : 0,
    status: sensor.status,
    kinds,
    reasons: hasChanged
      ? sensor.reasons.slice(0, reasonsMax).map((text) => text.slice(0, textCharactersMax))
      : [],
    epoch: check_in?.epoch ?? null,
    packets: counts?.packets ?? null,
    in_flows: counts?.in_flows ?? null,
    left_out: counts && Object.values(counts.left_out).reduce((sum, count) => sum + count, 0),
    dropped: counts?.dropped ?? null,
    card_dropped: counts?.card_dropped ?? null,
    spooled_batches: check_in?.spool.batches ?? null,
    missing_batches: sensor.missing_batches,
    missing_packets: sensor.holes.reduce((sum, { packets }) => sum + packets, 0),
    clock_offset_ms: sensor.clock_offset_ms === null ? null : Math.round(sensor.clock_offset_ms),
  };
}

function isOtherPart(beforeMs: number, nowMs: number, ofMs: number): boolean {
  return Math.floor(beforeMs / ofMs) !== Math.floor(nowMs / ofMs);
}
