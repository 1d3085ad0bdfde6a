/** `picket-aggregator`: takes batches in, merges and stores flows, finds and explains threats, answers people.
 *
 * In: the command line. Out: results on standard output, logs on standard error, an exit code.
 * The stages of the data path are imported in its order and wired by hand in {@link start}; it starts them from the store on and stops
 * them in reverse, so that nothing is taken in that could not be stored. @module */

import "./older_runtime.ts";
import { createKafka } from "../shared/kafka.ts";
import { BatchConsumer } from "./ingest/consume.ts";
import { Ingest } from "./ingest/ingest.ts";
import { type Store, StoreUnavailable } from "./store/store.ts";
import { createDetectors } from "./detect/catalogue.ts";
import { Engine } from "./detect/engine.ts";
import { Detection } from "./detection.ts";
import { explainByRules } from "./triage/rules.ts";
import { TriageQueue } from "./triage/queue.ts";
import { AuditFile } from "./audit_file.ts";
import { ClockOffsets } from "./fleet/clock_offsets.ts";
import { SensorDirectory } from "./fleet/directory.ts";
import { createApi } from "./api/api.ts";
import { ApiKeys } from "./api/api_keys.ts";
import { Gate } from "./api/gate.ts";
import type { Services } from "./api/route.ts";
import { Sessions } from "./api/sessions.ts";
import { Throttle } from "./api/throttle.ts";
import { analyzeFile, renderAnalysis } from "./analyze.ts";

import { CommandError, type Edges, exitCodes } from "../shared/command.ts";
import { dispatch, type Program } from "../shared/dispatch.ts";
import { processEdges } from "../shared/process_edges.ts";
import { ensureAdminKey } from "./commands/admin_key.ts";
import { analyzeCommand } from "./commands/analyze_command.ts";
import { kafkaSettings, stateFolder, storeOf } from "./commands/common_options.ts";
import { configCommand } from "./commands/config_command.ts";
import { doctorCommand } from "./commands/doctor_command.ts";
import { keyCommand } from "./commands/key_command.ts";
import { listen } from "./commands/listen.ts";
import { loadDetectors } from "./commands/own_detectors.ts";
import { reportCommand } from "./commands/report_command.ts";
import { revokeCommand, sensorsCommand } from "./commands/sensors_command.ts";
import { type Running, serveCommand } from "./commands/serve_command.ts";
import { checkExposure, listenAddress, type ServeOptions } from "./commands/serve_options.ts";
import { tokenCommand } from "./commands/token_command.ts";
import { readModel } from "./commands/triage_options.ts";
import { WorkMeter } from "./commands/work_meter.ts";

type Stop = () => Promise<void>;

/** Starts every stage; when one does not start, those before it are stopped again. */
async function start(options: ServeOptions, edges: Edges): Promise<Running> {
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

if (import.meta.main) {
  const program = {
    name: "picket-aggregator",
    about: "takes batches from sensors, merges and stores flows, finds and explains threats",
    configPath: "/etc/picket/aggregator.json",
    firstSteps: [
      ["analyze FILE", "threats in a capture file, nothing to set up"],
      ["serve", "API and dashboard on http://127.0.0.1:8600"],
      ["token", "a join token for a sensor"],
      ["report", "fleet, totals and every threat in words"],
    ],
    commands: [
      serveCommand(start),
      analyzeCommand({ analyze: analyzeFile, render: renderAnalysis }),
      tokenCommand,
      reportCommand,
      sensorsCommand,
      revokeCommand,
      keyCommand,
      doctorCommand,
      configCommand,
    ],
    isEnvironment: (error: unknown) => error instanceof StoreUnavailable,
  } satisfies Program;
  Deno.exit(await dispatch(Deno.args, program, processEdges(program.name)));
}
