/** Asks a model about threats, one at a time, beside everything else.
 *
 * In: threats, offered without waiting. Out: a {@link TriageResult} for each, given to `onResult`; an audit row for each call.
 * Invariant: never in the way of ingest; the rules' text stands until an answer passed every check, and after any failure, with the
 * reason in `fallback`. Bounds: threats waiting, calls and tokens a day, answers kept.
 * Why an answer is kept with its labels in it: equal threats share one call, each puts its own addresses back. @module */

import type { Clock } from "../../shared/clock.ts";
import { escapeLine } from "../../shared/escape.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { severities, type Severity, type Threat, type TriageResult } from "../model/threat.ts";
import { type Answer, boundSeverity, readAnswer } from "./answer.ts";
import { labelPattern, Labels } from "./labels.ts";
import type { ModelAnswer, TriageModel } from "./model.ts";
import { buildContent, instruction } from "./prompt.ts";

export interface TriageQueueOptions {
  /** Threats waiting; beyond, the newest keeps the rules' text. @default 200 */
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

/** What came of asking. The label set of `triage_total`. */
export const triageOutcomes = [
  "answered",
  "shared",
  "queue_full",
  "budget_calls",
  "budget_tokens",
  "leak",
  "content_too_long",
  "timeout",
  "quota",
  "unavailable",
  "refused",
  "network",
  "blocked",
  "stopped",
  "too_long",
  "not_json",
  "wrong_schema",
  "unknown_evidence",
  "unknown_label",
] as const;
export type TriageOutcome = typeof triageOutcomes[number];

/** One call, as it must be possible to show later: exactly what left, and what came back. */
export interface TriageAudit {
  time_ms: number;
  threat_id: string;
  model: string;
  outcome: TriageOutcome;
  /** With labels, as sent; "" when nothing left. */
  sent: string;
  received: string;
  input_tokens: number;
  output_tokens: number;
  tries: number;
}

export interface TriageQueueDeps {
  model: TriageModel;
  clock: Clock;
  reporter: Reporter;
  onResult: (result: TriageResult) => void | Promise<void>;
  onAudit: (audit: TriageAudit) => void;
}

const answerTokensMax = 1_500;
const auditCharactersMax = 4_096;
const dayMs = 86_400_000;
/** Characters of English and JSON for one token, on the low side, so that a reservation is rather too high. */
const charactersPerToken = 3;

export class TriageQueue {
  readonly #options: Required<TriageQueueOptions>;
  readonly #deps: TriageQueueDeps;
  readonly #waiting = new Map<string, Threat>();
  readonly #answers = new Map<string, Answer>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #budget = { day: -1, calls: 0, tokens: 0 };

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
  }

  /** Takes a threat in, or refuses it; returns at once. A threat that waits already is replaced by its newer form. */
  offer(threat: Threat): void {
    const isLow = severities.indexOf(threat.severity) < severities.indexOf(this.#options.severityMin);
    if (this.#stop.signal.aborted || threat.status !== "open" || isLow) return;
    if (!this.#waiting.has(threat.id) && this.#waiting.size >= this.#options.waitingMax) {
      this.#report("queue_full");
      return;
    }
    this.#waiting.set(threat.id, threat);
    this.#running ??= this.#drain();
  }

  /** Exactly what would leave for `threat`; null when the second check forbids it. */
  preview(threat: Threat): string | null {
    const built = buildContent(threat, new Labels(threat));
    return built.ok ? built.content : null;
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#waiting.clear();
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
        this.#deps.reporter.error("cannot keep a triage result", { error });
      }
    }
    this.#running = null;
  }

