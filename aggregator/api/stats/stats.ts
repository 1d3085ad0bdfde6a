/** Sums over flows: totals, top talkers, protocols, traffic over time.
 *
 * Invariant: a series has at most {@link pointsMax} points, whatever range is asked for. @module */

import { z } from "../../../shared/schema.ts";
import { ApiError } from "../errors.ts";
import type { Places } from "../../model/place.ts";
import { noGeoip } from "../filter/filter.ts";
import { checkRange } from "../flows/flows.ts";
import { rangeQuery, sensorId, time } from "../schemas.ts";
import { countryStacks } from "./country_stacks.ts";
import { resource } from "../route.ts";

const pointsMax = 2_000;
const defaultPoints = 120;
const hourS = 3_600;
/** Steps a person can read off an axis, seconds. */
const roundSteps = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1_800,
  3_600,
  7_200,
  14_400,
  43_200,
  86_400,
] as const;

const count = z.int().min(0);

export const totals = resource({
  summary: "Flows, packets, bytes, sightings and threats stored",
  isPolled: true,
  isQuery: true,
  answer: z.object({
    flows: count,
    packets: count,
    bytes: count,
    sightings: count,
    threats: count,
    first: time.nullable(),
    last: time.nullable(),
  }),
  needs: ["trafficStore"],
  handle: async (_call, { trafficStore }) => ({ json: await trafficStore.readTotals() }),
});

export const topTalkers = resource({
  summary: "Addresses by bytes sent and received; from 6 hours on by whole hours, of the 250 busiest of each",
  isPolled: true,
  query: z.strictObject({ ...rangeQuery, limit: z.int().min(1).max(100).default(10) }),
  isQuery: true,
  answer: z.object({
    rows: z.array(z.object({
      ip: z.string(),
      flows: count,
      sent_bytes: count,
      received_bytes: count,
      total_bytes: count,
      total_packets: count,
    })),
  }),
  needs: ["trafficStore"],
  async handle({ query }, { trafficStore }) {
    checkRange(query);
    return { json: { rows: await trafficStore.readTopTalkers(rangeOf(query), query.limit) } };
  },
});

export const protocols = resource({
  summary: "Protocols by flows, packets and bytes",
  isPolled: true,
  query: z.strictObject(rangeQuery),
  isQuery: true,
  answer: z.object({
    rows: z.array(
      z.object({
        protocol: z.string(),
        app_protocol: z.string(),
        flows: count,
        packets: count,
        bytes: count,
      }),
    ),
  }),
  needs: ["trafficStore"],
  async handle({ query }, { trafficStore }) {
    checkRange(query);
    return { json: { rows: await trafficStore.readProtocols(rangeOf(query)) } };
  },
});

export const series = resource({
  summary: "Traffic over time; without a range, the hour up to the last packet stored",
  isPolled: true,
  query: z.strictObject({
    ...rangeQuery,
    step: z.int().min(1).max(86_400).optional().describe("Seconds of a point"),
    sensor_id: sensorId.optional(),
    by: z.enum(["protocol", "sensor", "country"]).optional().describe(
      "Gives the parts as well, in stacks; country: of hosts outside, in steps of whole hours",
    ),
  }),
  isQuery: true,
  answer: z.object({
    from: time,
    to: time,
    step: count,
    rows: z.array(z.object({ time, flows: count, packets: count, bytes: count })),
    first: time.optional().describe("With by: the step that the lists of stacks begin with"),
    stacks: z.array(z.object({
      name: z.string().describe("Protocol, sensor id or country; empty = the rest"),
      flows: z.array(count).optional().describe("Not by country"),
      packets: z.array(count),
      bytes: z.array(count),
    })).optional().describe(
      "With by: the ten largest parts and the rest, a value for each step, zeros included. By country a flow counts in the hour in which it began, for each end that is a host outside",
    ),
  }),
  needs: ["trafficStore", "places"],
  async handle({ query, nowMs }, { trafficStore, places }) {
    checkRange(query);
    const isByCountry = query.by === "country";
    if (isByCountry) checkByCountry(query, places);
    const to = query.to ?? ((await trafficStore.readTotals()).last ?? nowMs / 1_000);
    const from = Math.min(to, query.from ?? to - 3_600);
    const step = query.step ??
      (roundSteps.find((s) => (to - from) / s <= defaultPoints && (!isByCountry || s >= hourS)) ?? 86_400);
    if ((to - from) / step > pointsMax) {
      throw new ApiError(
        "bad_parameter",
        `Parameter "step" must be >= ${
          Math.ceil((to - from) / pointsMax)
        } for this range: current value is ${step}`,
      );
    }
    const rows = await trafficStore.readSeries({ from, to }, step, query.sensor_id);
    if (query.by === undefined) return { json: { from, to, step, rows } };
    const first = from - from % step;
    const stacks = query.by === "country"
      ? countryStacks(await trafficStore.readOutside({ from, to }, step), places, {
        first,
        step,
        points: Math.floor((to - first) / step) + 1,
      })
      : await trafficStore.readStacks({ from, to }, step, query.by, query.sensor_id);
    return { json: { from, to, step, rows, first, stacks } };
  },
});

/** @throws {ApiError} when traffic cannot be told by country. */
function checkByCountry(
  { step, sensor_id }: { step?: number | undefined; sensor_id?: string | undefined },
  places: Places,
): void {
  const refuse = (field: string, detail: string) => new ApiError("bad_parameter", detail, { field });
  if (!places.isKnown) throw refuse("by", `Cannot stack by country as ${noGeoip}`);
  if (sensor_id !== undefined) {
    throw refuse("sensor_id", 'Parameter "sensor_id" must be absent with by=country');
  }
  if (step !== undefined && step % hourS !== 0) {
    throw refuse("step", `Parameter "step" must be whole hours with by=country: current value is ${step}`);
  }
}

function rangeOf(
  { from, to }: { from?: number | undefined; to?: number | undefined },
): { from?: number; to?: number } {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}
