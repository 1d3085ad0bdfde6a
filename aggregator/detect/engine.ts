/** Engine: runs every detector over the updates and keeps one threat for each identity.
 *
 * In: updates of one ingest transaction, after it was stored. Out: threats that are new or changed, for store and triage.
 * Invariant: the same identity is the same threat until it was quiet for {@link engineLimits.repeatS}; its score never falls.
 * Why findings replace and not add: a finding carries its whole episode; an episode after a pause is added to those before. @module */

import type { Reporter } from "../../shared/reporter.ts";
import { sha256Hex } from "../../shared/batch.ts";
import type { Flow, FlowUpdate } from "../model/flow.ts";
import { type Detector, findingLimits } from "./detector.ts";
import { type Finding, type Reason, scoreOf, severityOf, type Threat, type Triage } from "../model/threat.ts";

export const engineLimits = {
  /** Threats kept in memory; the one longest unchanged is forgotten first and would come back as a new one. */
  threatsMax: 10_000,
  /** A pause after which the same identity is a new threat. */
  repeatS: 86_400,
  /** Changed threats are handed on when they are new, rise in severity, or grew by this factor; the rest when `flush` is called. */
  growthFactor: 1.5,
} as const;

export interface EngineOptions {
  threatsMax?: number;
}

export interface EngineDeps {
  detectors: readonly Detector[];
  reporter: Reporter;
  /** Deterministic explanation of a finding (triage/rules.ts). */
  explain: (finding: Finding, detector: Detector, severity: Threat["severity"]) => Triage;
}

interface Entry {
  /** Sum of the episodes before the present one; null = none. */
  past: Finding | null;
  present: Finding;
  threat: Threat;
  /** Count when it was last handed on. */
  reportedCount: number;
}

export class Engine {
  readonly #deps: EngineDeps;
  readonly #threatsMax: number;
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Set<string>();
  readonly #evictions = new Map<string, number>();

