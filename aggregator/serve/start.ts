/** Wires the data path by hand and starts it, from the store outwards.
 *
 * In: the options of `serve`. Out: a running aggregator. Invariant: each stage adds how to stop it to `stops`; these
 * run in reverse, so that nothing is accepted that could not be stored, even when a later stage does not start.
 * @module */

import type { Threat } from "../model/threat.ts";
import type { Retention } from "../retention/retention.ts";
import type { Store } from "../store/store.ts";
import { type CatalogueEntry, describeDetectors, startDetectors } from "../detect/detectors/catalogue.ts";
import { Engine } from "../detect/engine.ts";
import { Detection } from "../detect/detection.ts";
import { Suppressor } from "../detect/suppressor.ts";
import { explainByRules } from "../triage/rules.ts";
import { memoryFile } from "../triage/memory.ts";
import { TriageQueue } from "../triage/queue.ts";
import { AuditFile } from "../triage/audit_file.ts";
import { CanaryWatch } from "../fleet/canary_watch.ts";
import { CheckInWriter } from "../fleet/check_in_writer.ts";
import { ClockOffsets } from "../fleet/clock_offsets.ts";
import type { PacketEvidence } from "../evidence/evidence.ts";
import { SensorDirectory } from "../fleet/directory.ts";
import { ReleaseFolder } from "../fleet/release_folder.ts";
import { HealthHistory } from "../fleet/health_history.ts";
import { LeasedLoop, type LeasedLoopDeps, type LeasedWork } from "../fleet/leased_loop.ts";
import { Rollouts } from "../fleet/rollouts.ts";
import { type Api, type ApiOptions, createApi } from "../api/api.ts";
import { warmIncidents } from "../api/threats/incidents.ts";
import { ApiKeys } from "../api/api_keys.ts";
import { ConcurrencyLimit } from "../api/concurrency_limit.ts";
import { type Capabilities, type EdgeCapabilities, topicsOf } from "../api/capabilities.ts";
import { LiveFeed } from "../api/live/feed.ts";
import { Sessions } from "../api/sessions.ts";
import { RateLimit } from "../api/rate_limit.ts";
import type { Edges } from "../../shared/command.ts";
import { readOptionFile } from "../../shared/common_options.ts";
import { ensureAdminKey } from "./admin_key.ts";
import { stateFolder, storeOf } from "../options/store_options.ts";
import {
  type Authority,
  type Certificate,
  machineNames,
  readAuthority,
  serverCertificate,
} from "../tls/authority.ts";
import { CertificateKeeper } from "./certificate_keeper.ts";
import { startFeeds } from "./feeds.ts";
import { startEvidence, startRetention } from "./keeping.ts";
import { startSinks } from "./telling.ts";
import { SensorWatch } from "./sensor_watch.ts";
import { type AdminApi, apiInside } from "../cli/admin_api.ts";
import { readReport } from "../cli/report_data.ts";
import { reportPage } from "../cli/report_page.ts";
import type { MakeReport, ReportRange } from "../sinks/reports.ts";
import type { Sinks } from "../sinks/sinks.ts";
import { listen, type Listening } from "./listen.ts";
import { startIngest, startPublishers } from "./streams.ts";
import { listenTextOf, noteAddress } from "../options/served_address.ts";
import { chooseDetectors } from "../options/detection_options.ts";
import {
  checkExposure,
  hostnamesOf,
  listenAddress,
  readPublicUrl,
  readRoles,
  readTrustedProxies,
  type ServeOptions,
} from "../options/serve_options.ts";
import type { Places } from "../model/place.ts";
import { openGeo } from "../options/geo_options.ts";
import { readModel } from "../options/triage_options.ts";
import { placeOf } from "../tls/place.ts";
import type { WorkMeter } from "./work_meter.ts";

/** The end of a stage. */
export type Stop = () => Promise<void>;

/** How the world reaches this server. */
interface Web extends Omit<ApiOptions, "paths"> {
  folder: string;
  listenText: string;
  /** The own one, when its certificate is served. */
  authority: Authority | null;
  /** Null = no TLS. */
  read: (() => Promise<Certificate>) | null;
}

