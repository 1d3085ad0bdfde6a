/** Wires the data path by hand and starts it, from the store outwards.
 *
 * In: the options of `serve`. Out: a running aggregator. Invariant: each stage leaves its end in `stops`; they run in reverse, so that
 * nothing is taken in that could not be stored, also when a later stage does not start. @module */

import { createKafka } from "../../shared/kafka.ts";
import { BatchConsumer } from "../ingest/consume.ts";
import { Ingest } from "../ingest/ingest.ts";
import { Retention } from "../retention/retention.ts";
import type { Store } from "../store/store.ts";
import { createDetectors } from "../detect/detectors/catalogue.ts";
import { Engine } from "../detect/engine.ts";
import { Detection } from "../detect/detection.ts";
import { explainByRules } from "../triage/rules.ts";
import { TriageQueue } from "../triage/queue.ts";
import { AuditFile } from "../triage/audit_file.ts";
import { ClockOffsets } from "../fleet/clock_offsets.ts";
import { SensorDirectory } from "../fleet/directory.ts";
import { createApi } from "../api/api.ts";
import { ApiKeys } from "../api/api_keys.ts";
import { Gate } from "../api/gate.ts";
import type { Services } from "../api/route.ts";
import { Sessions } from "../api/sessions.ts";
import { Throttle } from "../api/throttle.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import { ensureAdminKey } from "./admin_key.ts";
import { kafkaSettings, stateFolder, storeOf } from "../options/store_options.ts";
import { listen } from "./listen.ts";
import { loadDetectors } from "../options/custom_detectors.ts";
import { checkExposure, listenAddress, type ServeOptions } from "../options/serve_options.ts";
import { readModel } from "../options/triage_options.ts";
import { WorkMeter } from "./work_meter.ts";

type Stop = () => Promise<void>;

/** A running aggregator. */
export interface Running {
  /** Address of API and dashboard. */
  url: string;
  keyFile: string;
  /** Resolves with the reason when the data path cannot go on; never resolves while all is well. */
  failed: Promise<string>;
  /** Takes nothing new, stores what is taken, closes. */
  stop(): Promise<void>;
}

