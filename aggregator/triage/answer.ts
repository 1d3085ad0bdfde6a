/** Checks what a model answered, and decides what it may change.
 *
 * In: text from a model, the threat it is about.
 * Out: explanation, action and severity, or the reason why the rules' text stands.
 * Invariant: severity is never below the rules' and at most one step above; nothing in an answer can close, hide or
 * reroute a threat, as there is no field for it; every claim rests on evidence that the threat has.
 * Why one step: a model may see that reasons belong together,
 * but must not be talked into an alarm by text from the wire. @module */

import { z } from "../../shared/schema.ts";
import { severities, type Severity, type Threat } from "../model/threat.ts";

export const answerLimits = {
  textMax: 2_000,
  actionMax: 1_000,
  claimsMax: 12,
  answerCharactersMax: 16_000,
} as const;

/** Why an answer is not used. The label set of `triage_answers_refused_total`. */
export const answerFaults = [
  "too_long",
  "not_json",
  "wrong_schema",
  "unknown_evidence",
  "unknown_label",
] as const;
export type AnswerFault = typeof answerFaults[number];

export const answerSchema = z.strictObject({
  explanation: z.string().trim().min(20).max(answerLimits.textMax),
  severity: z.enum(severities),
  suggested_action: z.string().trim().min(5).max(answerLimits.actionMax),
  confidence: z.number().min(0).max(1),
  technique: z.string().regex(/^T[0-9]{4}(\.[0-9]{3})?$/),
  claims: z.array(z.strictObject({
    text: z.string().min(1).max(500),
    evidence_ids: z.array(z.string().max(8)).min(1).max(20),
  })).min(1).max(answerLimits.claimsMax),
});
export type Answer = z.infer<typeof answerSchema>;

/** The same schema in the words of Gemini's `responseSchema`. */
export const answerSchemaForModel = {
  type: "object",
  properties: {
    explanation: { type: "string" },
    severity: { type: "string", format: "enum", enum: [...severities] },
    suggested_action: { type: "string" },
    confidence: { type: "number" },
    technique: { type: "string" },
    claims: {
      type: "array",
      items: {
        type: "object",
        properties: {
          text: { type: "string" },
          evidence_ids: { type: "array", items: { type: "string" } },
        },
        required: ["text", "evidence_ids"],
      },
    },
  },
  required: ["explanation", "severity", "suggested_action", "confidence", "technique", "claims"],
} as const;

/** Reads an answer; its strings still hold labels. */
export function readAnswer(
  text: string,
  threat: Pick<Threat, "evidence">,
): { ok: true; answer: Answer } | { ok: false; fault: AnswerFault } {
  if (text.length > answerLimits.answerCharactersMax) return { ok: false, fault: "too_long" };
  let parsed: unknown;
  try {
    parsed = JSON.parse(unwrapped(text));
  } catch {
    return { ok: false, fault: "not_json" };
  }
  const checked = answerSchema.safeParse(parsed);
  if (!checked.success) return { ok: false, fault: "wrong_schema" };
  const known = new Set(threat.evidence.map((piece) => piece.id));
  const cited = checked.data.claims.flatMap((claim) => claim.evidence_ids);
  if (!cited.every((id) => known.has(id))) return { ok: false, fault: "unknown_evidence" };
  return { ok: true, answer: checked.data };
}

/** The JSON in an answer whose model thinks aloud before it, or puts it between fences. */
function unwrapped(text: string): string {
  const thought = /^\s*<think(?:ing)?>[\s\S]*?<\/think(?:ing)?>/i.exec(text)?.[0] ?? "";
  const rest = text.slice(thought.length).replace(/^\ufeff/, "").trim();
  const fenced = /^```[a-z0-9]*[ \t]*\r?\n([\s\S]*?)\r?\n?```$/i.exec(rest);
  return fenced ? fenced[1] : rest;
}

/** Severity in force: the model's, kept between the rules' and one step above it. */
export function boundSeverity(rules: Severity, model: Severity): Severity {
  const floor = severities.indexOf(rules);
  const asked = severities.indexOf(model);
  return severities[Math.min(Math.max(asked, floor), Math.min(floor + 1, severities.length - 1))];
}
