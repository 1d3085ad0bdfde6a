/** Batches to the aggregator over HTTP: `POST /api/v1/batches`, one batch a request.
 *
 * In: batches. Out: 200 `stored` or `replay` = taken; 400, 413, 422 = refused for good; 401, 403 = this sensor is not
 * accepted (now); anything else = later.
 * Headers are those of `writeHeader`, the body is the spooled zstd frame as it is.
 * Invariant: buckets go side by side, within a bucket one request at a time, in order of seq. @module */

import { type AggregatorClient, type Answer, refusalOf, wordsOf } from "../aggregator_client.ts";
import { writeHeader } from "../../shared/batch.ts";
import type { PackedBatch } from "./packed_batch.ts";
import type { SendResult, Transport } from "./transport.ts";

type Client = Pick<AggregatorClient, "postBytes" | "trust" | "close">;

export class HttpTransport implements Transport {
  readonly kind = "http";
  #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async send(batches: PackedBatch[]): Promise<SendResult> {
    const lanes = new Map<number, PackedBatch[]>();
    for (const batch of batches) {
      const lane = lanes.get(batch.header.bucket);
      if (lane) lane.push(batch);
      else lanes.set(batch.header.bucket, [batch]);
    }
    const results = await Promise.all([...lanes.values()].map((lane) => this.#sendLane(lane)));
    return {
      taken: results.flatMap((result) => result.taken),
      refused: results.flatMap((result) => result.refused),
      problem: results.find((result) => result.problem)?.problem ?? null,
    };
  }

  trust(ca: string | null): void {
    this.#client.trust(ca);
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #sendLane(lane: PackedBatch[]): Promise<SendResult> {
    const result: SendResult = { taken: [], refused: [], problem: null };
    for (const batch of lane) {
      const answer = await this.#client.postBytes("/api/v1/batches", batch.body, {
        ...writeHeader(batch.header),
        "content-type": "application/json",
        "content-encoding": "zstd",
      });
      judge(answer, batch, result);
      if (result.problem) break; // What follows in this bucket waits, so that its order stays.
    }
    return result;
  }
}

function judge(answer: Answer, batch: PackedBatch, result: SendResult): void {
  if (!answer.ok) {
    result.problem = { code: answer.problem, message: wordsOf(answer) };
    return;
  }
  const { status, body } = answer;
  const outcome = (body as { outcome?: unknown } | null)?.outcome;
  if (status === 200 && (outcome === "stored" || outcome === "replay")) {
    result.taken.push(batch);
    return;
  }
  const { code, message } = refusalOf(body);
  const later = answer.retryAfterMs === null ? {} : { retryAfterMs: answer.retryAfterMs };
  if (status === 401 || status === 403) {
    result.problem = { code: "not_accepted", message: `aggregator does not accept this sensor: ${message}` };
  } else if ((status === 400 || status === 413 || status === 422) && code !== "unknown") {
    result.refused.push({ batch, reason: code });
  } else if (status === 429 || status === 503) {
    result.problem = { code: "overloaded", message: `aggregator answered ${status}: ${message}`, ...later };
  } else {
    // Also a proxy's own 400 page, which says nothing about the batch: only the aggregator's word deletes.
    result.problem = { code: "failed", message: `aggregator answered ${status}: ${message}`, ...later };
  }
}
