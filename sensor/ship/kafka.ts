/** Batches to Kafka: one record a batch, key and partition from the bucket, headers from `writeHeader`,
 * compressed by Kafka's codec.
 *
 * In: batches. Out: taken once all in-sync replicas have them (`acks` -1);
 * refused when the broker will never take such a record.
 * Invariant: one request is under way at a time, so records of a bucket keep their order. The producer is closed after
 * any error and made anew: kafkajs can be left with a connection that never answers.
 * The topic is made by the aggregator; until it exists every send is a problem that passes. @module */

import { Buffer } from "node:buffer";
import { batchTopic, writeHeader } from "../../shared/batch.ts";
import { disconnect, isRetriable, type Kafka, type Producer, zstdCompression } from "../../shared/kafka.ts";
import { type TlsFault, tlsFault } from "../../shared/tls_fault.ts";
import { type PackedBatch, valueOf } from "./packed_batch.ts";
import type { SendResult, Transport } from "./transport.ts";

/** A batch with its value, which Kafka compresses in its own way. */
interface Record {
  batch: PackedBatch;
  value: Uint8Array;
}

/** Uncompressed octets of one request; a single larger batch still goes alone.
 * Below the broker's standard limit of 1 MiB. */
const requestBytesMax = 950_000;
/** Brokers that are remembered. */
const brokersMax = 32;

export interface KafkaTransportOptions {
  /** @default batchTopic */
  topic?: string;
  /** What is wrong with a broker's certificate, given the words of a failed connection.
   * @default by these words alone */
  faultOf?: (words: string) => Promise<TlsFault | null>;
}

export class KafkaTransport implements Transport {
  readonly kind = "kafka";
  #kafka: Pick<Kafka, "producer">;
  #topic: string;
  #faultOf: (words: string) => Promise<TlsFault | null>;
  #producer: Producer | null = null;
  /** Brokers by `host:port`, as they name themselves. */
  #brokers = new Map<string, { host: string; port: number }>();

  constructor(kafka: Pick<Kafka, "producer">, options: KafkaTransportOptions = {}) {
    this.#kafka = kafka;
    this.#topic = options.topic ?? batchTopic;
    this.#faultOf = options.faultOf ?? ((words) => Promise.resolve(tlsFault(words, "--kafka-ca")));
  }

  async send(batches: PackedBatch[]): Promise<SendResult> {
    const result: SendResult = { taken: [], refused: [], problem: null };
    for (const request of requests(batches)) {
      await this.#sendRequest(request, result);
      if (result.problem) break;
    }
    return result;
  }

  get peers(): readonly { host: string; port: number }[] {
    return [...this.#brokers.values()];
  }

  async close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer) await disconnect(producer);
  }

  async #sendRequest(request: Record[], result: SendResult): Promise<void> {
    try {
      const producer = await this.#connected();
      await producer.send({
        topic: this.#topic,
        acks: -1,
        compression: zstdCompression,
        messages: request.map(({ batch, value }) => ({
          key: String(batch.header.bucket),
          value: Buffer.from(value.buffer, value.byteOffset, value.length),
          headers: writeHeader(batch.header),
          timestamp: String(batch.header.sealed),
        })),
      });
      result.taken.push(...request.map(({ batch }) => batch));
    } catch (error) {
      if (!isRetriable(error) && request.length > 1) {
        // One of them is refused; each alone tells which.
        for (const record of request) if (!result.problem) await this.#sendRequest([record], result);
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      if (!isRetriable(error)) result.refused.push({ batch: request[0].batch, reason: "broker" });
      else result.problem = explain(message, await this.#faultOf(message));
      await this.close();
    }
  }

  #note(broker: string): void {
    if (this.#brokers.has(broker) || this.#brokers.size >= brokersMax) return;
    const colon = broker.lastIndexOf(":");
    const host = broker.slice(0, colon).replace(/^\[|\]$/g, "");
    this.#brokers.set(broker, { host, port: Number(broker.slice(colon + 1)) });
  }

  async #connected(): Promise<Producer> {
    if (this.#producer) return this.#producer;
    const producer = this.#kafka.producer({
      allowAutoTopicCreation: false,
      maxInFlightRequests: 1,
      createPartitioner: () => partitionOf,
    });
    producer.on(producer.events.REQUEST, ({ payload }) => this.#note(payload.broker));
    try {
      await producer.connect();
    } catch (error) {
      await disconnect(producer);
      throw error;
    }
    return this.#producer = producer;
  }
}

function explain(words: string, fault: TlsFault | null): NonNullable<SendResult["problem"]> {
  return fault === null
    ? { code: "unreachable", message: `Kafka did not take the batch: ${words}` }
    : { code: "certificate", message: `the broker answers, but ${fault.cause}: ${fault.cure}` };
}

/** Bucket modulo partitions, so that all sightings of a flow meet in one partition. */
function partitionOf(
  { partitionMetadata, message }: {
    partitionMetadata: { partitionId: number }[];
    message: { key?: Buffer | string | null };
  },
): number {
  return Number(String(message.key)) % partitionMetadata.length;
}

/** Splits batches into requests of at most {@link requestBytesMax}, in order. */
function* requests(batches: PackedBatch[]): Generator<Record[]> {
  let request: Record[] = [], bytes = 0;
  for (const batch of batches) {
    const value = valueOf(batch);
    if (request.length > 0 && bytes + value.length > requestBytesMax) {
      yield request;
      request = [];
      bytes = 0;
    }
    request.push({ batch, value });
    bytes += value.length;
  }
  if (request.length > 0) yield request;
}
