/** What a model is told about a threat, as a person may see it. @module */

import { z } from "../../../shared/schema.ts";
import { contentFaults } from "../../triage/prompt.ts";
import { questionOf } from "../../triage/question.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";
import { isId } from "./threats.ts";

export const threatQuestion = resource({
  summary:
    "What a model is told about a threat, as it stands now: labels stand in place of addresses and names",
  isQuery: true,
  answer: z.object({
    instruction: z.string(),
    content: z.record(z.string(), z.unknown()).nullable().describe("Null: nothing leaves"),
    fault: z.enum(contentFaults).nullable().describe("Why nothing leaves"),
    labels: z.record(z.string(), z.string()).describe("What labels stand for; this never leaves"),
  }),
  needs: ["threatStore"],
  async handle({ params }, { threatStore }) {
    const found = isId(params.id) ? await threatStore.readThreat(params.id) : null;
    if (!found) throw new ApiError("not_found", "There is no threat with this id");
    return { json: questionOf(found) };
  },
});
