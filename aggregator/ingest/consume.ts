/** Consumes batches from Kafka.
 *
 * In: records of the batch topic. Out: submissions to ingest, in the order of each partition; offsets back to Kafka.
 * Invariant: the database's offset decides where a partition is read from, on every assignment; Kafka's own is only a hint and is
 * committed after the database. A record that is no good becomes a dead letter and never stops its partition.
 * Why the check in `eachBatch` and not only a seek when the group is joined: a fetch may be on its way already, and storing a later
 * offset first would skip what lies between.
 * On an error that the client does not recover from, `onFailed` is called once; the process is expected to end. @module */

import type { Clock } from "../../shared/clock.ts";
import { type Consumer, disconnect, type EachBatchPayload, type Kafka } from "../../shared/kafka.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";
import type { Ingest } from "./ingest.ts";

export interface ConsumeOptions {
  topic: string;
  /** One group for all aggregators of a fleet; members that read different topics would upset each other. */
  groupId: string;
  /** Partitions of a topic that has to be made. */
  buckets: number;
  /** Of a topic that has to be made. @default 1 */
  replicationFactor: number;
}

export interface ConsumeDeps {
  kafka: Kafka;
  ingest: Pick<Ingest, "submit" | "rebuild">;
  store: Pick<Store, "readOffsets">;
  clock: Clock;
  reporter: Reporter;
  onFailed: (error: Error) => void;
}

const defaults = { replicationFactor: 1 };
/** Records submitted together: one transaction takes about as many. */
const chunkRecordsMax = 64;
const heartbeatMs = 3_000;
const retryMs = 500;

type Message = EachBatchPayload["batch"]["messages"][number];

export class BatchConsumer {
  #options: ConsumeOptions;
  #deps: ConsumeDeps;
  #consumer: Consumer | null = null;
  /** Next offset of each partition, by the database; null = it has none. */
  #next = new Map<number, bigint | null>();
  /** Partitions that were sought once since the last join: what still does not fit is gone from the broker. */
  #sought = new Set<number>();
  #stopping = new AbortController();

  constructor(
    options: Omit<ConsumeOptions, "replicationFactor"> & Partial<ConsumeOptions>,
    deps: ConsumeDeps,
  ) {
    this.#options = { ...defaults, ...options };
    this.#deps = deps;
  }

