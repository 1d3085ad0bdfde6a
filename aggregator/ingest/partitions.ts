/** Reads the partitions of one topic, each from where the database says.
 *
 * In: the partitions given to us at each join, records of a partition. Out: submissions to ingest in the order of the
 * partition; seeks and commits.
 * Invariant: the database's offset decides, Kafka's own is a hint, committed after the database.
 * A stored offset belongs to one log. It is kept with a mark of the record before it, and reading begins with that
 * record: another one there, or a log that ends before it, is another log under the same name (topic made anew, cluster
 * rebuilt, restored or mirrored). That one is read from its start; the ledger drops what was stored before. Where
 * retention took the marked record, all that is left lies behind it, and both ways to read are the same.
 * Why a mark and not the topic's id: a log restored from a backup keeps its id, and kafkajs does not know ids.
 * The same offset says whose flows memory has: a partition whose stored offset is the one we stored ourselves was
 * nobody else's meanwhile. A record that ingest cannot store whatever is tried becomes a dead letter and does not stop
 * its partition. @module */

import { createHash } from "node:crypto";
import type { Clock } from "../../shared/clock.ts";
import type { EachBatchPayload } from "../../shared/kafka.ts";
import type { KafkaRecord } from "../../shared/kafka_records.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";
import type { Ingest } from "./ingest.ts";
import type { RecordPosition } from "./queue.ts";

/** Where each partition stands after what ingest stored for us: offset and mark. It outlives a reader. */
export type StoredPlaces = Map<number, string>;

export interface PartitionDeps {
  stored: StoredPlaces;
  ingest: Pick<Ingest, "submit" | "assign">;
  store: Pick<Store, "readOffsets">;
  clock: Clock;
  reporter: Reporter;
  seek(partition: number, offset: bigint): void;
  commit(partition: number, next: bigint): Promise<void>;
  /** First and next offset of every partition, as the broker has them. */
  readEnds(): Promise<ReadonlyMap<number, { first: bigint; next: bigint }>>;
}

/** Where a partition is read. */
interface Place {
  /** Next offset; null = the database has none, the log is read from its start. */
  next: bigint | null;
  mark: string;
  /** The record before `next` is to be looked at first. */
  isChecking: boolean;
  /** Sought once: what still does not fit is gone from the broker. */
  isSought: boolean;
}

type Message = EachBatchPayload["batch"]["messages"][number] & Pick<KafkaRecord, "fault">;
type Batch = EachBatchPayload["batch"];

/** Records submitted together: one transaction takes about as many. */
const chunkRecordsMax = 256;
const heartbeatMs = 3_000;
const retryMs = 500;

export class PartitionReader {
  #topic: string;
  #deps: PartitionDeps;
  #places = new Map<number, Place>();
  #preparing: Promise<void> = Promise.resolve();
  #joins = 0;
  #stopping = new AbortController();
  #underWay = new Set<Promise<void>>();

