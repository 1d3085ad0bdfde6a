/** What others read of our topics: the published schemas are the code's, and the snippets of shared/READERS.md give the
 * rows that were sent. The snippets run in a Python environment of their own, made once in `.cache/readers`. @module */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { flowAnswer, threatAnswer } from "../../aggregator/api/schemas.ts";
import { KafkaSink } from "../../aggregator/publish/kafka_sink.ts";
import { type PublishedRecord, Publisher } from "../../aggregator/publish/publisher.ts";
import { flowSource, publishedTopics, threatSource } from "../../aggregator/publish/sources.ts";
import { openStore } from "../../aggregator/store/open.ts";
import { KafkaTransport } from "../../sensor/ship/kafka.ts";
import { packBatch, type PackedBatch, unpackBatch } from "../../sensor/ship/packed_batch.ts";
import { sealBatch } from "../../shared/batch.ts";
import { systemClock } from "../../shared/clock.ts";
import { z } from "../../shared/schema.ts";
import { batchSchema } from "../../shared/batch_schema.ts";
import { createKafka } from "../../shared/kafka.ts";
import { createReporter } from "../../shared/reporter.ts";
import { alwaysColumns, segmentColumnNames, segmentColumns } from "../../shared/segment.ts";
import { keysFromSeed } from "../../shared/batch.ts";
import { JsonColumns } from "../../sensor/ship/json_columns.ts";
import { pageOf } from "../sensor/flow/pages.ts";
import { sealableOf } from "../sensor/ship/helpers.ts";
import { flowsOf, flowWrite, idOf, nothing, nowMs, threat } from "../aggregator/store/rows.ts";
import { missingPython, runPython } from "../services/python.ts";
import { newTopic, skipLoudly, useKafka } from "../services/services.ts";

const pathOf = (name: string) => new URL(`../../${name}`, import.meta.url).pathname;

Deno.test("batch.schema.json is what the code says", async () => {
  const path = pathOf("shared/batch.schema.json");
  if (Deno.args.includes("--write")) {
    await Deno.writeTextFile(path, `${JSON.stringify(batchSchema(), null, 2)}\n`);
  }
  const schema = JSON.parse(await Deno.readTextFile(path));
  assertEquals(schema, JSON.parse(JSON.stringify(batchSchema())), "run this test with -- --write");
  assertEquals(Object.keys(schema.properties), segmentColumnNames);
  for (const name of ["protocol", "src_ip", "src_port", "dst_ip", "dst_port", "fwd_bytes", "bwd_packets"]) {
    assert(schema.required.includes(name), name);
  }
  for (const name of segmentColumnNames) {
    if (!alwaysColumns.has(name)) {
      assertEquals(schema.properties[name].absent, segmentColumns[name].default);
    }
  }
});

for (const [name, answer] of [["flow", flowAnswer], ["threat", threatAnswer]] as const) {
  Deno.test(`${name}.schema.json is what the code says`, async () => {
    const path = pathOf(`shared/${name}.schema.json`);
    const made = {
      $id: `urn:picket:${publishedTopics[`${name}s`]}`,
      description: "The most important fields; there are others, which may change.",
      ...z.toJSONSchema(answer, { io: "output" }),
    };
    if (Deno.args.includes("--write")) await Deno.writeTextFile(path, `${JSON.stringify(made, null, 2)}\n`);
    const schema = JSON.parse(await Deno.readTextFile(path));
    assertEquals(schema, JSON.parse(JSON.stringify(made)), "run this test with -- --write");
    assert(schema.required.includes("src_ip") || schema.required.includes("src_ips"));
  });
}

const kafka = await useKafka();
const why = kafka.ignore
  ? "Kafka is not there"
  : await missingPython(["kafka", "zstandard", "duckdb"], ["kafka-python", "zstandard", "duckdb"]);

async function snippet(language: string, nth = 0): Promise<string> {
  const text = await Deno.readTextFile(pathOf("shared/READERS.md"));
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))][nth][1];
}

/** A batch whose segments are as plain as can be: one has nothing that differs from a default. */
function plainBatch(seq: number): { value: Uint8Array; packed: PackedBatch } {
  const page = pageOf([
    { protocol: "tcp", src_ip: "192.0.2.1", dst_ip: "192.0.2.2" },
    { protocol: "tcp", src_ip: "192.0.2.1", dst_ip: "192.0.2.3" },
  ]);
  const value = new Uint8Array(new JsonColumns().encode(sealableOf(page), new Int32Array([0, 1])));
  const { privateKey } = keysFromSeed(new Uint8Array(32).fill(1));
  const batch = sealBatch(value, { sensor: "s-1", key: "0".repeat(16), privateKey }, {
    epoch: 1,
    bucket: 0,
    seq,
    flows: 2,
    sealed: 1_700_000_000_000,
  });
  return { value, packed: unpackBatch(packBatch(batch).bytes) as PackedBatch };
}

