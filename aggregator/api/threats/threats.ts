/** Threats: by page, one, and what a person decided about it. @module */

import { z } from "../../../shared/schema.ts";
import { severities, type Threat, threatStatuses } from "../../model/threat.ts";
import type { ThreatQuery } from "../../model/page.ts";
import type { Places } from "../../model/place.ts";
import { ApiError } from "../errors.ts";
import { blindSpotsOf } from "./blind_spots.ts";
import { checkRange } from "../flows/flows.ts";
import { threatTable } from "../../filter/threat_table.ts";
import { filterQuery, readFilter } from "../filter/filter.ts";
import { flowWithPlaces, outsideAnswer, threatWithPlaces } from "../places.ts";
import { address, flowAnswer, pageOf, pageQuery, rangeQuery, sortBy, threatAnswer } from "../schemas.ts";
import { actorOf, resource } from "../route.ts";

export const detectorName = z.string().toLowerCase().regex(
  /^[a-z0-9_]{1,64}$/,
  "must be the name of a detector",
);

export const threatFilters = {
  ...rangeQuery,
  severity_min: z.enum(severities).optional(),
  detector: detectorName.optional(),
  status: z.enum(threatStatuses).optional(),
  ip: address.optional().describe("Attacker or victim: an address or CIDR"),
  suppressed: z.boolean().default(false).describe("true: also those that a suppression hides"),
};

export const placedThreatAnswer = threatAnswer.extend({ outside: outsideAnswer });
export const threatPage = pageOf(placedThreatAnswer.omit({ flow_ids: true }));
export const threatFlowPage = pageOf(flowAnswer).extend({
  flows: z.int().describe("All the threat rests on"),
  linked: z.int().describe("Of these, how many can be paged through: the first of them"),
  is_complete: z.boolean().describe("All can be"),
});

/** Without what was not asked for. */
export function threatQuery(
  given: { [Name in keyof ThreatQuery]?: ThreatQuery[Name] | undefined } & { suppressed: boolean },
): ThreatQuery {
  const { suppressed, ...rest } = given;
  const asked = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return suppressed ? asked : { ...asked, isShown: true };
}

export const threats = resource({
  summary: "Threats with their explanations, newest first",
  isPolled: true,
  query: z.strictObject({ ...threatFilters, ...filterQuery, sort: sortBy("last_seen"), ...pageQuery }),
  isQuery: true,
  answer: threatPage,
  needs: ["threatStore", "directory", "places"],
  async handle({ query, nowMs, signal }, { threatStore, directory, places }) {
    checkRange(query);
    const { limit, cursor, sort, filter, ...rest } = query;
    const asked = threatQuery(rest);
    if (filter !== undefined) {
      asked.filter = await readFilter(filter, threatTable, nowMs, { directory, places });
    }
    const page = await threatStore.readThreats(
      asked,
      { limit, signal, isOldestFirst: sort === "last_seen", ...(cursor === undefined ? {} : { cursor }) },
    );
    return { json: { ...page, rows: page.rows.map((row) => presentInList(row, places)) } };
  },
});

export const threat = resource({
  summary: "One threat",
  isPolled: true,
  isQuery: true,
  answer: placedThreatAnswer.extend({
    not_evaluable: z.array(z.string()).describe(
      "Sensors of its network that saw nothing meanwhile, in words",
    ),
  }),
  needs: ["threatStore", "directory", "places"],
  async handle({ params, nowMs }, has) {
    const found = isId(params.id) ? await has.threatStore.readThreat(params.id) : null;
    if (!found) throw new ApiError("not_found", "There is no threat with this id");
    return { json: { ...present(found, has.places), not_evaluable: await blindSpotsOf(found, has, nowMs) } };
  },
});

export const threatFlows = resource({
  summary: "All flows of a threat that are still stored, by start time",
  query: z.strictObject({ sort: sortBy("start"), ...pageQuery }),
  isQuery: true,
  answer: threatFlowPage,
  needs: ["threatStore", "flowStore", "places"],
  async handle(
    { params: { id }, query: { limit, cursor, sort }, signal },
    { threatStore, flowStore, places },
  ) {
    const found = isId(id) ? await threatStore.readThreat(id) : null;
    if (!found) throw new ApiError("not_found", "There is no threat with this id");
    const page = {
      limit,
      signal,
      isOldestFirst: sort === "start",
      ...(cursor === undefined ? {} : { cursor }),
    };
    const { rows, next_cursor } = await flowStore.readFlows({ threat_id: id }, page);
    const linked = await threatStore.countFlows(id);
    const flows = Math.max(found.flows, linked);
    return {
      json: {
        rows: rows.map((row) => flowWithPlaces(row, places)),
        flows,
        linked,
        is_complete: linked === flows,
        ...(next_cursor === undefined ? {} : { next_cursor }),
      },
    };
  },
});

export const setThreatStatus = resource({
  summary: "Sets the status of a threat",
  body: z.strictObject({ status: z.enum(threatStatuses) }),
  answer: z.object({ id: z.string(), status: z.enum(threatStatuses) }),
  needs: ["threatStore", "reporter", "onThreatStatus"],
  async handle({ params, body, nowMs, caller }, { threatStore, reporter, onThreatStatus }) {
    const isKnown = isId(params.id) &&
      await threatStore.setThreatStatus(params.id, body.status, nowMs, actorOf(caller));
    if (!isKnown) throw new ApiError("not_found", "There is no threat with this id");
    onThreatStatus(params.id, body.status);
    reporter.count("threat_status_changes_total", { status: body.status });
    reporter.info("threat status set", { threat: params.id, status: body.status, by: caller?.name });
    return { json: { id: params.id, status: body.status } };
  },
});

/** `src_ip` and `dst_ip` are there when there is exactly one, as `analyze` prints them. */
export function present(found: Threat, places: Places): Record<string, unknown> {
  return {
    ...threatWithPlaces(found, places),
    ...(found.src_ips.length === 1 ? { src_ip: found.src_ips[0] } : {}),
    ...(found.dst_ips.length === 1 ? { dst_ip: found.dst_ips[0] } : {}),
  };
}

/** Without its sample of flows: they are asked of the threat. */
export function presentInList(found: Threat, places: Places): Record<string, unknown> {
  const { flow_ids: _, ...rest } = present(found, places);
  return rest;
}

export function isId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}
