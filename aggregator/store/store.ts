/** The store, as the rest of the aggregator sees it: seventeen topics, joined.
 * Two implementations: SQLite (embedded) and MariaDB (fleet).
 *
 * In: one write per ingest transaction, identities, threats. Out: pages of rows, bounded in rows, range and time.
 * Invariant: `ingest` is one database transaction: ledger, flows, sightings, traffic, gaps, dead letters and offsets
 * together, or nothing. A second write of a ledger key fails as a whole with {@link LedgerConflict}.
 * Why topics: who needs the ledger does not see people's keys; each topic has one file of SQL and one contract suite,
 * which both implementations keep. @module */

import type { ApiKeyRow } from "../model/access.ts";
import type { Actor, AuditAction, AuditRow } from "../model/audit.ts";
import type { Flow } from "../model/flow.ts";
import type {
  DeadLetter,
  EpochRow,
  Gap,
  GapQuery,
  IngestWrite,
  LedgerKey,
  LedgerRow,
  OffsetRow,
} from "../model/ledger.ts";
import type {
  Conversation,
  ConversationQuery,
  Domain,
  DomainQuery,
  Host,
  HostDetails,
  HostQuery,
  ServiceQuery,
  ServiceRow,
} from "../model/host.ts";
import type { FlowQuery, Page, PageRequest, ThreatQuery } from "../model/page.ts";
import type {
  CanaryState,
  CheckInWrite,
  EndedEpoch,
  JoinTokenRow,
  RedeemOutcome,
  SensorChange,
  SensorChangeOutcome,
  SensorRow,
} from "../model/sensor.ts";
import type { Suppression, SuppressionRow } from "../model/suppression.ts";
import type { Feedback, Threat, ThreatLinks, ThreatStatus } from "../model/threat.ts";
import type { OutboxMessage, SinkCounts, SinkWrite, ToldRow } from "../model/message.ts";
import type { PacketOutcomeChange, PacketRequestRow, StoredPackets } from "../model/packets.ts";
import type {
  OutsideTraffic,
  ProtocolTotal,
  SeriesPoint,
  SeriesStack,
  TopTalker,
  Totals,
} from "../model/traffic.ts";
import type { ArchiveStore, Lease, LeaseStore, RetentionStore, UpkeepStore } from "./keeping.ts";
import type { HealthStore, PolicyStore, RolloutStore } from "./fleet_topics.ts";

export type { HealthStore, PolicyStore, RolloutStore } from "./fleet_topics.ts";
export type { ArchiveStore, Lease, LeaseStore, RetentionStore, UpkeepStore } from "./keeping.ts";

/** Thrown by {@link IngestStore.ingest} when a ledger key is already there:
 * read the ledger again and drop the replays. */
export class LedgerConflict extends Error {
  override name = "LedgerConflict";
}

export interface FlowKey {
  us: number;
  slot: number;
}

/** Thrown by {@link IngestStore.ingest} when some of the flows that it was to insert are there already, or two of them
 * have one id: read them, and merge again. */
export class FlowConflict extends Error {
  override name = "FlowConflict";

  /** `some`: among these are those that the store has. `twice`: ids of two new flows. */
  constructor(readonly some: readonly FlowKey[], readonly twice: readonly FlowKey[] = []) {
    super(`Cannot insert flows as ids among ${some.length} are taken`);
  }
}

/** Thrown when the database cannot be reached or is too busy; a retry can help. */
export class StoreUnavailable extends Error {
  override name = "StoreUnavailable";
}

/** Thrown when a page's cursor is not one that a page gave. */
export class BadCursor extends Error {
  override name = "BadCursor";
}

/** What ingest writes, and the books it keeps. */
export interface IngestStore {
  /** Ledger rows already there for any of `keys`. */
  readLedger(keys: LedgerKey[]): Promise<LedgerRow[]>;
  /** Epochs of a sensor, oldest first: the newest 16. Times of a first batch never change. */
  readEpochs(sensorId: string): Promise<EpochRow[]>;
  /** Highest seq and count taken in, for each bucket of a sensor's epoch. */
  readPositions(
    sensorId: string,
    epoch: number,
  ): Promise<{ bucket: number; seq_max: number; batches: number }[]>;
  /** Packets in all batches of a sensor's epoch. */
  readEpochPackets(sensorId: string, epoch: number): Promise<number>;
  ingest(write: IngestWrite): Promise<void>;
  readOffsets(topic: string): Promise<OffsetRow[]>;
  /** Those found last first; from `fromMs` to before `untilMs`: that were open at some time within. */
  readGaps(query: GapQuery, limit: number): Promise<Gap[]>;
  readDeadLetters(limit: number): Promise<DeadLetter[]>;
}

