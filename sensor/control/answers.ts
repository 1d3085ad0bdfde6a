/** What an aggregator answers, checked: shared/control.ts has the same as schemas. @module */

import type { CheckInResponse, EnrolResponse, PacketRequest } from "../../shared/control.ts";
import { packetLimits } from "../../shared/packets.ts";
import { flag, integer, listOf, number, object, optional, orNull, text } from "../../shared/shape.ts";

const name = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

/** By key, as the identity file holds them too. */
export const enrolChecks = {
  sensor_id: text(/^[A-Za-z0-9_-]{1,64}$/),
  name,
  site: name,
  buckets: integer(1, 1_024),
  kafka: orNull(object({ brokers: listOf(text()), topic: text() })),
  release_key: optional(orNull(text(/^.{44}$/))),
};
export const isEnrolResponse = object<EnrolResponse>(enrolChecks);

export const isCheckInResponse = object<CheckInResponse>({
  received_ms: number,
  answered_ms: number,
  config_version: integer(0),
  revoked: flag,
  epoch_max: optional(integer(0)),
});

const isPacketRequest = object<PacketRequest>({
  id: text(/^[0-9a-f]{16}$/),
  flows: listOf(
    object({ community_id: text(/^1:[A-Za-z0-9+/]{27}=$/), from_us: integer(0), to_us: integer(0) }),
    packetLimits.flowsMax,
  ),
  bytes_max: integer(1, packetLimits.fileBytesMax),
});

/** Packets that an answer asks for, and how many requests in it cannot be read.
 * One that is odd costs no other, and not the check-in. */
export function packetRequestsIn(answer: CheckInResponse): { requests: PacketRequest[]; odd: number } {
  const given: unknown = answer.packets ?? [];
  if (!Array.isArray(given)) return { requests: [], odd: 1 };
  const first = given.slice(0, packetLimits.requestsMax);
  const requests = first.filter(isPacketRequest);
  return { requests, odd: given.length - requests.length };
}

const isCanaryAnswer = object<NonNullable<CheckInResponse["canary"]>>({
  ask: optional(integer(0)),
  arrived: orNull(number),
});

/** What an answer says of canaries; null = nothing that can be read. */
export function canaryAnswerIn(answer: CheckInResponse): NonNullable<CheckInResponse["canary"]> | null {
  return isCanaryAnswer(answer.canary) ? answer.canary : null;
}
