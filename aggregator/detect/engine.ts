/** Engine: runs every detector over the updates and keeps one threat for each identity.
 *
 * In: updates of one ingest transaction, after it was stored. Out: threats that are new or changed, for store and
 * triage, and the flows to link to them.
 * Invariant: a detector that throws costs its own findings and nothing else; what makes two findings the same threat
 * stands in threat_table.ts. @module */

import { factLists, factParts, type Facts } from "../../shared/facts.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Flow, FlowUpdate } from "../model/flow.ts";
import type { Places } from "../model/place.ts";
import type { Severity, Threat, ThreatLinks, ThreatStatus, Triage } from "../model/threat.ts";
import type { Detector, FactKind } from "./detector.ts";
import type { FreshFinding } from "./finding.ts";
import type { Parts } from "./learned.ts";
import { prepare, PrepareBooks, type PreparedUpdate } from "./prepared.ts";
import { engineLimits, type Explain, ThreatTable } from "./threat_table.ts";

export interface EngineOptions {
  threatsMax?: number;
}

export interface EngineDeps {
  detectors: readonly Detector[];
  reporter: Reporter;
  /** Deterministic explanation of a finding (triage/rules.ts). */
  explain: Explain;
  /** Where addresses are. @default nowhere */
  places?: Places;
}

/** Updates prepared at once. */
const portion = 1_024;
/** Flows that wait to be linked, over all threats; whoever does not take them loses them. */
const linksWaitingMax = 1_000_000;

/** A detector, and what it needs that is not there: facts that the data does not have, lists that nobody gave. */
export interface NotEvaluable {
  detector: string;
  missing: string[];
}

export class Engine {
  readonly #deps: EngineDeps;
  readonly #table: ThreatTable;
  readonly #books: PrepareBooks;
  /** Those of {@link factBits} that the data had so far. */
  #factsSeen = 0;
  readonly #needs: readonly number[];
  /** Counters of the detectors when they were last reported, by name and counter. */
  readonly #reported = new Map<string, number>();
  #links: ThreatLinks[] = [];
  #linksWaiting = 0;

