/** Batches over HTTP, for sensors without Kafka.
 *
 * In: the header fields of a batch, its value compressed with zstd.
 * Out: `stored` or `replay` once the transaction is committed.
 * Invariant: the sensor's acknowledgement goes out after the commit; the upload limit bounds the bodies in memory, and
 * one sensor's share of them. Who holds no sensor's key gets no place there: the signature covers the header fields,
 * the value's hash among them, and is checked before a body is waited for; ingest gets the proof, and does not check it
 * again.
 * What a sensor does with an error: 400, 413, 422 = this batch never gets in; 401, 403 = keep spooling;
 * the rest = try again. @module */

import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { batchLimits, checkHeader, publicKeyFromRaw, readHeader } from "../../../shared/batch.ts";
import { z } from "../../../shared/schema.ts";
import type { IngestRefusal } from "../../ingest/verify.ts";
import type { SensorRow } from "../../model/sensor.ts";
import { ApiError, type ApiErrorCode } from "../errors.ts";
import { declaredOctets } from "../body.ts";
import { resource } from "../route.ts";

/** Header fields of a batch; shared/batch.ts has them in full. */
const headerWords = {
  sensor: "Id of the sensor",
  key: "Id of its key",
  epoch: "Number of this start of the sensor",
  bucket: "Community ID hash modulo the fleet's number of buckets",
  seq: "Rises by one in each epoch and bucket",
  flows: "Rows of the value",
  sealed: "When it was sealed, epoch ms of the sensor's clock",
  sha256: "SHA-256 of the value before compression, hex",
  signature: "Ed25519 over all of these, base64",
};

export const batches = resource({
  summary: "Takes one signed batch: columnar JSON, compressed with zstd",
  bodyBytesMax: batchLimits.valueBytesMax,
  answer: z.object({ outcome: z.enum(["stored", "replay"]) }),
  bodyType: "application/json",
  headers: {
    "content-encoding": "zstd: the body is one zstd frame",
    ...Object.fromEntries(
      Object.entries(headerWords).map(([name, words]) => [`picket-${name}`, words]),
    ),
  },
  errors: ["bad_parameter", "unknown_sensor", "revoked", "quarantined", "refused", "busy"],
  needs: ["submit", "directory", "reporter", "uploadLimit"],
  async handle(call, { submit, directory, reporter, uploadLimit }) {
    // What the header alone gives away is refused before a body is read.
    const header = readHeader(call.header);
    if (typeof header === "string") throw refuse(header);
    const sensor = await directory.find(header.sensor, call.nowMs);
    if (!sensor) throw refuse("unknown_sensor");
    if (sensor.revoked_ms !== null) throw refuse("revoked");
    if (sensor.quarantined_ms !== null) throw refuse("quarantined");
    if (header.key !== sensor.key_id) throw refuse("unknown_key");
    const checked = checkHeader(header, keyOf(sensor));
    if (checked === null) throw refuse("signature");
    const octets = declaredOctets(call.header, batchLimits.valueBytesMax);
    if (octets > batchLimits.valueBytesMax) throw refuse("too_large");
    const submitted = await uploadLimit.run(
      async () => await submit(call.header, await call.bytes(), checked),
      sensor.sensor_id,
      octets,
    );
    if (submitted.outcome === "refused") throw error(submitted.reason);
    return { json: { outcome: submitted.outcome } };

    function refuse(reason: IngestRefusal): ApiError {
      reporter.count("batches_refused_total", { reason });
      return error(reason);
    }
  },
});

const keys = new WeakMap<SensorRow, KeyObject>();

/** Made once for each row that was read. */
function keyOf(sensor: SensorRow): KeyObject {
  let key = keys.get(sensor);
  if (!key) keys.set(sensor, key = publicKeyFromRaw(Buffer.from(sensor.public_key, "base64")));
  return key;
}

function error(reason: IngestRefusal): ApiError {
  return new ApiError(codes[reason] ?? "refused", reason, { extra: { reason } });
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
