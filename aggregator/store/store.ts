/** The store, as the rest of the aggregator sees it. Two implementations: SQLite (embedded) and MariaDB (fleet).
 *
 * In: one write per ingest transaction, identities, threats. Out: pages of rows, bounded in rows, range and time.
 * Invariant: `ingest` is one database transaction: ledger, flows, sightings, traffic, gaps, dead letters and offsets
 * together, or nothing. A second write of a ledger key fails as a whole with {@link LedgerConflict}.
 * Why one interface: one contract suite (test/aggregator/store/contract.ts) proves both. @module */

import type { Flow, Sighting } from "../ingest/flow.ts";
import type { Threat, ThreatStatus } from "../detect/threat.ts";
import type { CheckInRequest } from "../../shared/control.ts";

/** Thrown by {@link Store.ingest} when a ledger key is already there: read the ledger again and drop the replays. */
export class LedgerConflict extends Error {
  override name = "LedgerConflict";
}

/** Thrown when the database cannot be reached or is too busy; a retry can help. */
export class StoreUnavailable extends Error {
  override name = "StoreUnavailable";
}

/** A batch taken in. (sensor_id, epoch, bucket, seq) is unique. */
export interface LedgerRow {
  sensor_id: string;
  epoch: number;
  bucket: number;
  seq: number;
  sha256: string;
  flows: number;
  packets: number;
  sealed_ms: number;
  received_ms: number;
}
export type LedgerKey = Pick<LedgerRow, "sensor_id" | "epoch" | "bucket" | "seq">;

/** Seqs missing in one (sensor, epoch, bucket), inclusive. `closed_ms` is set when the batches came after all. */
export interface Gap {
  sensor_id: string;
  epoch: number;
  bucket: number;
  from_seq: number;
  to_seq: number;
  found_ms: number;
  closed_ms: number | null;
}

export interface DeadLetter {
  received_ms: number;
  reason: string;
  /** "http" or "kafka:<topic>/<partition>@<offset>". */
  origin: string;
  sensor_id: string;
  /** First octets of what came, at most 4 KiB. */
  sample: Uint8Array;
}

/** Traffic of one second of packet time, by sensor vantage counts that are the flow's. */
export interface TrafficRow {
  second: number;
  sensor_id: string;
  protocol: string;
  flows: number;
  packets: number;
  bytes: number;
}

/** A flow to insert, or what to add to a stored one. Counts are increments, states and `end` the new values. */
export interface FlowWrite {
  kind: "insert" | "update";
  flow: Omit<Flow, "seen_by">;
  /** Sightings to add to, by (sensor_id, vlan, ip_depth); counts are increments. */
  sightings: Sighting[];
  /** How many of `sightings` are the first of their vantage. */
  newSightings: number;
}

/** When batches of one epoch of a sensor came, and when the sensor sealed them. */
export interface EpochRow {
  epoch: number;
  /** Of the first batch taken in: sensor's clock, aggregator's clock. */
  first_sealed_ms: number;
  first_received_ms: number;
  /** Latest `sealed` of all its batches. */
  last_sealed_ms: number;
}

export interface OffsetRow {
  topic: string;
  partition: number;
  /** Next offset to read. */
  next_offset: string;
}

/** One ingest transaction. */
export interface IngestWrite {
  ledger: LedgerRow[];
  flows: FlowWrite[];
  traffic: TrafficRow[];
  gaps: Gap[];
  /** Gaps whose missing batches came: closed or narrowed, by replacing all open gaps of a (sensor, epoch, bucket). */
  gapsReplaced: Pick<Gap, "sensor_id" | "epoch" | "bucket">[];
  deadLetters: DeadLetter[];
  offsets: OffsetRow[];
}

export interface SensorRow {
  sensor_id: string;
  name: string;
  site: string;
  tags: string[];
  key_id: string;
  /** Raw public key, base64. */
  public_key: string;
  enrolled_ms: number;
  revoked_ms: number | null;
  /** Two live epochs or two contents for one seq: a cloned identity. Its batches are refused. */
  quarantined_ms: number | null;
  quarantine_reason: string | null;
  last_check_in_ms: number | null;
  last_batch_ms: number | null;
  /** Sensor clock minus aggregator clock, ms; null = unknown. */
  clock_offset_ms: number | null;
  check_in: CheckInRequest | null;
}

export interface JoinTokenRow {
  /** SHA-256 of the token, hex. */
  token_hash: string;
  site: string;
  tags: string[];
  created_ms: number;
  expires_ms: number;
  used_ms: number | null;
  used_by: string | null;
}

export const roles = ["admin", "analyst", "viewer"] as const;
export type Role = typeof roles[number];

export interface ApiKeyRow {
  /** SHA-256 of the key, hex. */
  key_hash: string;
  name: string;
  role: Role;
  created_ms: number;
  revoked_ms: number | null;
}

/** What came of redeeming a token. */
export const redeemOutcomes = [
  "enrolled",
  "same_sensor",
  "unknown_token",
  "expired_token",
  "used_token",
  "name_taken",
] as const;
export type RedeemOutcome = typeof redeemOutcomes[number];

