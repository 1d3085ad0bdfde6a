/** Where an address is and whose network it is in. @module */

/** What is not known is absent. */
export interface Place {
  /** ISO 3166-1 alpha-2: "DE". */
  country?: string;
  country_name?: string;
  city?: string;
  /** Autonomous system number and the organisation that runs it. */
  asn?: number;
  as_org?: string;
}

export interface Places {
  /** Null for private addresses and for those nobody knows. */
  find(ip: string): Place | null;
}

export const noPlaces: Places = { find: () => null };
