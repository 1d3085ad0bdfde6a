/** What is known to be missing, and what was refused. @module */

import { Buffer } from "node:buffer";
import { z } from "../../../shared/schema.ts";
import { gapAnswer, pageRowsMax, sensorId } from "../schemas.ts";
import { resource } from "../route.ts";

const limit = z.int().min(1).max(pageRowsMax).default(100);

export const gaps = resource({
  summary: "Batches known to be missing, as ranges of the sequence",
  query: z.strictObject({ sensor_id: sensorId.optional(), open: z.boolean().optional(), limit }),
  isQuery: true,
  answer: z.object({ rows: z.array(gapAnswer) }),
  needs: ["ingestStore"],
  async handle({ query }, { ingestStore }) {
    const filter = {
      ...(query.sensor_id === undefined ? {} : { sensor_id: query.sensor_id }),
      ...(query.open === undefined ? {} : { open: query.open }),
    };
    return { json: { rows: await ingestStore.readGaps(filter, query.limit) } };
  },
});

export const deadLetters = resource({
  summary: "Batches that were refused, with the reason and their first octets",
  query: z.strictObject({ limit }),
  isQuery: true,
  answer: z.object({
    rows: z.array(z.object({
      received_ms: z.number(),
      reason: z.string(),
      origin: z.string(),
      sensor_id: z.string(),
      sample: z.string().describe("base64"),
    })),
  }),
  needs: ["ingestStore"],
  async handle({ query }, { ingestStore }) {
    const rows = await ingestStore.readDeadLetters(query.limit);
    return {
      json: { rows: rows.map((row) => ({ ...row, sample: Buffer.from(row.sample).toString("base64") })) },
    };
  },
});
