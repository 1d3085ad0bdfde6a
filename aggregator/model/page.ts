/** What can be asked of stored flows and threats, and the pages that answer. @module */

import type { Filter } from "./filter.ts";
import type { ThreatStatus } from "./threat.ts";

/** At most 1,000 rows, newest first unless asked otherwise. `cursor` is what the last page gave.
 * Keyset: each page costs what it holds. */
export interface PageRequest {
  limit: number;
  /** @default false */
  isOldestFirst?: boolean;
  cursor?: string;
  /** Aborted = nobody waits for the page any more: what is there by then comes back. */
  signal?: AbortSignal;
}

export interface Page<Row> {
  rows: Row[];
  /** Absent = no more rows. */
  next_cursor?: string;
}

/** Filter of flows; absent = any. Times are epoch seconds of the flow's start. */
export interface FlowQuery {
  from?: number;
  to?: number;
  /** Either end; each an address or CIDR. */
  ip?: string;
  src_ip?: string;
  dst_ip?: string;
  /** Either end. */
  port?: number;
  dst_port?: number;
  protocol?: string;
  app_protocol?: string;
  sensor_id?: string;
  community_id?: string;
  conn_state?: string;
  network?: string;
  min_bytes?: number;
  /** Part of a fact: DNS name, SNI, host; matched as a substring, lower-case. */
  name?: string;
  threat_id?: string;
  /** Must hold besides. */
  filter?: Filter;
}

export interface ThreatQuery {
  from?: number;
  to?: number;
  severity_min?: string;
  detector?: string;
  status?: ThreatStatus;
  ip?: string;
  filter?: Filter;
  /** Leaves out what a suppression hides: what people, sinks and models get unless they ask for more. */
  isShown?: true;
}
