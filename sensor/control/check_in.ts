/** Check-in: every 10 s a signed health report to the aggregator,
 * whose answer says how the clocks differ and whether to go on shipping.
 *
 * In: a function that makes the report. Out: clock offset, `isRevoked`; the last problem in words.
 * Invariant: nothing depends on it: without an aggregator the sensor captures, spools and ships as before.
 * Clock offset, as in NTP: ((received - sent) + (answered - got)) / 2; positive = the aggregator's clock is ahead.
 * @module */

import type { CheckInRequest, CheckInResponse, PacketRequest } from "../../shared/control.ts";
import { checkInMessage } from "../../shared/control_messages.ts";
import { canaryAnswerIn, isCheckInResponse, packetRequestsIn } from "./answers.ts";
import { sha256Hex, signText } from "../../shared/batch.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type AggregatorClient, refusalOf, wordsOf } from "../aggregator_client.ts";
import type { Identity } from "./identity.ts";

export interface CheckInDeps {
  client: AggregatorClient;
  identity: Identity;
  /** Health of this moment; `sent_ms` is filled in here. */
  report: () => Omit<CheckInRequest, "sent_ms">;
  /** Called after every try, with whether this sensor is revoked where that was said, and the highest epoch the
   * aggregator knows, 0 = not said. */
  onAnswer: (revoked: boolean | null, epochKnown: number) => void | Promise<void>;
  /** Called with the packets that an answer asks for, when it asks for any. */
  onPacketRequests?: (requests: PacketRequest[]) => void;
  /** Called with what a good answer says of canaries, when it says anything. */
  onCanary?: (answer: NonNullable<CheckInResponse["canary"]>) => void;
  /** Called with what a good answer says of a policy, unchecked; undefined = nothing. */
  onPolicy?: (offer: unknown) => void;
  /** Called with what a good answer says of an upgrade, unchecked; undefined = nothing. */
  onUpgrade?: (offer: unknown) => void;
  clock: Clock;
  reporter: Reporter;
  /** 0 <= value < 1; comes from the edge. */
  random: () => number;
}

const lastReportMs = 4_000;
const lastRetryMs = 1_000;

export class CheckIn {
  #deps: CheckInDeps;
  #intervalMs: number;
  #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #offsetMs: number | null = null;
  #problem: string | null = null;

  /** @throws {RangeError} when the interval is below 1 s. */
  constructor(options: { intervalMs?: number }, deps: CheckInDeps) {
    this.#intervalMs = options.intervalMs ?? 10_000;
    if (!(this.#intervalMs >= 1_000)) {
      throw new RangeError(
        `Cannot check in as "intervalMs" must be >= 1000: current value is ${this.#intervalMs}`,
      );
    }
    this.#deps = deps;
  }

  /** How far the aggregator's clock is ahead of ours; null = not known yet. */
  get offsetMs(): number | null {
    return this.#offsetMs;
  }
  /** Why the last try failed; null = it did not. */
  get problem(): string | null {
    return this.#problem;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Ends the loop after the report under way. */
  async halt(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Ends the loop; with `last` after one more report, which has `lastReportMs` to come through: an aggregator that is
   * just being started again should still hear how it ended. */
  async stop(last = false): Promise<void> {
    await this.halt();
    const { clock, client } = this.#deps;
    const untilMs = clock.monotonicMs() + lastReportMs;
    while (last) {
      await this.once();
      if (this.#problem === null || clock.monotonicMs() + lastRetryMs > untilMs) break;
      await clock.sleep(lastRetryMs);
    }
    client.close();
  }

  async #loop(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.once();
      // 90 to 110 % of the interval: a fleet that lost power together does not answer in one beat for ever.
      const waitMs = this.#intervalMs * (0.9 + 0.2 * this.#deps.random());
      await this.#deps.clock.sleep(waitMs, this.#stopping.signal);
    }
  }

  /** Reports once. Never rejects. */
  async once(): Promise<void> {
    const { client, identity, report, clock, reporter, onAnswer } = this.#deps;
    const sentMs = clock.nowMs(), sentAtMs = clock.monotonicMs();
    const body = JSON.stringify({ ...report(), sent_ms: sentMs });
    const message = checkInMessage(identity.enrolment!.sensor_id, sentMs, sha256Hex(body));
    const answer = await client.postJson("/api/v1/check-in", body, {
      "picket-signature": signText(message, identity.privateKey),
    });
    // From the monotonic clock, so that a step of the wall clock meanwhile does not look like a delay.
    const gotMs = sentMs + (clock.monotonicMs() - sentAtMs);
    let revoked: boolean | null = null, epochKnown = 0;
    if (answer.ok && answer.status === 200 && isCheckInResponse(answer.body)) {
      const { received_ms, answered_ms } = answer.body;
      this.#offsetMs = Math.round(((received_ms - sentMs) + (answered_ms - gotMs)) / 2);
      reporter.gauge("clock_offset_ms", this.#offsetMs);
      if (this.#problem !== null) reporter.info("aggregator answers check-ins again");
      this.#problem = null;
      revoked = answer.body.revoked;
      epochKnown = answer.body.epoch_max ?? 0;
      if (!revoked) this.#passOn(packetRequestsIn(answer.body));
      const canary = canaryAnswerIn(answer.body);
      if (canary !== null) this.#deps.onCanary?.(canary);
      this.#deps.onPolicy?.(answer.body.policy);
      this.#deps.onUpgrade?.(answer.body.upgrade);
    } else {
      const refusal = answer.ok ? refusalOf(answer.body) : null;
      this.#problem = answer.ok
        ? `aggregator answered ${answer.status} to a check-in: ${refusal!.message}`
        : wordsOf(answer);
      if (refusal && /revoked|quarantined/.test(refusal.code)) revoked = true;
      reporter.count("check_in_errors_total", { code: answer.ok ? "refused" : answer.problem });
      reporter.warn("cannot check in, capture and spooling go on", { problem: this.#problem });
    }
    await onAnswer(revoked, epochKnown);
  }

  #passOn({ requests, odd }: { requests: PacketRequest[]; odd: number }): void {
    const { reporter, onPacketRequests } = this.#deps;
    if (odd > 0) reporter.count("packet_requests_total", { outcome: "malformed" }, odd);
    if (requests.length > 0) onPacketRequests?.(requests);
  }
}
