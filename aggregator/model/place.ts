/** Where an address is and whose network it is in. @module */

import type { Network } from "./network.ts";

/** What is not known is absent. */
export interface Place {
  /** ISO 3166-1 alpha-2: "DE". */
  country?: string;
  country_name?: string;
  city?: string;
  /** Autonomous system number and the organisation that runs it. */
  asn?: number;
  as_org?: string;
  /** The operator's name of the network that holds it. */
  subnet?: string;
}

/** An address outside, with what is known of it. */
export type PlacedAddress = Place & { ip: string };

/** Where the ends of a flow are. */
export interface PlacedEnds {
  src_place?: Place;
  dst_place?: Place;
}

export interface Places {
  /** Names that the operator gave to networks; absent: to none. */
  readonly subnets?: { readonly names: readonly string[]; networksOf(name: string): Network[] };
  /** Whether countries and operators are known. */
  readonly isKnown: boolean;
  /** Null for those nobody knows; of private addresses only the subnet can be known. */
  find(ip: string): Place | null;
}

export const noPlaces: Places = { isKnown: false, find: () => null };

/** "Germany", "Germany and 2 more"; "" when no country is known. */
export function countriesText(places: readonly (Place | undefined)[]): string {
  const names = [...new Set(places.map((place) => place?.country_name ?? place?.country ?? ""))].filter(
    Boolean,
  );
  return names.length < 2 ? names.join("") : `${names[0]} and ${names.length - 1} more`;
}

/** "United States; AS15169 Example Inc."; "" when nothing is known. */
export function placeText(place: Place | null | undefined): string {
  if (!place) return "";
  const where = [place.city, place.country_name ?? place.country].filter(Boolean).join(", ");
  const network = place.asn === undefined ? "" : `AS${place.asn}${place.as_org ? ` ${place.as_org}` : ""}`;
  return [place.subnet, where, network].filter(Boolean).join("; ");
}
