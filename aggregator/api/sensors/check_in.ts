/** Check-in: a sensor's health, every 10 s, signed by its key.
 *
 * In: the signed body. Out: the aggregator's two time stamps, from which the sensor knows its clock, and whether it is revoked.
 * Invariant: nothing is stored of a check-in whose signature does not fit, whose stamp is more than 5 minutes away, or which is not
 * newer than the last one; so a recorded check-in cannot be played back as today's health.
 * Why a revoked sensor still gets an answer: it must learn that it is. @module */

import { Buffer } from "node:buffer";
import { publicKeyFromRaw, sha256Hex, verifyText } from "../../../shared/batch.ts";
import { type CheckInRequest, checkInRequest, checkInResponse } from "../../../shared/control.ts";
import { checkInMessage } from "../../../shared/control_messages.ts";
import type { SensorRow } from "../../model/sensor.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

const skewMsMax = 5 * 60_000;

export const checkIn = resource({
  summary: "Takes a sensor's health; signed by the sensor in the header picket-signature",
  body: checkInRequest,
  answer: checkInResponse,
  async handle(call, services) {
    const { body, nowMs } = call;
    const { reporter, store, directory, clock } = services;
    const sensor = await directory.find(body.sensor_id, nowMs);
    if (!sensor) throw refuse("unknown_sensor", "Enrol it again");
    const message = checkInMessage(body.sensor_id, body.sent_ms, sha256Hex(await call.bytes()));
    const publicKey = publicKeyFromRaw(new Uint8Array(Buffer.from(sensor.public_key, "base64")));
    if (!verifyText(message, (call.header("picket-signature") ?? "").slice(0, 128), publicKey)) {
      throw refuse("bad_signature", "Header picket-signature must sign this body with the enrolled key");
    }
    if (Math.abs(body.sent_ms - nowMs) > skewMsMax) {
      throw refuse(
        "clock_skew",
        `Aggregator has ${iso(nowMs)}, the sensor ${iso(body.sent_ms)}; limit is 5 min`,
      );
    }
    const isRevoked = sensor.revoked_ms !== null;
    if (!isRevoked) {
      if (isNewer(body, sensor)) await save(sensor.sensor_id, body);
      else reporter.count("check_ins_total", { outcome: "replay" });
    }
    // A sensor restored from a backup learns here that it has been further already.
    const epoch_max = Math.max(body.epoch, sensor.check_in?.epoch ?? 0);
    const answer = { config_version: 0, revoked: isRevoked, epoch_max };
    return { json: { received_ms: nowMs, answered_ms: clock.nowMs(), ...answer } };

    function refuse(code: "unknown_sensor" | "bad_signature" | "clock_skew", detail: string): ApiError {
      reporter.count("check_ins_total", { outcome: code });
      return new ApiError(code, detail);
    }

    async function save(sensorId: string, health: CheckInRequest): Promise<void> {
      const offsetMs = services.clockOffsets.note(sensorId, health.epoch, health.sent_ms, nowMs);
      await store.saveCheckIn(sensorId, health, nowMs, offsetMs);
      directory.note(sensorId, { check_in: health, last_check_in_ms: nowMs, clock_offset_ms: offsetMs });
      reporter.count("check_ins_total", { outcome: "stored" });
    }
  },
});

/** Later epoch, or later stamp of the same epoch. A clock set back costs at most the 5 minutes a stamp may be off. */
function isNewer(now: CheckInRequest, { check_in: last }: SensorRow): boolean {
  return !last || now.epoch > last.epoch || now.epoch === last.epoch && now.sent_ms > last.sent_ms;
}

function iso(ms: number): string {
  return Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : String(ms);
}
