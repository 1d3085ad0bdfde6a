/** Consumes batches from Kafka, and goes on doing so.
 *
 * In: records of the batch topic. Out: submissions to ingest (partitions.ts); what is wrong, for health.
 * Invariant: whatever happens to brokers, group or connection, the consumer is made anew, with pauses that grow to
 * {@link pauseMsMax}, until it is stopped. Nothing else of the aggregator waits for Kafka, not even its start.
 * Why kafkajs' own restart is off: it decides by error whether to come back, and gives up for good on some that pass. A
 * client that neither fetches nor beats for {@link silentMsMax} is given up as well:
 * it can hang on a dead socket without an error. @module */

import type { Clock } from "../../shared/clock.ts";
import { type Consumer, disconnect, ensureTopic, type Kafka } from "../../shared/kafka.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { TlsFault } from "../../shared/tls_fault.ts";
import type { Store } from "../store/store.ts";
import type { Ingest } from "./ingest.ts";
import { PartitionReader, type StoredPlaces } from "./partitions.ts";

export interface ConsumeOptions {
  topic: string;
  /** One group for all aggregators of a fleet; members that read different topics would upset each other. */
  groupId: string;
  /** Partitions of a topic that has to be made. */
  buckets: number;
  /** Of a topic that has to be made. @default 1 */
  replicationFactor: number;
  /** After this silence the group gives our partitions to others. @default 30000 */
  sessionMs: number;
}

export interface ConsumeDeps {
  kafka: Kafka;
  ingest: Pick<Ingest, "submit" | "assign">;
  store: Pick<Store, "readOffsets">;
  clock: Clock;
  reporter: Reporter;
  /** What is wrong with a broker's certificate, given the words of a failed connection. */
  faultOf?: (words: string) => Promise<TlsFault | null>;
}

const defaults = { replicationFactor: 1, sessionMs: 30_000 };
const heartbeatMs = 3_000;
/** How long a broker holds a fetch when nothing comes.
 * Leaving the group, and every rebalance, waits for the fetch under way. */
const fetchWaitMs = 500;
const pauseMsFirst = 500;
const pauseMsMax = 30_000;
/** A consumer that ran this long begins again with the first pause. */
const soundMs = 60_000;
const leaveMsMax = 7_000;
const connectMsMax = 500;
const silentMsMax = 60_000;
const watchMs = 5_000;
/** Health speaks of an interruption that lasts longer: a rebalance takes seconds. */
const graceMs = 30_000;

export class BatchConsumer {
  #options: ConsumeOptions;
  #deps: ConsumeDeps;
  #stopping = new AbortController();
  #running: Promise<void> | null = null;
  /** Why nothing is consumed, and since when; null = it is. */
  #trouble: { why: string; sinceMs: number } | null = null;
  #signMs = 0;
  #stored: StoredPlaces = new Map();

  constructor(
    options: Omit<ConsumeOptions, keyof typeof defaults> & Partial<ConsumeOptions>,
    deps: ConsumeDeps,
  ) {
    this.#options = { ...defaults, ...options };
    this.#deps = deps;
  }

  /** Begins; returns at once, whether or not a broker answers. */
  start(): void {
    this.#trouble = { why: "no broker has answered yet", sinceMs: this.#deps.clock.monotonicMs() };
    this.#running = this.#run();
  }

