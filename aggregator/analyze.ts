/** Capture files in, flows and explained threats out: sensor and aggregator in one process, nothing to set up.
 *
 * In: the paths of pcap or pcapng files, "-" = standard input. Out: the account of what they hold, totals of its flows,
 * its threats. Several files are parts of one capture, as programs write that begin a new file each hour:
 * what begins in one goes on in the next.
 * Invariant: the same stages as live: both lanes of the sensor, merging, detectors, triage;
 * only spool, transport and store are left out.
 * Why here: this is the only file that joins both sides. @module */

import { systemClock } from "../shared/clock.ts";
import type { Clock } from "../shared/clock.ts";
import type { Reporter } from "../shared/reporter.ts";
import { captureErrorTexts } from "../sensor/capture/capture_error.ts";
import { FileSource } from "../sensor/capture/file_source.ts";
import { pump } from "../sensor/capture/pump.ts";
import { PacketChooser } from "../sensor/dissect/choose.ts";
import { DissectLane } from "../sensor/dissect/lane.ts";
import { Tshark } from "../sensor/dissect/child/tshark.ts";
import type { SegmentPage } from "../sensor/flow/segment_page.ts";
import { type CaptureSummary, Pipeline } from "../sensor/pipeline.ts";
import { CommandError, exitCodes } from "../shared/command.ts";
import { incidentLines, threatLines, timelineLine } from "./cli/words.ts";
import { startDetectors } from "./detect/detectors/catalogue.ts";
import type { Declaration } from "./detect/detector.ts";
import { Engine, type NotEvaluable } from "./detect/engine.ts";
import { incidentsOf } from "./detect/incidents.ts";
import type { DetectionSettings } from "./detect/settings.ts";
import type { Incident } from "./model/incident.ts";
import { severities, type Threat } from "./model/threat.ts";
import { columnsOf } from "./ingest/columns.ts";
import { Merger } from "./ingest/merge.ts";
import { MergeWrite } from "./ingest/merge_write.ts";
import type { TriageModel } from "./triage/model.ts";
import type { TriageAudit } from "./triage/outcome.ts";
import { TriageQueue } from "./triage/queue.ts";
import { explainByRules } from "./triage/rules.ts";

export interface AnalyzeOptions {
  reporter: Reporter;
  /** @default systemClock */
  clock?: Clock;
  /** Name or path of tshark. @default "tshark" */
  tsharkPath?: string;
  /** Where what tshark says of itself is kept between runs, null = nowhere. @default null */
  cacheFolder?: string | null;
  /** False: no deep lane; detectors that need facts find less. @default true */
  facts?: boolean;
  /** Asked about every threat; null or absent = the rules explain. */
  model?: TriageModel | null;
  /** Told of each call to the model. */
  onAudit?: (audit: TriageAudit) => void;
  /** Which detectors run, and their limits. @default those that ship, as declared */
  detectors?: { settings?: DetectionSettings; declarations?: readonly Declaration[] };
  signal?: AbortSignal;
}

/** A threat with its one attacker or victim named apart, as the API gives it. */
export interface AnalyzedThreat extends Threat {
  src_ip?: string;
  dst_ip?: string;
}

export interface Analysis {
  /** `note`: a word of `captureErrors` when the file was damaged, "interrupted" when stopped. */
  capture: CaptureSummary & { note?: string };
  flows: { count: number; packets: number; bytes: number };
  /** The most severe first. */
  threats: AnalyzedThreat[];
  /** The same threats, those of one attacker together. */
  incidents: Incident[];
  /** Detectors that could find nothing: the capture has none of the facts they need, or they lack a list. */
  not_evaluable: NotEvaluable[];
}

/** Analyzes files in the order given. @throws {CommandError} when one cannot be opened or is no capture. */
export async function analyzeFile(
  path: string | readonly string[],
  options: AnalyzeOptions,
): Promise<Analysis> {
  const paths = typeof path === "string" ? [path] : path;
  const clock = options.clock ?? systemClock;
  const centre = new Centre(options, clock);
  const captures: Analysis["capture"][] = [];
  for (const one of paths) {
    captures.push(await readCapture(one, centre, options, clock));
    if (options.signal?.aborted) break;
  }
  const threats = await centre.finish(options);
  return {
    capture: joined(captures),
    flows: centre.flows,
    threats,
    incidents: incidentsOf(threats),
    not_evaluable: centre.notEvaluable(),
  };
}

