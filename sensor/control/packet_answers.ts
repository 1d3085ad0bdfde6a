/** Answers the aggregator's requests for packets: searches the ring, and uploads what is there as a signed pcapng.
 *
 * In: requests, as the answers to check-ins list them.
 * Out: one upload per request, empty where the ring has nothing for it.
 * Invariant: nothing is uploaded that was not asked for. One search or upload at a time, with a pause after each; at
 * most `hourBytesMax` octets an hour. An upload that failed is tried again when a later check-in still asks, ever later
 * and at most `triesMax` times; what is asked for beyond either bound is counted each time. Check-ins and capture never
 * wait for it. Nothing is remembered across a restart: the aggregator asks until it has its answer. @module */

import type { PacketRequest } from "../../shared/control.ts";
import { type PacketOutcome, signPackets, writePacketsHeader } from "../../shared/packets.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type AggregatorClient, refusalOf, wordsOf } from "../aggregator_client.ts";
import type { PacketRing } from "../ring/packet_ring.ts";
import { findPackets, type FoundPackets } from "../ring/search.ts";
import type { Identity } from "./identity.ts";

export interface PacketAnswerOptions {
  /** Octets uploaded in an hour. @default 67108864 */
  hourBytesMax?: number;
  /** Uploads tried for one request. @default 8 */
  triesMax?: number;
  /** @default 1000 */
  pauseMs?: number;
}

export interface PacketAnswerDeps {
  /** Null = no packets are kept, which is an answer too. */
  ring: PacketRing | null;
  client: Pick<AggregatorClient, "postBytes">;
  identity: Identity;
  clock: Clock;
  reporter: Reporter;
}

const uploadTimeoutMs = 60_000;
const hourMs = 3_600_000;
const firstRetryMs = 5_000;
/** Requests whose tries are remembered. */
const triedMax = 256;
const nothing: FoundPackets = { file: new Uint8Array(), packets: 0, left_out: 0 };

export class PacketAnswers {
  #options: Required<PacketAnswerOptions>;
  #deps: PacketAnswerDeps;
  #tried = new Map<string, { tries: number; nextMs: number }>();
  #hour = { startMs: -Infinity, bytes: 0 };
  #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(options: PacketAnswerOptions, deps: PacketAnswerDeps) {
    this.#options = { hourBytesMax: 64 * 1024 * 1024, triesMax: 8, pauseMs: 1_000, ...options };
    this.#deps = deps;
  }

  /** Begins to answer. While earlier requests are being answered these are left for the next check-in,
   * which lists them again. */
  take(requests: readonly PacketRequest[]): void {
    if (this.#running !== null || this.#stopping.signal.aborted) return;
    this.#running = this.#answerAll(requests).finally(() => this.#running = null);
  }

  /** Resolves when nothing is being answered. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #answerAll(requests: readonly PacketRequest[]): Promise<void> {
    const { clock, reporter } = this.#deps;
    for (const request of requests) {
      if (this.#stopping.signal.aborted) return;
      if (!this.#mayTry(request)) continue;
      try {
        await this.#answer(request);
      } catch (error) {
        reporter.count("packet_requests_total", { outcome: "failed" });
        reporter.error("cannot answer a request for packets", { request: request.id, error });
      }
      await clock.sleep(this.#options.pauseMs, this.#stopping.signal);
    }
  }

  /** Counts the try where one is due: tries are left, it is time, and what it may upload fits into the hour. */
  #mayTry({ id, bytes_max }: PacketRequest): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    const { tries, nextMs } = this.#tried.get(id) ?? { tries: 0, nextMs: -Infinity };
    if (tries >= this.#options.triesMax) {
      this.#deps.reporter.count("packet_requests_total", { outcome: "given_up" });
      return false;
    }
    if (nowMs < nextMs) return false;
    if (nowMs - this.#hour.startMs >= hourMs) this.#hour = { startMs: nowMs, bytes: 0 };
    if (this.#hour.bytes + bytes_max > this.#options.hourBytesMax) {
      this.#deps.reporter.count("packet_requests_total", { outcome: "deferred" });
      return false;
    }
    this.#tried.delete(id);
    this.#tried.set(id, { tries: tries + 1, nextMs: nowMs + firstRetryMs * 2 ** tries });
    if (this.#tried.size > triedMax) this.#tried.delete(this.#tried.keys().next().value!);
    return true;
  }

  async #answer(request: PacketRequest): Promise<void> {
    const { client, identity, reporter } = this.#deps;
    // Asked before the search: what is overwritten meanwhile was there.
    const oldestUs = this.#deps.ring?.oldestUs ?? NaN;
    const found = await this.#search(request);
    if (this.#stopping.signal.aborted) return;
    const body = found.packets === 0 ? nothing.file : found.file;
    const outcome = this.#outcomeOf(request, found, oldestUs);
    const header = signPackets(
      {
        sensor: identity.enrolment!.sensor_id,
        request: request.id,
        outcome,
        packets: found.packets,
        left_out: found.left_out,
        oldest: Number.isNaN(oldestUs) ? 0 : Math.max(0, Math.floor(oldestUs / 1_000)),
      },
      body,
      identity.privateKey,
    );
    this.#hour.bytes += body.length;
    const limits = { timeoutMs: uploadTimeoutMs, signal: this.#stopping.signal };
    const answer = await client.postBytes("/api/v1/packets", body, {
      "content-type": "application/vnd.tcpdump.pcap",
      ...writePacketsHeader(header),
    }, limits);
    if (this.#stopping.signal.aborted) return;
    if (answer.ok && answer.status === 200) {
      reporter.count("packet_requests_total", { outcome });
      reporter.info("packets sent as evidence", { request: request.id, outcome, packets: found.packets });
      return;
    }
    const problem = answer.ok ? `${answer.status} ${refusalOf(answer.body).message}` : wordsOf(answer);
    reporter.count("packet_requests_total", { outcome: answer.ok ? "refused" : "unsent" });
    reporter.warn("cannot upload packets, will retry while they are asked for", {
      request: request.id,
      problem,
    });
  }

  async #search({ flows, bytes_max }: PacketRequest): Promise<FoundPackets> {
    const { ring, clock } = this.#deps;
    if (ring === null || flows.length === 0) return nothing;
    const { signal } = this.#stopping;
    const searched = flows.map(({ community_id, from_us, to_us }) => ({
      communityId: community_id,
      fromUs: from_us,
      toUs: to_us,
    }));
    return await findPackets(ring, { flows: searched, bytesMax: bytes_max }, async () => {
      await clock.sleep(0, signal);
      return !signal.aborted;
    });
  }

  #outcomeOf({ flows }: PacketRequest, found: FoundPackets, oldestUs: number): PacketOutcome {
    if (this.#deps.ring === null) return "off";
    if (found.packets > 0) return "found";
    // An empty ring has overwritten nothing, but the sensor was started after these flows.
    const isTooLate = Number.isNaN(oldestUs) || flows.every(({ from_us }) => from_us < oldestUs);
    return isTooLate ? "too_late" : "absent";
  }
}
