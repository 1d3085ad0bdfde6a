/** Looks for the canaries of sensors among the stored flows.
 *
 * In: what check-ins announce. Out: what became of each canary, in the sensor's row.
 * Method: all canaries go to the same two groups, so that one page of flows to them answers for the whole fleet; that
 * they are found there shows the whole way, from the wire to the API.
 * Invariant: one aggregator at a time looks, under a lease; nothing is read while no canary is awaited.
 * Bounds: {@link pagesMax} pages a group and look. One that is awaited for longer than {@link soonMs} is looked for
 * every {@link lateLooks} looks, and for {@link oldMs} at most: after that the next one tells more. @module */

import { canaryGroup4, canaryGroup6, canaryPort } from "../../shared/canary.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { CanaryState, SensorRow } from "../model/sensor.ts";
import type { Store } from "../store/store.ts";
import { canaryStep, flowsOf, isAwaited } from "./canary.ts";
import type { SensorDirectory } from "./directory.ts";
import type { LeasedWork } from "./leased_loop.ts";

export interface CanaryWatchDeps {
  store: Pick<Store, "readFlows" | "saveCanaries">;
  directory: Pick<SensorDirectory, "all">;
  clock: Clock;
  reporter: Reporter;
}

const soonMs = 600_000, oldMs = 7_200_000;
const lateLooks = 12;
const pageRows = 1_000, pagesMax = 20;
/** Times of flows are corrected, but not to the second. */
const marginMs = 300_000;

export class CanaryWatch implements LeasedWork {
  readonly lease = "canaries";
  readonly leaseMs = 60_000;
  readonly everyMs = 5_000;
  readonly #deps: CanaryWatchDeps;
  /** What was stored, which the directory may not know yet; null = another aggregator looks. */
  #saved: Map<string, CanaryState> | null = null;
  #looks = 0;

  constructor(deps: CanaryWatchDeps) {
    this.#deps = deps;
  }

  lost(): void {
    this.#saved = null;
  }

  failed(error: Error): void {
    const { reporter } = this.#deps;
    reporter.count("canary_look_errors_total");
    reporter.warn("cannot look for canaries, will retry", { error: error.message });
  }

  async look(): Promise<void> {
    const { store, directory, clock, reporter } = this.#deps;
    const nowMs = clock.nowMs();
    const saved = this.#saved ??= new Map();
    const isLateTurn = this.#looks++ % lateLooks === 0;
    const stateOf = ({ sensor_id, canary }: SensorRow) => saved.get(sensor_id) ?? canary;
    const sensors = await directory.all(nowMs);
    const awaited = sensors.filter((sensor) => {
      const state = stateOf(sensor);
      return isAwaited(sensor, state) && isDue(sensor, state, nowMs, isLateTurn);
    });
    if (awaited.length === 0) return;
    const stored = await this.#read(awaited, nowMs);
    const changed = new Map<string, CanaryState>();
    for (const sensor of awaited) {
      const ids = stored.get(sensor.sensor_id) ?? new Set<string>();
      const before = stateOf(sensor);
      const state = canaryStep(sensor, before, ids, nowMs);
      if (state === null) continue;
      changed.set(sensor.sensor_id, state);
      if (state.arrived_sent_ms === state.sent_ms) reporter.count("canaries_total", { outcome: "arrived" });
      else if (state.is_missed && !(before?.is_missed && before.sent_ms === state.sent_ms)) {
        reporter.count("canaries_total", { outcome: "missed" });
        reporter.warn("a canary did not arrive", { sensor: sensor.name, missing: state.missing.join(",") });
      }
    }
    await store.saveCanaries(changed);
    for (const [sensorId, state] of changed) saved.set(sensorId, state);
    const known = new Set(sensors.map(({ sensor_id }) => sensor_id));
    for (const id of saved.keys()) if (!known.has(id)) saved.delete(id);
  }

  /** Community IDs of stored canaries, by the sensor that saw them. */
  async #read(awaited: readonly SensorRow[], nowMs: number): Promise<Map<string, Set<string>>> {
    const { store, reporter } = this.#deps;
    const wanted = new Set(
      awaited.flatMap((sensor) => flowsOf(sensor).map(({ community_id }) => community_id)),
    );
    const from = (Math.min(nowMs, ...awaited.map((sensor) => sentMs(sensor))) - marginMs) / 1_000;
    const found = new Map<string, Set<string>>();
    for (const dst_ip of [canaryGroup4, canaryGroup6]) {
      let cursor: string | undefined;
      for (let pages = 0;; pages++) {
        if (pages === pagesMax) {
          reporter.count("canary_pages_cut_total");
          break;
        }
        const query = {
          from: Math.max(from, (nowMs - oldMs - marginMs) / 1_000),
          dst_ip,
          dst_port: canaryPort,
        };
        const page = await store.readFlows(query, { limit: pageRows, ...cursor !== undefined && { cursor } });
        for (const { community_id, seen_by } of page.rows) {
          if (!wanted.has(community_id)) continue;
          for (const { sensor_id } of seen_by) {
            const ids = found.get(sensor_id) ?? new Set<string>();
            found.set(sensor_id, ids.add(community_id));
          }
        }
        cursor = page.next_cursor;
        if (cursor === undefined) break;
      }
    }
    return found;
  }
}

/** By the aggregator's clock. */
function sentMs({ check_in, clock_offset_ms }: SensorRow): number {
  return check_in!.canary!.sent_ms - (clock_offset_ms ?? 0);
}

function isDue(sensor: SensorRow, state: CanaryState | null, nowMs: number, isLateTurn: boolean): boolean {
  if (state === null || state.sent_ms !== sensor.check_in!.canary!.sent_ms) return true;
  const waitedMs = nowMs - state.announced_ms;
  return waitedMs < soonMs || (isLateTurn && waitedMs < oldMs);
}
