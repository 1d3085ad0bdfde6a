/** Tests of the Kafka transport: a real broker where there is one, and none at all. @module */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { readHeader } from "../../../shared/batch.ts";
import { createKafka, disconnect } from "../../../shared/kafka.ts";
import { KafkaTransport } from "../../../sensor/ship/kafka.ts";
import { packBatch, type PackedBatch, unpackBatch } from "../../../sensor/ship/packed_batch.ts";
import { newTopic, useKafka } from "../../services/services.ts";
import { Certificates, hasOpenssl } from "../certificates.ts";
import { batchOf, counted, silentReporter } from "./helpers.ts";

const packed = (bucket: number, seq: number) =>
  unpackBatch(packBatch(batchOf(1, bucket, seq, 300)).bytes) as PackedBatch;

Deno.test("Kafka transport says that no broker is there, and keeps the batches", async () => {
  const { reporter } = silentReporter();
  const kafka = createKafka({ brokers: ["127.0.0.1:9"], clientId: "test", reporter, retriesMax: 2 });
  const transport = new KafkaTransport(kafka);
  const { taken, refused, problem } = await transport.send([packed(0, 1)]);
  await transport.close();
  assertEquals([taken.length, refused.length, problem?.code], [0, 0, "unreachable"]);
  assert(counted(reporter, "kafka_client_messages_total") > 0);
});

Deno.test({
  name: "Kafka transport calls a fault of the broker's certificate what it is",
  ignore: !hasOpenssl,
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const made = new Certificates();
    const ca = await made.authority("ca");
    await made.authority("other");
    const listener = Deno.listenTls({
      port: 0,
      hostname: "127.0.0.1",
      ...await made.server("broker", "other"),
    });
    const serving = (async () => {
      for await (const connection of listener) connection.handshake().catch(() => {});
    })().catch(() => {});
    const { reporter } = silentReporter();
    const brokers = [`127.0.0.1:${listener.addr.port}`];
    const kafka = createKafka({ brokers, clientId: "test", reporter, retriesMax: 0, tls: { ca: ca.cert } });
    const transport = new KafkaTransport(kafka);
    const { problem } = await transport.send([packed(0, 1)]);
    await transport.close();
    listener.close();
    await serving;
    made.remove();
    assertEquals(problem?.code, "certificate");
    assertStringIncludes(problem!.message, "--kafka-ca");
  },
});

Deno.test("createKafka says what is wrong with the brokers", () => {
  const { reporter } = silentReporter();
  assertThrows(() => createKafka({ brokers: [], clientId: "t", reporter }), RangeError, "must name one");
  assertThrows(
    () => createKafka({ brokers: ["kafka"], clientId: "t", reporter }),
    RangeError,
    'must be host:port: current value is "kafka"',
  );
});

const broker = await useKafka();

Deno.test({
  name: "Kafka transport puts each bucket into its partition, in order, readable with header and value",
  ignore: broker.ignore,
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { reporter } = silentReporter();
    const kafka = createKafka({ brokers: [broker.address], clientId: "test", reporter });
    const topic = newTopic("ship");
    const transport = new KafkaTransport(kafka, { topic });
    const batches = [packed(0, 1), packed(3, 1), packed(5, 1), packed(0, 2), packed(3, 2)];
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true });
    const sent = await transport.send(batches);
    assertEquals([sent.taken.length, sent.problem], [5, null]);
    // As the broker names itself, so that traffic to it is known as our own.
    const [host, port] = broker.address.split(":");
    assertEquals(transport.peers, [{ host, port: Number(port) }]);
    await transport.close();
    const again = await transport.send([packed(5, 2)]);
    assertEquals(again.taken.length, 1);
    await transport.close();
    const consumer = kafka.consumer({ groupId: topic });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const got: string[] = [];
    const all = Promise.withResolvers<void>();
    await consumer.run({
      autoCommit: false,
      eachMessage: ({ partition, message }) => {
        const header = readHeader((name) => message.headers?.[name]?.toString());
        assert(typeof header !== "string");
        assertEquals(
          new Uint8Array(message.value!),
          batchOf(1, header.bucket, header.seq, 300).value,
        );
        got.push(`${partition}:${header.bucket}-${header.seq}`);
        if (got.length === 6) all.resolve();
        return Promise.resolve();
      },
    });
    await all.promise;
    await disconnect(consumer);
    await disconnect(admin);
    const of = (partition: number) => got.filter((text) => text.startsWith(`${partition}:`));
    assertEquals(of(0), ["0:0-1", "0:0-2"]);
    assertEquals(of(1), ["1:5-1", "1:5-2"]);
    assertEquals(of(3), ["3:3-1", "3:3-2"]);
  },
});
