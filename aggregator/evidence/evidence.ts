/** Packets as evidence: asks sensors for those of a threat or a flow, stores what they upload,
 * and reports what has arrived.
 *
 * In: subjects with their flows, uploads whose signature was checked. Out: requests for the answers to check-ins,
 * files, one download with the packets of all sensors, a status in words.
 * Invariant: only what was requested from that very sensor is accepted, and only once; every file has a row, and a row
 * that says `arrived` has its file, or reports it missing when asked. Bounds: sensors and flows of a request, requests
 * that wait for a sensor and in all, octets of a file and of all files, their number, age.
 * Packets are deleted with the day of their newest flow. Files without a row, left by a crash or by another
 * aggregator that removed their rows, are deleted within {@link sweepMs}.
 * Why requests are read from the store and not just from memory: they outlive a restart,
 * and another aggregator may have made them. @module */

import type { Clock } from "../../shared/clock.ts";
import { packetLimits, type PacketsHeader } from "../../shared/packets.ts";
import type { PacketRequest } from "../../shared/control.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { span } from "../fleet/span.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import type { PacketRequestRow, PacketStatus } from "../model/packets.ts";
import { severities, type Threat } from "../model/threat.ts";
import type { FlowStore, PacketStore } from "../store/store.ts";
import { AutomaticRequests } from "./automatic.ts";
import type { PacketFiles } from "./packet_files.ts";
import { readCapture, writeCapture } from "./pcapng.ts";
import { planRequests } from "./plan.ts";
import { partOf, statusOf, uploadReason } from "./words.ts";

export interface EvidenceOptions {
  /** Octets of all files; 0 = sensors are asked for nothing. @default 1073741824 */
  bytesMax?: number;
  /** All files, however small: fewer than the store lists at once. @default 50000 */
  filesMax?: number;
  /** Age of a file. @default 2592000000 */
  ageMs?: number;
  /** A sensor that has not answered for so long is asked no more. @default 3600000 */
  expireMs?: number;
  /** Requests that wait for one sensor, and in all. @default 64, 1000 */
  sensorMax?: number;
  askedMax?: number;
}

export interface EvidenceDeps {
  store: PacketStore & Pick<FlowStore, "readFlowsById">;
  files: PacketFiles;
  directory: Pick<SensorDirectory, "find" | "nameOf">;
  clock: Clock;
  reporter: Reporter;
  randomBytes(length: number): Uint8Array;
}

/** What became of an upload: `stored` = packets or the word that there are none; `replay` = the same again. */
export type UploadOutcome = "stored" | "replay" | "not_asked" | "busy" | "unwritten" | UploadFault;
export type UploadFault = "contradictory" | "hash" | "damaged" | "miscounted" | "out_of_span";

const refreshMs = 2_000;
const everyMs = 30_000;
const sweepMs = 3_600_000;

export class PacketEvidence {
  readonly #options: Required<EvidenceOptions>;
  readonly #deps: EvidenceDeps;
  readonly #automatic: AutomaticRequests;
  /** Requests that sensors are asked for, by sensor, as read a moment ago. */
  #asked = new Map<string, PacketRequestRow[]>();
  #askedCount = 0;
  #readMs = -Infinity;
  #sweptMs = -Infinity;
  #reading: Promise<void> | null = null;
  /** Where the next answer begins, of sensors for which more wait than fit into one. */
  #turns = new Map<string, number>();
  /** Requests whose upload is being stored. */
  #storing = new Set<string>();
  #downloading: Promise<unknown> = Promise.resolve();
  #stopping = new AbortController();
  #loop: Promise<void> | null = null;

