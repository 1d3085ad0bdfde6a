/** Sightings as rows of the table `sightings`.
 *
 * In: what one vantage adds to its view of a flow. Out: one upsert; `seen_by` of a page of flows.
 * Invariant: a vantage has one row a flow; its counts only grow. @module */

import { Buffer } from "node:buffer";
import type { Flow, Sighting } from "../model/flow.ts";
import { type Dialect, marks, type Session, type Value } from "./database.ts";
import { hexOf } from "./flow_columns.ts";

const columns = [
  "flow_id",
  "sensor_id",
  "vlan",
  "ip_depth",
  "start_us",
  "end_us",
  "fwd_packets",
  "fwd_bytes",
  "bwd_packets",
  "bwd_bytes",
  "segments",
  "clock_offset_ms",
] as const;
const added = ["fwd_packets", "fwd_bytes", "bwd_packets", "bwd_bytes", "segments"];
const keys = ["flow_id", "sensor_id", "vlan", "ip_depth"];
/** A flow that more vantages saw shows that many; all of them are stored. */
const sightingsPerFlowMax = 64;
const idsPerQuery = 200;

export function sightingUpsert(dialect: Dialect): string {
  const old = (name: string) => dialect.stored("sightings", name);
  const changes: Record<string, string> = {
    start_us: dialect.least(old("start_us"), dialect.fresh("start_us")),
    end_us: dialect.greatest(old("end_us"), dialect.fresh("end_us")),
    clock_offset_ms: dialect.fresh("clock_offset_ms"),
  };
  for (const name of added) changes[name] = `${old(name)} + ${dialect.fresh(name)}`;
  return dialect.upsert("sightings", columns, keys, changes);
}

export function sightingValues(flowId: string, sighting: Sighting): Value[] {
  const row = {
    ...sighting,
    flow_id: Buffer.from(flowId, "hex"),
    start_us: Math.round(sighting.start * 1e6),
    end_us: Math.round(sighting.end * 1e6),
  };
  return columns.map((column) => row[column]);
}

/** Fills `seen_by` of `flows`. */
export async function readSightings(session: Session, flows: Flow[]): Promise<Flow[]> {
  const byId = new Map(flows.map((flow) => [flow.flow_id, flow]));
  const ids = [...byId.keys()];
  for (let from = 0; from < ids.length; from += idsPerQuery) {
    const part = ids.slice(from, from + idsPerQuery);
    const rows = await session.all(
      `SELECT ${columns.join(", ")} FROM sightings WHERE flow_id IN (${marks(part.length)}) ` +
        `ORDER BY flow_id, sensor_id, vlan, ip_depth LIMIT ${idsPerQuery * sightingsPerFlowMax}`,
      part.map((id) => Buffer.from(id, "hex")),
    );
    for (const { flow_id, start_us, end_us, ...rest } of rows) {
      const sighting = { ...rest, start: (start_us as number) / 1e6, end: (end_us as number) / 1e6 };
      byId.get(hexOf(flow_id))!.seen_by.push(sighting as unknown as Sighting);
    }
  }
  return flows;
}
