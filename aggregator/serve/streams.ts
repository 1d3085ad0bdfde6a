/** Starts the streams in and out: ingest with its consumer, and the published topics.
 *
 * In: the options of `serve`. Out: running stages, each of which adds how to stop it to `stops`. @module */

import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { brokerFault, createKafka, type Kafka, type KafkaSettings } from "../../shared/kafka.ts";
import type { LiveFeed } from "../api/live/feed.ts";
import type { Detection } from "../detect/detection.ts";
import { DeliveryWatch } from "../fleet/delivery_watch.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import { BatchConsumer } from "../ingest/consume.ts";
import { Ingest } from "../ingest/ingest.ts";
import type { ServeOptions } from "../options/serve_options.ts";
import { choosePublished, kafkaSettings } from "../options/store_options.ts";
import { KafkaSink } from "../publish/kafka_sink.ts";
import { type PublishedRecord, Publisher } from "../publish/publisher.ts";
import { flowSource, publishedTopics, threatSource } from "../publish/sources.ts";
import type { Store } from "../store/store.ts";
import type { Stop } from "./start.ts";
import { WorkMeter } from "./work_meter.ts";

/** A twentieth of what may pass between the end of a flow and its row. */
const gatherMs = 50;

export async function startIngest(
  options: ServeOptions,
  edges: Edges,
  { store, directory, detection, live }: {
    store: Store;
    directory: SensorDirectory;
    detection: Detection | null;
    live: LiveFeed;
  },
  stops: Stop[],
): Promise<WorkMeter> {
  const { clock, reporter } = edges;
  const ingest = new Ingest({ buckets: options.buckets, gatherMs }, {
    store,
    reporter,
    clock,
    onStored: (updates, nowMs) => {
      // Lazily: as long as nobody watches no id is written out.
      live.note("flows", updates.values().map(({ flow_id }) => flow_id));
      return detection?.take(updates, nowMs);
    },
  });
  await ingest.start({ isLater: options.kafkaBrokers.length > 0 });
  stops.push(() => ingest.stop());
  const meter = new WorkMeter(ingest, clock);
  await startConsumer(options, edges, store, meter, stops);
  const watch = new DeliveryWatch({}, {
    // The directory has parsed every check-in already.
    store: { ...store, readSensors: () => directory.all(clock.nowMs()) },
    expect: (batches) => ingest.expect(batches),
    isReading: () => meter.sourceProblem() === null,
    clock,
    reporter,
  });
  watch.start();
  stops.push(() => watch.stop());
  return meter;
}

async function startConsumer(
  options: ServeOptions,
  edges: Edges,
  store: Store,
  ingest: WorkMeter,
  stops: Stop[],
): Promise<void> {
  const settings = await kafkaSettings(options, edges);
  if (!settings) return;
  const { kafkaTopic: topic, kafkaGroup, buckets, kafkaReplication: replicationFactor } = options;
  const groupId = kafkaGroup || `picket-aggregator.${topic}`;
  const { clock, reporter } = edges;
  const consumer = new BatchConsumer({ topic, groupId, buckets, replicationFactor }, {
    kafka: openKafka(settings),
    faultOf: (words) => brokerFault(words, settings, clock),
    ingest,
    store,
    clock,
    reporter,
  });
  ingest.sourceProblem = () => consumer.problem();
  stops.push(() => consumer.stop());
  consumer.start();
}

export async function startPublishers(
  options: ServeOptions,
  edges: Edges,
  store: Store,
  holder: string,
  stops: Stop[],
): Promise<void> {
  const { clock, reporter } = edges;
  const chosen = choosePublished(options);
  const settings = await kafkaSettings(options, edges);
  if (chosen.length === 0 || !settings) return;
  const { buckets: partitions, kafkaReplication: replicationFactor } = options;
  const kafka = openKafka({ ...settings, retriesMax: 2 });
  for (const name of chosen) {
    const sink = new KafkaSink({ topic: publishedTopics[name], partitions, replicationFactor }, {
      kafka,
      clock,
    });
    const source = name === "flows" ? flowSource(store, reporter) : threatSource(store, reporter);
    const send = (records: readonly PublishedRecord[]) => sink.send(records);
    const publisher = new Publisher({ store, source, send, holder, clock, reporter });
    stops.push(() => sink.close(), () => publisher.stop());
    publisher.start();
  }
}

function openKafka(settings: KafkaSettings): Kafka {
  try {
    return createKafka(settings);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}
