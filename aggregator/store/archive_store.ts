/** The topic of archives: a day of flows with everything that is dropped with it, a chunk at a time,
 * and its restoration.
 *
 * In: a day and where to go on; archived flows.
 * Out: flows with the sightings and threat links that are stored; rows again.
 * Invariant: a restored flow is the row it was. One that is already in the store stays as it is there, so that
 * restoring twice equals restoring once. A restored day lives as long as one of today. Rollups and totals are not
 * touched: they still count what was dropped. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { ArchivedFlow } from "../model/archived.ts";
import { FlowRows } from "../model/flow_rows.ts";
import { flowIdText, readFlowId } from "../model/flow_id.ts";
import { dayParts, dayS } from "../model/retention.ts";
import { SightingRows } from "../model/sighting_rows.ts";
import { communityId } from "../../shared/community_id.ts";
import type { Database, RowSink, Session } from "./database.ts";
import { flowColumns, flowSelection, readFlow, writeFlow } from "./flow_record.ts";
import { communityOf } from "./flow_query.ts";
import { knowWords, sightingOf } from "./flow_rows_read.ts";
import { type Key, within } from "./key_range.ts";
import { type ArchiveStore, BadCursor } from "./store.ts";
import { sightingColumns, sightingWriter } from "./write_flows.ts";
import type { Words } from "./words.ts";

interface Deps {
  words: Words;
  reporter: Reporter;
}

export function archiveStore(database: Database, deps: Deps): ArchiveStore {
  return {
    readDay: (day, after, limit) =>
      database.read((session) => readDay(database, session, deps, { day, after, limit })),
    async restoreFlows(day, flows, nowMs) {
      const rows = rowsOf(flows);
      await deps.words.need(rows.flows, rows.sightings);
      return await database.transaction((session) =>
        restore(database, session, deps.words, { day, rows, links: linksOf(database, flows), nowMs })
      );
    },
  };
}

async function readDay(
  { dialect }: Database,
  session: Session,
  { words, reporter }: Deps,
  asked: { day: number; after: string | null; limit: number },
): ReturnType<ArchiveStore["readDay"]> {
  const from = asked.after === null ? { us: asked.day * 1e6, slot: 0 } : next(asked.after);
  const end = { us: (asked.day + dayS) * 1e6, slot: 0 };
  const range = within(dialect, "flows", { low: from, high: end });
  const order = dialect.flowKey.map((column) => `flows.${column}`).join(", ");
  const found = await session.all(
    `SELECT ${flowSelection} FROM flows WHERE ${range.sql} ORDER BY ${order} LIMIT ${asked.limit}`,
    range.values,
  );
  await knowWords(session, words, found);
  const rows = new FlowRows(Math.max(1, found.length));
  let unreadable = 0;
  for (const row of found) {
    try {
      readFlow(row, rows, words);
    } catch (error) {
      unreadable++;
      reporter.count("stored_rows_unreadable_total", { table: "flows" });
      reporter.warn("stored flow cannot be read, left out", { id_us: row.id_us, slot: row.slot, error });
    }
  }
  const flows = Array.from({ length: rows.size }, (_, i): ArchivedFlow => {
    const flow = { ...rows.flowAt(i), seen_by: [] };
    if (rows.columns.community[i] !== 0) flow.community_id = communityId(flow);
    return {
      flow,
      segments: rows.columns.segments[i],
      clock_offset_us: rows.columns.offsetUs[i],
      threat_ids: [],
    };
  });
  const last = found.at(-1);
  const until = last === undefined ? end : { us: last.id_us as number, slot: last.slot as number + 1 };
  await addSeenBy(dialect, session, words, flows, { from, until });
  return { flows, unreadable, last: last === undefined ? null : idOf(last) };
}

const idOf = (row: { [name: string]: unknown }) => flowIdText(row.id_us as number, row.slot as number);

/** The key after this one. @throws {BadCursor} */
function next(after: string): Key {
  const key = readFlowId(after);
  if (key === null) throw new BadCursor("Cannot read day as it must go on after the id of a flow");
  return { us: key.us, slot: key.slot + 1 };
}

