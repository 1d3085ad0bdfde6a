/** Releases: the programs that sensors can be upgraded to, and their parts for the sensors.
 *
 * In: for a part its digest, where it begins, and a signature of the sensor. Out: at most a megabyte of it.
 * Invariant: only a sensor that is let in gets a part; parts have bounds of their own on how many are read at once, and
 * on how many go out in a second, so that a fleet that upgrades does not fill the line of the aggregator.
 * Why parts: a download goes on where it stopped, and none of them holds a connection open. They travel packed to those
 * who take that, in two fifths of their size; the bound on a second is one of the octets before. @module */

import { Buffer } from "node:buffer";
import { publicKeyFromRaw, verifyText } from "../../../shared/batch.ts";
import { partMessage, releaseKeyId, releaseLimits } from "../../../shared/release.ts";
import { z } from "../../../shared/schema.ts";
import { ApiError, type ApiErrorCode } from "../errors.ts";
import { takesGzip } from "../packed.ts";
import { resource } from "../route.ts";

const answerType = "application/octet-stream";
const minor = z.string().describe("MAJOR.MINOR");

export const releases = resource({
  summary: "Signed programs that sensors can be upgraded to",
  answer: z.object({
    key: z.string().nullable().describe("Id of the release key; null: there is none, and nothing is offered"),
    rows: z.array(z.object({
      version: z.string(),
      target: z.string(),
      bytes: z.int(),
      sha256: z.string(),
      fits: z.object({ min: minor, max: minor }).describe("Versions it takes over from"),
    })),
    problems: z.array(z.object({ file: z.string(), reason: z.string() })).describe(
      "Files that are not offered",
    ),
  }),
  needs: ["releases"],
  async handle({ nowMs }, has) {
    const { key, rows, problems } = await has.releases.all(nowMs);
    return {
      json: {
        key: key && releaseKeyId(key),
        rows: rows.map(({ read: { version, target, bytes, sha256, fits } }) => ({
          version,
          target,
          bytes,
          sha256,
          fits,
        })),
        problems,
      },
    };
  },
});

export const releasePart = resource({
  summary: "A part of a program, for a sensor that was offered it; signed by the sensor",
  query: z.object({
    from: z.int().min(0).max(releaseLimits.programBytesMax).describe("Where the part begins, octets"),
  }),
  answerTypes: [answerType],
  headers: {
    "picket-sensor": "Id of the sensor",
    "picket-signature":
      'base64(Ed25519("picket.release-part.v1\\n<sensor_id>\\n<SHA-256 of the program, hex>\\n<from>"))',
  },
  errors: ["bad_parameter", "unknown_sensor", "bad_signature", "revoked", "quarantined", "not_found", "busy"],
  needs: ["releases", "directory", "reporter", "releaseLimit", "releaseRate"],
  async handle(
    { params, query, header, nowMs },
    { releases, directory, reporter, releaseLimit, releaseRate },
  ) {
    const id = (header("picket-sensor") ?? "").slice(0, 64);
    const sensor = await directory.find(id, nowMs);
    if (!sensor) throw refuse("unknown_sensor");
    if (sensor.revoked_ms !== null) throw refuse("revoked");
    if (sensor.quarantined_ms !== null) throw refuse("quarantined");
    const publicKey = publicKeyFromRaw(new Uint8Array(Buffer.from(sensor.public_key, "base64")));
    const message = partMessage(id, params.id, query.from);
    if (!verifyText(message, (header("picket-signature") ?? "").slice(0, 128), publicKey)) {
      throw refuse("bad_signature");
    }
    const waitS = releaseRate.take("all", nowMs);
    if (waitS !== null) throw refuse("busy", waitS);
    const isPacked = takesGzip(header("accept-encoding"));
    const part = await releaseLimit.run(
      () =>
        isPacked
          ? releases.packedPart(params.id, query.from, nowMs)
          : releases.part(params.id, query.from, nowMs),
      sensor.sensor_id,
    );
    if (part === null) throw refuse("not_found");
    reporter.count("release_parts_total", { outcome: "sent" });
    return {
      file: { body: part, type: answerType, name: `${params.id.slice(0, 16)}.part` },
      headers: { vary: "accept-encoding", ...isPacked && { "content-encoding": "gzip" } },
    };

    function refuse(code: ApiErrorCode, retryAfterS?: number): ApiError {
      reporter.count("release_parts_total", { outcome: code });
      return new ApiError(code, null, retryAfterS === undefined ? {} : { retryAfterS });
    }
  },
});
