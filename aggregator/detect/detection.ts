/** From stored flows to stored, explained threats.
 *
 * In: updates of each ingest transaction, after its commit. Out: threats in the store, explained by rules at once and
 * by a model later. A threat without news for days is closed, here and in the store.
 * What was learned over days is kept every hour and at the end.
 * Invariant: a threat that could not be stored is kept, at most `unsavedMax`, and stored with the next ones;
 * triage never blocks ingest.
 * Why stored flows are stepped through again at the start, not only remembered: between a commit and its detection the
 * process may have been killed; known threats come first, so that what is found again is the same threat. @module */

import { type Clock, systemClock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Engine, updateOfFlow } from "./engine.ts";
import type { FreshFinding } from "./finding.ts";
import { leadOf, storiesOf } from "./incidents.ts";
import { type LearnedFile, loadLearned, saveLearned } from "./learned.ts";
import type { Suppressor } from "./suppressor.ts";
import {
  isOfSensor,
  type Threat,
  type ThreatLinks,
  type ThreatStatus,
  type TriageResult,
} from "../model/threat.ts";
import type { FlowUpdate } from "../model/flow.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";

export interface DetectionOptions {
  /** Stored flows stepped through at the start are at most this old. @default 86400000 */
  warmMs?: number;
  /** @default 50000 */
  warmFlowsMax?: number;
  /** Threats that grew are stored this often. @default 1000 */
  flushMs?: number;
  /** @default 10000 */
  unsavedMax?: number;
}

export interface DetectionDeps {
  engine: Engine;
  store: Pick<
    Store,
    "saveThreats" | "readThreats" | "readThreatStatuses" | "readRecentFlows" | "setThreatStatus"
  >;
  clock: Clock;
  reporter: Reporter;
  /** Nobody is told of what it hides. */
  suppressor: Suppressor;
  /** Where what was learned survives a restart. @default nowhere */
  learned?: LearnedFile;
  /** Called with threats that were found or grew, once they are stored or wait for the store. Returns at once. */
  onThreats?: (threats: readonly Threat[]) => void;
  /** Told of threats after they were stored. */
  onSaved?: (threats: readonly Threat[]) => void;
}

/** A queue that takes threats without making detection wait. */
export interface TriageOffer {
  offer(threat: Threat): void;
  /** A person dealt with it. */
  withdraw(threatId: string): void;
}

const pageRows = 1_000;
const knownThreatsMax = 10_000;
/** Lists of flows that wait for the store. */
const unlinkedMax = 10_000;
/** Updates detected in without letting others run: some 20 ms. */
const updatesPerTurn = 1_000;
/** Threats without news are looked for this often. */
const endEveryMs = 3_600_000;

export class Detection {
  #options: Required<DetectionOptions>;
  #deps: DetectionDeps;
  #triage: TriageOffer | null = null;
  #unsaved = new Map<string, Threat>();
  #unlinked: ThreatLinks[] = [];
  #saving: Promise<void> = Promise.resolve();
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  /** @throws {RangeError} when a limit is out of range. */
  constructor(options: DetectionOptions, deps: DetectionDeps) {
    this.#options = {
      warmMs: 86_400_000,
      warmFlowsMax: 50_000,
      flushMs: 1_000,
      unsavedMax: 10_000,
      ...options,
    };
    for (const [name, value] of Object.entries(this.#options)) {
      if (!(value >= 1)) {
        throw new RangeError(`Cannot detect as "${name}" must be >= 1: current value is ${value}`);
      }
    }
    this.#deps = deps;
  }

  /** Threats go to this queue from now on; it answers to {@link keep}. */
  explainWith(triage: TriageOffer): void {
    this.#triage = triage;
  }

  /** Knows again what it knew, and begins to store what grows. @throws {StoreUnavailable} */
  async start(): Promise<void> {
    const { engine, store, clock, learned, reporter } = this.#deps;
    const nowMs = clock.nowMs();
    if (learned) loadLearned(learned, engine.learning, reporter);
    engine.warm(await this.#readKnown(), []);
    const { warmMs, warmFlowsMax } = this.#options;
    const flows = await store.readRecentFlows(nowMs - warmMs, warmFlowsMax);
    if (flows.length > 0) await this.take(flows.map(updateOfFlow), nowMs);
    this.#running = this.#flush();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#store(this.#deps.engine.flush(this.#deps.clock.nowMs()));
    this.#keepLearned();
  }

  /** Runs the detectors over updates; resolves when what they found is stored, or kept for later. */
  async take(updates: FlowUpdate[], nowMs: number): Promise<void> {
    const changed = new Map<string, Threat>();
    for (let from = 0; from < updates.length; from += updatesPerTurn) {
      // Now and then the loop turns: ingest and people's questions go on meanwhile.
      if (from > 0) await systemClock.sleep(0);
      const some = updates.slice(from, from + updatesPerTurn);
      for (const threat of this.#deps.engine.step(some, nowMs)) changed.set(threat.id, threat);
    }
    await this.#store([...changed.values()]);
  }

  /** Keeps what was found among stored flows. */
  async adopt(findings: readonly FreshFinding[]): Promise<void> {
    const { engine, clock } = this.#deps;
    await this.#store(engine.adopt(findings, clock.nowMs()));
  }

  /** Keeps what a model said about a threat. */
  async keep({ threatId, severity, triage }: TriageResult): Promise<void> {
    const threat = this.#deps.engine.amend(threatId, { ...triage, severity });
    if (threat) await this.#save([threat]);
  }

  /** A person's word on a threat, already in the store. */
  setStatus(id: string, status: ThreatStatus): void {
    this.#deps.engine.setStatus(id, status);
    if (status !== "open") this.#triage?.withdraw(id);
  }

  /** Suppressions were made or ended: nothing more is asked about what they hide. */
  async suppress(isAtOnce = true): Promise<void> {
    const { suppressor, engine } = this.#deps;
    if (!await suppressor.refresh(isAtOnce)) return;
    for (const threat of engine.threats) if (suppressor.hides(threat)) this.#triage?.withdraw(threat.id);
  }

  async #store(threats: readonly Threat[]): Promise<void> {
    this.#rememberLinks(this.#deps.engine.takeLinks());
    await this.#save(threats);
    await this.suppress(false);
    const shown = this.#deps.suppressor.shown(threats);
    if (shown.length === 0) return;
    this.#ask(shown);
    this.#deps.onThreats?.(shown);
  }

  /** Asks once for each incident, about its gravest threat: the others would cost as much and say less. */
  #ask(changed: readonly Threat[]): void {
    const triage = this.#triage;
    if (triage === null) return;
    const { engine, suppressor } = this.#deps;
    const newest = new Map(changed.map((threat) => [threat.id, threat]));
    for (const story of storiesOf(engine.threats.filter((threat) => !suppressor.hides(threat)))) {
      if (!story.threats.some(({ id }) => newest.has(id))) continue;
      const lead = leadOf(story);
      for (const { id } of story.threats) if (id !== lead?.id) triage.withdraw(id);
      const threat = newest.get(lead?.id ?? "");
      if (threat !== undefined) triage.offer(threat);
    }
  }

