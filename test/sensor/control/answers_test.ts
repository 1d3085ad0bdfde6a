/** The sensor's checks of answers, beside the schemas by which the aggregator makes them. @module */

import { assert, assertEquals } from "@std/assert";
import { checkInResponse, enrolResponse } from "../../../shared/control.ts";
import { isCheckInResponse, isEnrolResponse } from "../../../sensor/control/answers.ts";

const values = [
  undefined,
  null,
  NaN,
  -1,
  0,
  1,
  1.5,
  2_000,
  "",
  "x",
  "-x",
  "a b",
  "x".repeat(64),
  true,
  [],
  {},
  [1],
];

/** The object with each of its keys, those of objects inside too, replaced by each of the values. */
function* variants(whole: Record<string, unknown>): Generator<Record<string, unknown>> {
  for (const [key, inner] of Object.entries(whole)) {
    for (const value of values) yield { ...whole, [key]: value };
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) continue;
    for (const changed of variants(inner as Record<string, unknown>)) yield { ...whole, [key]: changed };
  }
}

Deno.test("an enrolment is taken when the aggregator's schema lets it out, and refused when not", () => {
  const kafka = { brokers: ["b:9092"], topic: "t" };
  const good = { sensor_id: "s_1", name: "pi-1", site: "home", buckets: 4, kafka };
  assert(isEnrolResponse(good) && isEnrolResponse({ ...good, kafka: null, more: 1 }));
  for (const answer of variants(good)) {
    // Ids are the aggregator's own; the sensor puts them into file names and headers.
    if (answer.sensor_id !== good.sensor_id) continue;
    assertEquals(isEnrolResponse(answer), enrolResponse.safeParse(answer).success, JSON.stringify(answer));
  }
  for (const sensor_id of ["", "a/b", "a b", "x".repeat(65), 1]) {
    assert(!isEnrolResponse({ ...good, sensor_id }));
  }
});

Deno.test("the answer to a check-in is taken when the aggregator's schema lets it out, and refused when not", () => {
  const good = { received_ms: 1.5, answered_ms: 2, config_version: 0, revoked: false };
  assert(isCheckInResponse(good));
  for (const answer of variants(good)) {
    assertEquals(
      isCheckInResponse(answer),
      checkInResponse.safeParse(answer).success,
      JSON.stringify(answer),
    );
  }
});