  constructor(options: EngineOptions, deps: EngineDeps) {
    const threatsMax = options.threatsMax ?? engineLimits.threatsMax;
    if (!Number.isInteger(threatsMax) || threatsMax < 1) {
      throw new RangeError(
        `Cannot start detection as "threatsMax" must be >= 1: current value is ${threatsMax}`,
      );
    }
    this.#deps = deps;
    this.#books = new PrepareBooks(deps.places);
    this.#needs = deps.detectors.map(({ declaration: { needs, seesAll } }) =>
      needs === undefined || seesAll ? anything : bitsOf(needs)
    );
    this.#table = new ThreatTable(threatsMax, deps.explain);
  }

  /** Runs all detectors. Returns the threats worth storing now. */
  step(updates: readonly FlowUpdate[], nowMs: number): Threat[] {
    this.#stepAll(updates);
    this.#deps.reporter.count("detect_updates_total", undefined, updates.length);
    const changed = this.#mergeAll(false, nowMs);
    for (const detector of this.#deps.detectors) this.#measure(detector);
    this.#countGrowth("threats_forgotten_total", {}, this.#table.evicted);
    return changed;
  }

  /** Takes findings that were made elsewhere: over stored flows, by another program. Returns the threats worth storing
   * now. */
  adopt(findings: readonly FreshFinding[], nowMs: number): Threat[] {
    return findings.map((finding) => this.#merge(finding, null, nowMs)).filter((threat) => threat !== null);
  }

  /** Threats that grew since they were last handed on; for a timer, and for the end of a capture. */
  flush(nowMs: number): Threat[] {
    const changed = new Map(this.#mergeAll(true, nowMs).map((threat) => [threat.id, threat]));
    for (const threat of this.#table.takeWaiting()) changed.set(threat.id, threat);
    return [...changed.values()];
  }

  /** Flows to link to threats, since the last call. */
  takeLinks(): ThreatLinks[] {
    const links = this.#links;
    this.#links = [];
    this.#linksWaiting = 0;
    return links;
  }

  /** Open threats that had no news for days: they are over. */
  silent(nowMs: number): Threat[] {
    return this.#table.silent(nowMs);
  }

  /** After a restart: known threats first, so that nothing is raised again,
   * then the stored flows to fill the detectors. */
  warm(threats: readonly Threat[], flows: readonly Flow[]): void {
    for (const threat of threats) this.#table.add(threat);
    this.#stepAll(flows.map(updateOfFlow));
    for (const detector of this.#deps.detectors) this.#collect(detector, true);
  }

  /** Detectors that could find nothing so far, or not all they look for, as what they need is not there. */
  notEvaluable(): NotEvaluable[] {
    return this.#deps.detectors.flatMap((detector) => {
      const { name, declaration: { needs = [] } } = detector;
      const missing: string[] = needs.filter((kind) => (this.#factsSeen & factBits[kind]) === 0);
      const lacked = this.#lackOf(detector);
      if (lacked !== null) missing.push(lacked);
      return missing.length > 0 ? [{ detector: name, missing }] : [];
    });
  }

  /** What a model said about a threat known here; its severity is never below the rules'. */
  amend(id: string, change: Triage & { severity: Severity }): Threat | null {
    return this.#table.amend(id, change);
  }

  /** A person's word on a threat known here.
   * What comes after a closed one is another threat, and its episode begins anew. */
  setStatus(id: string, status: ThreatStatus): void {
    const threat = this.#table.amend(id, { status });
    if (threat && status === "closed") {
      this.#deps.detectors.find(({ name }) => name === threat.detector)?.end(threat.identity);
    }
  }

  /** What learns over days: restored before {@link warm}, kept now and then. */
  get learning(): Parts {
    const learning = this.#deps.detectors.flatMap(({ name, learning }) =>
      learning === null ? [] : [[name, learning] as const]
    );
    const { services, countries } = this.#books;
    return { services, countries, ...Object.fromEntries(learning) };
  }

  get threats(): Threat[] {
    return this.#table.threats;
  }

  /** In portions: what is made of an update for the detectors is then gone before V8 takes it for something that
   * lasts. */
  #stepAll(updates: readonly FlowUpdate[]): void {
    for (let from = 0; from < updates.length; from += portion) {
      this.#stepPortion(updates.slice(from, from + portion));
    }
  }

  #stepPortion(updates: readonly FlowUpdate[]): void {
    const prepared = prepare(updates, this.#books);
    const bits = Uint32Array.from(prepared, ({ segment: { facts } }) => anything | factBitsOf(facts));
    for (const one of bits) this.#factsSeen |= one;
    this.#deps.detectors.forEach((detector, index) => {
      const needed = this.#needs[index];
      for (let next = 0; next < prepared.length;) {
        next = this.#stepSome(detector, needed, prepared, bits, next);
      }
    });
  }

  /** Steps a detector through `updates` from `first` on, as far as it comes; returns the next one. A detector that
   * throws, perhaps an operator's own, costs its own findings and nothing else. */
  #stepSome(
    detector: Detector,
    needed: number,
    updates: readonly PreparedUpdate[],
    bits: Uint32Array,
    first: number,
  ): number {
    let index = first;
    try {
      for (; index < updates.length; index++) {
        if ((bits[index] & needed) !== 0) detector.step(updates[index]);
      }
    } catch (error) {
      this.#fail(detector, error);
    }
    return index + 1;
  }

  #merge(
    { new_flow_ids, ...finding }: FreshFinding,
    detector: Detector | null,
    nowMs: number,
  ): Threat | null {
    const merged = this.#table.merge(finding, nowMs);
    if (merged.kind === "over") {
      detector?.end(finding.identity);
      return null;
    }
    const { threat, kind } = merged;
    const { reporter } = this.#deps;
    if (kind === "new") {
      reporter.count("threats_total", { detector: finding.detector, severity: threat.severity });
    }
    if (new_flow_ids.length > 0) {
      if (this.#linksWaiting + new_flow_ids.length <= linksWaitingMax) {
        this.#links.push({ threat_id: threat.id, flow_ids: new_flow_ids });
        this.#linksWaiting += new_flow_ids.length;
      } else reporter.count("threat_links_dropped_total", undefined, new_flow_ids.length);
    }
    return merged.isWorthStoring ? threat : null;
  }

  #mergeAll(isAll: boolean, nowMs: number): Threat[] {
    const changed: Threat[] = [];
    for (const detector of this.#deps.detectors) {
      for (const finding of this.#collect(detector, isAll)) {
        const threat = this.#merge(finding, detector, nowMs);
        if (threat) changed.push(threat);
      }
    }
    return changed;
  }

  #collect(detector: Detector, isAll: boolean): FreshFinding[] {
    try {
      return detector.collect(isAll);
    } catch (error) {
      this.#fail(detector, error);
      return [];
    }
  }

  #lackOf(detector: Detector): string | null {
    try {
      return detector.declaration.lacks?.() ?? null;
    } catch (error) {
      this.#fail(detector, error);
      return null;
    }
  }

  #fail({ name }: Detector, error: unknown): void {
    this.#deps.reporter.count("detector_errors_total", { detector: name });
    this.#deps.reporter.error("detector failed", { detector: name, error });
  }

  #measure({ name, tracked, evicted, linksDropped }: Detector): void {
    const labels = { detector: name };
    this.#deps.reporter.gauge("detector_keys", tracked, labels);
    this.#countGrowth("detector_keys_evicted_total", labels, evicted);
    this.#countGrowth("detector_links_dropped_total", labels, linksDropped);
  }

  #countGrowth(name: string, labels: Record<string, string>, total: number): void {
    const key = `${name}|${labels.detector ?? ""}`;
    const grown = total - (this.#reported.get(key) ?? 0);
    if (grown > 0) this.#deps.reporter.count(name, labels, grown);
    this.#reported.set(key, total);
  }
}

/** What any update has, and a bit for each kind of fact:
 * a detector sees the updates that share a bit with what it needs. */
const anything = 1;
const factBits = Object.fromEntries(
  [...factLists, ...factParts].map((kind, index) => [kind, 2 << index]),
) as Record<FactKind, number>;

function bitsOf(kinds: readonly FactKind[]): number {
  return kinds.reduce((bits, kind) => bits | factBits[kind], 0);
}

function factBitsOf(facts: Facts | null): number {
  let bits = 0;
  for (const kind in facts) bits |= factBits[kind as FactKind] ?? 0;
  return bits;
}

/** A stored flow as one update, as if it had come in one segment. */
export function updateOfFlow(flow: Flow): FlowUpdate {
  const { flow_id, network, seen_by, ...rest } = flow;
  return {
    flow_id,
    network,
    first: true,
    segment: { ...rest, segment: 0, flow_start: flow.start },
    sensors: seen_by.map((sighting) => sighting.sensor_id),
  };
}
