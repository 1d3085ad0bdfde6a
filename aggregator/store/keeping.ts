/** Upkeep of stored rows: retention, archives, maintenance,
 * and leases for work that only one of several aggregators does.
 *
 * Out: topics of the store; see store.ts, which joins them with the others. @module */

import type { ArchivedFlow, DaySums } from "../model/archived.ts";
import type { DayPart, StoredDay } from "../model/retention.ts";

/** What is stored by days, and how it leaves. */
export interface RetentionStore {
  /** Makes ready what lets the days from now on be dropped as a whole. */
  prepareDays(nowMs: number): Promise<void>;
  /** Oldest first. */
  readDays(): Promise<StoredDay[]>;
  /** Octets of everything stored. */
  readSize(): Promise<number>;
  /** Drops one part of a day; ingest and queries go on meanwhile. */
  dropDay(day: number, part: DayPart): Promise<void>;
  /** Nothing is left of a day. */
  forgetDay(day: number): Promise<void>;
  /** Forgets batches received before, but those in open gaps; returns how many. */
  pruneLedger(beforeMs: number): Promise<number>;
  /** Keeps the busiest addresses of each hour that is over. */
  pruneTalkers(nowMs: number): Promise<void>;
  /** Forgets gaps closed before; returns how many. */
  pruneGaps(beforeMs: number): Promise<number>;
}

/** Work that one of several aggregators of a database does. */
export interface LeaseStore {
  /** Takes a lease that is free or ended, or renews one's own; null = another one has it. */
  takeLease(name: string, holder: string, ttlMs: number): Promise<Lease | null>;
  /** Notes how far the work is; false = the lease is another one's meanwhile, and nothing was noted. */
  moveLease(name: string, lease: Lease, position: string): Promise<boolean>;
  releaseLease(name: string, holder: string): Promise<void>;
}

export interface Lease {
  holder: string;
  generation: number;
  /** At most 255 characters; "" = nothing was noted yet. */
  position: string;
}

/** Days of flows on their way to an archive, and back. */
export interface ArchiveStore {
  /** The next flows of a day by id, at most `limit`; `last` is what to go on after, null = there are no more. */
  readDay(
    day: number,
    after: string | null,
    limit: number,
  ): Promise<{ flows: ArchivedFlow[]; unreadable: number; last: string | null }>;
  /** Gives flows of a day back, in one transaction; returns how many were not there. */
  restoreFlows(day: number, flows: readonly ArchivedFlow[], nowMs: number): Promise<number>;
}

/** What keeps a store sound and fast; for commands. */
export interface UpkeepStore {
  /** Largest first; rows as the database estimates them, null = it does not. */
  readTableSizes(): Promise<{ name: string; octets: number; rows: number | null }[]>;
  /** What the stored flows of a day add up to. */
  sumDay(day: number): Promise<Pick<DaySums, "flows" | "packets" | "bytes">>;
  /** Version of the schema. */
  readVersion(): Promise<number>;
  /** Nothing was ever taken in, and no sensor is known. */
  isEmpty(): Promise<boolean>;
  /** Lets the database learn how its rows are spread. */
  optimize(): Promise<void>;
  /** What is wrong, in words. */
  findProblems(days: readonly StoredDay[]): Promise<string[]>;
}
