/** A simulated broker: one topic, its logs, its group; and the producer that a sensor has of it.
 *
 * In: records of producers, joins of consumers. Out: records by offset, assignments.
 * Faults of a request: not reached, appended in part, appended without an answer,
 * appended long after the sender gave up, appended twice.
 * Invariant: what a log has is read by everybody alike, until the topic is made anew. @module */

import type { Buffer } from "node:buffer";
import type { Kafka } from "../../shared/kafka.ts";
import type { Oracle } from "./oracle.ts";
import { nameOf } from "./oracle.ts";
import type { SimConsumer } from "./consumer.ts";
import { buckets } from "./sensor_node.ts";
import { Process, type World } from "./world.ts";

export interface SimRecord {
  offset: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
  timestamp: string;
}

interface Log {
  first: number;
  records: SimRecord[];
}

/** How often requests of a producer fail; each a probability. */
export interface ProduceFaults {
  unreached: number;
  partial: number;
  unanswered: number;
  late: number;
  twice: number;
}

type Message = Omit<SimRecord, "offset" | "key"> & { key: Buffer | string | null };

/** The group waits so long before it gives partitions to others. */
const sessionMs = 10_000;

export class SimBroker {
  isReachable = true;
  generation = 0;
  /** How often the topic was made anew. */
  incarnation = 0;
  #logs: Log[] = [];
  #members: SimConsumer[] = [];
  /** Committed by the group: a hint. */
  readonly committed = new Map<number, number>();
  /** Requests that outlive their sender. */
  readonly #way: Process;

  constructor(readonly world: World, readonly oracle: Oracle, readonly faults: ProduceFaults) {
    this.#way = new Process(world, "broker");
    this.#logs = emptyLogs();
  }

  get partitions(): number[] {
    return this.#logs.map((_, partition) => partition);
  }
  endsOf(partition: number): { first: number; next: number } {
    const { first, records } = this.#logs[partition];
    return { first, next: first + records.length };
  }
  read(partition: number, from: number, max: number): SimRecord[] {
    const { first, records } = this.#logs[partition];
    return records.slice(from - first, from - first + max);
  }

  append(partition: number, { key, value, headers, timestamp }: Message): void {
    const log = this.#logs[partition];
    const offset = log.first + log.records.length;
    log.records.push({ offset, key: key as Buffer | null, value, headers, timestamp });
  }

  /** A record that is no batch. */
  litter(): void {
    this.append(this.world.pick(this.partitions), { key: null, value: null, headers: {}, timestamp: "0" });
    this.oracle.garbage++;
  }

  /** Retention of the topic: what the group has read goes. */
  trim(): void {
    for (const [partition, next] of this.committed) {
      const log = this.#logs[partition];
      const gone = Math.min(log.records.length, Math.max(0, next - log.first));
      log.records.splice(0, gone);
      log.first += gone;
    }
  }

  /** Deleted and made again under the same name. */
  makeAnew(): void {
    for (const { records } of this.#logs) {
      for (const { headers } of records) {
        if (!headers["picket-sensor"]) {
          this.oracle.garbage--;
          continue;
        }
        const number = (name: string) => Number(headers[`picket-${name}`]);
        const [epoch, bucket, seq] = [number("epoch"), number("bucket"), number("seq")];
        this.oracle.destroy(
          nameOf({ sensor: headers["picket-sensor"], epoch, bucket, seq }),
          "topic made anew",
        );
      }
    }
    this.#logs = emptyLogs();
    this.incarnation++;
    this.committed.clear();
    this.rebalance();
  }

  join(consumer: SimConsumer): void {
    if (!this.#members.includes(consumer)) this.#members.push(consumer);
    this.rebalance();
  }
  leave(consumer: SimConsumer): void {
    this.world.spawn(
      this.#way,
      this.#way.sleep(sessionMs).then(() => {
        this.#members = this.#members.filter((one) => one !== consumer);
        this.rebalance();
      }),
    );
  }

  /** Each partition to one of those that still beat; who does not notices when it asks. */
  rebalance(): void {
    this.generation++;
    const awake = this.#members.filter(({ isBeating }) => isBeating);
    if (awake.length === 0) return;
    const turn = Math.floor(this.world.random() * awake.length);
    for (const [i, member] of awake.entries()) {
      member.assign(this.partitions.filter((partition) => (partition + turn) % awake.length === i));
    }
  }

  /** What a sensor has of it, as far as its transport asks. */
  clientOf(process: Process): Pick<Kafka, "producer"> {
    const producer = {
      events: { REQUEST: "request" },
      on: () => () => {},
      connect: () => process.moment(20).then(() => this.#reach()),
      disconnect: () => Promise.resolve(),
      send: ({ messages }: { messages: Message[] }) => this.#take(messages, process),
    };
    return { producer: () => producer } as unknown as Pick<Kafka, "producer">;
  }

  #reach(): void {
    if (!this.isReachable) throw new Error("no broker can be reached");
  }

  async #take(messages: Message[], process: Process): Promise<void> {
    const { world, faults } = this;
    await process.moment(50);
    this.#reach();
    if (world.chance(faults.unreached)) throw new Error("connection reset before the request");
    const add = (some: readonly Message[]) => {
      for (const message of some) this.append(Number(String(message.key)) % buckets, message);
    };
    if (world.chance(faults.late)) {
      world.spawn(this.#way, this.#way.sleep(world.between(500, 20_000)).then(() => add(messages)));
      throw new Error("request timed out");
    }
    if (world.chance(faults.partial)) {
      const lucky = world.pick(this.partitions);
      add(messages.filter(({ key }) => Number(String(key)) % buckets === lucky));
      throw new Error("a partition has no leader");
    }
    add(messages);
    if (world.chance(faults.twice)) add(messages);
    await process.moment(50);
    if (world.chance(faults.unanswered)) throw new Error("connection reset before the answer");
  }
}

function emptyLogs(): Log[] {
  return Array.from({ length: buckets }, () => ({ first: 0, records: [] }));
}
