/** What a model is, or would be, told about a threat; for people who want to see it before it leaves, or after.
 *
 * In: a threat. Out: the instruction, the content with labels in place of what identifies, what each label stands for.
 * Invariant: the content is that of {@link buildContent}: nothing is taken from it, and nothing is added. The labels
 * never leave for a model; this is for people who may see the threat itself. @module */

import type { Threat } from "../model/threat.ts";
import { Labels } from "./labels.ts";
import { buildContent, type contentFaults, instruction } from "./prompt.ts";

export interface Question {
  instruction: string;
  /** Null = nothing leaves. */
  content: Record<string, unknown> | null;
  /** Why nothing leaves. */
  fault: typeof contentFaults[number] | null;
  /** What labels stand for. */
  labels: Record<string, string>;
}

export function questionOf(threat: Threat): Question {
  const labels = new Labels(threat);
  const built = buildContent(threat, labels);
  return {
    instruction,
    content: built.ok ? JSON.parse(built.content) : null,
    fault: built.ok ? null : built.fault,
    labels: Object.fromEntries(labels.entries()),
  };
}
