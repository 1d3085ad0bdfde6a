/** One ingest transaction: everything an accepted group of batches changes.
 *
 * In: an {@link IngestWrite}. Out: rows. Invariant: runs inside one transaction of the caller; the ledger goes first,
 * so that a replay that slipped through fails before anything else is done.
 * Rows are written in key order: two writers then lock in one order.
 * Bound: {@link deadLettersMax} dead letters in all, the newest. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { Gap, IngestWrite, LedgerRow } from "../model/ledger.ts";
import { type Database, marks, type Row, type Session } from "./database.ts";
import { HostSums } from "./host_sums.ts";
import { NameSums } from "./name_sums.ts";
import { writeRecent } from "./recent.ts";
import { writeDays } from "./retention_store.ts";
import type { RowCaps } from "./row_caps.ts";
import { LedgerConflict } from "./store.ts";
import type { Words } from "./words.ts";
import { writeFlows, writeSightings } from "./write_flows.ts";
import type { WrittenNames } from "./written_names.ts";
import { writeHosts } from "./write_hosts.ts";
import { writeProtocols, writeTalkers, writeTotals, writeTraffic } from "./write_rollups.ts";

export const deadLettersMax = 10_000;
const keysPerQuery = 200;

/** The words of the write must be known. */
export async function writeIngest(
  database: Database,
  session: Session,
  write: IngestWrite,
  deps: { words: Words; reporter: Reporter; caps: RowCaps; written: WrittenNames },
): Promise<void> {
  const target = { database, session, ...deps };
  await writeLedger(database, session, write);
  await checkSequences(database, session, write);
  const hosts = new HostSums(write.flows, deps.words), names = new NameSums(hosts, deps);
  await writeFlows(target, write.flows, hosts, (i) => names.add(write.flows, i));
  names.finish();
  await writeSightings(target, write.sightings);
  // None of these needs what another one does: they are sent without waiting, in this order for every writer. The
  // totals first: theirs is one row, which a writer has until it commits. So what follows is done by one writer at a
  // time, none waits for another in a circle, and recent changes are named in the order of their commits.
  await Promise.all([
    writeTotals(target, write.flows, write.newSightings),
    writeSensors(database, session, write),
    writeRecent(session, write.flows),
    writeDays(database, session, write.flows),
    writeTraffic(target, write.traffic),
    writeTalkers(target, write.flows, hosts, deps.reporter),
    writeProtocols(target, write.flows),
    writeGaps(database, session, write),
    writeDeadLetters(session, write),
    writeOffsets(database, session, write),
    writeHosts(target, hosts, names),
  ]);
}

async function writeOffsets(
  { dialect }: Database,
  session: Session,
  { offsets }: IngestWrite,
): Promise<void> {
  const keys = ["topic", "partition_number"];
  const sql = dialect.upsert("offsets", [...keys, "next_offset", "mark"], keys, {
    next_offset: dialect.fresh("next_offset"),
    mark: dialect.fresh("mark"),
  });
  await session.batch(sql, offsets.map((row) => [row.topic, row.partition, row.next_offset, row.mark]));
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
  await session.batch(
    positions,
    byKey(ledger, sequenceOf).map((rows) => {
      const [{ sensor_id, epoch, bucket }] = rows;
      return [sensor_id, epoch, bucket, Math.max(...rows.map(({ seq }) => seq)), rows.length];
    }),
  );
}

/** Rows that have a key in common, in the order of the keys. */
function byKey(ledger: readonly LedgerRow[], keyOf: (row: LedgerRow) => string): LedgerRow[][] {
  return [...Map.groupBy(ledger, keyOf)].sort(([a], [b]) => a < b ? -1 : 1).map(([, rows]) => rows);
}

/** Whether nobody else took batches of these sequences since they were read. From here on they are ours until the end
 * of the transaction, also those of which only gaps are opened. @throws {LedgerConflict} */
