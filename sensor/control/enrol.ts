/** Enrolment: a join token and a key for a place in the fleet.
 *
 * In: aggregator, token, name, key. Out: the enrolment, or an outcome from a closed list with what to do next.
 * Invariant: only the public key and a signature leave the machine. The same key with the same token gives the same sensor again. @module */

import { enrolMessage } from "../../shared/control_messages.ts";
import { isEnrolResponse } from "./answers.ts";
import { signText } from "../../shared/batch.ts";
import { version } from "../../shared/version.ts";
import { type AggregatorClient, refusalOf } from "../aggregator_client.ts";
import { base64, type Enrolment, type Identity } from "./identity.ts";

/** Why an enrolment fails. */
export const enrolProblems = ["unreachable", "not_an_aggregator", "refused", "busy"] as const;

export type EnrolResult =
  | { ok: true; enrolment: Enrolment }
  | { ok: false; problem: typeof enrolProblems[number]; message: string };

/** Asks the aggregator to take this key into the fleet. */
export async function enrol(
  client: AggregatorClient,
  identity: Identity,
  request: { token: string; name: string },
): Promise<EnrolResult> {
  const { token, name } = request;
  const unsigned = { token, name, public_key: base64(identity.publicKey) };
  const signature = signText(enrolMessage(unsigned), identity.privateKey);
  const answer = await client.postJson(
    "/api/v1/enrol",
    JSON.stringify({ ...unsigned, signature, version }),
  );
  if (!answer.ok) {
    const message =
      `${answer.message}. Check the address and that the aggregator runs; then give the same command again`;
    return { ok: false, problem: "unreachable", message };
  }
  if (answer.status === 200 || answer.status === 201) {
    const { body } = answer;
    if (isEnrolResponse(body)) {
      const { sensor_id, name, site, buckets, kafka } = body;
      return { ok: true, enrolment: { sensor_id, name, site, buckets, kafka, aggregator: client.url } };
    }
  }
  const { code, message, detail } = refusalOf(answer.body);
  if (answer.status === 429 || answer.status === 503) {
    return {
      ok: false,
      problem: "busy",
      message: `the aggregator is busy (${message}). Try again in a minute`,
    };
  }
  if (answer.status >= 400 && code !== "unknown") {
    return {
      ok: false,
      problem: "refused",
      message: `the aggregator refused: ${message}. ${detail || advice(code)}`,
    };
  }
  return {
    ok: false,
    problem: "not_an_aggregator",
    message:
      `${client.url} answered ${answer.status}, but not as a Picket aggregator does. Check the address`,
  };
}

function advice(code: string): string {
  if (code.includes("name")) return "Choose another --name";
  if (code.includes("revoked")) return "This key was revoked: enrol with --new-key and a fresh token";
  return "Join tokens work once and for 15 minutes: make a fresh one with `picket-aggregator token`";
}
