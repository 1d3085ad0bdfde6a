/** Sinks: how they are, what they could not send, and a test message. @module */

import { z } from "../../../shared/schema.ts";
import { severities } from "../../model/threat.ts";
import { messageKinds } from "../../model/message.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

const deadMax = 1_000;

export const sinkAnswer = z.object({
  name: z.string(),
  kind: z.enum(["webhook", "email", "syslog", "file"]),
  severity_min: z.enum(severities),
  waiting: z.int().describe("Messages that wait, digests that fill included"),
  dead: z.int().describe("Messages given up, kept as dead letters"),
  oldest_ms: z.number().nullable().describe("When the oldest that waits was made"),
  last_sent_ms: z.number().nullable(),
  problem: z.string().nullable().describe("Why what waits could not be sent; null = nothing failed"),
});

export const listSinks = resource({
  summary: "Sinks and how they are",
  isPolled: true,
  answer: z.object({ rows: z.array(sinkAnswer) }),
  needs: ["sinks"],
  async handle(_call, { sinks }) {
    return { json: { rows: await sinks.status() } };
  },
});

export const sinkDeadLetters = resource({
  summary: "Messages that a sink could not send, the newest first",
  query: z.strictObject({ limit: z.int().min(1).max(deadMax).default(50) }),
  answer: z.object({
    rows: z.array(z.object({
      id: z.string(),
      made_ms: z.number(),
      attempts: z.int(),
      reason: z.string(),
      kind: z.enum(messageKinds),
      severity: z.enum(severities),
      title: z.string(),
      summary: z.string(),
    })),
  }),
  errors: ["not_found"],
  needs: ["sinks"],
  async handle({ params, query }, { sinks }) {
    const rows = await sinks.dead(params.id, query.limit);
    if (rows === null) throw new ApiError("not_found", "There is no sink of this name");
    return {
      json: {
        rows: rows.map(({ id, made_ms, attempts, reason, message: { kind, severity, title, summary } }) => ({
          id,
          made_ms,
          attempts,
          reason,
          kind,
          severity,
          title,
          summary,
        })),
      },
    };
  },
});

export const testSink = resource({
  summary: "Sends a test message, past what waits",
  answer: z.object({ sent: z.boolean(), reason: z.string().describe("Why it was not sent; empty = it was") }),
  errors: ["not_found"],
  needs: ["sinks"],
  async handle({ params }, { sinks }) {
    const reason = await sinks.test(params.id);
    if (reason === null) throw new ApiError("not_found", "There is no sink of this name");
    return { json: { sent: reason === "", reason } };
  },
});
