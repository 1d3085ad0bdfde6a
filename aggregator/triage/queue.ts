/** Asks a model about threats, one at a time, beside everything else.
 *
 * In: threats, offered without waiting.
 * Out: a {@link TriageResult} for each, given to `onResult`; an audit row for each call.
 * Invariant: never in the way of ingest. The rules' words always stand; a model's are put beside them once they passed
 * every check. After any failure the reason is in `fallback`; one that passes (quota, outage, a spent budget) is tried
 * again with pauses that grow to {@link pauseMsMax}, while the threat is open. Severity is bounded against what the
 * rules alone give: asking n times gives what asking once gives.
 * Bounds: threats waiting now and later, calls and tokens a day, answers kept.
 * Why an answer is kept with its labels in it: equal threats share one call, each puts its own addresses back.
 * @module */

import type { Clock } from "../../shared/clock.ts";
import { escapeLine } from "../../shared/escape.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { severities, type Severity, type Threat, type TriageResult } from "../model/threat.ts";
import { type Answer, boundSeverity, readAnswer } from "./answer.ts";
import { labelPattern, Labels } from "./labels.ts";
import { dayMs, type MemoryFile, TriageMemory } from "./memory.ts";
import { type ModelAnswer, passingFailures, type TriageModel } from "./model.ts";
import { type TriageAudit, triageAudit, type TriageOutcome } from "./outcome.ts";
import { buildContent, instruction } from "./prompt.ts";

export interface TriageQueueOptions {
  /** Threats waiting, now and later alike; beyond, the newest keeps the rules' text. @default 200 */
  waitingMax?: number;
  /** @default 200 */
  callsPerDayMax?: number;
  /** Input and output together. @default 500000 */
  tokensPerDayMax?: number;
  /** Answers kept for equal threats. @default 500 */
  answersMax?: number;
  /** Threats below this keep the rules' text. @default "low" */
  severityMin?: Severity;
}

export interface TriageQueueDeps {
  model: TriageModel;
  clock: Clock;
  reporter: Reporter;
  onResult: (result: TriageResult) => void | Promise<void>;
  onAudit: (audit: TriageAudit) => void;
  /** Where answers and the day's budget survive a restart. */
  memory?: MemoryFile;
}

interface Later {
  threat: Threat;
  dueMs: number;
}

const answerTokensMax = 1_500;
const thinkingTokensMax = 2_048;
const pauseMsFirst = 15_000;
const pauseMsMax = 3_600_000;
/** Characters of English and JSON for one token, on the low side, so that a reservation is rather too high. */
const charactersPerToken = 3;
const budgets: readonly TriageOutcome[] = ["budget_calls", "budget_tokens", "budget_soft"];

export class TriageQueue {
  readonly #options: Required<TriageQueueOptions>;
  readonly #deps: TriageQueueDeps;
  readonly #memory: TriageMemory;
  readonly #waiting = new Map<string, Threat>();
  readonly #later = new Map<string, Later>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  /** Ends the sleep of those put off, when another comes that is due earlier. */
  #alarm: AbortController | null = null;

  constructor(options: TriageQueueOptions, deps: TriageQueueDeps) {
    this.#options = {
      waitingMax: 200,
      callsPerDayMax: 200,
      tokensPerDayMax: 500_000,
      answersMax: 500,
      severityMin: "low",
      ...options,
    };
    for (const name of ["waitingMax", "callsPerDayMax", "tokensPerDayMax", "answersMax"] as const) {
      if (!(this.#options[name] >= 1)) {
        throw new RangeError(
          `Cannot start triage as "${name}" must be >= 1: current value is ${this.#options[name]}`,
        );
      }
    }
    this.#deps = deps;
    this.#memory = new TriageMemory(this.#options, { file: deps.memory ?? null, reporter: deps.reporter });
  }

