/** A language model, as triage sees it: one question, one answer in JSON, or a reason why not.
 *
 * Invariant: `ask` never throws; whatever a model or the network does wrong is a {@link ModelFailure}.
 * Tokens are counted for failures too: they are paid for.
 * Why an interface: the client's SDK for Gemini is at its end of life;
 * its successor, or any other model, is one more file. @module */

export const modelFailures = [
  "timeout",
  "max_tokens",
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
  /** Room for thoughts, which many models count against the answer. */
  thinkingTokensMax: number;
}

export type ModelAnswer =
  | { ok: true; text: string; inputTokens: number; outputTokens: number; tries: number }
  | { ok: false; reason: ModelFailure; inputTokens: number; outputTokens: number; tries: number };

/** Reasons that may be gone in a while. */
export const passingFailures: readonly ModelFailure[] = ["timeout", "quota", "unavailable", "network"];

export interface TriageModel {
  /** Said beside its text: "gemini:gemini-2.5-flash". */
  readonly name: string;
  /** Asks once, with its own retries and deadline. */
  ask(question: ModelQuestion, signal: AbortSignal): Promise<ModelAnswer>;
}
