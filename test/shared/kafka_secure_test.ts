/** The client with a real broker that wants TLS and users: who gets in, what a sensor's user may do,
 * and what is said of the others.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import kafkajs from "kafkajs";
import { systemClock } from "../../shared/clock.ts";
import { brokerFault, createKafka, disconnect, type KafkaSettings } from "../../shared/kafka.ts";
import { createReporter } from "../../shared/reporter.ts";
import { BatchConsumer } from "../../aggregator/ingest/consume.ts";
import { KafkaTransport } from "../../sensor/ship/kafka.ts";
import { packBatch, type PackedBatch, unpackBatch } from "../../sensor/ship/packed_batch.ts";
import { blocksOf } from "../guide.ts";
import { Certificates, hasOpenssl } from "../sensor/certificates.ts";
import { batchOf } from "../sensor/ship/helpers.ts";
import { kafka as kafkaService } from "../services/kafka.ts";
import { startSecureKafka } from "../services/secure_kafka.ts";
import { skipLoudly } from "../services/services.ts";

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
const why = hasOpenssl ? await kafkaService.missing() : "openssl is not installed";
const { ignore } = why ? skipLoudly("tests of Kafka with TLS and users", why) : { ignore: false };
const topic = "picket.batches.v1", group = `picket-aggregator.${topic}`;
const users = { roof: "sensor-secret", centre: "centre-secret" };
const made = new Certificates();
const ca = ignore ? { cert: "", key: "" } : await made.authority("ca");
const other = ignore ? ca : await made.authority("other");
const broker = ignore ? null : await startSecureKafka(made, users);
globalThis.addEventListener("unload", () => made.remove());

const reporter = createReporter({ component: "test", write: () => {} });
const packed = (bucket: number, seq: number) =>
  unpackBatch(packBatch(batchOf(1, bucket, seq, 30)).bytes) as PackedBatch;

function settings(address: string, user: keyof typeof users | null, more: Partial<KafkaSettings> = {}) {
  const sasl = user && { mechanism: "scram-sha-512" as const, username: user, password: users[user] };
  return {
    brokers: [address],
    clientId: "test",
    reporter,
    retriesMax: 1,
    tls: { ca: ca.cert },
    ...(sasl ? { sasl } : {}),
    ...more,
  };
}

function sensorAt(given: KafkaSettings, name = topic): KafkaTransport {
  return new KafkaTransport(createKafka(given), {
    topic: name,
    faultOf: (words) => brokerFault(words, given),
  });
}

/** With those of its parts, where it has some. */
function wordsOf(error: Error & { errors?: Error[] }): string {
  return [error, ...error.errors ?? []].map(({ message }) => message).join(": ");
}

const secureTest = (name: string, fn: () => Promise<void>) =>
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  Deno.test({ name, ignore, sanitizeOps: false, sanitizeResources: false, fn });

function allow(principal: string, resourceType: number, resourceName: string, operation: number) {
  return {
    principal: `User:${principal}`,
    host: "*",
    resourceType,
    resourceName,
    operation,
    permissionType: AclPermissionTypes.ALLOW,
    resourcePatternType: ResourcePatternTypes.LITERAL,
  };
}

/** What Kafka's own script makes of its arguments; the script is in no jar. */
function aclsOf(command: string) {
  const [, principal] = / --add --allow-principal User:(\S+)/.exec(command)!;
  const [, kind, name] = / --(topic|group) (\S+)$/.exec(command)!;
  const resource = kind === "topic" ? AclResourceTypes.TOPIC : AclResourceTypes.GROUP;
  return [...command.matchAll(/ --operation (\S+)/g)].map(([, operation]) =>
    allow(
      principal,
      resource,
      name,
      AclOperationTypes[operation.toUpperCase() as "READ" | "WRITE" | "DESCRIBE"],
    )
  );
}

secureTest("topic and permissions are made as deploy/README.md says", async () => {
  const admin = createKafka({ brokers: [broker!.plain], clientId: "test", reporter }).admin();
  await admin.connect();
  const topics = [topic, "other"].map((name) => ({ topic: name, numPartitions: 2 }));
  await admin.createTopics({ topics, waitForLeaders: true });
  const { WRITE, READ } = AclOperationTypes, { TOPIC, GROUP } = AclResourceTypes;
  const shown = blocksOf("deploy/README.md").flatMap(({ text }) => text.match(/^kafka-acls.sh .*$/gm) ?? []);
  assertEquals(shown.length, 3);
  await admin.createAcls({
    acl: [
      ...shown.flatMap(aclsOf),
      // Only for the test: so that it is the topic that is refused.
      allow("roof", GROUP, "own", READ),
      allow("CN=show", TOPIC, topic, WRITE),
    ],
  });
  await disconnect(admin);
});