async function checkSequences(
  { dialect }: Database,
  session: Session,
  { sequences }: IngestWrite,
): Promise<void> {
  for (let from = 0; from < sequences.length; from += keysPerQuery) {
    const some = sequences.slice(from, from + keysPerQuery);
    const where = some.map(() => "(sensor_id = ? AND epoch = ? AND bucket = ?)").join(" OR ");
    const rows = await session.all(
      `SELECT sensor_id, epoch, bucket, batches FROM positions WHERE ${where}${dialect.forUpdate}`,
      some.flatMap(({ sensor_id, epoch, bucket }) => [sensor_id, epoch, bucket]),
    );
    const taken = new Map(rows.map((row) => [sequenceOf(row), Number(row.batches)]));
    for (const sequence of some) {
      if ((taken.get(sequenceOf(sequence)) ?? 0) === sequence.batches) continue;
      throw new LedgerConflict("Cannot write batches as another instance took some of the same sequence");
    }
  }
}

/** A row for each sensor, whose other buckets another instance may have at the same time:
 * not before the flows are written. */
async function writeSensors({ dialect }: Database, session: Session, { ledger }: IngestWrite): Promise<void> {
  if (ledger.length === 0) return;
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
  const dated = session.batch(
    epochs,
    byKey(ledger, (row) => `${row.sensor_id}|${row.epoch}`).map((rows) => {
      const [{ sensor_id, epoch, sealed_ms, received_ms }] = rows;
      return [sensor_id, epoch, sealed_ms, received_ms, Math.max(...rows.map((row) => row.sealed_ms))];
    }),
  );
  const received = new Map(ledger.map((row) => [row.sensor_id, row.received_ms]));
  const heard = session.batch(
    "UPDATE sensors SET last_batch_ms = ? WHERE sensor_id = ?",
    [...received].map(([sensor, ms]) => [ms, sensor]),
  );
  await Promise.all([dated, heard]);
}

/** Takes out the open gaps in which batches of this write lie, and returns what is left of them: another instance
 * opened them while these batches were on their way. */
async function narrowGaps(session: Session, { ledger, sequences }: IngestWrite): Promise<Gap[]> {
  const known = new Set(sequences.map(sequenceOf));
  const rows = ledger.filter((row) => !known.has(sequenceOf(row)));
  if (rows.length === 0) return [];
  const lies = "(sensor_id = ? AND epoch = ? AND bucket = ? AND from_seq <= ? AND to_seq >= ?)";
  const found = new Map<string, Gap>();
  for (let from = 0; from < rows.length; from += keysPerQuery) {
    const some = rows.slice(from, from + keysPerQuery);
    const gaps = await session.all(
      `SELECT * FROM gaps WHERE closed_ms IS NULL AND (${some.map(() => lies).join(" OR ")})`,
      some.flatMap(({ sensor_id, epoch, bucket, seq }) => [sensor_id, epoch, bucket, seq, seq]),
    );
    for (const gap of gaps) found.set(`${sequenceOf(gap)}|${gap.from_seq}`, gap as unknown as Gap);
  }
  const left: Gap[] = [];
  for (const gap of found.values()) {
    const filled = rows.filter((row) => sequenceOf(row) === sequenceOf(gap)).map(({ seq }) => seq)
      .sort((a, b) => a - b);
    const parts: Gap[] = [];
    let from_seq = gap.from_seq;
    for (const seq of [...filled, gap.to_seq + 1]) {
      const to_seq = Math.min(seq - 1, gap.to_seq);
      if (seq >= from_seq && to_seq >= from_seq) parts.push({ ...gap, from_seq, to_seq });
      from_seq = Math.max(from_seq, seq + 1);
    }
    await session.run(
      "DELETE FROM gaps WHERE sensor_id = ? AND epoch = ? AND bucket = ? AND from_seq = ?",
      [gap.sensor_id, gap.epoch, gap.bucket, gap.from_seq],
    );
    left.push(...parts.length > 0 ? parts : [{ ...gap, closed_ms: rows[0].received_ms }]);
  }
  return left;
}

function sequenceOf(row: Row | Pick<Gap, "sensor_id" | "epoch" | "bucket">): string {
  return `${row.sensor_id}|${row.epoch}|${row.bucket}`;
}

async function writeGaps(database: Database, session: Session, write: IngestWrite): Promise<void> {
  const { dialect } = database;
  await session.batch(
    "DELETE FROM gaps WHERE sensor_id = ? AND epoch = ? AND bucket = ? AND closed_ms IS NULL",
    write.gapsReplaced.map((key) => [key.sensor_id, key.epoch, key.bucket]),
  );
  const gaps = [...write.gaps, ...await narrowGaps(session, write)];
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
