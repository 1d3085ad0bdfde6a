/** A simulated member of the consumer group: what kafkajs does around the real reader of partitions.
 *
 * In: assignments of the broker, records. Out: calls of the reader, as the client makes them: one at a time for a
 * partition, stale after a seek or a rebalance, from the first record where its position is none.
 * A reader that fails is made anew. @module */

import { AsyncLocalStorage } from "node:async_hooks";
import type { Ingest } from "../../aggregator/ingest/ingest.ts";
import { PartitionReader, type StoredPlaces } from "../../aggregator/ingest/partitions.ts";
import type { Store } from "../../aggregator/store/store.ts";
import type { EachBatchPayload } from "../../shared/kafka.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { SimBroker } from "./broker.ts";
import type { Process, World } from "./world.ts";

interface ConsumerDeps {
  world: World;
  process: Process;
  broker: SimBroker;
  ingest: Ingest;
  store: Store;
  reporter: Reporter;
}

const topic = "batches";
const recordsMax = 12;
const idleMs = 700;

export class SimConsumer {
  readonly #deps: ConsumerDeps;
  readonly #stored: StoredPlaces = new Map();
  #reader: PartitionReader | null = null;
  #generation = -1;
  #positions = new Map<number, number>();
  #sought = new Map<number, number>();
  #hasLeft = false;
  /** Which log a batch is of that is being read: a commit may come when the topic was made anew, and then holds for
   * nothing that retention may take. */
  readonly #incarnation = new AsyncLocalStorage<number>();

  constructor(deps: ConsumerDeps) {
    this.#deps = deps;
  }

  get isBeating(): boolean {
    return this.#deps.process.isAlive && !this.#deps.process.isPaused && !this.#hasLeft;
  }
  /** Where it stands in a partition it has; null = it has not. */
  isAtEnd(partition: number): boolean {
    return this.#generation === this.#deps.broker.generation &&
      this.#positions.get(partition) === this.#deps.broker.endsOf(partition).next;
  }

  start(): void {
    this.#reader = this.#makeReader();
    this.#deps.broker.join(this);
  }
  leave(): void {
    this.#hasLeft = true;
    this.#deps.broker.leave(this);
  }

  assign(partitions: readonly number[]): void {
    const { world, process, broker } = this.#deps;
    const { generation } = broker;
    const take = async () => {
      await process.moment(200);
      if (generation !== broker.generation) return;
      this.#generation = generation;
      this.#sought.clear();
      this.#positions = new Map(partitions.map((one) => [one, broker.committed.get(one) ?? 0]));
      this.#reader!.joined(partitions);
      for (const partition of partitions) world.spawn(process, this.#consume(partition, generation));
    };
    world.spawn(process, take());
  }

  #makeReader(): PartitionReader {
    const { process, broker, ingest, store, reporter } = this.#deps;
    return new PartitionReader(topic, {
      stored: this.#stored,
      ingest,
      store,
      clock: process,
      reporter,
      seek: (partition, offset) => void this.#sought.set(partition, Number(offset)),
      commit: async (partition, next) => {
        await process.moment(20);
        const isThisLog = this.#incarnation.getStore() === broker.incarnation;
        if (isThisLog && this.#generation === broker.generation) {
          broker.committed.set(partition, Number(next));
        }
      },
      readEnds: async () => {
        await process.moment(20);
        const ends = (partition: number) => {
          const { first, next } = broker.endsOf(partition);
          return { first: BigInt(first), next: BigInt(next) };
        };
        return new Map(broker.partitions.map((partition) => [partition, ends(partition)]));
      },
    });
  }

  async #consume(partition: number, generation: number): Promise<void> {
    const { process, broker, world } = this.#deps;
    const isStale = () => generation !== broker.generation;
    while (!isStale() && !this.#hasLeft) {
      await process.moment(30);
      if (isStale()) break;
      const sought = this.#sought.get(partition);
      if (sought !== undefined) this.#positions.set(partition, sought);
      this.#sought.delete(partition);
      const { first, next } = broker.endsOf(partition);
      const from = this.#positions.get(partition)!;
      if (from < first || from > next) this.#positions.set(partition, first);
      const records = broker.read(partition, this.#positions.get(partition)!, recordsMax);
      if (records.length === 0) {
        await process.sleep(idleMs);
        continue;
      }
      const messages = records.map((record) => ({ ...record, offset: String(record.offset), attributes: 0 }));
      const payload = {
        batch: { topic, partition, messages, lastOffset: () => messages.at(-1)!.offset },
        resolveOffset: (offset: string) => {
          if (!isStale()) this.#positions.set(partition, Number(offset) + 1);
        },
        heartbeat: async () => {
          await process.moment(10);
          if (isStale()) throw Object.assign(new Error("rebalance"), { name: "KafkaJSRebalanceError" });
        },
        isRunning: () => !this.#hasLeft,
        isStale: () => isStale() || this.#sought.has(partition),
      } as unknown as EachBatchPayload;
      try {
        await this.#incarnation.run(broker.incarnation, () => this.#reader!.read(payload));
      } catch (error) {
        if (isStale()) break;
        this.#reader!.stop();
        this.#reader = this.#makeReader();
        await process.sleep(500);
        if (!String((error as Error).name).startsWith("KafkaJS")) throw error;
        if (!isStale()) broker.join(this);
      }
    }
    // Its session went on without it.
    if (isStale() && this.isBeating && this.#generation === generation && process.isAlive) {
      await process.sleep(world.between(100, 1_000));
      if (this.#generation === generation && isStale()) broker.join(this);
    }
  }
}
