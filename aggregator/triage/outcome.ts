/** What came of asking a model, and the row that shows it later. @module */

import type { Threat } from "../model/threat.ts";
import { answerFaults } from "./answer.ts";
import { type ModelAnswer, modelFailures } from "./model.ts";

/** The label set of `triage_total`. */
export const triageOutcomes = [
  "answered",
  "shared",
  "queue_full",
  "budget_calls",
  "budget_tokens",
  "budget_soft",
  "leak",
  "content_too_long",
  ...modelFailures,
  ...answerFaults,
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

const receivedCharactersMax = 4_096;

export function triageAudit(
  threat: Pick<Threat, "id">,
  model: string,
  outcome: TriageOutcome,
  sent: string,
  reply: ModelAnswer | null,
  nowMs: number,
): TriageAudit {
  return {
    time_ms: nowMs,
    threat_id: threat.id,
    model,
    outcome,
    sent,
    received: reply?.ok ? reply.text.slice(0, receivedCharactersMax) : "",
    input_tokens: reply?.inputTokens ?? 0,
    output_tokens: reply?.outputTokens ?? 0,
    tries: reply?.tries ?? 0,
  };
}
