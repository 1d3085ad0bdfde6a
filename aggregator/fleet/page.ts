/** The fleet as a list: one short row per sensor, those in trouble first, a page at a time.
 *
 * In: the health of all sensors, a filter, the cursor of the page before.
 * Out: the rows of one page, and how many sensors fit.
 * Invariant: a row leaves out the sensor's own counters and its texts are bounded, so that a page takes at most 1 kB
 * per row; everything about a sensor is on its own page. A sensor whose status changes between two pages may show on
 * both or on neither; the next reading has it right.
 * Why not worst first, as statuses are chosen: revoked sensors need no attention, and would fill the first page.
 * @module */

import { Buffer } from "node:buffer";
import type { FleetHealth, SensorHealth } from "./fleet.ts";
import type { SensorStatus } from "./reasons.ts";
import { urgency } from "./urgency.ts";

const reasonsShown = 2;
const textCharactersMax = 200;
const choicesMax = 200;

/** A sensor in a list. `capture`: what it says of its capture; null = it never checked in. */
export interface FleetRow extends
  Pick<
    SensorHealth,
    | "sensor_id"
    | "name"
    | "site"
    | "tags"
    | "status"
    | "reasons"
    | "enrolled_ms"
    | "last_check_in_ms"
    | "clock_offset_ms"
    | "conservation"
    | "delivery"
    | "missing_batches"
    | "packet_ring"
    | "canary"
  > {
  version: string | null;
  capture: { state: string; source: string } | null;
}

export interface FleetFilter {
  status?: SensorStatus | undefined;
  tag?: string | undefined;
  site?: string | undefined;
  /** Part of a name, id, site, tag or reason, in any case. */
  search?: string | undefined;
}

export interface FleetPage extends Omit<FleetHealth, "sensors"> {
  /** All sensors of the fleet, and those that fit the filter. */
  total: number;
  fitting: number;
  /** What a filter can choose from, at most 200 of each. */
  sites: string[];
  tags: string[];
  sensors: FleetRow[];
  next_cursor?: string;
}

/** Null = the cursor is not one that a page gave. */
export function fleetPage(
  fleet: FleetHealth,
  filter: FleetFilter,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): FleetPage | null {
  const after = cursor === undefined ? null : readCursor(cursor);
  if (after === null && cursor !== undefined) return null;
  const { sensors, ...rest } = fleet;
  const fitting = sensors.filter((sensor) => fits(sensor, filter)).sort((a, b) =>
    compare(keyOf(a), keyOf(b))
  );
  const left = after === null ? fitting : fitting.filter((sensor) => compare(keyOf(sensor), after) > 0);
  const shown = left.slice(0, limit);
  return {
    ...rest,
    total: sensors.length,
    fitting: fitting.length,
    sites: choices(sensors.map(({ site }) => site)),
    tags: choices(sensors.flatMap(({ tags }) => tags)),
    sensors: shown.map(rowOf),
    ...(left.length > shown.length && { next_cursor: cursorOf(shown[shown.length - 1]) }),
  };
}

/** The light row of a sensor. */
export function rowOf({ check_in, ...sensor }: SensorHealth): FleetRow {
  const { reasons, conservation, packet_ring, canary } = sensor;
  const more = reasons.length - reasonsShown;
  return {
    sensor_id: sensor.sensor_id,
    name: sensor.name,
    site: sensor.site,
    tags: sensor.tags,
    status: sensor.status,
    reasons: [
      ...reasons.slice(0, reasonsShown).map(cut),
      ...(more > 0 ? [`and ${more} more: see the sensor itself`] : []),
    ],
    enrolled_ms: sensor.enrolled_ms,
    last_check_in_ms: sensor.last_check_in_ms,
    clock_offset_ms: sensor.clock_offset_ms,
    conservation: conservation && { ...conservation, left_out: { all: sum(conservation.left_out) } },
    delivery: sensor.delivery,
    missing_batches: sensor.missing_batches,
    packet_ring,
    canary: canary && cut(canary),
    version: check_in?.version ?? null,
    capture: check_in && { state: check_in.capture.state, source: cut(check_in.capture.source) },
  };
}

function sum(parts: Record<string, number>): number {
  return Object.values(parts).reduce((all, part) => all + part, 0);
}

function cut(text: string): string {
  return text.length <= textCharactersMax ? text : `${text.slice(0, textCharactersMax - 1)}…`;
}

function choices(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort().slice(0, choicesMax);
}

function fits(sensor: SensorHealth, { status, tag, site, search }: FleetFilter): boolean {
  if (status !== undefined && sensor.status !== status) return false;
  if (tag !== undefined && !sensor.tags.includes(tag)) return false;
  if (site !== undefined && sensor.site !== site) return false;
  if (search === undefined) return true;
  const part = search.toLowerCase();
  const { name, sensor_id, tags, reasons } = sensor;
  return [name, sensor_id, sensor.site, ...tags, ...reasons].some((text) =>
    text.toLowerCase().includes(part)
  );
}

/** Names are unique among the live, ids among all. */
type Key = readonly [urgency: number, name: string, id: string];

function keyOf({ status, name, sensor_id }: SensorHealth): Key {
  return [urgency.indexOf(status), name, sensor_id];
}

function compare(a: Key, b: Key): number {
  return a[0] - b[0] || order(a[1], b[1]) || order(a[2], b[2]);
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function cursorOf(sensor: SensorHealth): string {
  return Buffer.from(JSON.stringify(keyOf(sensor))).toString("base64url");
}

function readCursor(text: string): Key | null {
  try {
    const key = JSON.parse(Buffer.from(text, "base64url").toString());
    const isKey = Array.isArray(key) && key.length === 3 && Number.isInteger(key[0]) &&
      typeof key[1] === "string" && typeof key[2] === "string";
    return isKey ? key as unknown as Key : null;
  } catch {
    return null;
  }
}