  /** One save at a time: two at once could leave the older form of a threat in the store. */
  #save(threats: readonly Threat[]): Promise<void> {
    for (const threat of threats) this.#remember(threat);
    return this.#saving = this.#saving.then(() => this.#saveAll());
  }

  async #saveAll(): Promise<void> {
    const batch = [...this.#unsaved.values()], links = this.#unlinked;
    if (batch.length === 0 && links.length === 0) return;
    this.#unlinked = [];
    try {
      await this.#deps.store.saveThreats(batch, links);
      for (const threat of batch) {
        // One that changed meanwhile is another object, and waits for the next save.
        if (this.#unsaved.get(threat.id) === threat) this.#unsaved.delete(threat.id);
      }
      this.#deps.reporter.count("threats_saved_total", undefined, batch.length);
      this.#deps.onSaved?.(batch);
      await this.#learnStatuses(batch);
    } catch (error) {
      this.#rememberLinks(links);
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#deps.reporter.count("threat_saves_failed_total");
      this.#deps.reporter.warn("cannot store threats, will retry", { threats: batch.length, error });
    }
  }

  /** People may have answered another instance of the API: what was closed there must end here too. */
  async #learnStatuses(batch: readonly Threat[]): Promise<void> {
    const stored = await this.#deps.store.readThreatStatuses(batch.map(({ id }) => id));
    const changed = batch.filter(({ id, status }) => (stored.get(id) ?? status) !== status);
    if (changed.length === 0) return;
    const now = new Map(this.#deps.engine.threats.map(({ id, status }) => [id, status]));
    // What was set here meanwhile is newer than what was read.
    for (const { id, status } of changed) if (now.get(id) === status) this.setStatus(id, stored.get(id)!);
  }

  #rememberLinks(links: ThreatLinks[]): void {
    this.#unlinked.push(...links);
    const excess = this.#unlinked.length - unlinkedMax;
    if (excess <= 0) return;
    const dropped = this.#unlinked.splice(0, excess).reduce((sum, { flow_ids }) => sum + flow_ids.length, 0);
    this.#deps.reporter.count("threat_links_dropped_total", undefined, dropped);
  }

  #remember(threat: Threat): void {
    this.#unsaved.delete(threat.id);
    this.#unsaved.set(threat.id, threat);
    if (this.#unsaved.size <= this.#options.unsavedMax) return;
    this.#unsaved.delete(this.#unsaved.keys().next().value!);
    this.#deps.reporter.count("threats_unsaved_dropped_total");
    this.#deps.reporter.error("threat dropped as too many wait for the store");
  }

  async #flush(): Promise<void> {
    const { clock, engine, reporter } = this.#deps;
    let endedMs = clock.nowMs();
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(this.#options.flushMs, this.#stopping.signal);
      try {
        await this.#store(engine.flush(clock.nowMs()));
        const nowMs = clock.nowMs();
        if (nowMs - endedMs < endEveryMs) continue;
        endedMs = nowMs;
        await this.#endSilent(nowMs);
        await this.#deps.suppressor.endExpired();
        this.#keepLearned();
      } catch (error) {
        reporter.error("cannot store threats", { error });
      }
    }
  }

  #keepLearned(): void {
    const { learned, engine, reporter } = this.#deps;
    if (learned) saveLearned(learned, engine.learning, reporter);
  }

  async #endSilent(nowMs: number): Promise<void> {
    const { engine, store, reporter } = this.#deps;
    for (const { id } of engine.silent(nowMs)) {
      await store.setThreatStatus(id, "closed", nowMs);
      engine.setStatus(id, "closed");
      reporter.count("threats_ended_total");
    }
  }

  async #readKnown(): Promise<Threat[]> {
    const known: Threat[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#deps.store.readThreats({}, {
        limit: pageRows,
        ...(cursor === undefined ? {} : { cursor }),
      });
      // Those of sensors begin and end elsewhere.
      known.push(...page.rows.filter((threat) => !isOfSensor(threat)));
      cursor = page.next_cursor;
    } while (cursor !== undefined && known.length < knownThreatsMax);
    return known.reverse(); // Oldest first: the engine forgets from the front.
  }
}