  /** Takes a threat in, or refuses it; returns at once. A threat that waits already is replaced by its newer form. */
  offer(threat: Threat): void {
    const isLow = severities.indexOf(threat.severity) < severities.indexOf(this.#options.severityMin);
    if (this.#stop.signal.aborted || threat.status !== "open" || isLow) return;
    const later = this.#later.get(threat.id);
    if (later) {
      // Growing is no reason to ask sooner: what refused it has not passed.
      later.threat = threat;
      return;
    }
    if (!this.#waiting.has(threat.id) && this.#waiting.size >= this.#options.waitingMax) {
      this.#report("queue_full");
      return;
    }
    this.#waiting.set(threat.id, threat);
    this.#running ??= this.#drain();
  }

  /** A person dealt with it: nothing is asked about it any more. */
  withdraw(threatId: string): void {
    this.#waiting.delete(threatId);
    this.#later.delete(threatId);
    this.#times.delete(threatId);
  }

  /** Exactly what would leave for `threat`; null when the second check forbids it. */
  preview(threat: Threat): string | null {
    const built = buildContent(threat, new Labels(threat));
    return built.ok ? built.content : null;
  }

  /** Threats that wait for a refusal to pass. */
  get putOff(): number {
    return this.#later.size;
  }

  /** Resolves when nothing waits that could be asked now. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#alarm?.abort();
    this.#waiting.clear();
    this.#later.clear();
    await this.idle();
  }

  async #drain(): Promise<void> {
    // Begins on the next turn, so that `offer` returns first.
    await Promise.resolve();
    for (let next = this.#waiting.values().next(); !next.done; next = this.#waiting.values().next()) {
      this.#waiting.delete(next.value.id);
      try {
        await this.#deps.onResult(await this.#triage(next.value));
      } catch (error) {
        this.#deps.reporter.count("triage_results_lost_total");
        this.#deps.reporter.error("cannot store a triage result", { error });
      }
    }
    this.#running = null;
  }

  async #triage(threat: Threat): Promise<TriageResult> {
    const labels = new Labels(threat);
    const built = buildContent(threat, labels);
    if (!built.ok) return this.#fallBack(threat, built.fault, "", null);
    const key = `${this.#deps.model.name} ${built.key}`;
    const shared = this.#memory.answer(key);
    const result = shared && this.#apply(threat, shared, labels);
    if (result) {
      this.#report("shared");
      this.#times.delete(threat.id);
      return result;
    }
    const reserved = Math.ceil((instruction.length + built.content.length) / charactersPerToken) +
      answerTokensMax + thinkingTokensMax;
    const isSevere = severities.indexOf(threat.rules_severity) >= severities.indexOf("high");
    const refusal = this.#memory.reserve(reserved, isSevere, this.#deps.clock.nowMs());
    if (refusal) return this.#fallBack(threat, refusal, "", null);
    const question = { instruction, content: built.content, answerTokensMax, thinkingTokensMax };
    const beganMs = this.#deps.clock.monotonicMs();
    const reply = await this.#deps.model.ask(question, this.#stop.signal);
    const tookS = (this.#deps.clock.monotonicMs() - beganMs) / 1_000;
    this.#deps.reporter.observe("triage_duration_seconds", tookS);
    this.#memory.settle(reserved, reply.inputTokens + reply.outputTokens);
    if (!reply.ok) return this.#fallBack(threat, reply.reason, built.content, reply);
    const read = readAnswer(reply.text, threat);
    if (!read.ok) return this.#fallBack(threat, read.fault, built.content, reply);
    const applied = this.#apply(threat, read.answer, labels);
    if (!applied) return this.#fallBack(threat, "unknown_label", built.content, reply);
    this.#memory.keep(key, read.answer);
    this.#report("answered");
    this.#times.delete(threat.id);
    this.#audit(threat, "answered", built.content, reply);
    return applied;
  }

  /** The answer with this threat's own addresses and values in it, beside the rules' words; null when it names what
   * this threat does not have. */
  #apply(threat: Threat, answer: Answer, labels: Labels): TriageResult | null {
    const explanation = restore(answer.explanation, threat, labels);
    const action = restore(answer.suggested_action, threat, labels);
    if (explanation === null || action === null) return null;
    const rules = rulesOf(threat);
    const { name } = this.#deps.model;
    return {
      threatId: threat.id,
      severity: boundSeverity(threat.rules_severity, answer.severity),
      triage: {
        explanation: `${rules.explanation} ${name} adds: ${explanation}`,
        suggested_action: `${rules.suggested_action} ${name} adds: ${action}`,
        engine: name,
        confidence: answer.confidence,
        fallback: null,
        rules,
      },
    };
  }

  #fallBack(threat: Threat, outcome: TriageOutcome, sent: string, reply: ModelAnswer | null): TriageResult {
    this.#report(outcome);
    this.#deps.reporter.warn("no answer of the model is used, the rules' text stands", { reason: outcome });
    this.#audit(threat, outcome, sent, reply);
    const passes = (passingFailures as readonly string[]).includes(outcome);
    if (passes || budgets.includes(outcome)) this.#putOff(threat, budgets.includes(outcome));
    else this.#times.delete(threat.id);
    const { explanation, suggested_action, engine, confidence, rules } = threat;
    return {
      threatId: threat.id,
      severity: threat.severity,
      triage: {
        explanation,
        suggested_action,
        engine,
        confidence,
        fallback: outcome,
        ...(rules ? { rules } : {}),
      },
    };
  }

