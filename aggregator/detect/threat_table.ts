/** Threats known to the engine: one for each identity, from its first finding to its end.
 *
 * In: fresh findings, a person's status, a model's answer. Out: threats, and whether a change is worth storing.
 * Invariant: a closed threat is over, and so is one that was silent for {@link engineLimits.repeatS}: what comes later
 * is another threat. A score never falls: words, reasons and evidence are those of the strongest episode, taken
 * together. The severity in force is at least the rules', whatever was asked how often.
 * Why findings replace and not add: a finding carries its whole episode;
 * an episode after a pause is added to those before. @module */

import { sha256Hex } from "../../shared/batch.ts";
import {
  type Finding,
  scoreOf,
  severities,
  type Severity,
  severityOf,
  type Threat,
  type Triage,
} from "../model/threat.ts";
import { findingLimits } from "./finding.ts";

export const engineLimits = {
  /** Threats kept in memory; the one longest unchanged is evicted first and would come back as a new one. */
  threatsMax: 10_000,
  /** A pause after which the same identity is a new threat. */
  repeatS: 86_400,
  /** An open threat without news for this long, on the aggregator's clock, is closed. */
  endMs: 3 * 86_400_000,
  /** Changed threats are handed on when they are new, rise in severity, or grew by this factor;
   * the rest when `flush` is called. */
  growthFactor: 1.5,
} as const;

export type Explain = (finding: Finding, severity: Severity, episodes: number) => Triage;

interface Entry {
  /** Sum of the episodes before the present one; null = none. */
  past: Finding | null;
  present: Finding;
  /** Words, reasons and evidence of the strongest episode. */
  strongest: Finding;
  threat: Threat;
  /** Count when it was last handed on. */
  reportedCount: number;
}

/** What came of a finding. */
export type Merged =
  | { kind: "new" | "grown"; threat: Threat; isWorthStoring: boolean }
  /** It tells of a closed threat only what was known when it was closed. */
  | { kind: "over" };

export class ThreatTable {
  readonly #threatsMax: number;
  readonly #explain: Explain;
  readonly #entries = new Map<string, Entry>();
  readonly #identities = new Map<string, string>();
  readonly #waiting = new Set<string>();
  evicted = 0;

  constructor(threatsMax: number, explain: Explain) {
    this.#threatsMax = threatsMax;
    this.#explain = explain;
  }

  get threats(): Threat[] {
    return [...this.#entries.values()].map((entry) => entry.threat);
  }

  /** A threat from the store. */
  add(threat: Threat): void {
    const rules_severity = threat.rules_severity ?? severityOf(threat.score);
    const known = { ...threat, rules_severity, episodes: threat.episodes ?? 1 };
    this.#put({ past: null, present: known, strongest: known, threat: known, reportedCount: known.count });
  }

  merge(finding: Finding, nowMs: number): Merged {
    const entry = this.#entries.get(finding.identity);
    if (entry?.threat.status === "closed" && finding.last_seen <= entry.threat.last_seen) {
      return { kind: "over" };
    }
    if (!entry || entry.threat.status === "closed" || isNewThreat(entry.threat, finding)) {
      const threat = this.#begin(finding, nowMs, entry?.threat.id);
      this.#put({ past: null, present: finding, strongest: finding, threat, reportedCount: threat.count });
      return { kind: "new", threat, isWorthStoring: true };
    }
    const before = entry.threat;
    this.#grow(entry, finding, nowMs);
    this.#put(entry);
    const isWorthStoring = entry.threat.severity !== before.severity ||
      entry.threat.rules_severity !== before.rules_severity ||
      entry.threat.count >= entry.reportedCount * engineLimits.growthFactor;
    if (isWorthStoring) {
      this.#waiting.delete(finding.identity);
      entry.reportedCount = entry.threat.count;
    } else this.#waiting.add(finding.identity);
    return { kind: "grown", threat: entry.threat, isWorthStoring };
  }

  /** Threats that grew since they were last handed on. */
  takeWaiting(): Threat[] {
    const changed = [...this.#waiting].map((identity) => this.#entries.get(identity)).filter((entry) =>
      !!entry
    );
    this.#waiting.clear();
    for (const entry of changed) entry.reportedCount = entry.threat.count;
    return changed.map((entry) => entry.threat);
  }

  /** Open threats that had no news for `endMs`. */
  silent(nowMs: number): Threat[] {
    return this.threats.filter(({ status, updated_ms }) =>
      status === "open" && updated_ms < nowMs - engineLimits.endMs
    );
  }

  /** A person's status, or a model's text, put on a threat known here, so that the next growth keeps it. */
  amend(id: string, change: Partial<Triage> & Partial<Pick<Threat, "status" | "severity">>): Threat | null {
    const entry = this.#entries.get(this.#identities.get(id) ?? "");
    if (!entry) return null;
    const severity = higher(entry.threat.rules_severity, change.severity ?? entry.threat.severity);
    entry.threat = { ...entry.threat, ...change, severity };
    return entry.threat;
  }

  #begin(finding: Finding, nowMs: number, earlierId: string | undefined): Threat {
    const score = scoreOf(finding.reasons), severity = severityOf(score);
    return {
      ...finding,
      ...this.#explain(finding, severity, 1),
      id: threatId(finding, earlierId),
      score,
      rules_severity: severity,
      severity,
      episodes: 1,
      status: "open",
      stored_ms: nowMs,
      updated_ms: nowMs,
    };
  }

