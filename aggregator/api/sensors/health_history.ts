/** How a sensor was over time: when it changed, what it counted between, which batches were missing.
 *
 * In: a sensor, a span of time. Out: rows, newest first, each with what its epoch counted since the row before it.
 * Invariant: in every row packets = in_flows + left_out + unaccounted. Counts are null where nothing says what was
 * before. @module */

import { z } from "../../../shared/schema.ts";
import { reasonKinds, sensorStatuses } from "../../fleet/reasons.ts";
import type { HealthRow } from "../../model/sensor_health.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";
import { gapAnswer, pageRowsMax, sensorId, when } from "../schemas.ts";
import { theSensor } from "./change.ts";

const gapsMax = 100;
const dayS = 86_400;
const count = z.int().min(0).nullable();

const rowAnswer = z.object({
  at_ms: z.number(),
  changed: z.boolean().describe("Its status or its kinds of reasons are others than before"),
  status: z.enum(sensorStatuses),
  kinds: z.array(z.enum(reasonKinds)),
  reasons: z.array(z.string()).describe("Sentences of that moment; only where it changed"),
  epoch: count.describe("Null: it had not checked in"),
  span_s: z.number().min(0).nullable().describe("Since the row before; null: there is none, and no counts"),
  packets: count.describe(
    "In this span and epoch, as all counts: packets = in_flows + left_out + unaccounted",
  ),
  in_flows: count,
  left_out: count,
  unaccounted: z.int().nullable().describe("Must be 0"),
  dropped: count.describe("By the kernel or dumpcap, before the sensor saw them"),
  card_dropped: count,
  spooled_batches: count.describe("Waiting at that moment"),
  missing_batches: z.int().min(0).describe("In open gaps at that moment"),
  missing_packets: z.int().min(0).describe("Of ended epochs, known at that moment never to have come"),
  clock_offset_ms: z.number().nullable(),
});

export const sensorHistory = resource({
  summary: "How a sensor was over time: every change, and what it counted every ten minutes; newest first",
  query: z.strictObject({
    since: when.optional().describe("The earliest moment; a day before the end unless given"),
    until: when.optional().describe("The end; now unless given"),
    changes: z.boolean().default(false).describe("Only moments at which its health changed"),
    limit: z.int().min(1).max(pageRowsMax).default(200).describe("Rows of a page"),
    cursor: z.string().regex(/^[0-9]{1,15}$/, "must be one that a page gave").optional(),
  }),
  isPolled: true,
  isQuery: true,
  answer: z.object({
    sensor_id: sensorId,
    name: z.string(),
    rows: z.array(rowAnswer),
    gaps: z.array(gapAnswer).describe("Batches that were missing then: the 100 ranges that were found last"),
    next_cursor: z.string().optional(),
  }),
  needs: ["directory", "healthStore", "ingestStore"],
  async handle({ params, query, nowMs }, has) {
    const { sensor_id, name } = await theSensor(params.id, nowMs, has);
    const untilMs = query.until === undefined ? nowMs + 1 : query.until * 1_000;
    const fromMs = query.since === undefined ? untilMs - dayS * 1_000 : query.since * 1_000;
    if (fromMs > untilMs) {
      throw new ApiError("bad_parameter", 'Cannot read history as "since" must be before "until"', {
        field: "since",
      });
    }
    const beforeMs = Math.min(untilMs, Number(query.cursor ?? untilMs));
    const { changes, limit } = query;
    const rows = await has.healthStore.readHealth(
      { sensorId: sensor_id, fromMs, beforeMs, changes },
      limit + 1,
    );
    const shown = rows.slice(0, limit);
    const gaps = await has.ingestStore.readGaps({ sensor_id, fromMs, untilMs }, gapsMax);
    return {
      json: {
        sensor_id,
        name,
        rows: shown.map((row, at) => spanOf(row, rows[at + 1])),
        gaps,
        ...rows.length > limit ? { next_cursor: String(shown[limit - 1].at_ms) } : {},
      },
    };
  },
});

type Counts = "packets" | "in_flows" | "left_out" | "dropped" | "card_dropped";

/** A row with what was counted since the one before it. A new epoch began between, and counts from zero. */
function spanOf(row: HealthRow, before: HealthRow | undefined) {
  const isKnown = before !== undefined && row.epoch !== null;
  const isSameEpoch = isKnown && before.epoch === row.epoch;
  const since = (name: Counts) =>
    isKnown ? Math.max(0, row[name]! - (isSameEpoch ? before[name] ?? 0 : 0)) : null;
  const [packets, in_flows, left_out] = [since("packets"), since("in_flows"), since("left_out")];
  return {
    at_ms: row.at_ms,
    changed: row.weight === 2,
    status: row.status,
    kinds: row.kinds,
    reasons: row.reasons,
    epoch: row.epoch,
    span_s: isKnown ? (row.at_ms - before.at_ms) / 1_000 : null,
    packets,
    in_flows,
    left_out,
    unaccounted: packets === null ? null : packets - in_flows! - left_out!,
    dropped: since("dropped"),
    card_dropped: since("card_dropped"),
    spooled_batches: row.spooled_batches,
    missing_batches: row.missing_batches,
    missing_packets: row.missing_packets,
    clock_offset_ms: row.clock_offset_ms,
  };
}
