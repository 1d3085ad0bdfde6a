/** Flows: by page, the latest, by any filter, and one with all its sightings.
 *
 * Invariant: newest first, pages by key, so that page 1,000 costs what page 1 does and no row is shown twice.
 * @module */

import { z } from "../../../shared/schema.ts";
import { ApiError } from "../errors.ts";
import { flowAnswer, flowFilters, pageOf, pageQuery, rangeQuery, sortBy, time } from "../schemas.ts";
import { type Call, resource } from "../route.ts";
import { boundsOf, onlyAddressesOf } from "../../filter/evaluate.ts";
import { flowTable } from "../../filter/flow_table.ts";
import type { Filter } from "../../model/filter.ts";
import { onlyAddress } from "../../model/network.ts";
import type { FlowQuery } from "../../model/page.ts";
import type { Capabilities } from "../capabilities.ts";
import { flowWithPlaces } from "../places.ts";
import { filterQuery, readFilter } from "../filter/filter.ts";

const assumedS = 86_400;

export const flowPage = pageOf(flowAnswer).extend({
  assumed: z.object({ from: time, reason: z.string() }).optional().describe(
    "A bound nobody asked for, and why",
  ),
});

export const flows = resource({
  summary: "Flows by start time, newest first",
  query: z.strictObject({ ...rangeQuery, ...filterQuery, sort: sortBy("start"), ...pageQuery }),
  isQuery: true,
  answer: flowPage,
  needs: ["flowStore", "trafficStore", "directory", "places"],
  handle: readPage,
});

export const latestFlows = resource({
  summary: "The latest flows",
  isPolled: true,
  query: z.strictObject({ limit: pageQuery.limit }),
  isQuery: true,
  answer: flowPage,
  needs: ["flowStore", "places"],
  async handle({ query, signal }, { flowStore, places }) {
    const { rows } = await flowStore.readFlows({}, { limit: query.limit, signal });
    return { json: { rows: rows.map((row) => flowWithPlaces(row, places)) } };
  },
});

export const searchFlows = resource({
  summary: "Flows that fit every filter given, newest first",
  query: z.strictObject({ ...flowFilters, ...filterQuery, sort: sortBy("start"), ...pageQuery }),
  isQuery: true,
  answer: flowPage,
  needs: ["flowStore", "trafficStore", "directory", "places"],
  handle: readPage,
});

export const flow = resource({
  summary: "One flow, with every sensor's own counts",
  isQuery: true,
  answer: flowAnswer,
  needs: ["flowStore", "places"],
  async handle({ params }, { flowStore, places }) {
    const found = /^[0-7][0-9a-f]{15}$/.test(params.id) ? await flowStore.readFlow(params.id) : null;
    if (!found) throw new ApiError("not_found", "There is no flow with this id");
    return { json: flowWithPlaces(found, places) };
  },
});

/** Splits paging from filters; a zod object leaves absent filters out or undefined, the flowStore wants them out. */
async function readPage(
  { query: asked, nowMs, signal }: Call<Record<string, unknown>>,
  has: Pick<Capabilities, "flowStore" | "trafficStore" | "directory" | "places">,
) {
  const { limit, cursor, sort, filter, ...rest } = asked as {
    limit: number;
    cursor?: string;
    sort: string;
    filter?: string;
  };
  const query = flowQuery(rest);
  if (filter !== undefined) query.filter = await readFilter(filter, flowTable, nowMs, has);
  const assumed = query.filter === undefined || isBounded(query, query.filter)
    ? null
    : await assumedRange(nowMs, has);
  if (assumed !== null) query.from = assumed.from;
  const page = {
    limit,
    signal,
    isOldestFirst: sort === "start",
    ...(cursor === undefined ? {} : { cursor }),
  };
  const found = await has.flowStore.readFlows(query, page);
  const rows = found.rows.map((row) => flowWithPlaces(row, has.places));
  return { json: { ...found, rows, ...assumed === null ? {} : { assumed } } };
}

/** The single parameters that are given. @throws {ApiError} */
export function flowQuery(given: Record<string, unknown>): FlowQuery {
  const query = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as FlowQuery;
  checkRange(query);
  return query;
}

/** Whether an index or a time bounds what a filter is asked of. */
export function isBounded(query: FlowQuery, filter: Filter): boolean {
  const { from, threat_id, ip, src_ip, dst_ip } = query;
  if (from !== undefined || threat_id !== undefined) return true;
  if ([ip, src_ip, dst_ip].some((text) => text !== undefined && onlyAddress(text) !== null)) return true;
  return boundsOf(filter, "start").from !== undefined || onlyAddressesOf(filter).length > 0;
}

/** The day up to the newest packet stored. */
async function assumedRange(nowMs: number, { trafficStore }: Pick<Capabilities, "trafficStore">) {
  const { last } = await trafficStore.readTotals();
  const from = Math.max(0, Math.min(last ?? nowMs / 1_000, nowMs / 1_000) - assumedS);
  const reason =
    "The filter names neither a time nor one address: only the 24 hours up to the newest packet were searched. Give from to search more.";
  return { from, reason };
}

/** @throws {ApiError} when a range ends before it begins. */
export function checkRange({ from, to }: { from?: number | undefined; to?: number | undefined }): void {
  if (from !== undefined && to !== undefined && from > to) {
    throw new ApiError(
      "bad_parameter",
      `Parameter "from" must be <= "to": current values are ${from} and ${to}`,
      { field: "from" },
    );
  }
}