/** A running aggregator. */
export interface Running {
  /** Address of API and dashboard. */
  url: string;
  keyFile: string;
  /** Takes nothing new, stores what is taken, closes. */
  stop(): Promise<void>;
}

/** Starts every stage; when one does not start, those before it are stopped again. */
export async function startAggregator(options: ServeOptions, edges: Edges): Promise<Running> {
  const web = await readWeb(options, edges);
  const stops: Stop[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    return { ...await wire(options, edges, web, stops), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The data path, from the store outwards. Each stage leaves its end in `stops`. */
async function wire(
  options: ServeOptions,
  edges: Edges,
  web: Web,
  stops: Stop[],
): Promise<Omit<Running, "stop">> {
  const { clock, reporter } = edges;
  const { places, reload } = await openGeo(options, edges);
  const store = await storeOf(options, edges, places);
  await store.start();
  stops.push(() => store.stop());
  const forget = edges.onReload(reload);
  stops.push(() => Promise.resolve(forget()));
  const roles = readRoles(options);
  const holder = edges.randomBytes(8).toHex();
  const directory = new SensorDirectory({}, { store });
  const evidence = startEvidence(options, edges, store, directory, stops);
  const retention = roles.has("ingest")
    ? await startRetention(options, edges, { store, evidence }, holder, stops)
    : null;
  const keyFile = await ensureAdminKey(stateFolder(options.state, edges.env), store, edges);
  const checkIns = new CheckInWriter({}, { store, clock });
  checkIns.start();
  stops.push(() => checkIns.stop());
  await directory.all(clock.nowMs());
  if (roles.has("ingest")) {
    const fleet = { store, directory, holder, clock, reporter };
    startLooks([new HealthHistory(fleet), new CanaryWatch(fleet)], fleet, stops);
  }
  const releases = new ReleaseFolder(`${stateFolder(options.state, edges.env)}/releases`);
  const rollouts = new Rollouts({}, { store, directory, releases, reporter });
  rollouts.start(clock);
  stops.push(() => rollouts.stop());
  let makeReport: MakeReport = () => Promise.reject(new Error("the aggregator is starting"));
  const told = { store, directory, holder, makeReport: (range: ReportRange) => makeReport(range) };
  const sinks = await startSinks(options.sinks, edges, told, stops);
  const live = new LiveFeed({}, { store, clock, reporter });
  const own = { store, directory, evidence, live, places, releases, rollouts };
  const { detection, detectors, intelligence } = roles.has("detect")
    ? await startDetection(options, edges, own, roles.has("triage"), stops)
    : { detection: null, detectors: null, intelligence: null };
  if (roles.has("detect")) {
    const deps = { ...own, holder, clock, reporter };
    startLooks([new SensorWatch(deps)], deps, stops);
  }
  const meter = roles.has("ingest")
    ? await startIngest(options, edges, { store, directory, detection, live }, stops)
    : null;
  await startPublishers(options, edges, store, holder, stops);
  const capabilities = makeCapabilities(options, edges, {
    ...own,
    checkIns,
    detection,
    detectors,
    intelligence,
    meter,
    retention,
    sinks,
    ...web,
  });
  makeReport = reportsBy(apiInside(capabilities, "viewer", edges, "http://127.0.0.1"));
  const api = createApi({ ...web, paths: roles.has("api") ? null : sensorPaths }, capabilities);
  const { url } = await openPort(edges, web, api, stops);
  if (roles.has("api")) stops.push(warmIncidents(store));
  // First of all: a stream that is watched would hold the port open.
  stops.push(() => live.stop());
  return { url, keyFile };
}

function startLooks(looks: readonly LeasedWork[], deps: LeasedLoopDeps, stops: Stop[]): void {
  for (const look of looks) {
    const loop = new LeasedLoop(look, deps);
    loop.start();
    stops.push(() => loop.stop());
  }
}

/** Reports are made of what the API answers a viewer. */
function reportsBy(api: AdminApi): MakeReport {
  return async ({ fromS, toS }) => reportPage(await readReport(api, toS, toS - fromS));
}

/** Of all bodies of batches and packets that are in memory at once. */
const uploadBytesMax = 256 * 1024 * 1024;
/** What an instance without the role "api" answers to. */
const sensorPaths = ["/api/v1/batches", "/healthz", "/readyz", "/metrics", "/ca.pem"];

/** Listens, and keeps the certificate in step with its files. */
async function openPort(
  edges: Edges,
  { proxies, read, folder, listenText }: Web,
  api: Api,
  stops: Stop[],
): Promise<Listening> {
  const { clock, reporter } = edges;
  const certificate = read && await read();
  const listening = listen({ listen: listenText, certificate, proxies }, edges, api);
  stops.push(() => listening.close());
  await noteAddress(folder, listening.url);
  if (!certificate || !read) return listening;
  const use = (renewed: Certificate) => listening.useCertificate(renewed);
  const keeper = new CertificateKeeper(certificate, { read, use, clock, reporter });
  keeper.start();
  stops.push(() => keeper.stop());
  const forget = edges.onReload(() => keeper.look());
  stops.push(() => Promise.resolve(forget()));
  return listening;
}

/** How the world reaches this server. @throws {CommandError} when the options contradict one another. */
async function readWeb(options: ServeOptions, edges: Edges): Promise<Web> {
  const folder = stateFolder(options.state, edges.env);
  const listenText = await listenTextOf(options.listen, folder);
  const address = listenAddress(listenText);
  const authority = await readAuthority(folder);
  checkExposure(address, options, authority !== null);
  const publicUrl = readPublicUrl(options.publicUrl);
  const names = () => machineNames([...options.hostnames, ...publicUrl ? [publicUrl.hostname] : []]);
  const deps = () => ({ nowMs: edges.clock.nowMs(), randomBytes: edges.randomBytes });
  const isOwn = authority !== null && !address.isLoopback && !options.insecureHttp;
  return {
    folder,
    listenText,
    publicUrl,
    authority: isOwn && options.tlsCert === "" ? authority : null,
    hostnames: hostnamesOf(address, options.hostnames, publicUrl),
    proxies: readTrustedProxies(options.trustedProxies),
    read: options.tlsCert !== ""
      ? () => readCertificate(options)
      : isOwn
      ? () => serverCertificate(folder, names(), deps())
      : null,
  };
}

async function readCertificate({ tlsCert, tlsKey }: ServeOptions): Promise<Certificate> {
  return {
    cert: await readOptionFile("--tls-cert", tlsCert),
    key: await readOptionFile("--tls-key", tlsKey),
  };
}

async function startDetection(
  options: ServeOptions,
  edges: Edges,
  { store, directory, evidence, live, places }: Pick<
    Stages,
    "store" | "directory" | "evidence" | "live" | "places"
  >,
  asksModel: boolean,
  stops: Stop[],
): Promise<Pick<Stages, "detection" | "detectors" | "intelligence">> {
  const { clock, reporter } = edges;
  const { settings, declarations, lists } = await chooseDetectors(options, edges, places);
  const engine = new Engine({}, {
    detectors: startDetectors(settings, declarations),
    places,
    reporter,
    // People know a sensor by its name.
    explain: (finding, severity, episodes) =>
      explainByRules(
        { ...finding, sensors: finding.sensors.map((id) => directory.nameOf(id)) },
        severity,
        episodes,
      ),
  });
  const onThreats = (threats: readonly Threat[]) => evidence.offer(threats);
  const onSaved = (threats: readonly Threat[]) => live.note("threats", threats.map(({ id }) => id));
  const suppressor = new Suppressor({ store, clock, reporter });
  const folder = stateFolder(options.state, edges.env);
  const detection = new Detection({}, {
    engine,
    store,
    suppressor,
    learned: memoryFile(`${folder}/learned.json`),
    clock,
    reporter,
    onThreats,
    onSaved,
  });
  const model = asksModel ? readModel(options, edges) : null;
  if (model) {
    const audit = new AuditFile({ path: `${folder}/triage-audit.ndjson` }, { reporter });
    const { geminiCallsPerDay: callsPerDayMax, geminiTokensPerDay: tokensPerDayMax } = options;
    const triage = new TriageQueue({ callsPerDayMax, tokensPerDayMax }, {
      model,
      clock,
      reporter,
      onResult: (result) => detection.keep(result),
      onAudit: (line) => audit.append(line),
      memory: memoryFile(`${folder}/triage-memory.json`),
    });
    detection.explainWith(triage);
    stops.push(() => triage.stop());
  }
  await detection.start();
  stops.push(() => detection.stop());
  await startFeeds(options, edges, { lists, settings, store, detection }, stops);
  return {
    detection,
    detectors: describeDetectors(settings, declarations),
    intelligence: () => lists?.states ?? null,
  };
}

interface Stages {
  store: Store;
  directory: SensorDirectory;
  checkIns: CheckInWriter;
  evidence: PacketEvidence;
  releases: ReleaseFolder;
  rollouts: Rollouts;
  live: LiveFeed;
  places: Places;
  sinks: Sinks;
  /** Null = another instance does. */
  detection: Detection | null;
  detectors: CatalogueEntry[] | null;
  intelligence: Capabilities["intelligence"] | null;
  meter: WorkMeter | null;
  retention: Retention | null;
  authority: Authority | null;
  publicUrl: URL | null;
}

function makeCapabilities(
  options: ServeOptions,
  edges: Edges,
  stages: Stages,
): EdgeCapabilities & Partial<Capabilities> {
  const { store, directory, checkIns, detection, evidence, meter, retention, live, sinks } = stages;
  const { authority, publicUrl, releases, rollouts } = stages;
  const { clock, reporter, randomBytes } = edges;
  const { upgradeMibPerS, kafkaBrokers, sensorBrokers, kafkaTopic: topic, buckets, site } = options;
  const brokers = sensorBrokers.length > 0 ? sensorBrokers : kafkaBrokers;
  const startMs = clock.nowMs();
  const progress = () =>
    meter?.progress() ?? { pending: 0, lastMs: startMs, failingSinceMs: null, failure: null };
  return {
    ...topicsOf(store),
    reporter,
    clock,
    randomBytes,
    directory,
    policies: directory.policies,
    places: stages.places,
    releases,
    rollouts,
    // A part is a MiB.
    releaseRate: new RateLimit({ burst: upgradeMibPerS, refillMs: 1_000 / upgradeMibPerS }),
    releaseLimit: new ConcurrencyLimit(
      { kind: "release", activeMax: 8, activePerKeyMax: 1, waitingMax: 64 },
      { reporter },
    ),
    clockOffsets: new ClockOffsets(),
    checkIns,
    evidence,
    keys: new ApiKeys({}, { store }),
    sessions: new Sessions(),
    enrolRate: new RateLimit({ burst: 60, refillMs: 1_000 }),
    guessRate: new RateLimit({ burst: 20, refillMs: 5_000 }),
    queryLimit: new ConcurrencyLimit(
      { kind: "query", activeMax: 8, activePerKeyMax: 4, waitingMax: 64, waitingPerKeyMax: 48 },
      { reporter },
    ),
    exportLimit: new ConcurrencyLimit({ kind: "export", activeMax: 2, waitingMax: 0 }, { reporter }),
    uploadLimit: new ConcurrencyLimit(
      { kind: "upload", activeMax: 256, activeCostMax: uploadBytesMax, activePerKeyMax: 8, waitingMax: 512 },
      { reporter },
    ),
    ...(meter ? { submit: (header, body, checked) => meter.submit(header, body, null, checked) } : {}),
    live,
    ...(stages.detectors ? { detectors: stages.detectors } : {}),
    ...(stages.intelligence ? { intelligence: stages.intelligence } : {}),
    onThreatStatus: (id, status) => {
      detection?.setStatus(id, status);
      live.note("threats", [id]);
    },
    onSuppressions: () => detection?.suppress() ?? Promise.resolve(),
    progress,
    sinks,
    archiveProblem: () => retention?.archiveProblem() ?? null,
    fleet: { buckets, kafka: kafkaBrokers.length > 0 ? { brokers, topic } : null },
    site,
    authority,
    placeOf: (url) => placeOf(url, publicUrl, authority?.fingerprint ?? null),
  };
}