  constructor(topic: string, deps: PartitionDeps) {
    this.#topic = topic;
    this.#deps = deps;
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Other partitions, or the same ones after somebody else had them: what is remembered of them may be old. */
  joined(partitions: readonly number[]): void {
    const join = ++this.#joins;
    this.#places.clear();
    this.#preparing = this.#prepare(join, partitions);
  }

  async read(payload: EachBatchPayload): Promise<void> {
    const { batch, isRunning, isStale } = payload;
    const join = this.#joins;
    if (!await this.#whileBeating(this.#preparing, payload)) return;
    const place = this.#places.get(batch.partition);
    if (!isRunning() || isStale() || join !== this.#joins || !place) return;
    if (!this.#isInPlace(batch, place)) return;
    const { next } = place;
    const fresh = batch.messages.filter(({ offset }) => next === null || BigInt(offset) >= next);
    this.#deps.reporter.count("kafka_records_skipped_total", undefined, batch.messages.length - fresh.length);
    for (let from = 0; from < fresh.length; from += chunkRecordsMax) {
      if (!isRunning() || isStale() || join !== this.#joins) return;
      const chunk = fresh.slice(from, from + chunkRecordsMax);
      if (!await this.#submit(chunk, payload)) return;
      await this.#acknowledge(chunk.at(-1)!, place, payload);
    }
    // Also past records that were skipped, else they are fetched again for ever.
    if (fresh.length === 0) payload.resolveOffset(batch.lastOffset());
  }

  /** Reads the database's offsets and seeks; goes on until the store answers or another join follows. */
  async #prepare(join: number, partitions: readonly number[]): Promise<void> {
    while (join === this.#joins && !this.#stopping.signal.aborted) {
      try {
        // What is on its way is ours, and moves the offset.
        await Promise.all(this.#underWay);
        const rows = await this.#deps.store.readOffsets(this.#topic);
        const ends = await this.#deps.readEnds();
        if (join !== this.#joins) return;
        // Before they are read. An offset that we did not store ourselves is another instance's word, also of flows.
        const changed = partitions.filter((partition) => {
          const row = rows.find((row) => row.partition === partition);
          return row === undefined || this.#deps.stored.get(partition) !== `${row.next_offset} ${row.mark}`;
        });
        this.#deps.ingest.assign(partitions, changed, ends.size);
        for (const partition of partitions) {
          const row = rows.find((row) => row.partition === partition);
          const place = {
            next: row ? BigInt(row.next_offset) : null,
            mark: row?.mark ?? "",
            isChecking: row !== undefined,
            isSought: false,
          };
          this.#places.set(partition, place);
          const end = ends.get(partition);
          if (place.next !== null && end && end.next < place.next) {
            this.#startOver(partition, place, `it ends at ${end.next}`);
          } else this.#seek(partition, place);
        }
        return;
      } catch (error) {
        this.#deps.reporter.count("kafka_offset_reads_failed_total");
        this.#deps.reporter.warn("cannot read offsets, will retry", { error });
        await this.#deps.clock.sleep(retryMs, this.#stopping.signal);
      }
    }
  }

  /** To the record before the next one, which is to be looked at; else to the next one, or the start. */
  #seek(partition: number, { next, isChecking }: Place): void {
    const offset = isChecking && next !== null && next > 0n ? next - 1n : next ?? 0n;
    this.#deps.seek(partition, offset);
  }

  #startOver(partition: number, place: Place, why: string): void {
    this.#deps.reporter.count("kafka_logs_replaced_total");
    this.#deps.reporter.error("another log has this topic's name, it is read from its start", {
      topic: this.#topic,
      partition,
      stored_offset: String(place.next),
      why,
    });
    Object.assign(place, { next: null, mark: "", isChecking: false, isSought: false });
    this.#seek(partition, place);
  }

  /** Whether these records follow what the database has; else it has sought. */
  #isInPlace(batch: Batch, place: Place): boolean {
    const first = batch.messages[0];
    if (!first) return true;
    const { partition } = batch;
    const offset = BigInt(first.offset);
    if (place.next === null) return this.#isNext(batch, place, offset, 0n);
    const marked = place.next - 1n;
    if (!place.isChecking && offset < place.next) {
      // After a seek to `next`: the broker has it no more. What it has instead is to be looked at.
      place.isChecking = true;
      this.#seek(partition, place);
      return false;
    }
    if (place.isChecking && offset < marked) {
      this.#startOver(partition, place, `it had no record ${marked}`);
      return false;
    }
    if (place.isChecking && offset === marked && markOf(first) !== place.mark) {
      this.#startOver(partition, place, `its record ${marked} is another one`);
      return false;
    }
    place.isChecking = false;
    return offset === marked || this.#isNext(batch, place, offset, place.next);
  }

  /** Seeks once when records before these are missing; then they are gone. */
  #isNext({ partition }: Batch, place: Place, offset: bigint, next: bigint): boolean {
    if (offset <= next) return true;
    if (!place.isSought) {
      place.isSought = true;
      this.#seek(partition, place);
      return false;
    }
    if (place.next !== null) {
      const lost = String(offset - next);
      this.#deps.reporter.count("kafka_records_lost_total", undefined, Number(lost));
      this.#deps.reporter.error("records are gone from the topic before they were stored", {
        partition,
        lost,
      });
    }
    return true;
  }

  /** Submits records and waits until they are stored; false when stopped first. */
  async #submit(chunk: Message[], payload: EachBatchPayload): Promise<boolean> {
    const stored = await this.#tryAll(chunk, payload);
    if (typeof stored === "boolean") return stored;
    // One of them cannot be stored; each alone tells which.
    this.#deps.reporter.error("cannot store records, each is tried alone", { error: stored });
    for (const message of chunk) {
      const alone = await this.#tryAll([message], payload);
      if (typeof alone === "boolean" ? !alone : !await this.#bury(message, payload)) return false;
    }
    return true;
  }

  async #bury(message: Message, payload: EachBatchPayload): Promise<boolean> {
    const buried = await this.#tryAll([message], payload, "unstorable");
    if (typeof buried === "boolean") return buried;
    throw buried; // Not even its dead letter: that is no fault of the record.
  }

  async #tryAll(
    chunk: Message[],
    payload: EachBatchPayload,
    fault?: RecordPosition["fault"],
  ): Promise<boolean | Error> {
    const { partition } = payload.batch;
    const all = Promise.all(
      chunk.map((message) => this.#submitOne(message, partition, fault ?? message.fault)),
    );
    this.#note(partition, chunk.at(-1)!, all);
    let each: boolean[] = [];
    try {
      if (!await this.#whileBeating(all.then((stored) => void (each = stored)), payload)) return false;
      return each.every((stored) => stored);
    } catch (error) {
      if (isOfKafka(error)) throw error;
      return error as Error;
    }
  }

  /** Notes the offset once it is stored, also when nobody waits for it any more. */
  #note(partition: number, last: Message, all: Promise<boolean[]>): void {
    const noted = all.then((stored) => {
      if (!stored.every((one) => one)) return;
      this.#deps.stored.set(partition, `${BigInt(last.offset) + 1n} ${markOf(last)}`);
    }, () => undefined).finally(() => this.#underWay.delete(noted));
    this.#underWay.add(noted);
  }

  async #submitOne(
    message: Message,
    partition: number,
    fault: RecordPosition["fault"],
  ): Promise<boolean> {
    const get = (name: string) => {
      const value = message.headers?.[name];
      return value === undefined || value === null
        ? undefined
        : String(Array.isArray(value) ? value[0] : value);
    };
    const position: RecordPosition = {
      topic: this.#topic,
      partition,
      offset: message.offset,
      mark: markOf(message),
      ...(fault === undefined ? {} : { fault }),
    };
    try {
      await this.#deps.ingest.submit(get, message.value ?? new Uint8Array(0), position);
      return true;
    } catch (error) {
      // Ingest waits for the store by itself; it says this only when it is stopping.
      if (error instanceof StoreUnavailable) return false;
      throw error;
    }
  }

  async #acknowledge(last: Message, place: Place, payload: EachBatchPayload): Promise<void> {
    const next = BigInt(last.offset) + 1n;
    payload.resolveOffset(last.offset);
    Object.assign(place, { next, mark: markOf(last) });
    // Last, and only a hint: a crash before this reads again what the database then skips.
    await this.#deps.commit(payload.batch.partition, next);
    await payload.heartbeat();
  }

  /** Waits for `work` and keeps the group's membership alive; false when stopped first. */
  async #whileBeating(work: Promise<void>, { heartbeat, isRunning }: EachBatchPayload): Promise<boolean> {
    const given = new AbortController();
    const done = work.then(() => true);
    done.catch(() => undefined); // If the heartbeat failed, its error is the one reported.
    try {
      while (isRunning()) {
        const isDone = await Promise.race([done, this.#deps.clock.sleep(heartbeatMs, given.signal)]);
        if (isDone === true) return true;
        await heartbeat();
      }
      return false;
    } finally {
      given.abort();
    }
  }
}

function isOfKafka(error: unknown): boolean {
  return String((error as Error)?.name).startsWith("KafkaJS");
}

/** What tells a record from any other that could stand at its offset. */
function markOf({ key, value, timestamp }: Pick<Message, "key" | "value" | "timestamp">): string {
  const hash = createHash("sha256").update(`${timestamp} ${key?.length ?? -1} ${value?.length ?? -1} `);
  for (const part of [key, value]) if (part) hash.update(part);
  return hash.digest("hex").slice(0, 32);
}
