/** One ingest transaction: everything an accepted group of batches changes.
 *
 * In: an {@link IngestWrite}. Out: rows. Invariant: runs inside one transaction of the caller; the ledger goes first, so that a replay
 * that slipped through fails before anything else is done. Rows are written in key order: two writers then lock in one order.
 * Bounds: {@link talkersPerMinuteMax} addresses a minute and write, {@link deadLettersMax} dead letters in all. @module */

import { Buffer } from "node:buffer";
import type { Facts } from "../../shared/facts.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Database, marks, type Session, type Value } from "./database.ts";
import { mergeFacts } from "./fact_names.ts";
import { flowUpsert, flowValues, hexOf } from "./flow_columns.ts";
import { sightingUpsert, sightingValues } from "./sightings.ts";
import type { FlowWrite } from "../model/flow.ts";
import type { IngestWrite } from "../model/ledger.ts";
import { LedgerConflict } from "./store.ts";
import type { TrafficRow } from "../model/traffic.ts";

/** Busiest addresses of one minute that one write counts; the others are in the flows, not in this list. */
export const talkersPerMinuteMax = 2_000;
/** The newest ones stay. */
export const deadLettersMax = 10_000;
const idsPerQuery = 500;

export async function writeIngest(
  database: Database,
  session: Session,
  write: IngestWrite,
  reporter: Reporter,
): Promise<void> {
  await writeLedger(database, session, write);
  await writeFlows(database, session, write.flows);
  await writeTraffic(database, session, write.traffic);
  await writeTalkers(database, session, write.flows, reporter);
  await writeProtocols(database, session, write.flows);
  await writeGaps(database, session, write);
  await writeDeadLetters(session, write);
  const { dialect } = database;
  const offsets = dialect.upsert("offsets", ["topic", "partition_number", "next_offset", "mark"], [
    "topic",
    "partition_number",
  ], {
    next_offset: dialect.fresh("next_offset"),
    mark: dialect.fresh("mark"),
  });
  await session.batch(
    offsets,
    write.offsets.map((row) => [row.topic, row.partition, row.next_offset, row.mark]),
  );
  await writeTotals(database, session, write.flows);
}

const ledgerColumns = [
  "sensor_id",
  "epoch",
  "bucket",
  "seq",
  "sha256",
  "flows",
  "packets",
  "sealed_ms",
  "received_ms",
] as const;

async function writeLedger(database: Database, session: Session, { ledger }: IngestWrite): Promise<void> {
  if (ledger.length === 0) return;
  const { dialect } = database;
  const insert = `INSERT INTO ledger (${ledgerColumns.join(", ")}) VALUES (${marks(ledgerColumns.length)})`;
  try {
    await session.batch(insert, ledger.map((row) => ledgerColumns.map((column) => row[column])));
  } catch (cause) {
    if (!database.isDuplicateKey(cause)) throw cause;
    throw new LedgerConflict("Cannot write batches as one of them is in the ledger already", { cause });
  }
  const positions = dialect.upsert(
    "positions",
    ["sensor_id", "epoch", "bucket", "seq_max", "batches"],
    ["sensor_id", "epoch", "bucket"],
    {
      seq_max: dialect.greatest(dialect.stored("positions", "seq_max"), dialect.fresh("seq_max")),
      batches: `${dialect.stored("positions", "batches")} + ${dialect.fresh("batches")}`,
    },
  );
  await session.batch(positions, ledger.map((row) => [row.sensor_id, row.epoch, row.bucket, row.seq, 1]));
  const epochs = dialect.upsert(
    "epochs",
    ["sensor_id", "epoch", "first_sealed_ms", "first_received_ms", "last_sealed_ms"],
    ["sensor_id", "epoch"],
    {
      last_sealed_ms: dialect.greatest(
        dialect.stored("epochs", "last_sealed_ms"),
        dialect.fresh("last_sealed_ms"),
      ),
    },
  );
  await session.batch(
    epochs,
    ledger.map((row) => [row.sensor_id, row.epoch, row.sealed_ms, row.received_ms, row.sealed_ms]),
  );
  const received = new Map(ledger.map((row) => [row.sensor_id, row.received_ms]));
  await session.batch(
    "UPDATE sensors SET last_batch_ms = ? WHERE sensor_id = ?",
    [...received].map(([sensor, ms]) => [ms, sensor]),
  );
}

