/** Is it working: for load balancers, watchdogs and people.
 *
 * Invariant: `/healthz` tells of progress, not of life: a process that answers but stores nothing while batches wait or
 * fail is not well. Neither answer waits for the database longer than {@link pingMsMax}.
 * Why no key is needed: a watchdog has none, and the answer holds no data. @module */

import { z } from "../../../shared/schema.ts";
import { version } from "../../../shared/version.ts";
import { ApiError } from "../errors.ts";
import type { Progress } from "../capabilities.ts";
import { resource } from "../route.ts";

/** Batches may wait this long for the database before the aggregator calls itself stuck. */
const stallMsMax = 30_000;
/** Every batch may fail for this long: a database that is started again takes some seconds. */
const failMsMax = 15_000;
const pingMsMax = 2_000;

/** Why what comes in does not get stored, in words; null = it does. */
export function problemOf(
  { pending, lastMs, failingSinceMs, failure }: Progress,
  nowMs: number,
): string | null {
  if (failure !== null) return failure;
  const seconds = (sinceMs: number) => `${Math.round((nowMs - sinceMs) / 1_000)} s`;
  if (failingSinceMs !== null && nowMs - failingSinceMs > failMsMax) {
    return `No batch could be stored for ${
      seconds(failingSinceMs)
    }: the log says why the database refuses them`;
  }
  if (pending > 0 && nowMs - lastMs > stallMsMax) {
    return `${pending} batches wait, none was stored for ${seconds(lastMs)}`;
  }
  return null;
}

export const healthz = resource({
  summary: "200 while what comes in gets stored; 503 with the reason when not",
  answer: z.object({ status: z.literal("ok"), version: z.string(), pending_batches: z.int() }),
  errors: ["no_progress"],
  needs: ["progress"],
  handle({ nowMs }, { progress }) {
    const now = progress();
    const problem = problemOf(now, nowMs);
    if (problem !== null) throw new ApiError("no_progress", problem);
    return { json: { status: "ok", version, pending_batches: now.pending } };
  },
});

export const readyz = resource({
  summary: "200 when the database answers, within 2 s",
  answer: z.object({
    status: z.literal("ready"),
    archive: z.enum(["ok", "failing"]).describe(
      "failing: a day of flows cannot be archived; /fleet says why",
    ),
    sinks: z.enum(["ok", "failing"]).describe("failing: a sink cannot be sent to; /api/v1/sinks says why"),
  }),
  needs: ["ping", "clock", "archiveProblem", "sinks"],
  async handle(_call, { ping, clock, archiveProblem, sinks }) {
    const answered = new AbortController();
    const late = clock.sleep(pingMsMax, answered.signal).then(() => "late");
    const asked = ping();
    asked.catch(() => undefined); // It may fail after we stopped to wait for it.
    try {
      if (await Promise.race([asked, late]) === "late") {
        throw new ApiError("store_unavailable", `It did not answer within ${pingMsMax / 1_000} s`);
      }
    } finally {
      answered.abort();
    }
    const archive = archiveProblem() === null ? "ok" : "failing";
    return { json: { status: "ready", archive, sinks: sinks.areWell() ? "ok" : "failing" } };
  },
});
