/** The filter of a list: read from its parameter, and described for clients that complete it.
 *
 * In: text, the table it is about. Out: the checked tree, or an error that points at the place.
 * Invariant: a sensor may be given by name or id; the tree holds ids only, as rows do. A test for a named subnet has
 * its addresses beside it, so that the database need not read all rows.
 * Another table is one more line of {@link tables}. @module */

import { z } from "../../../shared/schema.ts";
import { notesOf, type Table } from "../../filter/columns.ts";
import { flowTable } from "../../filter/flow_table.ts";
import { testsOf } from "../../filter/evaluate.ts";
import { hostTable } from "../../filter/host_table.ts";
import { parseFilter } from "../../filter/parse.ts";
import { threatTable } from "../../filter/threat_table.ts";
import { charactersMax, FilterError } from "../../filter/tokens.ts";
import { type Filter, lowerAscii, type Test } from "../../model/filter.ts";
import type { Places } from "../../model/place.ts";
import type { Capabilities } from "../capabilities.ts";
import { ApiError } from "../errors.ts";
import { resource } from "../route.ts";

const tables = { flows: notesOf(flowTable), threats: notesOf(threatTable), hosts: notesOf(hostTable) };

/** Why nothing is known of places. */
export const noGeoip = "the aggregator has no GeoIP file in use: see serve --geoip";

export const filterQuery = {
  filter: z.string().min(1).max(charactersMax).optional().describe(
    "Must hold besides; columns and operators stand at /api/v1/filter/columns",
  ).meta({ examples: ["ip in 10.0.0.0/8", "not port in (22, 443) and ip = 192.0.2.7"] }),
};

/** @throws {ApiError} that says where the text is wrong. */
export async function readFilter<Row>(
  text: string,
  table: Table<Row>,
  nowMs: number,
  { directory, places }: Pick<Capabilities, "directory" | "places">,
): Promise<Filter> {
  let filter: Filter;
  try {
    filter = parseFilter(text, table, nowMs);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    throw new ApiError("bad_parameter", error.message, { field: "filter", extra: { column: error.at } });
  }
  for (const test of testsOf(filter)) checkPlaces(test, table.columns[test.column].asks, places);
  const sensors = await directory.all(nowMs);
  return withAddresses(withIds(filter, sensors), places);
}

/** @throws {ApiError} when nothing, or nothing of this name, is known. */
function checkPlaces(
  { op, column, values }: Test,
  asks: "geoip" | "subnets" | undefined,
  places: Places,
): void {
  const refuse = (why: string) =>
    new ApiError("bad_parameter", `Cannot filter by "${column}" as ${why}`, { field: "filter" });
  if (asks === "geoip" && !places.isKnown) throw refuse(noGeoip);
  if (asks !== "subnets") return;
  const { subnets } = places;
  if (!subnets) throw refuse("no network has a name: see serve --networks");
  const unknown = op === "="
    ? values.find((name) => subnets.networksOf(String(name)).length === 0)
    : undefined;
  if (unknown === undefined) return;
  throw refuse(
    `it must be one of ${subnets.names.join(", ")}: current value is "${String(unknown).slice(0, 60)}"`,
  );
}

/** Networks in all tests of a filter together: a statement takes a bounded number of values. */
const networksMax = 256;

/** What holds of a subnet holds of its addresses: said twice, it is found by an index. A test whose networks are too
 * many, with those before it, stays alone and is answered in memory. */
function withAddresses(
  filter: Filter,
  { subnets }: Pick<Places, "subnets">,
  left = { networks: networksMax },
): Filter {
  if (subnets === undefined) return filter;
  const inside = (part: Filter) => withAddresses(part, { subnets }, left);
  if ("part" in filter) return { op: "not", part: inside(filter.part) };
  if ("parts" in filter) return { op: filter.op, parts: filter.parts.map(inside) };
  const column = { subnet: "ip", src_subnet: "src_ip", dst_subnet: "dst_ip" }[filter.column];
  if (column === undefined || filter.op !== "=") return filter;
  const values = [...new Set(filter.values)].flatMap((name) => subnets.networksOf(String(name)));
  if (values.length > left.networks) return filter;
  left.networks -= values.length;
  return { op: "and", parts: [{ op: "=", column, values }, filter] };
}

/** The tree with ids of sensors where it has names. */
function withIds(filter: Filter, sensors: readonly { name: string; sensor_id: string }[]): Filter {
  if ("part" in filter) return { op: "not", part: withIds(filter.part, sensors) };
  if ("parts" in filter) return { op: filter.op, parts: filter.parts.map((part) => withIds(part, sensors)) };
  if (filter.column !== "sensor") return filter;
  const named = sensors.filter(({ name }) => isMeant(filter, name)).map(({ sensor_id }) => sensor_id);
  if (named.length === 0) return filter;
  return filter.op === "="
    ? { ...filter, values: [...filter.values, ...named] }
    : { op: "or", parts: [filter, { op: "=", column: "sensor", values: named }] };
}

function isMeant({ op, values }: Test, name: string): boolean {
  return op === "=" ? values.includes(name) : lowerAscii(name).includes(lowerAscii(values[0] as string));
}

export const columnAnswer = z.object({
  name: z.string(),
  type: z.string(),
  about: z.string(),
  operators: z.array(z.string()),
  examples: z.array(z.string()),
  words: z.array(z.string()).optional().describe("All there are, in order"),
});

export const filterColumns = resource({
  summary: "Columns of each table that can be filtered, with what completes a filter line",
  isPolled: true,
  answer: z.record(z.string(), z.array(columnAnswer)),
  handle: () => ({ json: tables }),
});