  /** Leaves the group; a client that is still trying to connect is not waited for. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const given = new AbortController();
    const waitMs = this.#trouble === null ? leaveMsMax : connectMsMax;
    await Promise.race([this.#running, this.#deps.clock.sleep(waitMs, given.signal)]);
    given.abort();
    this.#running = null;
  }

  /** Why nothing was consumed for longer than a rebalance takes; null = all is well. */
  problem(): string | null {
    if (this.#running === null || this.#trouble === null) return null;
    const { why, sinceMs } = this.#trouble;
    const forMs = this.#deps.clock.monotonicMs() - sinceMs;
    return forMs < graceMs ? null : `Kafka was not read for ${Math.round(forMs / 1_000)} s: ${why}`;
  }

  async #run(): Promise<void> {
    const { clock, reporter } = this.#deps;
    for (let pauseMs = pauseMsFirst; !this.#stopping.signal.aborted;) {
      const beganMs = clock.monotonicMs();
      const why = await this.#consume();
      if (this.#stopping.signal.aborted) return;
      this.#trouble = { why, sinceMs: this.#trouble?.sinceMs ?? clock.monotonicMs() };
      reporter.gauge("kafka_consuming", 0);
      if (clock.monotonicMs() - beganMs > soundMs) pauseMs = pauseMsFirst;
      reporter.count("kafka_consumer_restarts_total");
      reporter.warn("Kafka is not read, will try again", { reason: why, pause_ms: pauseMs });
      await clock.sleep(pauseMs, this.#stopping.signal);
      pauseMs = Math.min(pauseMs * 2, pauseMsMax);
    }
  }

  /** Consumes until something ends it, and says what. */
  async #consume(): Promise<string> {
    const { kafka, clock, ingest, reporter, store } = this.#deps;
    const { topic, groupId, buckets, sessionMs } = this.#options;
    const ended = Promise.withResolvers<string>();
    let consumer: Consumer | null = null;
    let reader: PartitionReader | null = null;
    try {
      await this.#makeTopic();
      const made = consumer = kafka.consumer({
        groupId,
        sessionTimeout: sessionMs,
        rebalanceTimeout: 60_000,
        heartbeatInterval: heartbeatMs,
        maxBytesPerPartition: 4 * 1024 * 1024,
        maxWaitTimeInMs: fetchWaitMs,
        allowAutoTopicCreation: false,
        retry: { retries: 5, restartOnFailure: () => Promise.resolve(false) },
      });
      const partitions = reader = new PartitionReader(topic, {
        stored: this.#stored,
        ingest,
        store,
        clock,
        reporter,
        seek: (partition, offset) => made.seek({ topic, partition, offset: String(offset) }),
        commit: (partition, next) => made.commitOffsets([{ topic, partition, offset: String(next) }]),
        readEnds: () => this.#readEnds(),
      });
      this.#listen(made, partitions, ended.resolve);
      await made.connect();
      await made.subscribe({ topic, fromBeginning: true });
      await made.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: Math.min(4, buckets),
        eachBatch: (payload) => partitions.read(payload),
      });
      return await this.#watch(ended.promise);
    } catch (error) {
      const words = wordsOf(error as Error & { errors?: Error[] });
      const fault = await this.#deps.faultOf?.(words);
      return fault ? `a broker answers, but ${fault.cause}: ${fault.cure}` : words;
    } finally {
      reader?.stop();
      if (consumer) await disconnect(consumer, clock);
    }
  }

  #listen(consumer: Consumer, partitions: PartitionReader, end: (why: string) => void): void {
    const { reporter, clock } = this.#deps;
    const { topic } = this.#options;
    const isAlive = () => void (this.#signMs = clock.monotonicMs());
    isAlive();
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      isAlive();
      this.#trouble = null;
      reporter.count("kafka_group_joins_total");
      reporter.gauge("kafka_consuming", 1);
      partitions.joined(payload.memberAssignment[topic] ?? []);
    });
    consumer.on(consumer.events.FETCH, isAlive);
    consumer.on(consumer.events.HEARTBEAT, isAlive);
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      reporter.count("kafka_consumer_crashes_total");
      end(payload.error.message);
    });
  }

  /** Until the consumer ends, is silent for too long, or is no longer wanted. */
  async #watch(ended: Promise<string>): Promise<string> {
    const { clock } = this.#deps;
    const given = new AbortController();
    const stopped = () => given.abort();
    this.#stopping.signal.addEventListener("abort", stopped);
    try {
      while (!this.#stopping.signal.aborted) {
        const why = await Promise.race([ended, clock.sleep(watchMs, given.signal)]);
        if (typeof why === "string") return why;
        const silentMs = clock.monotonicMs() - this.#signMs;
        if (silentMs > silentMsMax) return `the broker was silent for ${Math.round(silentMs / 1_000)} s`;
      }
      return "stopped";
    } finally {
      this.#stopping.signal.removeEventListener("abort", stopped);
      given.abort();
    }
  }

  async #makeTopic(): Promise<void> {
    const { topic, buckets: partitions, replicationFactor } = this.#options;
    const { kafka, clock, reporter } = this.#deps;
    const isMade = await ensureTopic(kafka, { topic, partitions, replicationFactor }, clock);
    if (isMade) reporter.info("topic made", { topic, partitions, replicationFactor });
  }

  async #readEnds(): Promise<Map<number, { first: bigint; next: bigint }>> {
    const admin = this.#deps.kafka.admin({ retry: { retries: 2 } });
    try {
      await admin.connect();
      const ends = await admin.fetchTopicOffsets(this.#options.topic);
      return new Map(
        ends.map(({ partition, low, high }) => [partition, { first: BigInt(low), next: BigInt(high) }]),
      );
    } finally {
      await disconnect(admin, this.#deps.clock);
    }
  }
}

/** Of topics that could not be made, the client says why only in parts. */
function wordsOf(error: Error & { errors?: Error[] }): string {
  return [error, ...error.errors ?? []].slice(0, 3).map(({ message }) => message).join(": ");
}
