/** What was spooled, as somebody saw it who is neither sensor nor aggregator:
 * the reference for "nothing lost, nothing doubled".
 *
 * In: batches on their way, by a proxy in front of the aggregator, or out of the Kafka topic. Out: the packets and
 * octets of all different batches, each once however often it was sent.
 * Invariant: whatever a sensor delivers passes here first, and a sensor whose spool is empty has delivered all it ever
 * spooled. So, once the spool is empty, the aggregator's totals must be the oracle's, no more and no less. @module */

import { zstdDecompressSync } from "node:zlib";
import { readHeader } from "../../shared/batch.ts";
import { decodeValue } from "../shared/columns.ts";
import { createKafka, disconnect } from "../../shared/kafka.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";

export interface Spooled {
  batches: number;
  packets: number;
  bytes: number;
}

const zstdMagic = 0xfd2fb528;

export class Oracle {
  #batches = new Map<string, { sha256: string; packets: number; bytes: number }>();
  /** Batches that came again. */
  repeats = 0;

  /** Notes one batch. @throws when it is not one, or another one has its number. */
  note(get: (name: string) => string | undefined, body: Uint8Array): void {
    const header = readHeader(get);
    if (typeof header === "string") throw new Error(`a sensor sent a batch with a bad header: ${header}`);
    const { sensor, epoch, bucket, seq, sha256, flows } = header;
    const number = `${sensor}|${epoch}|${bucket}|${seq}`;
    const known = this.#batches.get(number);
    if (known) {
      if (known.sha256 !== sha256) throw new Error(`two different batches have the number ${number}`);
      this.repeats++;
      return;
    }
    const isZstd = new DataView(body.buffer, body.byteOffset, body.length).getUint32(0, true) === zstdMagic;
    const table = decodeValue(isZstd ? zstdDecompressSync(body) : body, flows);
    if (typeof table === "string") throw new Error(`a sensor sent a batch that does not decode: ${table}`);
    const sum = (...columns: unknown[][]) =>
      columns.flat().reduce((total: number, value) => total + (value as number), 0);
    this.#batches.set(number, {
      sha256,
      packets: sum(table.fwd_packets, table.bwd_packets),
      bytes: sum(table.fwd_bytes, table.bwd_bytes),
    });
  }

  get spooled(): Spooled {
    const all = [...this.#batches.values()];
    const sum = (name: "packets" | "bytes") => all.reduce((total, batch) => total + batch[name], 0);
    return { batches: all.length, packets: sum("packets"), bytes: sum("bytes") };
  }

  /** Notes every record of a topic, from its beginning to its present end. */
  async readTopic(brokers: string, topic: string): Promise<void> {
    const reporter = createReporter({ component: "oracle", write: () => {} });
    const kafka = createKafka({ brokers: brokers.split(","), clientId: "oracle", reporter });
    const admin = kafka.admin();
    await admin.connect();
    const ends = new Map(
      (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, BigInt(high)]),
    );
    await disconnect(admin, systemClock);
    const waiting = new Set([...ends].filter(([, end]) => end > 0n).map(([partition]) => partition));
    if (waiting.size === 0) return;
    const consumer = kafka.consumer({ groupId: `oracle-${topic}` });
    const done = Promise.withResolvers<void>();
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: ({ partition, message }) => {
        try {
          this.note((name) => message.headers?.[name]?.toString(), message.value ?? new Uint8Array(0));
        } catch (error) {
          done.reject(error);
        }
        if (BigInt(message.offset) + 1n >= ends.get(partition)!) waiting.delete(partition);
        if (waiting.size === 0) done.resolve();
        return Promise.resolve();
      },
    });
    await done.promise.finally(() => disconnect(consumer, systemClock));
  }
}

/** A proxy that notes batches on their way to `target`, which may be gone for a while. */
export function recordingProxy(target: string, oracle: Oracle): { url: string; stop: () => Promise<void> } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    const { pathname, search } = new URL(request.url);
    if (pathname.endsWith("/batches")) oracle.note((name) => request.headers.get(name) ?? undefined, body);
    const headers = new Headers(request.headers);
    headers.delete("host");
    try {
      const response = await fetch(`${target}${pathname}${search}`, {
        method: request.method,
        headers,
        ...(request.method === "GET" ? {} : { body }),
      });
      return new Response(await response.arrayBuffer(), {
        status: response.status,
        headers: response.headers,
      });
    } catch {
      // The aggregator was killed, perhaps after it stored the batch: the sensor cannot tell, and must not have to.
      return new Response(null, { status: 502 });
    }
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, stop: () => server.shutdown() };
}