async function readCapture(
  path: string,
  centre: Centre,
  options: AnalyzeOptions,
  clock: Clock,
): Promise<Analysis["capture"]> {
  const { reporter, signal } = options;
  // One chooser for both: the lane reads plain DNS where the chooser found it.
  const chooser = new PacketChooser();
  const lane = await startLane(options, clock, chooser);
  try {
    const pipeline = new Pipeline({ live: false }, {
      sink: { take: (page) => centre.take(page) },
      reporter,
      clock,
      deepLane: lane,
      chooser: lane ? chooser : null,
    });
    const note = await readAll(path, pipeline, signal);
    await pipeline.finish();
    const summary = pipeline.summary(path === "-" ? "standard input" : path);
    return note === null ? summary : { ...summary, note };
  } finally {
    await lane?.stop();
  }
}

/** The account of several captures as one. */
function joined(captures: readonly Analysis["capture"][]): Analysis["capture"] {
  if (captures.length === 1) return captures[0];
  const stamps = captures.flatMap(({ first, last }) => [first, last]).filter((stamp) => stamp !== null);
  const notes = captures.flatMap(({ file, note }) => note === undefined ? [] : [`${file}: ${note}`]);
  return {
    file: captures.map(({ file }) => file).join(", "),
    packets: sumOf(captures, ({ packets }) => packets),
    bytes: sumOf(captures, ({ bytes }) => bytes),
    first: stamps.length > 0 ? Math.min(...stamps) : null,
    last: stamps.length > 0 ? Math.max(...stamps) : null,
    in_flows: sumOf(captures, ({ in_flows }) => in_flows),
    left_out: countsOf(captures, ({ left_out }) => left_out),
    remarks: countsOf(captures, ({ remarks }) => remarks),
    ...notes.length > 0 && { note: notes.join(", ") },
  };
}

function sumOf(captures: readonly CaptureSummary[], count: (capture: CaptureSummary) => number): number {
  return captures.reduce((sum, capture) => sum + count(capture), 0);
}