/** Stored flows. All queries are bounded in rows and time; @throws {StoreUnavailable} when the time is up. */
export interface FlowStore {
  readFlow(flowId: string): Promise<Flow | null>;
  /** Those of `flowIds` that are there, in no order. */
  readFlowsById(flowIds: readonly string[]): Promise<Flow[]>;
  /** Those of `keys` that are taken, by rows that can be read or not. */
  findFlowKeys(keys: readonly FlowKey[]): Promise<FlowKey[]>;
  /** By start time as first known, newest first. A page may hold fewer rows than asked for, even none, and still have a
   * next one: an unselective filter stops when its time is up. */
  readFlows(query: FlowQuery, page: PageRequest): Promise<Page<Flow>>;
  /** Flows updated since `sinceMs` (aggregator clock), the newest `limit` of them, oldest first: to rebuild merge and
   * detector state. With `buckets` only those that may be of these:
   * a flow's bucket is the first four octets of its digest modulo `count`. */
  readRecentFlows(sinceMs: number, limit: number, buckets?: SomeBuckets): Promise<Flow[]>;
  /** Flows as they are now that changed after `position` ("" = from the oldest change that is known), about `limit`. */
  readFlowChanges(position: string, limit: number): Promise<FlowChanges>;
}

export interface SomeBuckets {
  count: number;
  some: readonly number[];
}

export interface FlowChanges {
  flows: Flow[];
  /** Where to go on; the same as before when nothing has changed. */
  position: string;
  /** Changes that were forgotten before they were read. */
  missed: number;
  /** Flows that changed and are gone, by retention. */
  gone: number;
  /** Changes after these. */
  behind: number;
}

export interface ThreatStore {
  /** Inserts or replaces by id; replacing keeps `status` and `stored_ms`: people set the status. Links `flow_ids` (a
   * bounded sample) and `links` to the threats, beside those linked before. */
  saveThreats(threats: Threat[], links?: readonly ThreatLinks[]): Promise<void>;
  readThreat(id: string): Promise<Threat | null>;
  readThreats(query: ThreatQuery, page: PageRequest): Promise<Page<Threat>>;
  /** What is another whenever a threat of the range has changed; the last seen first. */
  readThreatMarks(range: Pick<ThreatQuery, "from" | "to">, limit: number): Promise<ThreatMark[]>;
  /** Those of `ids`, at most 500, that are there and can be read. */
  readThreatsById(ids: readonly string[]): Promise<Threat[]>;
  /** Flows linked to a threat that are still stored. */
  countFlows(id: string): Promise<number>;
  /** False = there is no such threat. `by`: a person, whose deed is noted in the same transaction. */
  setThreatStatus(id: string, status: ThreatStatus, nowMs: number, by?: Actor): Promise<boolean>;
  /** Of all threats of an incident in one transaction; returns those that there are. */
  setIncidentStatus(
    incident: { id: string; threatIds: readonly string[] },
    status: ThreatStatus,
    nowMs: number,
    by: Actor,
  ): Promise<string[]>;
  /** Statuses of those of `ids` that are there. */
  readThreatStatuses(ids: readonly string[]): Promise<Map<string, ThreatStatus>>;
  /** Threats as they are now that changed since {@link forgetThreatChanges} was told of them. */
  readThreatChanges(limit: number): Promise<ThreatChange[]>;
  /** What changed meanwhile is still read. */
  forgetThreatChanges(changes: readonly ThreatChange[]): Promise<void>;
}

export interface ThreatMark {
  id: string;
  mark: string;
}

/** Threats that people do not want to see. Hidden is what meets a suppression in force, whenever it was stored. */
export interface SuppressionStore {
  /** Applies to stored threats too before it resolves. False = as many as may be are in force. */
  addSuppression(row: Suppression, by: Actor): Promise<boolean>;
  /** Newest first, at most 1,000: all, or those in force at a time. */
  readSuppressions(inForceMs?: number): Promise<SuppressionRow[]>;
  /** False = there is none with this id that is in force. */
  endSuppression(id: string, nowMs: number, by: Actor): Promise<boolean>;
  /** Notes the end of those that expired: what they hid is a change. Returns how many. */
  endExpired(nowMs: number): Promise<number>;
}