  async #triage(threat: Threat): Promise<TriageResult> {
    const labels = new Labels(threat);
    const built = buildContent(threat, labels);
    if (!built.ok) return this.#fallBack(threat, built.fault, "", null);
    const shared = this.#answers.get(built.key);
    const result = shared && this.#apply(threat, shared, labels);
    if (result) {
      this.#report("shared");
      return result;
    }
    const tokens = Math.ceil((instruction.length + built.content.length) / charactersPerToken) +
      answerTokensMax;
    const refusal = this.#reserve(tokens);
    if (refusal) return this.#fallBack(threat, refusal, "", null);
    const question = { instruction, content: built.content, answerTokensMax };
    const reply = await this.#deps.model.ask(question, this.#stop.signal);
    if (!reply.ok) return this.#fallBack(threat, reply.reason, built.content, reply);
    const used = reply.inputTokens + reply.outputTokens;
    if (used > 0) this.#budget.tokens += used - tokens;
    const read = readAnswer(reply.text, threat);
    if (!read.ok) return this.#fallBack(threat, read.fault, built.content, reply);
    const applied = this.#apply(threat, read.answer, labels);
    if (!applied) return this.#fallBack(threat, "unknown_label", built.content, reply);
    this.#keep(built.key, read.answer);
    this.#report("answered");
    this.#audit(threat, "answered", built.content, reply);
    return applied;
  }

  /** The answer with this threat's own addresses and values in it; null when it names what this threat does not have. */
  #apply(threat: Threat, answer: Answer, labels: Labels): TriageResult | null {
    const explanation = restore(answer.explanation, threat, labels);
    const action = restore(answer.suggested_action, threat, labels);
    if (explanation === null || action === null) return null;
    return {
      threatId: threat.id,
      severity: boundSeverity(threat.severity, answer.severity),
      triage: {
        explanation,
        suggested_action: action,
        engine: this.#deps.model.name,
        confidence: answer.confidence,
        fallback: null,
      },
    };
  }

  #fallBack(threat: Threat, outcome: TriageOutcome, sent: string, reply: ModelAnswer | null): TriageResult {
    this.#report(outcome);
    this.#deps.reporter.warn("no answer of the model is used, the rules' text stands", { reason: outcome });
    this.#audit(threat, outcome, sent, reply);
    const { explanation, suggested_action, engine, confidence } = threat;
    return {
      threatId: threat.id,
      severity: threat.severity,
      triage: { explanation, suggested_action, engine, confidence, fallback: outcome },
    };
  }

  /** Takes one call and its tokens out of the day's budget. */
  #reserve(tokens: number): "budget_calls" | "budget_tokens" | null {
    const day = Math.floor(this.#deps.clock.nowMs() / dayMs);
    if (day !== this.#budget.day) this.#budget = { day, calls: 0, tokens: 0 };
    if (this.#budget.calls >= this.#options.callsPerDayMax) return "budget_calls";
    if (this.#budget.tokens + tokens > this.#options.tokensPerDayMax) return "budget_tokens";
    this.#budget.calls++;
    this.#budget.tokens += tokens;
    return null;
  }

  #keep(key: string, answer: Answer): void {
    if (this.#answers.size >= this.#options.answersMax) {
      this.#answers.delete(this.#answers.keys().next().value!);
    }
    this.#answers.set(key, answer);
  }

  #report(outcome: TriageOutcome): void {
    this.#deps.reporter.count("triage_total", { outcome });
  }

  #audit(threat: Threat, outcome: TriageOutcome, sent: string, reply: ModelAnswer | null): void {
    const answered = reply?.ok ? reply : null;
    this.#deps.onAudit({
      time_ms: this.#deps.clock.nowMs(),
      threat_id: threat.id,
      model: this.#deps.model.name,
      outcome,
      sent,
      received: answered?.text.slice(0, auditCharactersMax) ?? "",
      input_tokens: answered?.inputTokens ?? 0,
      output_tokens: answered?.outputTokens ?? 0,
      tries: reply?.tries ?? 0,
    });
  }
}

/** Puts back addresses and measured values, and makes control characters visible; null when a label or an id is unknown.
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
