/** Batches over HTTP, for sensors without Kafka.
 *
 * In: the header fields of a batch, its value compressed with zstd. Out: `stored` or `replay` once the transaction is committed.
 * Invariant: the sensor's acknowledgement goes out after the commit; the upload gate bounds the bodies in memory.
 * What a sensor does with an error: 400, 413, 422 = this batch never gets in; 401, 403 = keep spooling; the rest = try again. @module */

import { batchLimits, readHeader } from "../../../shared/batch.ts";
import { z } from "../../../shared/schema.ts";
import type { IngestRefusal } from "../../ingest/verify.ts";
import { ApiError, type ApiErrorCode } from "../errors.ts";
import { resource } from "../route.ts";

export const batches = resource({
  summary: "Takes one signed batch: header fields picket-*, body zstd",
  bodyBytesMax: batchLimits.valueBytesMax,
  answer: z.object({ outcome: z.enum(["stored", "replay"]) }),
  async handle(call, { submit, directory, reporter, uploadGate }) {
    // What the header alone gives away is refused before a body is read.
    const header = readHeader(call.header);
    if (typeof header === "string") throw refuse(header);
    const sensor = await directory.find(header.sensor, call.nowMs);
    if (!sensor) throw refuse("unknown_sensor");
    if (sensor.revoked_ms !== null) throw refuse("revoked");
    const submitted = await uploadGate.run(async () => await submit(call.header, await call.bytes()));
    if (submitted.outcome === "refused") throw error(submitted.reason);
    return { json: { outcome: submitted.outcome } };

    function refuse(reason: IngestRefusal): ApiError {
      reporter.count("batches_refused_total", { reason });
      return error(reason);
    }
  },
});

function error(reason: IngestRefusal): ApiError {
  return new ApiError(codes[reason] ?? "refused", reason, { reason });
}

const codes: { [reason in IngestRefusal]?: ApiErrorCode } = {
  header_missing: "bad_parameter",
  header_malformed: "bad_parameter",
  too_large: "too_large",
  unknown_sensor: "unknown_sensor",
  unknown_key: "unknown_sensor",
  revoked: "revoked",
  quarantined: "quarantined",
};