/** Starts every stage; when one does not start, those before it are stopped again. */
export async function startAggregator(options: ServeOptions, edges: Edges): Promise<Running> {
  checkExposure(listenAddress(options.listen), options);
  const stops: Stop[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    return { ...await wire(options, edges, stops), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The data path, from the store outwards. Each stage leaves its end in `stops`. */
async function wire(options: ServeOptions, edges: Edges, stops: Stop[]): Promise<Omit<Running, "stop">> {
  const { clock, reporter } = edges;
  const store = await storeOf(options, edges);
  await store.start();
  stops.push(() => store.stop());
  await startRetention(options, edges, store, stops);
  const keyFile = await ensureAdminKey(stateFolder(options.state, edges.env), store, edges);
  const directory = new SensorDirectory({}, { store });
  await directory.all(clock.nowMs());
  const detection = await startDetection(options, edges, store, directory, stops);

  const ingest = new Ingest({ buckets: options.buckets }, {
    store,
    reporter,
    clock,
    onStored: (updates, nowMs) => detection.take(updates, nowMs),
  });
  await ingest.start();
  stops.push(() => ingest.stop());
  const meter = new WorkMeter(ingest, clock);

  const failed = Promise.withResolvers<string>();
  await startConsumer(options, edges, store, meter, stops, (error) => {
    meter.failure = `Kafka consumer ended: ${error.message}`;
    failed.resolve(meter.failure);
  });

  const services = makeServices(options, edges, { store, directory, detection, meter });
  const { url, close } = await listen(options, edges, (names) => createApi({ hostnames: names }, services));
  stops.push(close);
  return { url, keyFile, failed: failed.promise };
}

async function startRetention(
  { retainDays, retainGigabytes }: ServeOptions,
  { clock, reporter }: Edges,
  store: Store,
  stops: Stop[],
): Promise<void> {
  const limits = { flowDays: retainDays, bytesMax: retainGigabytes * 1e9 };
  const retention = new Retention(limits, { store, clock, reporter });
  await retention.start();
  stops.push(() => retention.stop());
}

async function startDetection(
  options: ServeOptions,
  edges: Edges,
  store: Store,
  directory: SensorDirectory,
  stops: Stop[],
): Promise<Detection> {
  const { clock, reporter } = edges;
  const engine = new Engine({}, {
    detectors: [...createDetectors(), ...await loadDetectors(options.detectors, edges)],
    reporter,
    // People know a sensor by its name.
    explain: (finding, detector, severity) =>
      explainByRules(
        { ...finding, sensors: finding.sensors.map((id) => directory.nameOf(id)) },
        detector,
        severity,
      ),
  });
  const detection = new Detection({}, { engine, store, clock, reporter });
  const model = readModel(options, edges);
  if (model) {
    const audit = new AuditFile({ path: `${stateFolder(options.state, edges.env)}/triage-audit.ndjson` }, {
      reporter,
    });
    const { geminiCallsPerDay: callsPerDayMax, geminiTokensPerDay: tokensPerDayMax } = options;
    const triage = new TriageQueue({ callsPerDayMax, tokensPerDayMax }, {
      model,
      clock,
      reporter,
      onResult: (result) => detection.keep(result),
      onAudit: (line) => audit.append(line),
    });
    detection.explainWith(triage);
    stops.push(() => triage.stop());
  }
  await detection.start();
  stops.push(() => detection.stop());
  return detection;
}

async function startConsumer(
  options: ServeOptions,
  edges: Edges,
  store: Store,
  ingest: WorkMeter,
  stops: Stop[],
  onFailed: (error: Error) => void,
): Promise<void> {
  const settings = await kafkaSettings(options, edges);
  if (!settings) return;
  const { kafkaTopic: topic, kafkaGroup, buckets, kafkaReplication: replicationFactor } = options;
  const groupId = kafkaGroup || `picket-aggregator.${topic}`;
  const { clock, reporter } = edges;
  try {
    const consumer = new BatchConsumer({ topic, groupId, buckets, replicationFactor }, {
      kafka: createKafka(settings),
      ingest,
      store,
      clock,
      reporter,
      onFailed,
    });
    stops.push(() => consumer.stop());
    await consumer.start();
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CommandError(
      cause instanceof RangeError ? exitCodes.usage : exitCodes.environment,
      `Cannot consume from Kafka at ${settings.brokers.join(", ")}: ${why}`,
      { cause },
    );
  }
}

interface Stages {
  store: Store;
  directory: SensorDirectory;
  detection: Detection;
  meter: WorkMeter;
}

function makeServices(options: ServeOptions, edges: Edges, stages: Stages): Services {
  const { store, directory, detection, meter } = stages;
  const { clock, reporter, randomBytes } = edges;
  const { kafkaBrokers, sensorBrokers, kafkaTopic: topic, buckets, site } = options;
  const brokers = sensorBrokers.length > 0 ? sensorBrokers : kafkaBrokers;
  return {
    store,
    reporter,
    clock,
    randomBytes,
    directory,
    clockOffsets: new ClockOffsets(),
    keys: new ApiKeys({}, { store }),
    sessions: new Sessions(),
    enrolThrottle: new Throttle({ burst: 60, refillMs: 1_000 }),
    guessThrottle: new Throttle({ burst: 20, refillMs: 5_000 }),
    queryGate: new Gate({ kind: "query", activeMax: 8, waitingMax: 64 }, { reporter }),
    uploadGate: new Gate({ kind: "upload", activeMax: 64, waitingMax: 0 }, { reporter }),
    submit: (header, body) => meter.submit(header, body),
    onThreatStatus: (id, status) => detection.setStatus(id, status),
    progress: () => meter.progress(),
    fleet: { buckets, kafka: kafkaBrokers.length > 0 ? { brokers, topic } : null },
    site,
  };
}
