/** Check-in: a sensor's health, every 10 s, signed by its key.
 *
 * In: the signed body. Out: the aggregator's two time stamps, from which the sensor knows its clock, whether it is
 * revoked, and the highest epoch known of it; the policy it should have, the program it should run, and what became of
 * its canaries.
 * Invariant: nothing is stored of a check-in whose signature does not fit, or which is not newer than the last one; so
 * a recorded check-in cannot be played back as today's health.
 * Its clock may be off by any amount: that is measured, and said.
 * Why a revoked sensor still gets an answer: it must learn that it is. @module */

import { Buffer } from "node:buffer";
import { publicKeyFromRaw, sha256Hex, verifyText } from "../../../shared/batch.ts";
import { type CheckInRequest, checkInRequest, checkInResponse } from "../../../shared/control.ts";
import { checkInMessage } from "../../../shared/control_messages.ts";
import { questionFor } from "../../fleet/canary.ts";
import { endedBy } from "../../fleet/delivery_watch.ts";
import type { SensorRow } from "../../model/sensor.ts";
import type { Capabilities } from "../capabilities.ts";
import { ApiError } from "../errors.ts";
import { type Answer, type Call, resource } from "../route.ts";

/** Batches are corrected by the stored offset: one that changed is stored at once. */
const offsetStepMs = 1_000;

const needs = [
  "reporter",
  "checkIns",
  "ingestStore",
  "directory",
  "clock",
  "clockOffsets",
  "evidence",
  "policies",
  "rollouts",
] as const;

export const checkIn = resource({
  summary: "Takes a sensor's health; signed by the sensor in the header picket-signature",
  body: checkInRequest,
  answer: checkInResponse,
  headers: {
    "picket-signature":
      'base64(Ed25519("picket.check-in.v1\\n<sensor_id>\\n<sent_ms>\\n<SHA-256 of the body, hex>"))',
  },
  errors: ["unknown_sensor", "bad_signature"],
  needs,
  handle: answer,
});

type Needs = Pick<Capabilities, typeof needs[number]>;

async function answer(
  call: Call<unknown, CheckInRequest>,
  { ingestStore, clock, evidence, policies, rollouts, ...has }: Needs,
): Promise<Answer> {
  const { body, nowMs } = call;
  const { directory, reporter } = has;
  const sensor = await directory.find(body.sensor_id, nowMs);
  if (!sensor) throw refuse("unknown_sensor", "Enrol it again");
  const message = checkInMessage(body.sensor_id, body.sent_ms, sha256Hex(await call.bytes()));
  const publicKey = publicKeyFromRaw(new Uint8Array(Buffer.from(sensor.public_key, "base64")));
  if (!verifyText(message, (call.header("picket-signature") ?? "").slice(0, 128), publicKey)) {
    throw refuse("bad_signature", "Header picket-signature must sign this body with the enrolled key");
  }
  const isRevoked = sensor.revoked_ms !== null;
  if (!isRevoked) {
    if (isNewer(body, sensor.check_in)) await save(sensor, body, nowMs, has);
    else reporter.count("check_ins_total", { outcome: "replay" });
  }
  // A sensor restored from a backup learns here that it has been further already.
  const known = await ingestStore.readEpochs(sensor.sensor_id);
  const epoch_max = Math.max(sensor.check_in?.epoch ?? 0, ...known.map(({ epoch }) => epoch));
  const isHeard = !isRevoked && sensor.quarantined_ms === null;
  const packets = isHeard ? await evidence.wanted(sensor.sensor_id, nowMs) : [];
  const policy = isHeard ? await policies.wantedBy(sensor, nowMs) : undefined;
  const upgrade = isHeard ? await rollouts.wantedBy(sensor.sensor_id, body, nowMs) : undefined;
  const ask = isHeard ? questionFor(sensor, body, nowMs) : null;
  const arrived = sensor.canary?.arrived_sent_ms ?? null;
  return {
    json: {
      received_ms: nowMs,
      answered_ms: clock.nowMs(),
      config_version: policy?.version ?? 0,
      revoked: isRevoked,
      epoch_max,
      ...(packets.length > 0 ? { packets } : {}),
      canary: { ...ask !== null && { ask }, arrived },
      ...(policy === undefined ? {} : { policy }),
      ...(upgrade === undefined ? {} : { upgrade }),
    },
  };

  function refuse(code: "unknown_sensor" | "bad_signature", detail: string): ApiError {
    reporter.count("check_ins_total", { outcome: code });
    return new ApiError(code, detail);
  }
}

async function save(
  { sensor_id, check_in, last_check_in_ms, clock_offset_ms }: SensorRow,
  health: CheckInRequest,
  nowMs: number,
  { reporter, checkIns, directory, clockOffsets }: Omit<
    Needs,
    "ingestStore" | "clock" | "evidence" | "policies" | "rollouts"
  >,
): Promise<void> {
  const offsetMs = clockOffsets.note(sensor_id, health.epoch, health.sent_ms, nowMs);
  const ended = endedBy(health, { check_in, last_check_in_ms }, nowMs);
  const isUrgent = !check_in || check_in.epoch !== health.epoch ||
    check_in.capture.state !== health.capture.state ||
    Math.abs((clock_offset_ms ?? 0) - offsetMs) > offsetStepMs;
  directory.note(sensor_id, { check_in: health, last_check_in_ms: nowMs, clock_offset_ms: offsetMs });
  const write = { sensorId: sensor_id, checkIn: health, nowMs, clockOffsetMs: offsetMs, ended };
  await checkIns.keep(write, isUrgent);
  reporter.count("check_ins_total", { outcome: "stored" });
}

/** Later epoch; or, of the same epoch, a later stamp, or any total that has grown:
 * a clock may be set back, a total cannot go back.
 * A recorded check-in has neither. */
function isNewer(now: CheckInRequest, last: CheckInRequest | null): boolean {
  if (!last || now.epoch > last.epoch) return true;
  if (now.epoch < last.epoch) return false;
  const pairs: [now: number, last: number][] = [
    [now.capture.packets, last.capture.packets],
    [now.flows.segments, last.flows.segments],
    ...shared(now.counters, last.counters).filter(([name]) => /_total(\{|$)/.test(name)).map(([, ...pair]) =>
      pair
    ),
  ];
  const sealed = shared(now.sealed, last.sealed).map(([, ...pair]) => pair);
  if (sealed.some(([mine, before]) => mine < before)) return false;
  return now.sent_ms > last.sent_ms || [...pairs, ...sealed].some(([mine, before]) => mine > before);
}

/** What both have, by name. */
function shared(
  a: Record<string, number>,
  b: Record<string, number>,
): [name: string, a: number, b: number][] {
  return Object.keys(a).filter((name) => Object.hasOwn(b, name)).map((name) => [name, a[name], b[name]]);
}
