/** A language model, as triage sees it: one question, one answer in JSON, or a reason why not.
 *
 * Invariant: `ask` never throws; whatever a model or the network does wrong is a {@link ModelFailure}.
 * Why an interface: the client's SDK for Gemini is at its end of life; its successor, or any other model, is one more file. @module */

export const modelFailures = [
  "timeout",
  "quota",
  "unavailable",
  "refused",
  "network",
  "blocked",
  "stopped",
] as const;
export type ModelFailure = typeof modelFailures[number];

export interface ModelQuestion {
  /** Constant text; never holds anything from the wire. */
  instruction: string;
  /** JSON with labels in place of addresses and names. */
  content: string;
  answerTokensMax: number;
}

export type ModelAnswer =
  | { ok: true; text: string; inputTokens: number; outputTokens: number; tries: number }
  | { ok: false; reason: ModelFailure; tries: number };

export interface TriageModel {
  /** Said beside its text: "gemini:gemini-2.5-flash". */
  readonly name: string;
  /** Asks once, with its own retries and deadline. */
  ask(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer>;
}