/** Filter of flows; absent = any. Times are epoch seconds of the flow's start. */
export interface FlowQuery {
  from?: number;
  to?: number;
  /** Either end. */
  ip?: string;
  src_ip?: string;
  dst_ip?: string;
  /** Either end. */
  port?: number;
  dst_port?: number;
  protocol?: string;
  app_protocol?: string;
  sensor_id?: string;
  community_id?: string;
  conn_state?: string;
  network?: string;
  min_bytes?: number;
  /** Part of a fact: DNS name, SNI, host; matched as a substring, lower-case. */
  name?: string;
  threat_id?: string;
}

/** Thrown when a page's cursor is not one that a page gave. */
export class BadCursor extends Error {
  override name = "BadCursor";
}

/** Newest first, at most 1,000 rows. `cursor` is what the last page gave. Keyset: each page costs what it holds. */
export interface PageRequest {
  limit: number;
  cursor?: string;
}
export interface Page<Row> {
  rows: Row[];
  /** Absent = no more rows. */
  next_cursor?: string;
}

export interface ThreatQuery {
  from?: number;
  to?: number;
  severity_min?: string;
  detector?: string;
  status?: ThreatStatus;
  ip?: string;
}

export interface TopTalker {
  ip: string;
  flows: number;
  sent_bytes: number;
  received_bytes: number;
  total_bytes: number;
  total_packets: number;
}
export interface ProtocolTotal {
  protocol: string;
  app_protocol: string;
  flows: number;
  packets: number;
  bytes: number;
}
export interface SeriesPoint {
  /** Start of the step, epoch seconds. */
  time: number;
  flows: number;
  packets: number;
  bytes: number;
}
export interface Totals {
  flows: number;
  packets: number;
  bytes: number;
  sightings: number;
  threats: number;
  first: number | null;
  last: number | null;
}

export interface Store {
  /** Opens, migrates forward. @throws {StoreUnavailable} when it cannot be reached. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Cheap round trip. @throws {StoreUnavailable} */
  ping(): Promise<void>;

  // Ingest.
  /** Ledger rows already there for any of `keys`. */
  readLedger(keys: LedgerKey[]): Promise<LedgerRow[]>;
  /** Epochs of a sensor, oldest first: the newest 16. Times of a first batch never change. */
  readEpochs(sensorId: string): Promise<EpochRow[]>;
  /** Highest seq and count taken in, for each bucket of a sensor's epoch. */
  readPositions(
    sensorId: string,
    epoch: number,
  ): Promise<{ bucket: number; seq_max: number; batches: number }[]>;
  ingest(write: IngestWrite): Promise<void>;
  readOffsets(topic: string): Promise<OffsetRow[]>;
  /** Flows updated since `sinceMs` (aggregator clock), the newest `limit` of them, oldest first: to rebuild merge and detector state. */
  readRecentFlows(sinceMs: number, limit: number): Promise<Flow[]>;
  readGaps(query: { sensor_id?: string; open?: boolean }, limit: number): Promise<Gap[]>;
  readDeadLetters(limit: number): Promise<DeadLetter[]>;

  // Identity.
  addJoinToken(row: JoinTokenRow): Promise<void>;
  /** Atomic: of many redemptions at once of one token exactly one enrols. Adds `sensor` (its site and tags from the token). */
  redeemJoinToken(
    tokenHash: string,
    sensor: Pick<SensorRow, "sensor_id" | "name" | "key_id" | "public_key">,
    nowMs: number,
  ): Promise<{ outcome: RedeemOutcome; sensor: SensorRow | null }>;
  readSensors(): Promise<SensorRow[]>;
  saveCheckIn(sensorId: string, checkIn: CheckInRequest, nowMs: number, clockOffsetMs: number): Promise<void>;
  revokeSensor(sensorId: string, nowMs: number): Promise<boolean>;
  quarantineSensor(sensorId: string, reason: string, nowMs: number): Promise<void>;
  addApiKey(row: ApiKeyRow): Promise<void>;
  readApiKeys(): Promise<ApiKeyRow[]>;

  // Threats.
  /** Inserts or replaces by id; links `flow_ids` (bounded sample). Replacing keeps `status` and `stored_ms`: people set the status. */
  saveThreats(threats: Threat[]): Promise<void>;
  readThreat(id: string): Promise<Threat | null>;
  readThreats(query: ThreatQuery, page: PageRequest): Promise<Page<Threat>>;
  setThreatStatus(id: string, status: ThreatStatus, nowMs: number): Promise<boolean>;

  // Queries. All bounded in rows and time; @throws {StoreUnavailable} when the time is up.
  readFlow(flowId: string): Promise<Flow | null>;
  /** By start time as first known, newest first. A page may hold fewer rows than asked for, even none, and still have a next one:
   * an unselective filter stops when its time is up. */
  readFlows(query: FlowQuery, page: PageRequest): Promise<Page<Flow>>;
  readTopTalkers(range: { from?: number; to?: number }, limit: number): Promise<TopTalker[]>;
  readProtocols(range: { from?: number; to?: number }): Promise<ProtocolTotal[]>;
  /** Traffic in steps of `stepS` seconds, oldest first. */
  readSeries(range: { from: number; to: number }, stepS: number, sensorId?: string): Promise<SeriesPoint[]>;
  readTotals(): Promise<Totals>;
}
