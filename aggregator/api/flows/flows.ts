/** Flows: by page, the latest, by any filter, and one with all its sightings.
 *
 * Invariant: newest first, pages by key, so that page 1,000 costs what page 1 does and no row is shown twice. @module */

import { z } from "../../../shared/schema.ts";
import { ApiError } from "../errors.ts";
import { flowAnswer, flowFilters, pageOf, pageQuery, rangeQuery, sortBy } from "../schemas.ts";
import { resource } from "../route.ts";
import type { FlowStore } from "../../store/store.ts";
import type { FlowQuery } from "../../model/page.ts";

export const flows = resource({
  summary: "Flows by start time, newest first",
  query: z.strictObject({ ...rangeQuery, sort: sortBy("start"), ...pageQuery }),
  isQuery: true,
  answer: pageOf(flowAnswer),
  needs: ["flowStore"],
  handle: ({ query }, { flowStore }) => readPage(query, flowStore),
});

export const latestFlows = resource({
  summary: "The latest flows",
  isPolled: true,
  query: z.strictObject({ limit: pageQuery.limit }),
  isQuery: true,
  answer: pageOf(flowAnswer),
  needs: ["flowStore"],
  async handle({ query }, { flowStore }) {
    const { rows } = await flowStore.readFlows({}, { limit: query.limit });
    return { json: { rows } };
  },
});

export const searchFlows = resource({
  summary: "Flows that fit every filter given, newest first",
  query: z.strictObject({ ...flowFilters, sort: sortBy("start"), ...pageQuery }),
  isQuery: true,
  answer: pageOf(flowAnswer),
  needs: ["flowStore"],
  handle: ({ query }, { flowStore }) => readPage(query, flowStore),
});

export const flow = resource({
  summary: "One flow, with every sensor's own counts",
  isQuery: true,
  answer: flowAnswer,
  needs: ["flowStore"],
  async handle({ params }, { flowStore }) {
    const found = /^[0-7][0-9a-f]{15}$/.test(params.id) ? await flowStore.readFlow(params.id) : null;
    if (!found) throw new ApiError("not_found", "There is no flow with this id");
    return { json: found };
  },
});

/** Splits paging from filters; a zod object leaves absent filters out or undefined, the flowStore wants them out. */
async function readPage(query: Record<string, unknown>, flowStore: FlowStore) {
  const { limit, cursor, sort, ...rest } = query as { limit: number; cursor?: string; sort: string };
  const filter = Object.fromEntries(
    Object.entries(rest).filter(([, value]) => value !== undefined),
  ) as FlowQuery;
  if (filter.name !== undefined) filter.name = filter.name.toLowerCase();
  checkRange(filter);
  const page = { limit, isOldestFirst: sort === "start", ...(cursor === undefined ? {} : { cursor }) };
  return { json: await flowStore.readFlows(filter, page) };
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