/** What people say of threats. */
export interface FeedbackStore {
  /** False = there is no such threat. */
  giveFeedback(threatId: string, feedback: Feedback, by: Actor): Promise<boolean>;
  /** By detector: all stored threats, and how many of each verdict. */
  countFeedback(): Promise<FeedbackCounts[]>;
}

export interface FeedbackCounts {
  detector: string;
  findings: number;
  true: number;
  benign: number;
  false: number;
}

/** Who changed what. Rows are written by the topics that change, in the same transaction. */
export interface AuditStore {
  /** Newest first. */
  readAudit(page: PageRequest): Promise<Page<AuditRow>>;
  /** Notes what changes nothing that is stored. */
  note(by: Actor, nowMs: number, action: AuditAction, subject: string, detail: string): Promise<void>;
  /** Forgets rows from before, and the oldest beyond 1,000,000;
   * suppressions that ended before go with what they hid. */
  pruneDecisions(beforeMs: number): Promise<void>;
}

export interface ThreatChange {
  id: string;
  changes: number;
  /** Null = it is gone. */
  threat: Threat | null;
}

/** Check-ins by sensor, as they were read before or came since. */
export type KnownCheckIns = ReadonlyMap<string, Pick<SensorRow, "last_check_in_ms" | "check_in">>;

/** Sensors, join tokens, API keys. `by`: a person, whose deed is noted in the same transaction. */
export interface IdentityStore {
  addJoinToken(row: JoinTokenRow, by?: Actor): Promise<void>;
  /** Atomic: of many redemptions at once of one token exactly as many enrol as it has uses. Adds `sensor` (its site and
   * tags from the token). The name of a revoked or quarantined sensor is free. */
  redeemJoinToken(
    tokenHash: string,
    sensor: Pick<SensorRow, "sensor_id" | "name" | "key_id" | "public_key">,
    nowMs: number,
  ): Promise<{ outcome: RedeemOutcome; sensor: SensorRow | null }>;
  /** Newest first, at most 1,000. */
  readJoinTokens(): Promise<JoinTokenRow[]>;
  /** False = there is none whose hash begins with `id`. */
  revokeJoinToken(id: string, nowMs: number, by?: Actor): Promise<boolean>;
  /** With `known`, check-ins that it has already are taken from it instead of being read; null = none is read. */
  readSensors(known?: KnownCheckIns | null): Promise<SensorRow[]>;
  changeSensor(
    sensorId: string,
    change: SensorChange,
    nowMs: number,
    by?: Actor,
  ): Promise<SensorChangeOutcome>;
  /** False = there is no such sensor. */
  askCanary(sensorId: string, nowMs: number, by?: Actor): Promise<boolean>;
  /** One transaction. */
  saveCanaries(states: ReadonlyMap<string, CanaryState>): Promise<void>;
  /** One transaction. */
  saveCheckIns(writes: readonly CheckInWrite[]): Promise<void>;
  /** Of one sensor or of all, the newest 8 of each, oldest first. */
  readEndedEpochs(sensorId?: string): Promise<EndedEpoch[]>;
  /** Says how many packets of an ended epoch never came. When that was found first is kept. */
  noteMissing(sensorId: string, epoch: number, missing: number, nowMs: number): Promise<void>;
  forgetEndedEpoch(sensorId: string, epoch: number): Promise<void>;
  revokeSensor(sensorId: string, nowMs: number, by?: Actor): Promise<boolean>;
  quarantineSensor(sensorId: string, reason: string, nowMs: number): Promise<void>;
  addApiKey(row: ApiKeyRow, by?: Actor): Promise<void>;
  readApiKeys(): Promise<ApiKeyRow[]>;
  revokeApiKey(keyHash: string, nowMs: number, by?: Actor): Promise<void>;
}

/** Sums over traffic, from rollups that ingest writes. */
export interface TrafficStore {
  readTopTalkers(range: { from?: number; to?: number }, limit: number): Promise<TopTalker[]>;
  readProtocols(range: { from?: number; to?: number }): Promise<ProtocolTotal[]>;
  /** Traffic with hosts outside, in steps of whole hours. */
  readOutside(range: { from: number; to: number }, stepS: number): Promise<OutsideTraffic>;
  /** Traffic in steps of `stepS` seconds, oldest first. */
  readSeries(range: { from: number; to: number }, stepS: number, sensorId?: string): Promise<SeriesPoint[]>;
  /** The same in parts, with zeros: the ten largest, and the rest as one that comes last. */
  readStacks(
    range: { from: number; to: number },
    stepS: number,
    by: "protocol" | "sensor",
    sensorId?: string,
  ): Promise<SeriesStack[]>;
  readTotals(): Promise<Totals>;
}