secureTest(
  "a sensor ships over TLS with SCRAM, of either hash, and with a certificate of its own",
  async () => {
    const show = await made.server("show", "ca", { usage: "clientAuth" });
    const sha256 = { mechanism: "scram-sha-256" as const, username: "roof", password: users.roof };
    const ways = [
      settings(broker!.scram, "roof"),
      settings(broker!.scram, null, { sasl: sha256 }),
      settings(broker!.certificate, null, { tls: { ca: ca.cert, ...show } }),
    ];
    for (const [nth, given] of ways.entries()) {
      const transport = sensorAt(given);
      const { taken, problem } = await transport.send([packed(0, nth + 1), packed(1, nth + 1)]);
      await transport.close();
      assertEquals([taken.length, problem], [2, null]);
    }
  },
);

secureTest("a sensor's user may write its topic, and nothing else", async () => {
  const elsewhere = sensorAt(settings(broker!.scram, "roof"), "other");
  const { taken, refused, problem } = await elsewhere.send([packed(0, 1)]);
  await elsewhere.close();
  assertEquals([taken.length, refused.length, problem?.code], [0, 0, "unreachable"]);
  assertStringIncludes(problem!.message, "Not authorized");
  const kafka = createKafka(settings(broker!.scram, "roof"));
  const admin = kafka.admin();
  await admin.connect();
  assertEquals(await admin.listTopics(), [topic]);
  const refusal = (work: Promise<unknown>) => work.then(() => "done", wordsOf);
  const made = await refusal(admin.createTopics({ topics: [{ topic: "new", numPartitions: 1 }] }));
  const gone = await refusal(admin.deleteTopics({ topics: [topic] }));
  await disconnect(admin);
  for (const said of [made, gone]) assert(/authoriz/i.test(said), said);
  const consumer = kafka.consumer({
    groupId: "own",
    retry: { retries: 8, restartOnFailure: () => Promise.resolve(false) },
  });
  const crashed = Promise.withResolvers<string>();
  consumer.on(consumer.events.CRASH, ({ payload }) => crashed.resolve(wordsOf(payload.error)));
  await consumer.connect();
  await consumer.subscribe({ topic });
  await consumer.run({ eachMessage: () => Promise.resolve() }).catch((error) =>
    crashed.resolve(wordsOf(error))
  );
  const read = await crashed.promise;
  await disconnect(consumer);
  assert(/authoriz/i.test(read), read);
});

secureTest(
  "an aggregator reads over TLS with SCRAM what sensors shipped, with no more than three permissions",
  async () => {
    const seen: number[] = [];
    const all = Promise.withResolvers<void>();
    const consumer = new BatchConsumer({ topic, groupId: group, buckets: 2 }, {
      kafka: createKafka(settings(broker!.scram, "centre")),
      ingest: {
        submit: (get) => {
          if (seen.push(Number(get("bucket") ?? 0)) === 6) all.resolve();
          return Promise.resolve({ result: "taken" }) as never;
        },
        assign: () => {},
      },
      store: { readOffsets: () => Promise.resolve([]) },
      clock: systemClock,
      reporter,
    });
    consumer.start();
    await all.promise;
    assertEquals([seen.length, consumer.problem()], [6, null]);
    await consumer.stop();
  },
);

secureTest("what is wrong with certificate, user or permission is called what it is", async () => {
  const { scram, expired, named, certificate } = broker!;
  const cases: [KafkaSettings, string, string][] = [
    [
      settings(scram, "roof", { tls: { ca: other.cert } }),
      "certificate",
      "issuer that is not trusted here",
    ],
    [settings(expired, "roof"), "certificate", "expired on 2025-01-01 00:00 UTC"],
    [settings(named, "roof"), "certificate", "is for broker.example, not for this address"],
    [settings(certificate, null), "unreachable", ""],
    [
      settings(scram, null, {
        sasl: { mechanism: "scram-sha-512", username: "roof", password: "wrong" },
      }),
      "unreachable",
      "invalid credentials",
    ],
  ];
  for (const [given, code, words] of cases) {
    const transport = sensorAt({ ...given, retriesMax: 0 });
    const { taken, problem } = await transport.send([packed(0, 1)]);
    await transport.close();
    assertEquals([taken.length, problem?.code], [0, code], problem?.message);
    assertStringIncludes(problem!.message, words);
  }
  await broker!.stop();
});