async function writeFlows(database: Database, session: Session, writes: FlowWrite[]): Promise<void> {
  if (writes.length === 0) return;
  const known = await readFacts(session, writes);
  const rows = writes.map(({ flow }) => {
    if (flow.facts === null) return flowValues(database.dialect, flow);
    const facts = mergeFacts(known.get(flow.flow_id) ?? null, flow.facts);
    known.set(flow.flow_id, facts!);
    return flowValues(database.dialect, { ...flow, facts });
  });
  await session.batch(flowUpsert(database.dialect), rows);
  const sightings = writes.flatMap(({ flow, sightings }) =>
    sightings.map((one) => sightingValues(flow.flow_id, one))
  );
  await session.batch(sightingUpsert(database.dialect), sightings);
}

/** Facts stored for those flows that get more of them. */
async function readFacts(session: Session, writes: FlowWrite[]): Promise<Map<string, Facts>> {
  const ids = writes.filter(({ kind, flow }) => kind === "update" && flow.facts !== null).map(({ flow }) =>
    flow.flow_id
  );
  const known = new Map<string, Facts>();
  for (let from = 0; from < ids.length; from += idsPerQuery) {
    const part = ids.slice(from, from + idsPerQuery);
    const rows = await session.all(
      `SELECT flow_id, facts FROM flows WHERE flow_id IN (${marks(part.length)}) AND facts IS NOT NULL`,
      part.map((id) => Buffer.from(id, "hex")),
    );
    for (const row of rows) known.set(hexOf(row.flow_id), JSON.parse(row.facts as string));
  }
  return known;
}

async function writeTraffic(database: Database, session: Session, traffic: TrafficRow[]): Promise<void> {
  const bySecond = new Sums(3), byMinute = new Sums(3);
  for (const { second, sensor_id, protocol, flows, packets, bytes } of traffic) {
    bySecond.add([second, sensor_id, protocol], [flows, packets, bytes]);
    byMinute.add([second - second % 60, sensor_id, protocol], [flows, packets, bytes]);
  }
  const keys = ["second", "sensor_id", "protocol"], counts = ["flows", "packets", "bytes"];
  await session.batch(addingUpsert(database, "traffic", keys, counts), bySecond.rows());
  await session.batch(addingUpsert(database, "traffic_minutes", keys, counts), byMinute.rows());
}

async function writeTalkers(
  database: Database,
  session: Session,
  writes: FlowWrite[],
  reporter: Reporter,
): Promise<void> {
  const sums = new Sums(4);
  const { dialect } = database;
  for (const { kind, flow } of writes) {
    const minute = minuteOf(flow.start);
    const { factor } = flow;
    const flows = kind === "insert" ? factor : 0;
    const sent = flow.fwd_bytes * factor, received = flow.bwd_bytes * factor;
    const packets = flow.total_packets * factor;
    sums.add([minute, flow.src_ip], [flows, sent, received, packets]);
    if (flow.dst_ip !== flow.src_ip) sums.add([minute, flow.dst_ip], [flows, received, sent, packets]);
  }
  const rows = sums.rows((row) => (row[3] as number) + (row[4] as number), talkersPerMinuteMax);
  reporter.count("talkers_left_out_total", undefined, sums.size - rows.length);
  await session.batch(
    addingUpsert(database, "talkers", ["minute", "ip"], ["flows", "sent_bytes", "received_bytes", "packets"]),
    rows.map(([minute, ip, ...counts]) => [minute, dialect.ipIn(ip as string), ...counts]),
  );
}

async function writeProtocols(database: Database, session: Session, writes: FlowWrite[]): Promise<void> {
  const sums = new Sums(3);
  for (const { kind, flow } of writes) {
    sums.add([minuteOf(flow.start), flow.protocol, flow.app_protocol], [
      kind === "insert" ? flow.factor : 0,
      flow.total_packets * flow.factor,
      flow.total_bytes * flow.factor,
    ]);
  }
  const keys = ["minute", "protocol", "app_protocol"], counts = ["flows", "packets", "bytes"];
  await session.batch(addingUpsert(database, "protocols", keys, counts), sums.rows());
}