/** What hosts do, from rollups that ingest writes:
 * at any moment what the stored flows give, but for rows that went as a table was full. */
export interface HostStore {
  readHosts(query: HostQuery, page: PageRequest): Promise<Page<Host>>;
  /** Without a network the one in which the address was seen last. */
  readHost(ip: string, network?: string): Promise<Host | null>;
  readHostDetails(ip: string, network: string): Promise<HostDetails>;
  /** Last seen first, as are domains. */
  readServices(query: ServiceQuery, page: PageRequest): Promise<Page<ServiceRow>>;
  readDomains(query: DomainQuery, page: PageRequest): Promise<Page<Domain>>;
  /** Of one day, the largest first. */
  readConversations(query: ConversationQuery, limit: number): Promise<Conversation[]>;
  /** Different hosts in flows that began in these hours: all, and those with private addresses. */
  countHosts(range: { fromMs: number; toMs: number }): Promise<{ hosts: number; inside: number }>;
}

/** Packets that sensors were asked for. */
export interface PacketStore {
  /** Adds requests; of the same subject and sensor only one that is gone or refused gives way. */
  addPacketRequests(rows: readonly PacketRequestRow[]): Promise<void>;
  /** By sensor, at most 64. */
  readPacketRequests(subject: string): Promise<PacketRequestRow[]>;
  readPacketRequest(id: string): Promise<PacketRequestRow | null>;
  /** Those that are waited for, the oldest first. */
  readAskedPackets(limit: number): Promise<PacketRequestRow[]>;
  /** False = it is not waited for any more. */
  settlePacketRequest(id: string, change: PacketOutcomeChange): Promise<boolean>;
  /** Gives up those that expired, with this reason unless they have one; returns how many. */
  expirePacketRequests(nowMs: number, reason: string): Promise<number>;
  /** Oldest first. */
  readStoredPackets(): Promise<StoredPackets[]>;
  /** The file of one that arrived is no longer there. */
  losePackets(id: string, reason: string, nowMs: number): Promise<void>;
  /** Forgets those without a change since, and those whose newest flow began in a span; returns their ids. */
  prunePacketRequests(
    those: { changedBeforeMs: number; flowsFromUs: number; flowsToUs: number },
  ): Promise<string[]>;
}

/** What sinks were told and what waits to be sent to them. */
export interface SinkStore {
  /** Threats as they are now that changed since sinks were told; `isNew` = never told of. */
  readSinkChanges(limit: number): Promise<SinkChange[]>;
  readTold(sink: string, subjects: readonly string[]): Promise<ToldRow[]>;
  /** The digest that is due after this and can still be added to. */
  readOpenDigest(sink: string, afterMs: number): Promise<OutboxMessage | null>;
  /** In one transaction; false = the lease is another one's meanwhile, and nothing was noted. A message with an id that
   * is there takes its place. */
  noteForSinks(
    name: string,
    lease: Lease,
    write: SinkWrite,
    changes: readonly SinkChange[],
  ): Promise<boolean>;
  /** Waiting and due, the oldest first. */
  readDueMessages(sink: string, nowMs: number, limit: number): Promise<OutboxMessage[]>;
  forgetMessage(sink: string, id: string): Promise<void>;
  postponeMessage(sink: string, id: string, dueMs: number, reason: string): Promise<void>;
  /** Keeps the newest `deadMax` dead ones of the sink; returns how many were forgotten. */
  giveUpMessage(sink: string, id: string, reason: string, deadMax: number): Promise<number>;
  readDeadMessages(sink: string, limit: number): Promise<OutboxMessage[]>;
  countMessages(): Promise<SinkCounts[]>;
  /** Forgets who was told what before. */
  pruneTold(beforeMs: number): Promise<void>;
}

export interface SinkChange extends ThreatChange {
  isNew: boolean;
}

export interface Store
  extends
    IngestStore,
    FlowStore,
    ThreatStore,
    SuppressionStore,
    FeedbackStore,
    AuditStore,
    IdentityStore,
    TrafficStore,
    HostStore,
    RetentionStore,
    LeaseStore,
    ArchiveStore,
    UpkeepStore,
    PacketStore,
    SinkStore,
    PolicyStore,
    RolloutStore,
    HealthStore {
  /** Opens, migrates forward. @throws {StoreUnavailable} when it cannot be reached. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Cheap round trip. @throws {StoreUnavailable} */
  ping(): Promise<void>;
}
