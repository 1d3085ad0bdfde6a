/** Packets that a sensor uploads because it was asked to.
 *
 * In: header fields, a pcapng file, empty where there are no packets.
 * Out: `stored` or `replay` once the file and its row are on disk.
 * Invariant: signature, request and length are checked before a body is waited for, and uploads share the bound of
 * batches. Each refusal is counted by its reason.
 * An unusable upload ends its request, so that the sensor does not send it again. @module */

import { Buffer } from "node:buffer";
import { publicKeyFromRaw, sha256Hex, verifyText } from "../../../shared/batch.ts";
import { packetLimits, packetsHeaderWords, packetsText, readPacketsHeader } from "../../../shared/packets.ts";
import { z } from "../../../shared/schema.ts";
import { declaredOctets } from "../body.ts";
import { ApiError, type ApiErrorCode } from "../errors.ts";
import { resource } from "../route.ts";

export const packetUploads = resource({
  summary: "Takes packets that an answer to a check-in asked for: a pcapng file, empty where there are none",
  bodyBytesMax: packetLimits.fileBytesMax,
  answer: z.object({ outcome: z.enum(["stored", "replay"]) }),
  bodyType: "application/vnd.tcpdump.pcap",
  headers: packetsHeaderWords,
  errors: [
    "bad_parameter",
    "unknown_sensor",
    "bad_signature",
    "revoked",
    "quarantined",
    "not_asked",
    "too_large",
    "bad_packets",
    "busy",
  ],
  needs: ["evidence", "directory", "reporter", "uploadLimit"],
  async handle(call, { evidence, directory, reporter, uploadLimit }) {
    const { nowMs } = call;
    const header = readPacketsHeader(call.header);
    if (header === null) throw refuse("bad_parameter", "A header field is missing or malformed", "header");
    const sensor = await directory.find(header.sensor, nowMs);
    if (!sensor) throw refuse("unknown_sensor");
    if (sensor.revoked_ms !== null) throw refuse("revoked");
    if (sensor.quarantined_ms !== null) throw refuse("quarantined");
    const publicKey = publicKeyFromRaw(Buffer.from(sensor.public_key, "base64"));
    if (!verifyText(packetsText(header), header.signature, publicKey)) throw refuse("bad_signature");
    if (!await evidence.expects(header, nowMs)) throw refuse("not_asked");
    const octets = declaredOctets(call.header, packetLimits.fileBytesMax);
    if (octets > packetLimits.fileBytesMax) {
      throw refuse("too_large", `Body must have <= ${packetLimits.fileBytesMax} octets`);
    }
    const outcome = await uploadLimit.run(
      async () => {
        const body = await call.bytes().catch((error) => {
          if (error instanceof ApiError) count(error.code);
          throw error;
        });
        return sha256Hex(body) === header.sha256 ? await evidence.accept(header, body, nowMs) : "hash";
      },
      sensor.sensor_id,
      octets,
    );
    if (outcome === "not_asked" || outcome === "busy") throw refuse(outcome);
    if (outcome === "unwritten") {
      throw refuse("store_unavailable", "The disk takes no packets", "unwritten");
    }
    if (outcome !== "stored" && outcome !== "replay") throw refuse("bad_packets", outcome, outcome);
    count(outcome);
    return { json: { outcome } };

    function refuse(code: ApiErrorCode, detail: string | null = null, reason: string = code): ApiError {
      count(reason);
      return new ApiError(code, detail);
    }
    function count(reason: string): void {
      reporter.count("packet_uploads_total", { outcome: reason });
    }
  },
});