  /** Makes the topic if it is missing, joins the group. @throws when no broker answers. */
  async start(): Promise<void> {
    const { kafka, reporter } = this.#deps;
    await this.#makeTopic();
    const consumer = kafka.consumer({
      groupId: this.#options.groupId,
      sessionTimeout: 30_000,
      rebalanceTimeout: 60_000,
      heartbeatInterval: heartbeatMs,
      maxBytesPerPartition: 4 * 1024 * 1024,
      allowAutoTopicCreation: false,
    });
    this.#consumer = consumer;
    consumer.on(consumer.events.GROUP_JOIN, () => this.#joined());
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      reporter.count("kafka_consumer_crashes_total");
      if (!payload.restart) this.#deps.onFailed(payload.error);
    });
    await consumer.connect();
    await consumer.subscribe({ topic: this.#options.topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: Math.min(4, this.#options.buckets),
      eachBatch: (payload) => this.#eachBatch(payload),
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#consumer) await disconnect(this.#consumer, this.#deps.clock);
    this.#consumer = null;
  }

  async #makeTopic(): Promise<void> {
    const { topic, buckets, replicationFactor } = this.#options;
    const admin = this.#deps.kafka.admin();
    try {
      await admin.connect();
      if ((await admin.listTopics()).includes(topic)) return;
      await admin.createTopics({
        topics: [{ topic, numPartitions: buckets, replicationFactor }],
        waitForLeaders: true,
      });
      this.#deps.reporter.info("topic made", { topic, partitions: buckets, replicationFactor });
    } finally {
      await disconnect(admin, this.#deps.clock);
    }
  }

  /** Other partitions, or the same ones after somebody else had them: what is remembered of them may be old. */
  #joined(): void {
    this.#next.clear();
    this.#sought.clear();
    this.#deps.ingest.rebuild();
    this.#deps.reporter.count("kafka_group_joins_total");
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, isRunning, isStale } = payload;
    const next = await this.#nextOffset(batch.partition, payload);
    if (next === undefined) return;
    if (this.#seekBack(batch, next)) return;
    const fresh = batch.messages.filter(({ offset }) => next === null || BigInt(offset) >= next);
    this.#deps.reporter.count("kafka_records_skipped_total", undefined, batch.messages.length - fresh.length);
    for (let from = 0; from < fresh.length; from += chunkRecordsMax) {
      if (!isRunning() || isStale()) return;
      const chunk = fresh.slice(from, from + chunkRecordsMax);
      if (!await this.#submit(chunk, payload)) return;
      await this.#acknowledge(chunk.at(-1)!.offset, payload);
    }
    // Also past records that were skipped, else they are fetched again for ever.
    if (fresh.length === 0) payload.resolveOffset(batch.lastOffset());
  }

  /** Seeks when records before these are not in the database; one that knows no offset has none of them. True = these must not be
   * taken now. */
  #seekBack(batch: EachBatchPayload["batch"], next: bigint | null): boolean {
    const { partition, topic } = batch;
    const first = batch.messages[0];
    if (!first || BigInt(first.offset) <= (next ?? 0n)) return false;
    if (!this.#sought.has(partition)) {
      this.#sought.add(partition);
      this.#consumer!.seek({ topic, partition, offset: String(next ?? 0n) });
      return true;
    }
    if (next !== null) {
      const lost = String(BigInt(first.offset) - next);
      this.#deps.reporter.count("kafka_records_lost_total", undefined, Number(lost));
      this.#deps.reporter.error("records are gone from the topic before they were stored", {
        partition,
        lost,
      });
    }
    return false;
  }

  /** The database's offset; undefined when stopped before it answered. */
  async #nextOffset(
    partition: number,
    { isRunning, heartbeat }: EachBatchPayload,
  ): Promise<bigint | null | undefined> {
    while (isRunning()) {
      const known = this.#next.get(partition);
      if (known !== undefined) return known;
      try {
        const rows = await this.#deps.store.readOffsets(this.#options.topic);
        const row = rows.find((row) => row.partition === partition);
        this.#next.set(partition, row ? BigInt(row.next_offset) : null);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        await this.#pause();
        await heartbeat();
      }
    }
    return undefined;
  }

  /** Submits records and waits until they are stored; false when stopped first. */
  async #submit(chunk: Message[], payload: EachBatchPayload): Promise<boolean> {
    const { topic, partition } = payload.batch;
    const all = chunk.map((message) => this.#submitOne(message, topic, partition));
    const done = Promise.all(all).then((each) => each.every((stored) => stored));
    const given = new AbortController();
    try {
      for (;;) {
        const stored = await Promise.race([done, this.#deps.clock.sleep(heartbeatMs, given.signal)]);
        if (typeof stored === "boolean") return stored;
        await payload.heartbeat();
      }
    } finally {
      given.abort();
      done.catch(() => undefined); // A heartbeat that failed has the word; these errors follow from it.
    }
  }

  async #submitOne(message: Message, topic: string, partition: number): Promise<boolean> {
    const get = (name: string) => {
      const value = message.headers?.[name];
      return value === undefined ? undefined : String(Array.isArray(value) ? value[0] : value);
    };
    try {
      const body = message.value ?? new Uint8Array(0);
      await this.#deps.ingest.submit(get, body, { topic, partition, offset: message.offset });
      return true;
    } catch (error) {
      // Ingest waits for the store by itself; it says this only when it is stopping.
      if (error instanceof StoreUnavailable) return false;
      throw error;
    }
  }

  async #acknowledge(offset: string, { batch, resolveOffset, heartbeat }: EachBatchPayload): Promise<void> {
    const next = BigInt(offset) + 1n;
    resolveOffset(offset);
    this.#next.set(batch.partition, next);
    // Last, and only a hint: a crash before this reads again what the database then skips.
    await this.#consumer?.commitOffsets([{
      topic: batch.topic,
      partition: batch.partition,
      offset: String(next),
    }]);
    await heartbeat();
  }

  #pause(): Promise<void> {
    return this.#deps.clock.sleep(retryMs, this.#stopping.signal);
  }
}