Deno.test({
  name: "the snippets of READERS.md read every row, though all columns hold only their defaults",
  ignore: kafka.ignore,
  ...(why === undefined ? {} : skipLoudly("the readers' snippets", why)),
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const client = createKafka({ brokers: [kafka.address], clientId: "test", reporter });
    const topic = newTopic("readers");
    const admin = client.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
    await admin.disconnect();
    const batches = [plainBatch(1), plainBatch(2)];
    const transport = new KafkaTransport(client, { topic });
    await transport.send([...batches, batches[0]].map(({ packed }) => packed));
    await transport.close();

    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/read.py`, await snippet("python"));
    const printed = await runPython([`${folder}/read.py`, kafka.address, topic]);
    assertEquals(printed.trim().split("\n").map((line) => line.split(" ").slice(1).join(" ")), [
      "tcp 192.0.2.1 192.0.2.2 0 0 0",
      "tcp 192.0.2.1 192.0.2.3 0 0 0",
      "tcp 192.0.2.1 192.0.2.2 0 0 0",
      "tcp 192.0.2.1 192.0.2.3 0 0 0",
    ]);
    const lines = batches.map(({ value }) => `${Buffer.from(value).toString("utf8")}\n`).join("");
    await Deno.writeTextFile(`${folder}/batches.ndjson`, lines);
    await Deno.writeTextFile(`${folder}/query.sql`, await snippet("sql"));
    const code = "import duckdb; print(duckdb.sql(open('query.sql').read()).fetchall())";
    assertEquals((await runPython(["-c", code], folder)).trim(), "[('tcp', 0, 4, 0)]");
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "the snippets of READERS.md read merged flows and threats as they are now",
  ignore: kafka.ignore,
  ...(why === undefined ? {} : skipLoudly("the readers' snippets", why)),
  // kafkajs leaves timers and sockets of its own behind for a moment after it is disconnected.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const reporter = createReporter({ component: "test", write: () => {} });
    const client = createKafka({ brokers: [kafka.address], clientId: "test", reporter });
    const store = openStore("sqlite::memory:", { reporter });
    await store.start();
    const sent: Record<string, string[]> = { flows: [], threats: [] };
    const topics = { flows: newTopic("flows"), threats: newTopic("threats") };
    const publish = async () => {
      for (const source of [flowSource(store, reporter), threatSource(store, reporter)]) {
        const options = { topic: topics[source.name], partitions: 3, replicationFactor: 1 };
        const sink = new KafkaSink(options, { kafka: client, clock: systemClock });
        const send = async (records: readonly PublishedRecord[]) => {
          await sink.send(records);
          sent[source.name].push(...records.map(({ value }) => value));
        };
        const deps = { store, source, send, holder: "a", clock: systemClock, reporter };
        assertEquals(await new Publisher(deps).turn(), "sent");
        await sink.close();
      }
    };
    await store.ingest({ ...nothing(), ...flowsOf([flowWrite(1), flowWrite(2, { src_ip: "10.0.0.66" })]) });
    await store.saveThreats([threat("t1"), threat("t2", { src_ips: ["10.0.0.5"] })]);
    await publish();
    const update = flowWrite(2, { fwd_packets: 3, updated_ms: nowMs + 5 }, { kind: "update" });
    await store.ingest({ ...nothing(), ...flowsOf([update]) });
    await store.setThreatStatus("t2", "closed", nowMs + 5);
    await store.saveThreats([threat("t2", { src_ips: ["10.0.0.5"], updated_ms: nowMs + 6 })]);
    await publish();
    await store.stop();
    for (const value of sent.flows) flowAnswer.parse(JSON.parse(value));
    for (const value of sent.threats) threatAnswer.parse(JSON.parse(value));

    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/read.py`, await snippet("python", 1));
    const printed = await runPython([`${folder}/read.py`, kafka.address, topics.flows]);
    assertEquals(printed.trim().split("\n"), [
      `${idOf(1)} tcp 10.0.0.5 10.0.0.9 443 15`,
      `${idOf(2)} tcp 10.0.0.66 10.0.0.9 443 23`,
    ]);
    for (const [name, values] of Object.entries(sent)) {
      await Deno.writeTextFile(`${folder}/${name}.ndjson`, values.map((value) => `${value}\n`).join(""));
    }
    await Deno.writeTextFile(`${folder}/query.sql`, await snippet("sql", 1));
    const code = "import duckdb; print(duckdb.sql(open('query.sql').read()).fetchall())";
    const rows = await runPython(["-c", code], folder);
    assertEquals(rows.trim(), "[('Vertical port scan', '10.0.0.66', 1, 6000)]");
    await Deno.remove(folder, { recursive: true });
  },
});