  constructor(options: EngineOptions, deps: EngineDeps) {
    this.#threatsMax = options.threatsMax ?? engineLimits.threatsMax;
    if (!Number.isInteger(this.#threatsMax) || this.#threatsMax < 1) {
      throw new RangeError(
        `Cannot start detection as "threatsMax" must be >= 1: current value is ${this.#threatsMax}`,
      );
    }
    this.#deps = deps;
  }

  /** Runs all detectors. Returns the threats worth storing now. */
  step(updates: readonly FlowUpdate[], nowMs: number): Threat[] {
    for (const detector of this.#deps.detectors) {
      for (const update of updates) this.#guard(detector, () => detector.step(update));
    }
    this.#deps.reporter.count("detect_updates_total", undefined, updates.length);
    const changed: Threat[] = [];
    for (const detector of this.#deps.detectors) {
      this.#guard(detector, () => {
        for (const finding of detector.collect()) {
          const threat = this.#merge(finding, detector, nowMs);
          if (threat) changed.push(threat);
        }
      });
      this.#measure(detector);
    }
    return changed;
  }

  /** Threats that grew since they were last handed on; for a timer, and for the end of a capture. */
  flush(): Threat[] {
    const changed = [...this.#waiting].map((identity) => this.#entries.get(identity)).filter((entry) =>
      !!entry
    );
    this.#waiting.clear();
    for (const entry of changed) entry.reportedCount = entry.threat.count;
    return changed.map((entry) => entry.threat);
  }

  /** After a restart: known threats first, so that nothing is raised again, then the stored flows to fill the detectors. */
  warm(threats: readonly Threat[], flows: readonly Flow[]): void {
    for (const threat of threats) {
      this.#put(threat.identity, { past: null, present: threat, threat, reportedCount: threat.count });
    }
    for (const flow of flows) {
      const update = updateOfFlow(flow);
      for (const detector of this.#deps.detectors) this.#guard(detector, () => detector.step(update));
    }
    for (const detector of this.#deps.detectors) this.#guard(detector, () => void detector.collect());
  }

  /** The text of a model, or a person's status, put on a threat known here, so that the next growth keeps it. */
  amend(
    id: string,
    change: Partial<Triage> & Partial<Pick<Threat, "status" | "severity">>,
  ): Threat | null {
    for (const entry of this.#entries.values()) {
      if (entry.threat.id !== id) continue;
      entry.threat = { ...entry.threat, ...change };
      return entry.threat;
    }
    return null;
  }

  get threats(): Threat[] {
    return [...this.#entries.values()].map((entry) => entry.threat);
  }

  #merge(finding: Finding, detector: Detector, nowMs: number): Threat | null {
    const entry = this.#entries.get(finding.identity);
    if (!entry || isNewThreat(entry.threat, finding)) {
      const threat = this.#build(finding, detector, nowMs, null);
      this.#put(finding.identity, { past: null, present: finding, threat, reportedCount: threat.count });
      this.#deps.reporter.count("threats_total", { detector: finding.detector, severity: threat.severity });
      return threat;
    }
    if (!overlaps(entry.present, finding)) {
      entry.past = entry.past ? addFindings(entry.past, entry.present) : entry.present;
    }
    entry.present = finding;
    const whole = entry.past ? addFindings(entry.past, finding) : finding;
    const before = entry.threat;
    entry.threat = this.#build(whole, detector, nowMs, before);
    this.#put(finding.identity, entry);
    const isWorth = entry.threat.severity !== before.severity ||
      entry.threat.count >= entry.reportedCount * engineLimits.growthFactor;
    if (!isWorth) {
      this.#waiting.add(finding.identity);
      return null;
    }
    this.#waiting.delete(finding.identity);
    entry.reportedCount = entry.threat.count;
    return entry.threat;
  }

  #build(finding: Finding, detector: Detector, nowMs: number, before: Threat | null): Threat {
    const reasons = before && before.score > scoreOf(finding.reasons) ? before.reasons : finding.reasons;
    const score = scoreOf(reasons);
    const ruled = severityOf(score);
    const triage = this.#deps.explain({ ...finding, reasons }, detector, ruled);
    // A model's text stays until triage gives a new one; its severity was never below the rules'.
    const keeps = before !== null && before.engine !== "rules" && before.score === score;
    return {
      ...finding,
      reasons,
      ...(keeps ? pickTriage(before) : triage),
      count: Math.max(finding.count, before?.count ?? 0),
      id: before?.id ?? threatId(finding),
      score,
      severity: keeps ? before.severity : ruled,
      status: before?.status ?? "open",
      stored_ms: before?.stored_ms ?? nowMs,
      updated_ms: nowMs,
    };
  }

  #put(identity: string, entry: Entry): void {
    this.#entries.delete(identity);
    if (this.#entries.size >= this.#threatsMax) {
      const stalest = this.#entries.keys().next().value!;
      this.#entries.delete(stalest);
      this.#waiting.delete(stalest);
      this.#deps.reporter.count("threats_forgotten_total");
    }
    this.#entries.set(identity, entry);
  }

  /** A detector that throws, perhaps an operator's own, costs its own findings and nothing else. */
  #guard(detector: Detector, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#deps.reporter.count("detector_errors_total", { detector: detector.name });
      this.#deps.reporter.error("detector failed", { detector: detector.name, error });
    }
  }

  #measure(detector: Detector): void {
    const labels = { detector: detector.name };
    this.#deps.reporter.gauge("detector_keys", detector.tracked, labels);
    const evicted = detector.evicted - (this.#evictions.get(detector.name) ?? 0);
    if (evicted > 0) this.#deps.reporter.count("detector_keys_evicted_total", labels, evicted);
    this.#evictions.set(detector.name, detector.evicted);
  }
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

/** 16 hex digits of SHA-256 of the identity and the day of first sight. */
export function threatId(finding: Pick<Finding, "identity" | "first_seen">): string {
  return sha256Hex(`${finding.identity}|${Math.floor(finding.first_seen / 86_400)}`).slice(0, 16);
}

function isNewThreat(threat: Threat, finding: Finding): boolean {
  return finding.first_seen > threat.last_seen + engineLimits.repeatS ||
    finding.last_seen < threat.first_seen - engineLimits.repeatS;
}

function overlaps(a: Finding, b: Finding): boolean {
  return a.first_seen <= b.last_seen && b.first_seen <= a.last_seen;
}

/** One finding out of two episodes: the words and measures of the later, the counts of both, the reasons of the worse. */
function addFindings(past: Finding, present: Finding): Finding {
  const union = (a: string[], b: string[], max: number) => [...new Set([...a, ...b])].slice(0, max);
  const worse: Reason[] = scoreOf(past.reasons) > scoreOf(present.reasons) ? past.reasons : present.reasons;
  return {
    ...present,
    first_seen: Math.min(past.first_seen, present.first_seen),
    last_seen: Math.max(past.last_seen, present.last_seen),
    count: past.count + present.count,
    src_ips: union(past.src_ips, present.src_ips, findingLimits.addressesMax),
    dst_ips: union(past.dst_ips, present.dst_ips, findingLimits.addressesMax),
    flow_ids: union(past.flow_ids, present.flow_ids, findingLimits.flowIdsMax),
    sensors: union(past.sensors, present.sensors, findingLimits.sensorsMax),
    reasons: worse,
  };
}

function pickTriage(threat: Triage): Triage {
  const { explanation, suggested_action, engine, confidence, fallback, rules } = threat;
  return { explanation, suggested_action, engine, confidence, fallback, ...(rules ? { rules } : {}) };
}