async function writeTotals(database: Database, session: Session, writes: FlowWrite[]): Promise<void> {
  if (writes.length === 0) return;
  const { dialect } = database;
  let flows = 0, packets = 0, bytes = 0, sightings = 0, first = Infinity, last = -Infinity;
  for (const { kind, flow, newSightings } of writes) {
    if (kind === "insert") flows += flow.factor;
    packets += flow.total_packets * flow.factor;
    bytes += flow.total_bytes * flow.factor;
    sightings += newSightings;
    if (flow.time_suspect) continue;
    first = Math.min(first, flow.start);
    last = Math.max(last, flow.end);
  }
  const columns = ["name", "flows", "packets", "bytes", "sightings", "first_us", "last_us"];
  const add = (name: string) => `${dialect.stored("totals", name)} + ${dialect.fresh(name)}`;
  const pick = (choose: (a: string, b: string) => string, name: string) => {
    const old = dialect.stored("totals", name), fresh = dialect.fresh(name);
    return choose(`COALESCE(${old}, ${fresh})`, `COALESCE(${fresh}, ${old})`);
  };
  const sql = dialect.upsert("totals", columns, ["name"], {
    flows: add("flows"),
    packets: add("packets"),
    bytes: add("bytes"),
    sightings: add("sightings"),
    first_us: pick(dialect.least, "first_us"),
    last_us: pick(dialect.greatest, "last_us"),
  });
  const time = (seconds: number) => Number.isFinite(seconds) ? Math.round(seconds * 1e6) : null;
  await session.run(sql, ["all", flows, packets, bytes, sightings, time(first), time(last)]);
}

async function writeGaps(
  database: Database,
  session: Session,
  { gaps, gapsReplaced }: IngestWrite,
): Promise<void> {
  const { dialect } = database;
  await session.batch(
    "DELETE FROM gaps WHERE sensor_id = ? AND epoch = ? AND bucket = ? AND closed_ms IS NULL",
    gapsReplaced.map((key) => [key.sensor_id, key.epoch, key.bucket]),
  );
  const columns = ["sensor_id", "epoch", "bucket", "from_seq", "to_seq", "found_ms", "closed_ms"] as const;
  const sql = dialect.upsert("gaps", columns, ["sensor_id", "epoch", "bucket", "from_seq"], {
    to_seq: dialect.fresh("to_seq"),
    found_ms: dialect.fresh("found_ms"),
    closed_ms: dialect.fresh("closed_ms"),
  });
  await session.batch(sql, gaps.map((gap) => columns.map((column) => gap[column])));
}

async function writeDeadLetters(session: Session, { deadLetters }: IngestWrite): Promise<void> {
  if (deadLetters.length === 0) return;
  await session.batch(
    "INSERT INTO dead_letters (received_ms, reason, origin, sensor_id, sample) VALUES (?, ?, ?, ?, ?)",
    deadLetters.map((row) => [
      row.received_ms,
      row.reason,
      row.origin.toWellFormed().slice(0, 1_000),
      row.sensor_id.toWellFormed().slice(0, 64),
      row.sample.slice(0, 4_096),
    ]),
  );
  const [{ last }] = await session.all("SELECT MAX(id) AS last FROM dead_letters");
  await session.run("DELETE FROM dead_letters WHERE id <= ?", [(last as number) - deadLettersMax]);
}

/** Inserts a row, or adds its counts to the one that is there. */
function addingUpsert({ dialect }: Database, table: string, keys: string[], counts: string[]): string {
  const changes = counts.map((name) => [name, `${dialect.stored(table, name)} + ${dialect.fresh(name)}`]);
  return dialect.upsert(table, [...keys, ...counts], keys, Object.fromEntries(changes));
}

function minuteOf(seconds: number): number {
  return Math.floor(seconds / 60) * 60;
}

/** Counts summed by key. */
class Sums {
  #rows = new Map<string, Value[]>();
  #counts: number;

  constructor(counts: number) {
    this.#counts = counts;
  }

  get size(): number {
    return this.#rows.size;
  }

  add(key: Value[], counts: number[]): void {
    const text = key.join("\n");
    const row = this.#rows.get(text);
    if (!row) {
      this.#rows.set(text, [...key, ...counts]);
      return;
    }
    const from = row.length - this.#counts;
    counts.forEach((count, i) => row[from + i] = (row[from + i] as number) + count);
  }

  /** Rows in key order. With `weight`, only the `max` heaviest of each first key part. */
  rows(weight?: (row: Value[]) => number, max = Infinity): Value[][] {
    let rows = [...this.#rows.values()];
    if (weight && rows.length > max) {
      const taken = new Map<Value, number>();
      rows = rows.sort((a, b) => weight(b) - weight(a)).filter(([first]) => {
        const before = taken.get(first) ?? 0;
        taken.set(first, before + 1);
        return before < max;
      });
    }
    return rows.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  }
}

function compare(a: Value, b: Value): number {
  return a! < b! ? -1 : a! > b! ? 1 : 0;
}
