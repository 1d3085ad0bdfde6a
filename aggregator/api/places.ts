/** Country, operator and named subnet beside the addresses of answers.
 *
 * In: rows, what the GeoIP files and the operator's names know. Out: the rows with a place where one is known;
 * of addresses inside only the subnet can be known.
 * @module */

import { z } from "../../shared/schema.ts";
import type { Place, Places } from "../model/place.ts";

export const placeAnswer = z.object({
  country: z.string().optional().describe("ISO 3166-1 alpha-2"),
  country_name: z.string().optional(),
  city: z.string().optional(),
  asn: z.int().optional().describe("Autonomous system"),
  as_org: z.string().optional(),
  subnet: z.string().optional().describe("The operator's name of the network that holds it"),
}).optional().describe(
  "What the GeoIP files know of a public address, and networks that have a name; absent: nothing",
);

export function flowWithPlaces<Row extends { src_ip: string; dst_ip: string }>(
  flow: Row,
  places: Places,
): Row & { src_place?: Place; dst_place?: Place } {
  if (!places.isKnown && !places.subnets) return flow;
  const source = places.find(flow.src_ip), target = places.find(flow.dst_ip);
  return {
    ...flow,
    ...source === null ? {} : { src_place: source },
    ...target === null ? {} : { dst_place: target },
  };
}

export function hostWithPlace<Row extends { ip: string }>(
  host: Row,
  places: Places,
): Row & { place?: Place } {
  const place = places.find(host.ip);
  return place === null ? host : { ...host, place };
}
