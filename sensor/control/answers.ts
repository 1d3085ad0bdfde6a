/** What an aggregator answers, checked: shared/control.ts has the same as schemas. @module */

import type { CheckInResponse, EnrolResponse } from "../../shared/control.ts";
import { flag, integer, listOf, number, object, optional, orNull, text } from "../../shared/shape.ts";

const name = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

/** By key, as the identity file holds them too. */
export const enrolChecks = {
  sensor_id: text(/^[A-Za-z0-9_-]{1,64}$/),
  name,
  site: name,
  buckets: integer(1, 1_024),
  kafka: orNull(object({ brokers: listOf(text()), topic: text() })),
};
export const isEnrolResponse = object<EnrolResponse>(enrolChecks);

export const isCheckInResponse = object<CheckInResponse>({
  received_ms: number,
  answered_ms: number,
  config_version: integer(0),
  revoked: flag,
  epoch_max: optional(integer(0)),
});
