/** Queries about hosts, and what is known of them: sums over flows. Times are epoch ms, sizes octets of IP packets.
 * @module */

import type { Filter } from "./filter.ts";

/** Addresses from one on and up to another, of 4 or 16 octets alike. */
export interface AddressRange {
  first: Uint8Array;
  last: Uint8Array;
}

/** Each the greatest first. */
export const hostOrders = ["last_seen", "first_seen", "bytes"] as const;
export type HostOrder = typeof hostOrders[number];

export interface HostQuery {
  range?: AddressRange;
  network?: string;
  seenSinceMs?: number;
  filter?: Filter;
  sort: HostOrder;
}

export interface Host {
  ip: string;
  /** Site, or "global". */
  network: string;
  first_seen_ms: number;
  last_seen_ms: number;
  /** The newest first, at most 20. */
  names: string[];
  macs: string[];
  /** Of the services that it offers, in order, at most 20. */
  ports: number[];
  flows: number;
  packets: number;
  bytes: number;
  threats: number;
}

export interface Service {
  protocol: string;
  port: number;
  app: string;
  first_seen_ms: number;
  last_seen_ms: number;
  flows: number;
}

export interface OfferedService extends Service {
  /** Different addresses, counted over the newest conversations. */
  clients: number;
}

export interface UsedService extends Service {
  /** The server. */
  ip: string;
}

export interface Peer {
  ip: string;
  flows: number;
  bytes: number;
}

export interface HostDetails {
  services: OfferedService[];
  uses: UsedService[];
  peers: Peer[];
  /** Traffic by the hour in which its flows began, oldest first; hours without traffic are left out. */
  series: { at_ms: number; bytes: number; packets: number }[];
  sensors: string[];
}

export interface ServiceQuery {
  range?: AddressRange;
  network?: string;
  protocol?: string;
  port?: number;
}

export interface ServiceRow extends Service {
  ip: string;
  network: string;
  bytes: number;
}

export interface DomainQuery {
  network?: string;
  /** The beginning of the domain. */
  name?: string;
  seenSinceMs?: number;
}

export interface Domain {
  name: string;
  network: string;
  first_seen_ms: number;
  last_seen_ms: number;
  queries: number;
  /** How many addresses asked: an estimate, which ends at 620. */
  hosts: number;
}

export interface ConversationQuery {
  /** Epoch seconds of the day's midnight. */
  day: number;
  /** Either end. */
  ip?: string;
  network?: string;
}

export interface Conversation {
  src_ip: string;
  dst_ip: string;
  network: string;
  protocol: string;
  /** 0 = no service. */
  port: number;
  app: string;
  first_seen_ms: number;
  last_seen_ms: number;
  flows: number;
  packets: number;
  bytes: number;
  sent_bytes: number;
}