async function addSeenBy(
  dialect: Database["dialect"],
  session: Session,
  words: Words,
  flows: readonly ArchivedFlow[],
  { from, until }: { from: Key; until: Key },
): Promise<void> {
  if (flows.length === 0) return;
  const places = new Map(flows.map((one) => [one.flow.flow_id, one]));
  const selectOf = (table: string, columns: string) => {
    const { sql, values } = within(dialect, table, { low: from, high: until });
    return session.all(
      `SELECT id >> 11 AS id_us, id & 2047 AS slot, ${columns} FROM ${table} WHERE ${sql} ORDER BY id, ${
        columns.split(", ").slice(0, table === "sightings" ? 3 : 1).join(", ")
      }`,
      values,
    );
  };
  const sightings = await selectOf("sightings", sightingColumns.join(", "));
  if (sightings.some(({ sensor }) => !words.isKnown(sensor as number))) await words.load(session);
  for (const row of sightings) places.get(idOf(row))?.flow.seen_by.push(sightingOf(row, words));
  for (const row of await selectOf("threat_flows", "threat_id")) {
    places.get(idOf(row))?.threat_ids.push(row.threat_id as string);
  }
}

interface Rows {
  flows: FlowRows;
  sightings: SightingRows;
}

function rowsOf(archived: readonly ArchivedFlow[]): Rows {
  const flows = new FlowRows(Math.max(1, archived.length)), sightings = new SightingRows();
  for (const { flow, segments, clock_offset_us } of archived) {
    const i = flows.put(flow, { isNew: true, community: communityOf(flow.community_id) ?? 0 });
    flows.columns.segments[i] = segments;
    flows.columns.offsetUs[i] = clock_offset_us;
    for (const one of flow.seen_by) {
      const at = sightings.append(one.sensor_id), c = sightings.columns;
      c.isNew[at] = 1;
      c.idUs[at] = flows.columns.idUs[i];
      c.slot[at] = flows.columns.slot[i];
      c.vlan[at] = one.vlan;
      c.ipDepth[at] = one.ip_depth;
      c.startUs[at] = Math.round(one.start * 1e6);
      c.endUs[at] = Math.round(one.end * 1e6);
      c.fwdPackets[at] = one.fwd_packets;
      c.fwdBytes[at] = one.fwd_bytes;
      c.bwdPackets[at] = one.bwd_packets;
      c.bwdBytes[at] = one.bwd_bytes;
      c.segments[at] = one.segments;
      c.offsetUs[at] = Math.round(one.clock_offset_ms * 1e3);
    }
  }
  return { flows, sightings };
}

function linksOf({ dialect }: Database, archived: readonly ArchivedFlow[]) {
  return archived.flatMap(({ flow, threat_ids }) => {
    const { us, slot } = readFlowId(flow.flow_id)!;
    return threat_ids.map((id) => [id, ...dialect.keyValues(us, slot)]);
  });
}

async function restore(
  { dialect }: Database,
  session: Session,
  words: Words,
  { day, rows, links, nowMs }: {
    day: number;
    rows: Rows;
    links: ReturnType<typeof linksOf>;
    nowMs: number;
  },
): Promise<number> {
  const { columns } = rows.flows;
  const write = (i: number, sink: RowSink) => {
    sink.key(columns.idUs[i], columns.slot[i]);
    writeFlow(rows.flows, i, words, sink);
  };
  const inserted = await session.insert("flows", [...dialect.flowKey, ...flowColumns], {
    count: rows.flows.size,
    write,
  });
  await session.insert("sightings", [...dialect.flowKey, ...sightingColumns], {
    count: rows.sightings.size,
    write: sightingWriter(rows.sightings, words),
  });
  await session.batch(dialect.insertMissing("threat_flows", ["threat_id", ...dialect.flowKey]), links);
  const flowsBit = 1 << dayParts.indexOf("flows"), allBits = (1 << dayParts.length) - 1;
  const stored = (name: string) => dialect.stored("days", name);
  const sql = dialect.upsert("days", ["day", "flows", "stored_ms", "gone"], ["day"], {
    flows: `${stored("flows")} + ${dialect.fresh("flows")}`,
    stored_ms: dialect.greatest(stored("stored_ms"), dialect.fresh("stored_ms")),
    gone: `${stored("gone")} & ${allBits & ~flowsBit}`,
  });
  await session.batch(sql, [[day, inserted, nowMs, allBits & ~flowsBit]]);
  return inserted;
}
