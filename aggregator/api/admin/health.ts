/** Is it working: for load balancers, watchdogs and people.
 *
 * Invariant: `/healthz` tells of progress, not of life: a process that answers but stores nothing while batches wait is not well.
 * Why no key is needed: a watchdog has none, and the answer holds no data. @module */

import { z } from "../../../shared/schema.ts";
import { version } from "../../../shared/version.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

/** Batches may wait this long for the database before the aggregator calls itself stuck. */
const stallMsMax = 30_000;

export const healthz = resource({
  summary: "200 while what comes in gets stored; 503 with the reason when not",
  answer: z.object({ status: z.literal("ok"), version: z.string(), pending_batches: z.int() }),
  handle({ nowMs }, { progress }) {
    const { pending, lastMs, failure } = progress();
    if (failure !== null) throw new ApiError("no_progress", failure);
    const waitedMs = nowMs - lastMs;
    if (pending > 0 && waitedMs > stallMsMax) {
      throw new ApiError(
        "no_progress",
        `${pending} batches wait, none was stored for ${Math.round(waitedMs / 1_000)} s`,
      );
    }
    return { json: { status: "ok", version, pending_batches: pending } };
  },
});

export const readyz = resource({
  summary: "200 when the database answers",
  answer: z.object({ status: z.literal("ready") }),
  async handle(_call, { store }) {
    await store.ping();
    return { json: { status: "ready" } };
  },
});
