/** Enrolment: a join token and a key for a place in the fleet.
 *
 * In: aggregator, token, name, key. Out: the enrolment, or an outcome from a closed list with what to do next.
 * Invariant: only the public key and a signature leave the machine.
 * The same key with the same token gives the same sensor again.
 * Waiting: an aggregator that is busy, as with a hundred sensors that are set up at once, says when to come again; for
 * at most {@link waitMsMax} in all. @module */

import { enrolMessage } from "../../shared/control_messages.ts";
import { isEnrolResponse } from "./answers.ts";
import { signText } from "../../shared/batch.ts";
import type { Clock } from "../../shared/clock.ts";
import { version } from "../../shared/version.ts";
import { type AggregatorClient, refusalOf, wordsOf } from "../aggregator_client.ts";
import { base64, type Enrolment, type Identity } from "./identity.ts";

/** Why an enrolment fails. */
export const enrolProblems = [
  "unreachable",
  "certificate",
  "not_an_aggregator",
  "refused",
  "busy",
] as const;

export type EnrolResult =
  | { ok: true; enrolment: Omit<Enrolment, "aggregator_ca"> }
  | { ok: false; problem: typeof enrolProblems[number]; message: string; retryAfterMs?: number | null };

interface Request {
  token: string;
  name: string;
}

const waitMsMax = 600_000;
/** Of one that does not say when. */
const waitMsDefault = 5_000;
const waitMsMin = 1_000;

/** Asks the aggregator to take this key into the fleet, again while it is busy. */
export async function enrolPatiently(
  client: AggregatorClient,
  identity: Identity,
  request: Request,
  deps: {
    clock: Clock;
    /** Aborts the wait. */
    signal: AbortSignal;
    random: () => number;
    /** Called before each wait. */
    onWait: (waitMs: number, message: string) => void;
  },
): Promise<EnrolResult> {
  const { clock, signal, random, onWait } = deps;
  const sinceMs = clock.monotonicMs();
  for (;;) {
    const result = await enrol(client, identity, request);
    if (result.ok || result.problem !== "busy" || signal.aborted) return result;
    const askedMs = Math.max(waitMsMin, result.retryAfterMs ?? waitMsDefault);
    // Up to half as long again: those who were told the same do not come back at once.
    const waitMs = askedMs * (1 + random() / 2);
    if (clock.monotonicMs() - sinceMs + waitMs > waitMsMax) return result;
    onWait(waitMs, result.message);
    await clock.sleep(waitMs, signal);
  }
}

async function enrol(client: AggregatorClient, identity: Identity, request: Request): Promise<EnrolResult> {
  const { token, name } = request;
  const unsigned = { token, name, public_key: base64(identity.publicKey) };
  const signature = signText(enrolMessage(unsigned), identity.privateKey);
  const answer = await client.postJson(
    "/api/v1/enrol",
    JSON.stringify({ ...unsigned, signature, version }),
  );
  if (!answer.ok) {
    if (answer.problem === "certificate") {
      return { ok: false, problem: "certificate", message: wordsOf(answer) };
    }
    const message =
      `${answer.message}. Check the address and that the aggregator runs; then give the same command again`;
    return { ok: false, problem: "unreachable", message };
  }
  if (answer.status === 200 || answer.status === 201) {
    const { body } = answer;
    if (isEnrolResponse(body)) {
      const { sensor_id, name, site, buckets, kafka, release_key = null } = body;
      const enrolment = { sensor_id, name, site, buckets, kafka, release_key, aggregator: client.url };
      return { ok: true, enrolment };
    }
  }
  const { code, message, detail } = refusalOf(answer.body);
  if (answer.status === 429 || answer.status === 503) {
    return {
      ok: false,
      problem: "busy",
      message: `the aggregator is busy (${message}). Try again in a minute`,
      retryAfterMs: answer.retryAfterMs,
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