  constructor(options: EvidenceOptions, deps: EvidenceDeps) {
    this.#options = {
      bytesMax: 1024 ** 3,
      filesMax: 50_000,
      ageMs: 30 * 86_400_000,
      expireMs: 3_600_000,
      sensorMax: 64,
      askedMax: 1_000,
      ...options,
    };
    this.#deps = deps;
    this.#automatic = new AutomaticRequests({}, {
      ask: (subject, flowIds, nowMs) => this.ask(subject, flowIds, "rules", nowMs),
      isAsked: async (subject) => (await deps.store.readPacketRequests(subject)).length > 0,
      clock: deps.clock,
      reporter: deps.reporter,
    });
  }

  start(): void {
    this.#loop = this.#run();
    this.#automatic.start();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#automatic.stop();
    await this.#loop;
  }

  /** Takes note of threats: those of high severity and above are asked for by themselves. Returns at once. */
  offer(threats: readonly Threat[]): void {
    if (this.#options.bytesMax === 0) return;
    for (const { id, severity, status, flow_ids } of threats) {
      const isGrave = severities.indexOf(severity) >= severities.indexOf("high");
      if (isGrave && status === "open") this.#automatic.offer(`threat/${id}`, flow_ids);
    }
  }

  /** Asks the sensors that saw these flows;
   * those that were asked already, or whose packets are here, are not asked again. */
  async ask(subject: string, flowIds: readonly string[], by: string, nowMs: number): Promise<PacketStatus> {
    const { store, directory, reporter, randomBytes } = this.#deps;
    const { bytesMax, expireMs } = this.#options;
    if (bytesMax === 0) return this.status(subject);
    const flows = await store.readFlowsById(flowIds.slice(0, packetLimits.flowsMax));
    const planned = planRequests(flows);
    await this.#refresh(nowMs, 0);
    const known = new Map((await store.readPacketRequests(subject)).map((row) => [row.sensor_id, row.state]));
    const rows: PacketRequestRow[] = [];
    for (const plan of planned) {
      const state = known.get(plan.sensor_id);
      if (state === "asked" || state === "arrived") continue;
      const reason = plan.reason || await this.#reasonAgainst(plan.sensor_id, rows.length, nowMs);
      const id = Array.from(randomBytes(8), (octet) => octet.toString(16).padStart(2, "0")).join("");
      rows.push({
        ...plan,
        id,
        subject,
        state: reason === "" ? "asked" : "refused",
        reason,
        asked_by: by,
        expires_ms: nowMs + expireMs,
        at_ms: nowMs,
        packets: 0,
        bytes: 0,
        sha256: "",
      });
    }
    await store.addPacketRequests(rows);
    this.#readMs = -Infinity;
    for (const { state } of rows) reporter.count("packet_requests_total", { outcome: state });
    const sensors = rows.map(({ sensor_id }) => directory.nameOf(sensor_id)).join(",");
    if (rows.length > 0) reporter.info("packets asked for", { subject, sensors, by });
    return await this.status(subject);
  }

  /** Why a sensor is not asked; "" = it is. */
  async #reasonAgainst(sensorId: string, more: number, nowMs: number): Promise<string> {
    const sensor = await this.#deps.directory.find(sensorId, nowMs);
    if (!sensor) return "is no longer known";
    if (sensor.revoked_ms !== null) return "is revoked";
    if (sensor.check_in && !sensor.check_in.ring) return "keeps no packets (--ring-payload)";
    const waiting = this.#asked.get(sensorId)?.length ?? 0;
    if (waiting >= this.#options.sensorMax || this.#askedCount + more >= this.#options.askedMax) {
      return "has too many requests waiting";
    }
    return "";
  }

  /** What a sensor's next check-in is answered with. Where more wait than fit into one answer they take turns, so that
   * those a sensor cannot answer hold up no other. Never rejects: a check-in does not fail for it. */
  async wanted(sensorId: string, nowMs: number): Promise<PacketRequest[]> {
    try {
      await this.#refresh(nowMs, refreshMs);
    } catch {
      this.#deps.reporter.count("packet_requests_unread_total");
    }
    const rows = (this.#asked.get(sensorId) ?? []).filter((row) =>
      row.expires_ms > nowMs && !this.#storing.has(row.id)
    );
    const { requestsMax, fileBytesMax } = packetLimits;
    const from = rows.length > requestsMax ? (this.#turns.get(sensorId) ?? 0) % rows.length : 0;
    if (rows.length > requestsMax) this.#turns.set(sensorId, from + requestsMax);
    else this.#turns.delete(sensorId);
    return [...rows.slice(from), ...rows.slice(0, from)].slice(0, requestsMax)
      .map(({ id, flows }) => ({ id, flows, bytes_max: fileBytesMax }));
  }

  /** Whether an upload with this header is asked for; to be known before its body is read. */
  async expects({ sensor, request, sha256 }: PacketsHeader, nowMs: number): Promise<boolean> {
    const row = await this.#deps.store.readPacketRequest(request);
    if (row === null || row.sensor_id !== sensor) return false;
    return (row.state === "asked" && row.expires_ms > nowMs) || (row.sha256 !== "" && row.sha256 === sha256);
  }

  /** Stores an upload whose signature and hash are right. */
  async accept(header: PacketsHeader, body: Uint8Array, nowMs: number): Promise<UploadOutcome> {
    const { store, files, reporter } = this.#deps;
    const row = await store.readPacketRequest(header.request);
    if (row === null || row.sensor_id !== header.sensor) return "not_asked";
    if (row.state !== "asked") return row.sha256 === header.sha256 ? "replay" : "not_asked";
    if (row.expires_ms <= nowMs) return "not_asked";
    if (this.#storing.has(row.id)) return "busy";
    this.#storing.add(row.id);
    try {
      const fault = faultOf(row, header, body);
      if (fault !== null) {
        await this.#settle(row, nowMs, "refused", `sent something unusable (${fault})`);
        return fault;
      }
      if (body.length === 0) {
        await this.#settle(row, nowMs, "gone", uploadReason(header, row), header);
        return "stored";
      }
      try {
        await files.write(row.id, body);
      } catch (error) {
        reporter.error("cannot store packets, the sensor is asked again", { error });
        await this.#settle(row, nowMs, "asked", "sent packets that this aggregator's disk did not take");
        return "unwritten";
      }
      const isSettled = await this.#settle(row, nowMs, "arrived", uploadReason(header, row), header, body);
      if (!isSettled) await files.remove(row.id);
      await this.#fit(nowMs);
      return isSettled ? "stored" : "not_asked";
    } finally {
      this.#storing.delete(row.id);
    }
  }

  async #settle(
    row: PacketRequestRow,
    nowMs: number,
    state: PacketRequestRow["state"],
    reason: string,
    header?: PacketsHeader,
    body?: Uint8Array,
  ): Promise<boolean> {
    const isSettled = await this.#deps.store.settlePacketRequest(row.id, {
      state,
      reason,
      at_ms: nowMs,
      packets: header?.packets ?? 0,
      bytes: body?.length ?? 0,
      sha256: header?.sha256 ?? "",
    });
    this.#readMs = -Infinity;
    return isSettled;
  }

  async status(subject: string): Promise<PacketStatus> {
    if (this.#options.bytesMax === 0) {
      const reason = "Packets are not kept here (--retain-packets-mb is 0)";
      return { state: "refused", reason, sensors: [] };
    }
    const rows = await this.#deps.store.readPacketRequests(subject);
    return statusOf(rows, (id) => this.#deps.directory.nameOf(id));
  }

  /** Packets of all sensors in one file; null = there are none. One file is made at a time, as each takes memory. */
  download(subject: string, nowMs: number): Promise<Uint8Array | null> {
    const made = this.#downloading.then(() => this.#join(subject, nowMs));
    this.#downloading = made.catch(() => undefined);
    return made;
  }

  async #join(subject: string, nowMs: number): Promise<Uint8Array | null> {
    const { store, files, directory, reporter } = this.#deps;
    const rows = await store.readPacketRequests(subject);
    const parts = [];
    for (const row of rows.filter(({ state }) => state === "arrived")) {
      const file = await files.read(row.id);
      const packets = file && readCapture(file);
      if (file === null || packets === null || typeof packets === "string") {
        reporter.count("packet_files_lost_total");
        await store.losePackets(row.id, "had packets that are not on this aggregator's disk any more", nowMs);
        continue;
      }
      parts.push(partOf(await directory.find(row.sensor_id, nowMs), row, file, packets));
    }
    return parts.length === 0 ? null : writeCapture(`Packets of ${subject.replace("/", " ")}`, parts);
  }

  /** The flows of a day leave, and their packets with them.
   * Never rejects: flows leave anyway, and packets then leave for their age. */
  async dropDay(day: number): Promise<void> {
    const those = { changedBeforeMs: 0, flowsFromUs: day * 1e6, flowsToUs: (day + 86_400) * 1e6 };
    await this.#prune(those).catch((error) => this.#complain(error));
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      try {
        await this.turn(clock.nowMs());
      } catch (error) {
        this.#complain(error);
      }
      await clock.sleep(everyMs, this.#stopping.signal);
    }
  }

  #complain(error: unknown): void {
    this.#deps.reporter.count("packet_turns_failed_total");
    this.#deps.reporter.warn("cannot tidy up stored packets, will retry", { error });
  }

  /** Gives up expired requests; deletes files that are too old, too many, or without a row. */
  async turn(nowMs: number): Promise<void> {
    const { store, reporter } = this.#deps;
    const words = `did not answer within ${span(this.#options.expireMs)}`;
    reporter.count(
      "packet_requests_total",
      { outcome: "expired" },
      await store.expirePacketRequests(nowMs, words),
    );
    await this.#prune({ changedBeforeMs: nowMs - this.#options.ageMs, flowsFromUs: 0, flowsToUs: 0 });
    await this.#fit(nowMs);
    if (Math.abs(nowMs - this.#sweptMs) < sweepMs) return;
    this.#sweptMs = nowMs;
    await this.#sweep().catch((error) => this.#complain(error));
  }

  /** Removes files that no row stands for. */
  async #sweep(): Promise<void> {
    const { store, files, reporter } = this.#deps;
    const found = await files.list();
    // Rows after files, and those that are asked for first: whatever an upload does meanwhile, its row is among them.
    const asked = new Set((await store.readAskedPackets(this.#options.askedMax)).map(({ id }) => id));
    const stored = new Set((await store.readStoredPackets()).map(({ id }) => id));
    const left = found.filter(({ id, isPart }) => !asked.has(id) && (isPart || !stored.has(id)));
    for (const { id, isPart } of left) await (isPart ? files.removePart(id) : files.remove(id));
    reporter.count("packet_files_swept_total", undefined, left.length);
  }

  async #prune(those: Parameters<PacketStore["prunePacketRequests"]>[0]): Promise<void> {
    for (const id of await this.#deps.store.prunePacketRequests(those)) await this.#deps.files.remove(id);
    this.#readMs = -Infinity;
  }

  /** The oldest files leave until the rest fits. */
  async #fit(nowMs: number): Promise<void> {
    const { store, files, reporter } = this.#deps;
    const stored = await store.readStoredPackets();
    const { bytesMax, filesMax } = this.#options;
    let bytes = stored.reduce((sum, one) => sum + one.bytes, 0);
    for (const [index, one] of stored.entries()) {
      if (bytes <= bytesMax && stored.length - index <= filesMax) break;
      await store.losePackets(one.id, "had to make room for newer packets here", nowMs);
      await files.remove(one.id);
      reporter.count("packet_files_evicted_total");
      bytes -= one.bytes;
    }
    reporter.gauge("packet_files_bytes", bytes);
  }

  async #refresh(nowMs: number, maxAgeMs: number): Promise<void> {
    if (Math.abs(nowMs - this.#readMs) < maxAgeMs) return;
    this.#reading ??= this.#read(nowMs).finally(() => this.#reading = null);
    await this.#reading;
  }

  async #read(nowMs: number): Promise<void> {
    this.#readMs = nowMs;
    const rows = await this.#deps.store.readAskedPackets(this.#options.askedMax);
    this.#asked = Map.groupBy(rows, ({ sensor_id }) => sensor_id);
    this.#askedCount = rows.length;
  }
}

/** What is wrong with an upload that was asked for; null = nothing. */
function faultOf(row: PacketRequestRow, header: PacketsHeader, body: Uint8Array): UploadFault | null {
  const isFound = header.outcome === "found";
  if (isFound !== body.length > 0 || isFound !== header.packets > 0) return "contradictory";
  if (!isFound) return null;
  const packets = readCapture(body);
  if (typeof packets === "string") return "damaged";
  if (packets.length !== header.packets) return "miscounted";
  const isWanted = (timeUs: number) =>
    row.flows.some(({ from_us, to_us }) => timeUs >= from_us && timeUs <= to_us);
  return packets.every(({ timeUs }) => isWanted(timeUs)) ? null : "out_of_span";
}