function countsOf(
  captures: readonly CaptureSummary[],
  counts: (capture: CaptureSummary) => Record<string, number>,
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const capture of captures) {
    for (const [name, count] of Object.entries(counts(capture))) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

/** Reads the file to its end. Returns what was wrong with it. */
async function readAll(path: string, pipeline: Pipeline, signal?: AbortSignal): Promise<string | null> {
  const source = new FileSource(path);
  try {
    await source.start();
  } catch (cause) {
    throw new CommandError(exitCodes.environment, (cause as Error).message, { cause });
  }
  const { error } = await pump(source, pipeline, () => pipeline.turn(), signal).finally(() => source.stop());
  if (error === "not_a_capture" || error === "empty_file" || error === "unknown_compression") {
    throw new CommandError(exitCodes.failed, `Cannot read "${path}": ${captureErrorTexts[error]}`);
  }
  return error ?? (signal?.aborted ? "interrupted" : null);
}

async function startLane(
  options: AnalyzeOptions,
  clock: Clock,
  chooser: PacketChooser,
): Promise<DissectLane | null> {
  const { reporter, facts = true, tsharkPath = "tshark", cacheFolder = null } = options;
  if (!facts) return null;
  const lane = new DissectLane({ live: false }, {
    program: new Tshark({ tsharkPath, cacheFolder }, { reporter }),
    clock,
    reporter,
    chooser,
  });
  try {
    await lane.start();
    return lane;
  } catch (error) {
    reporter.warn("no facts will be read from payloads, flows are complete", { why: error });
    return null;
  }
}

/** The aggregator's side. */
class Centre {
  readonly flows = { count: 0, packets: 0, bytes: 0 };
  readonly #merger: Merger;
  readonly #engine: Engine;
  readonly #clock: Clock;

  constructor({ reporter, detectors = {} }: AnalyzeOptions, clock: Clock) {
    this.#clock = clock;
    this.#merger = new Merger({}, { reporter });
    this.#engine = new Engine({}, {
      detectors: startDetectors(detectors.settings, detectors.declarations),
      reporter,
      // There is no sensor here that a reader would know.
      explain: (finding, severity, episodes) =>
        explainByRules({ ...finding, sensors: [] }, severity, episodes),
    });
  }

  take(page: SegmentPage): void {
    const segments = Array.from({ length: page.length }, (_, i) => page.object(i));
    const nowMs = this.#clock.nowMs();
    const write = new MergeWrite({ tells: true });
    this.#merger.begin();
    this.#merger.take(
      columnsOf(segments),
      { sensor_id: "analyze", site: "capture", clock_offset_ms: 0 },
      nowMs,
      write,
    );
    this.#merger.commit();
    const { columns, size } = write.rows;
    for (let i = 0; i < size; i++) {
      this.flows.count += columns.isNew[i];
      this.flows.packets += columns.fwdPackets[i] + columns.bwdPackets[i];
      this.flows.bytes += columns.fwdBytes[i] + columns.bwdBytes[i];
    }
    this.#engine.step(write.updates ?? [], nowMs);
    this.#engine.takeLinks();
  }

  notEvaluable(): NotEvaluable[] {
    return this.#engine.notEvaluable();
  }

  /** All threats, explained. */
  async finish(options: AnalyzeOptions): Promise<AnalyzedThreat[]> {
    this.#engine.flush(this.#clock.nowMs());
    if (options.model) await this.#ask(options.model, options);
    const rank = (threat: Threat) => severities.indexOf(threat.severity);
    const sorted = this.#engine.threats.sort((a, b) =>
      rank(b) - rank(a) || b.score - a.score || a.first_seen - b.first_seen
    );
    return sorted.map(present);
  }

  async #ask(model: TriageModel, { reporter, onAudit = () => {} }: AnalyzeOptions): Promise<void> {
    const queue = new TriageQueue({ waitingMax: 10_000 }, {
      model,
      clock: this.#clock,
      reporter,
      onAudit,
      onResult: ({ threatId, severity, triage }) =>
        void this.#engine.amend(threatId, { ...triage, severity }),
    });
    for (const threat of this.#engine.threats) queue.offer(threat);
    await queue.idle();
    await queue.stop();
  }
}

function present(threat: Threat): AnalyzedThreat {
  return {
    ...threat,
    ...(threat.src_ips.length === 1 ? { src_ip: threat.src_ips[0] } : {}),
    ...(threat.dst_ips.length === 1 ? { dst_ip: threat.dst_ips[0] } : {}),
  };
}

/** The threats in the order in which they began, one line each. */
export function renderTimeline({ threats }: Analysis, isColourful = false): string {
  if (threats.length === 0) return "No threats found.";
  return [...threats].sort((a, b) => a.first_seen - b.first_seen || a.last_seen - b.last_seen)
    .map((threat) => timelineLine(threat, isColourful)).join("\n");
}

/** The analysis for people. */
export function renderAnalysis(
  { capture, flows, threats, incidents, not_evaluable }: Analysis,
  isColourful = false,
): string {
  const leftOut = capture.packets - capture.in_flows;
  const lines = [
    `${capture.file}: ${capture.packets} packets in ${flows.count} flows, ${flows.bytes} octets; ${leftOut} packets left out`,
    ...(capture.note === undefined
      ? []
      : [`The capture is incomplete: ${capture.note.replaceAll("_", " ")}`]),
    "",
    ...chainLines(incidents, isColourful),
    threats.length === 0 ? "No threats found." : `${threats.length} threat(s) found:`,
  ];
  for (const threat of threats) lines.push("", ...threatLines(threat, isColourful));
  if (not_evaluable.length > 0) {
    const names = not_evaluable.map(({ detector, missing }) => `${detector} (needs ${missing.join(", ")})`);
    lines.push(
      "",
      `Not evaluable, as the capture holds no such facts, or no list is given: ${names.join(", ")}`,
    );
  }
  return lines.join("\n");
}

/** Incidents of a single threat say no more than the threat. */
function chainLines(incidents: readonly Incident[], isColourful: boolean): string[] {
  const chains = incidents.filter(({ threats }) => threats > 1);
  if (chains.length === 0) return [];
  return [
    `${chains.length} incident(s) of several threats:`,
    "",
    ...chains.flatMap((incident) => [...incidentLines(incident, isColourful), ""]),
  ];
}
