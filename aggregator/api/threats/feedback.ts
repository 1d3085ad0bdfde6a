/** What people say about threats, and what that says about the detectors.
 * Invariant: feedback changes no severity and no status. @module */

import { z } from "../../../shared/schema.ts";
import { verdicts } from "../../model/threat.ts";
import { ApiError } from "../errors.ts";
import { actorOf, resource } from "../route.ts";
import { feedbackAnswer } from "../schemas.ts";
import { isId } from "./threats.ts";

const noteCharactersMax = 1_000;

export const giveFeedback = resource({
  summary: "Says of a threat that it was one, that it was harmless, or that it is wrong",
  body: z.strictObject({
    verdict: z.enum(verdicts).describe(
      "true: an attack; benign: it happened and is harmless; false: it is wrong",
    ),
    note: z.string().trim().max(noteCharactersMax).default(""),
  }),
  answer: feedbackAnswer.extend({ id: z.string() }),
  needs: ["feedbackStore", "reporter", "live"],
  async handle({ params: { id }, body, nowMs, caller }, { feedbackStore, reporter, live }) {
    const by = actorOf(caller);
    const feedback = { ...body, by: by.name, at_ms: nowMs };
    const isKnown = isId(id) && await feedbackStore.giveFeedback(id, feedback, by);
    if (!isKnown) throw new ApiError("not_found", "There is no threat with this id");
    live.note("threats", [id]);
    reporter.count("threat_feedback_total", { verdict: body.verdict });
    reporter.info("feedback given", { threat: id, verdict: body.verdict, by: by.name });
    return { json: { id, ...feedback } };
  },
});

const count = z.int().min(0);

const limit = z.object({
  name: z.string(),
  value: z.number().describe("In force"),
  unit: z.string(),
  why: z.string().describe("Where the default comes from"),
  default: z.number(),
  min: z.number(),
  max: z.number(),
});

export const detectorAnswer = z.object({
  name: z.string(),
  title: z.string(),
  technique: z.string().describe("ATT&CK technique"),
  about: z.string().describe("What it finds"),
  needs: z.array(z.string()).describe("Facts without which it finds nothing"),
  is_on: z.boolean(),
  limits: z.array(limit),
  findings: count.describe("Threats that are stored"),
  true: count,
  benign: count,
  false: count,
  precision: z.number().min(0).max(1).nullable().describe(
    "True of all with feedback; null = nobody gave any",
  ),
});

export const detectors = resource({
  summary: "Detectors with their limits in force, and how often people found them right",
  isPolled: true,
  isQuery: true,
  answer: z.object({ rows: z.array(detectorAnswer) }),
  needs: ["feedbackStore", "detectors"],
  async handle(_call, { feedbackStore, detectors }) {
    const counts = new Map((await feedbackStore.countFeedback()).map((one) => [one.detector, one]));
    const rows = detectors.map(({ isOn, ...entry }) => {
      const found = counts.get(entry.name) ?? { findings: 0, true: 0, benign: 0, false: 0 };
      const given = found.true + found.benign + found.false;
      return {
        ...entry,
        is_on: isOn,
        findings: found.findings,
        true: found.true,
        benign: found.benign,
        false: found.false,
        precision: given === 0 ? null : found.true / given,
      };
    });
    return { json: { rows } };
  },
});
