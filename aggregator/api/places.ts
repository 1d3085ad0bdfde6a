/** Country, operator and named subnet beside the addresses of answers.
 *
 * In: rows, what the GeoIP files and the operator's names know. Out: the rows with a place where one is known;
 * of addresses inside only the subnet can be known.
 * @module */

import { z } from "../../shared/schema.ts";
import type { Threat } from "../model/threat.ts";
import type { Place, PlacedAddress, PlacedEnds, Places } from "../model/place.ts";

/** Of each side of a threat: a list of threats is read often, and no person reads more. */
const placedMax = 4;

const place = z.object({
  country: z.string().optional().describe("ISO 3166-1 alpha-2"),
  country_name: z.string().optional(),
  city: z.string().optional(),
  asn: z.int().optional().describe("Autonomous system"),
  as_org: z.string().optional(),
  subnet: z.string().optional().describe("The operator's name of the network that holds it"),
});

export const placeAnswer = place.optional().describe(
  "What the GeoIP files know of a public address, and networks that have a name; absent: nothing",
);

export const outsideAnswer = z.array(place.extend({ ip: z.string() })).optional().describe(
  `Addresses outside of which a GeoIP file knows something: of the first ${placedMax} of each side`,
);

/** The threat with those of its addresses that a GeoIP file knows. */
export function threatWithPlaces<Row extends Pick<Threat, "src_ips" | "dst_ips">>(
  threat: Row,
  places: Places,
): Row & { outside?: PlacedAddress[] } {
  if (!places.isKnown) return threat;
  const ips = new Set([...threat.src_ips.slice(0, placedMax), ...threat.dst_ips.slice(0, placedMax)]);
  const outside = [...ips].flatMap((ip) => {
    const found = places.find(ip);
    return found === null || found.country === undefined && found.asn === undefined ? [] : [{ ip, ...found }];
  });
  return outside.length === 0 ? threat : { ...threat, outside };
}

export function flowWithPlaces<Row extends { src_ip: string; dst_ip: string }>(
  flow: Row,
  places: Places,
): Row & PlacedEnds {
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
