/** Which detectors run here, and with which limits. @module */

import { z } from "../../../shared/schema.ts";
import { resource } from "../route.ts";

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
});

export const detectors = resource({
  summary: "Detectors with the limits in force",
  answer: z.object({ rows: z.array(detectorAnswer) }),
  needs: ["detectors"],
  handle: (_call, { detectors }) => ({
    json: { rows: detectors.map(({ isOn, ...entry }) => ({ ...entry, is_on: isOn })) },
  }),
});