  #grow(entry: Entry, finding: Finding, nowMs: number): void {
    const before = entry.threat;
    const isSameEpisode = overlaps(entry.present, finding);
    if (!isSameEpisode) entry.past = entry.past ? addFindings(entry.past, entry.present) : entry.present;
    entry.present = finding;
    if (scoreOf(finding.reasons) >= scoreOf(entry.strongest.reasons)) entry.strongest = finding;
    const whole = entry.past ? addFindings(entry.past, finding) : finding;
    const { reasons, evidence, words, title, technique, dst_port } = entry.strongest;
    const shown: Finding = { ...whole, reasons, evidence, words, title, technique, dst_port };
    const score = scoreOf(reasons), rules_severity = severityOf(score);
    const episodes = before.episodes + (isSameEpisode ? 0 : 1);
    // A model's text stays until triage gives a new one.
    const keepsText = before.engine !== "rules" && before.score === score;
    entry.threat = {
      ...shown,
      ...(keepsText ? pickTriage(before) : this.#explain(shown, rules_severity, episodes)),
      count: Math.max(whole.count, before.count),
      flows: Math.max(whole.flows, before.flows),
      id: before.id,
      score,
      rules_severity,
      severity: higher(rules_severity, before.severity),
      episodes,
      status: before.status,
      stored_ms: before.stored_ms,
      updated_ms: nowMs,
    };
  }

  #put(entry: Entry): void {
    const { identity, id } = entry.threat;
    const earlier = this.#entries.get(identity);
    if (earlier) this.#identities.delete(earlier.threat.id);
    this.#entries.delete(identity);
    if (this.#entries.size >= this.#threatsMax) this.#evict();
    this.#entries.set(identity, entry);
    this.#identities.set(id, identity);
  }

  #evict(): void {
    const [identity, { threat }] = this.#entries.entries().next().value!;
    this.#entries.delete(identity);
    this.#identities.delete(threat.id);
    this.#waiting.delete(identity);
    this.evicted++;
  }
}

/** 16 hex digits of SHA-256 of the identity and the time of first sight;
 * the successor of an earlier threat takes its id into its own. */
export function threatId(finding: Pick<Finding, "identity" | "first_seen">, earlierId?: string): string {
  const from = earlierId ?? String(Math.floor(finding.first_seen / 86_400));
  return sha256Hex(`${finding.identity}|${from}`).slice(0, 16);
}

function higher(a: Severity, b: Severity): Severity {
  return severities.indexOf(a) >= severities.indexOf(b) ? a : b;
}

function isNewThreat(threat: Threat, finding: Finding): boolean {
  return finding.first_seen > threat.last_seen + engineLimits.repeatS ||
    finding.last_seen < threat.first_seen - engineLimits.repeatS;
}

function overlaps(a: Finding, b: Finding): boolean {
  return a.first_seen <= b.last_seen && b.first_seen <= a.last_seen;
}

/** One finding out of two episodes: the words and measures of the later, the sums of both. */
function addFindings(past: Finding, present: Finding): Finding {
  const union = (a: string[], b: string[], max: number) => [...new Set([...a, ...b])].slice(0, max);
  return {
    ...present,
    first_seen: Math.min(past.first_seen, present.first_seen),
    last_seen: Math.max(past.last_seen, present.last_seen),
    count: past.count + present.count,
    flows: past.flows + present.flows,
    src_ips: union(past.src_ips, present.src_ips, findingLimits.addressesMax),
    dst_ips: union(past.dst_ips, present.dst_ips, findingLimits.addressesMax),
    flow_ids: union(past.flow_ids, present.flow_ids, findingLimits.flowIdsMax),
    sensors: union(past.sensors, present.sensors, findingLimits.sensorsMax),
  };
}

function pickTriage(threat: Triage): Triage {
  const { explanation, suggested_action, engine, confidence, fallback, rules } = threat;
  return { explanation, suggested_action, engine, confidence, fallback, ...(rules ? { rules } : {}) };
}
