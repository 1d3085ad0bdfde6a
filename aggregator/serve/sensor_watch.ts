/** Makes threats of what is wrong with sensors, and closes them when it is over.
 *
 * In: the sensors as the fleet knows them. Out: threats of the kinds `sensor_..` in the store, for whoever is told of
 * threats. Rule: a trouble is a threat when it has lasted for the time of its kind, and over when it has not shown for
 * a minute; one that comes back later is another threat. Its end is stored every minute while it lasts.
 * Invariant: one aggregator at a time does this, under a lease; whoever takes it over goes on with the threats that are
 * open. What a person closed stays closed for as long as the trouble lasts. Time runs from when a trouble was noticed
 * here, so that an aggregator that was away for an hour does not find all sensors unreachable.
 * Bounds: sensors times kinds; whoever takes over reads {@link pagesMax} pages of open threats of a kind, and counts
 * when there are more. @module */

import { sha256Hex } from "../../shared/batch.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { LiveFeed } from "../api/live/feed.ts";
import type { LeasedWork } from "../fleet/leased_loop.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import {
  beganMs,
  findingOf,
  identityOf,
  kinds,
  type Trouble,
  troubleKinds,
  troublesOf,
} from "../fleet/troubles.ts";
import type { ThreatQuery } from "../model/page.ts";
import type { SensorRow } from "../model/sensor.ts";
import { scoreOf, severityOf, type Threat } from "../model/threat.ts";
import type { Store } from "../store/store.ts";
import { explainByRules } from "../triage/rules.ts";

export interface SensorWatchDeps {
  store: Pick<
    Store,
    "readThreats" | "saveThreats" | "readThreatStatuses" | "setThreatStatus"
  >;
  directory: Pick<SensorDirectory, "all">;
  /** Whoever follows threats is told of what was stored. */
  live: Pick<LiveFeed, "note">;
  clock: Clock;
  reporter: Reporter;
}

interface Watched {
  noticedMs: number;
  /** Last shown. */
  shownMs: number;
  savedMs: number;
  /** Null = it is no threat yet. */
  threat: Threat | null;
}

const overAfterMs = 60_000;
const saveEveryMs = 60_000;
const pageRows = 1_000, pagesMax = 50;

export class SensorWatch implements LeasedWork {
  readonly lease = "sensor_watch";
  readonly leaseMs = 60_000;
  readonly everyMs = 10_000;
  readonly #deps: SensorWatchDeps;
  /** By identity; null = another aggregator watches. */
  #watched: Map<string, Watched> | null = null;

  constructor(deps: SensorWatchDeps) {
    this.#deps = deps;
  }

  lost(): void {
    this.#watched = null;
  }

  failed(error: Error): void {
    const { reporter } = this.#deps;
    reporter.count("sensor_watch_errors_total");
    reporter.warn("cannot look after the sensors, will retry", { error: error.message });
  }

  async look(): Promise<void> {
    const { store, directory, clock, live } = this.#deps;
    const nowMs = clock.nowMs();
    const watched = this.#watched ??= await this.#readOpen(nowMs);
    const sensors = await directory.all(nowMs);
    const changed: Threat[] = [];
    for (const sensor of sensors) {
      for (const trouble of troublesOf(sensor, nowMs)) {
        const threat = this.#note(watched, sensor, trouble, nowMs);
        if (threat) changed.push(threat);
      }
    }
    if (changed.length > 0) {
      await store.saveThreats(changed);
      live.note("threats", changed.map(({ id }) => id));
    }
    await this.#end(watched, nowMs);
  }

  /** Returns the threat when it is to be stored. */
  #note(watched: Map<string, Watched>, sensor: SensorRow, trouble: Trouble, nowMs: number): Threat | null {
    const identity = identityOf(trouble.kind, sensor.sensor_id);
    const known = watched.get(identity) ??
      { noticedMs: nowMs, shownMs: nowMs, savedMs: -Infinity, threat: null };
    watched.set(identity, known);
    known.shownMs = nowMs;
    const isDue = known.threat === null
      ? nowMs - known.noticedMs >= kinds[trouble.kind].afterMs
      : nowMs - known.savedMs >= saveEveryMs;
    if (!isDue) return null;
    const fromMs = known.threat
      ? known.threat.first_seen * 1_000
      : beganMs(sensor, trouble.kind, known.noticedMs);
    if (known.threat === null) this.#tell(trouble, sensor);
    known.threat = threatOf(sensor, trouble, { fromMs, toMs: nowMs }, known.threat, nowMs);
    known.savedMs = nowMs;
    return known.threat;
  }

  #tell({ kind, texts }: Trouble, { name }: SensorRow): void {
    const { reporter } = this.#deps;
    reporter.count("sensor_threats_total", { kind });
    reporter.warn("trouble of a sensor is a threat now", { sensor: name, kind, why: texts[0] });
  }

  async #end(watched: Map<string, Watched>, nowMs: number): Promise<void> {
    const { store, reporter, live } = this.#deps;
    const over = [...watched].filter(([, { shownMs }]) => nowMs - shownMs >= overAfterMs);
    const ids = over.flatMap(([, { threat }]) => threat ? [threat.id] : []);
    const statuses = ids.length > 0 ? await store.readThreatStatuses(ids) : new Map<string, string>();
    for (const [identity, { threat }] of over) {
      if (threat && (statuses.get(threat.id) ?? "closed") !== "closed") {
        await store.setThreatStatus(threat.id, "closed", nowMs);
        live.note("threats", [threat.id]);
        reporter.info("trouble of a sensor is over", { threat: threat.id, kind: threat.detector });
      }
      watched.delete(identity);
    }
  }

  /** What was open when this aggregator took over. */
  async #readOpen(nowMs: number): Promise<Map<string, Watched>> {
    const found = new Map<string, Watched>();
    for (const detector of troubleKinds) {
      for (const status of ["open", "acknowledged"] as const) {
        for await (const threat of this.#all({ detector, status })) {
          found.set(threat.identity, { noticedMs: nowMs, shownMs: nowMs, savedMs: nowMs, threat });
        }
      }
    }
    return found;
  }

  async *#all(filter: Pick<ThreatQuery, "detector" | "status">): AsyncGenerator<Threat> {
    const { store, reporter } = this.#deps;
    let cursor: string | undefined;
    for (let pages = 0; pages < pagesMax; pages++) {
      const page = await store.readThreats(filter, {
        limit: pageRows,
        ...cursor !== undefined && { cursor },
      });
      yield* page.rows;
      cursor = page.next_cursor;
      if (cursor === undefined) return;
    }
    reporter.count("sensor_threats_unread_total");
    reporter.error("too many open threats of sensors, some will not close by themselves", filter);
  }
}

function threatOf(
  sensor: SensorRow,
  trouble: Trouble,
  span: { fromMs: number; toMs: number },
  before: Threat | null,
  nowMs: number,
): Threat {
  const finding = findingOf(trouble, sensor, span);
  const score = scoreOf(finding.reasons), severity = severityOf(score);
  return {
    ...finding,
    ...explainByRules({ ...finding, sensors: [sensor.name] }, severity),
    // By its beginning: what comes back on the same day is another threat.
    id: before?.id ?? sha256Hex(`${finding.identity}|${span.fromMs}`).slice(0, 16),
    score,
    rules_severity: severity,
    severity,
    episodes: 1,
    status: before?.status ?? "open",
    stored_ms: before?.stored_ms ?? nowMs,
    updated_ms: nowMs,
  };
}
