/** Records to a topic of Kafka.
 *
 * In: records. Out: resolved once all in-sync replicas have them (`acks` -1). Invariant: one request at a time, so that
 * records of a key keep their order; after an error a new producer is created. The topic is created if it is missing.
 * @module */

import { disconnect, ensureTopic, type Kafka, type Producer, zstdCompression } from "../../shared/kafka.ts";
import type { Clock } from "../../shared/clock.ts";
import type { PublishedRecord } from "./publisher.ts";

export interface KafkaSinkOptions {
  topic: string;
  /** Where the topic has to be made. */
  partitions: number;
  replicationFactor: number;
}

/** Characters of one request; a single larger record goes alone. */
const requestCharactersMax = 500_000;

export class KafkaSink {
  readonly #options: KafkaSinkOptions;
  readonly #kafka: Kafka;
  readonly #clock: Clock;
  #producer: Producer | null = null;

  constructor(options: KafkaSinkOptions, deps: { kafka: Kafka; clock: Clock }) {
    this.#options = options;
    this.#kafka = deps.kafka;
    this.#clock = deps.clock;
  }

  async send(records: readonly PublishedRecord[]): Promise<void> {
    try {
      const producer = await this.#connected();
      for (const messages of requests(records)) {
        await producer.send({ topic: this.#options.topic, acks: -1, compression: zstdCompression, messages });
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer) await disconnect(producer, this.#clock);
  }

  async #connected(): Promise<Producer> {
    if (this.#producer) return this.#producer;
    await ensureTopic(this.#kafka, this.#options, this.#clock);
    const producer = this.#kafka.producer({ allowAutoTopicCreation: false, maxInFlightRequests: 1 });
    try {
      await producer.connect();
    } catch (error) {
      await disconnect(producer, this.#clock);
      throw error;
    }
    return this.#producer = producer;
  }
}

function* requests(records: readonly PublishedRecord[]): Generator<PublishedRecord[]> {
  let request: PublishedRecord[] = [], characters = 0;
  for (const record of records) {
    if (request.length > 0 && characters + record.value.length > requestCharactersMax) {
      yield request;
      request = [];
      characters = 0;
    }
    request.push(record);
    characters += record.value.length;
  }
  if (request.length > 0) yield request;
}
