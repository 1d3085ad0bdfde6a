/** Enrolment: a one-time token and a fresh key make a sensor.
 *
 * In: token, name, public key, and a signature that proves the sensor holds the private half.
 * Out: sensor id, where batches go, and the key that upgrades must be signed with.
 * Invariant: of any number of redemptions of one token at once exactly one enrols:
 * the identityStore decides, in one statement.
 * A valid token is never refused for what others behind the same address did: only failures count,
 * and only they are told to wait. @module */

import { Buffer } from "node:buffer";
import { keyId, publicKeyFromRaw, sha256Hex, verifyText } from "../../../shared/batch.ts";
import { enrolRequest, enrolResponse } from "../../../shared/control.ts";
import { enrolMessage } from "../../../shared/control_messages.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

export const enrol = resource({
  summary: "Enrols a sensor with a one-time join token",
  body: enrolRequest,
  bodyBytesMax: 4_096,
  answer: enrolResponse,
  errors: [
    "bad_signature",
    "unknown_token",
    "expired_token",
    "revoked_token",
    "revoked",
    "used_token",
    "name_taken",
    "key_taken",
    "too_many",
  ],
  needs: ["reporter", "identityStore", "directory", "enrolRate", "randomBytes", "fleet", "releases"],
  async handle(
    { body, source, nowMs },
    { reporter, identityStore, directory, enrolRate, randomBytes, fleet, releases },
  ) {
    const publicKey = readPublicKey(body.public_key);
    if (!publicKey || !verifyText(enrolMessage(body), body.signature, publicKeyFromRaw(publicKey))) {
      throw fail("bad_signature", "The enrolment must be signed by the key it names");
    }
    const { outcome, sensor } = await identityStore.redeemJoinToken(sha256Hex(body.token), {
      sensor_id: `s${Buffer.from(randomBytes(10)).toString("hex")}`,
      name: body.name,
      key_id: keyId(publicKey),
      public_key: body.public_key,
    }, nowMs);
    if (outcome !== "enrolled" && outcome !== "same_sensor") throw fail(outcome, advice[outcome]);
    reporter.count("enrolments_total", { outcome });
    if (!sensor) throw new Error(`Cannot enrol as the identityStore answered "${outcome}" without a sensor`);
    if (sensor.revoked_ms !== null) {
      throw new ApiError("revoked", "Make a new token and enrol with a new key");
    }
    directory.forget();
    reporter.info("sensor enrolled", { name: sensor.name, site: sensor.site, outcome });
    const { buckets, kafka } = fleet;
    const { key: release_key } = await releases.all(nowMs);
    const { sensor_id, name, site } = sensor;
    return { json: { sensor_id, name, site, buckets, kafka, release_key } };

    function fail(outcome: keyof typeof advice | "bad_signature", detail: string): ApiError {
      // A name that is taken is a slip of whoever holds a good token.
      const waitS = outcome === "name_taken" || outcome === "key_taken"
        ? null
        : enrolRate.take(source, nowMs);
      reporter.count("enrolments_total", { outcome: waitS === null ? outcome : "throttled" });
      const headers = enrolRate.headers("enrolments", source, nowMs);
      return waitS === null
        ? new ApiError(outcome, detail, { headers })
        : new ApiError("too_many", `${detail}. Try again in ${waitS} s`, { retryAfterS: waitS, headers });
    }
  },
});

const advice = {
  unknown_token: "Check that it was copied whole, or make a new one with: picket-aggregator token create",
  expired_token: "Make a new one with: picket-aggregator token create",
  revoked_token: "Make a new one with: picket-aggregator token create",
  used_token:
    "It has enrolled as many sensors as it may: make a new one with: picket-aggregator token create",
  key_taken: "This key was enrolled under another name, or was revoked: enrol with a new key",
  name_taken: "Choose another name",
} as const;

function readPublicKey(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 32 && bytes.toString("base64") === text ? new Uint8Array(bytes) : null;
}