  /** How often each open threat was put off: of those that wait, now or later. */
  readonly #times = new Map<string, number>();

  #putOff(threat: Threat, isBudget: boolean): void {
    if (this.#stop.signal.aborted) return;
    if (this.#later.size >= this.#options.waitingMax) {
      this.#times.delete(threat.id);
      this.#report("queue_full");
      return;
    }
    const nowMs = this.#deps.clock.nowMs();
    const times = this.#times.get(threat.id) ?? 0;
    const pauseMs = isBudget ? dayMs - nowMs % dayMs : Math.min(pauseMsFirst * 2 ** times, pauseMsMax);
    this.#times.set(threat.id, times + 1);
    this.#later.set(threat.id, { threat, dueMs: nowMs + pauseMs });
    this.#deps.reporter.count("triage_put_off_total");
    if (this.#alarm) this.#alarm.abort();
    else this.#wakeLater();
  }

  /** Moves those put off back among the waiting, each when it is due. */
  async #wakeLater(): Promise<void> {
    const { clock } = this.#deps;
    while (this.#later.size > 0 && !this.#stop.signal.aborted) {
      const alarm = this.#alarm = new AbortController();
      const dueMs = Math.min(...[...this.#later.values()].map((later) => later.dueMs));
      await clock.sleep(Math.max(0, dueMs - clock.nowMs()), alarm.signal);
      for (const [id, later] of this.#later) {
        if (later.dueMs > clock.nowMs()) continue;
        this.#later.delete(id);
        this.offer(later.threat);
      }
    }
    this.#alarm = null;
  }

  #report(outcome: TriageOutcome): void {
    this.#deps.reporter.count("triage_total", { outcome });
  }

  #audit(threat: Threat, outcome: TriageOutcome, sent: string, reply: ModelAnswer | null): void {
    this.#deps.onAudit(
      triageAudit(threat, this.#deps.model.name, outcome, sent, reply, this.#deps.clock.nowMs()),
    );
  }
}

/** The rules' own words: kept apart once a model's stand beside them. */
function rulesOf({ rules, explanation, suggested_action }: Threat): NonNullable<Threat["rules"]> {
  return rules ?? { explanation, suggested_action };
}

/** Puts back addresses and measured values, and makes control characters visible;
 * null when a label or an id is unknown.
 * One pass: what is put back may look like a label or an id itself, and is not read again. */
function restore(text: string, threat: Threat, labels: Labels): string | null {
  let isKnown = true;
  const places = new RegExp(`\\{e[0-9]{1,3}\\}|${labelPattern.source}`, "g");
  const restored = text.replace(places, (place) => {
    const value = place.startsWith("{")
      ? threat.evidence.find((piece) => `{${piece.id}}` === place)?.value
      : labels.original(place);
    if (value === undefined) isKnown = false;
    return String(value ?? "");
  });
  return isKnown ? escapeLine(restored.replaceAll("\n", " ")) : null;
}
