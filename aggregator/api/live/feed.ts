/** What has just been stored, for clients that watch it.
 *
 * In: ids of flows and threats, after their commit.
 * Out: rows in the order in which they were stored, each with a number.
 * Invariant: storing never waits for it and, while nobody watches, does nothing for it; at most
 * {@link LiveLimits.idsMax} ids wait, the last {@link LiveLimits.rowsMax} rows are kept for clients that reconnect, and
 * a client that is too slow is told how many rows it missed. Each is counted.
 * Why rows are read back by id: a row is then what the API answers for it, whoever changed it. @module */

import type { Clock } from "../../../shared/clock.ts";
import type { Reporter } from "../../../shared/reporter.ts";
import type { Flow } from "../../model/flow.ts";
import type { Threat } from "../../model/threat.ts";
import type { FlowStore, ThreatStore } from "../../store/store.ts";
import { ApiError } from "../errors.ts";
import type { Watcher } from "./watcher.ts";

export const topics = ["flows", "threats"] as const;
export type Topic = typeof topics[number];

export interface LiveLimits {
  /** Rows are read and sent this often. @default 500 */
  flushMs: number;
  /** Ids of a topic that wait to be read. @default 250 */
  idsMax: number;
  /** Rows of a topic kept for who comes back. @default 2000 */
  rowsMax: number;
  /** Kept for so long after the last one left. @default 60000 */
  keepMs: number;
  /** @default 64 */
  watchersMax: number;
  /** Of one API key, its sessions included. @default 8 */
  watchersPerKeyMax: number;
}

const defaults: LiveLimits = {
  flushMs: 500,
  idsMax: 250,
  rowsMax: 2_000,
  keepMs: 60_000,
  watchersMax: 64,
  watchersPerKeyMax: 8,
};

const farewellMs = 1_000;

export interface LiveDeps {
  store: Pick<FlowStore, "readFlowsById"> & Pick<ThreatStore, "readThreatsById">;
  clock: Clock;
  reporter: Reporter;
}

export interface LiveRow {
  number: number;
  row: Flow | Threat;
}

interface Channel {
  waiting: Set<string>;
  kept: LiveRow[];
  /** Of the last row, those that were left out included. */
  number: number;
}

export class LiveFeed {
  #limits: LiveLimits;
  #deps: LiveDeps;
  #watchers = new Set<Watcher>();
  #channels: Record<Topic, Channel>;
  /** Numbers of one series begin at 1; another series says nothing about them. */
  #series = 0;
  #running: AbortController | null = null;
  #isStopped = false;
  /** Told when nobody watches any more. */
  #left: () => void = () => {};

  constructor(limits: Partial<LiveLimits>, deps: LiveDeps) {
    this.#limits = { ...defaults, ...limits };
    this.#deps = deps;
    this.#channels = { flows: newChannel(), threats: newChannel() };
  }

  /** These rows were stored or changed. */
  note(topic: Topic, ids: Iterable<string>): void {
    if (this.#running === null) return;
    const { waiting } = this.#channels[topic];
    let left = 0;
    for (const id of ids) {
      waiting.delete(id);
      if (waiting.size < this.#limits.idsMax) waiting.add(id);
      else left++;
    }
    if (left > 0) this.#leaveOut(topic, left);
  }

  /** @throws {ApiError} `busy` when there are too many already. */
  checkRoom(keyHash: string): void {
    const { watchersMax, watchersPerKeyMax } = this.#limits;
    const own = [...this.#watchers].filter((watcher) => watcher.keyHash === keyHash).length;
    if (!this.#isStopped && this.#watchers.size < watchersMax && own < watchersPerKeyMax) return;
    this.#deps.reporter.count("live_watchers_refused_total");
    throw new ApiError("busy", `${this.#watchers.size} watch already, ${own} with this key`);
  }

  /** Sends to `watcher` from now on, and first what came after the row it saw last. @throws {ApiError} `busy` */
  join(watcher: Watcher, lastSeen: string | undefined): void {
    this.checkRoom(watcher.keyHash);
    this.#watchers.add(watcher);
    this.#deps.reporter.gauge("live_watchers", this.#watchers.size);
    if (this.#running === null) this.#run();
    watcher.series = this.#series;
    if (lastSeen !== undefined) this.#replay(watcher, lastSeen);
  }

  leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    this.#deps.reporter.gauge("live_watchers", this.#watchers.size);
    if (this.#watchers.size === 0) this.#left();
  }

  /** Tells everybody, and waits a moment until they have read it. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#running?.abort();
    if (this.#watchers.size === 0) return;
    const left = new AbortController();
    this.#left = () => left.abort();
    for (const watcher of this.#watchers) watcher.end("stopped");
    await this.#deps.clock.sleep(farewellMs, left.signal);
  }

  #replay(watcher: Watcher, lastSeen: string): void {
    const { kept, number } = this.#channels[watcher.topic];
    const [, series, seen] = /^([0-9]{1,15})-([0-9]{1,15})$/.exec(lastSeen) ?? [];
    if (seen === undefined || Number(series) !== this.#series || Number(seen) > number) {
      return watcher.miss(null, number);
    }
    const first = kept.find((one) => one.number > Number(seen));
    const lost = (first?.number ?? number + 1) - Number(seen) - 1;
    if (lost > 0) watcher.miss(lost, Number(seen) + lost);
    for (const one of kept) if (one.number > Number(seen)) watcher.offer(one);
  }

  /** Until nobody has watched for a while. */
  async #run(): Promise<void> {
    const running = this.#running = new AbortController();
    const { clock } = this.#deps;
    // Milliseconds: a series of an aggregator that ran before is never taken for this one.
    this.#series = Math.max(this.#series + 1, clock.nowMs());
    let watchedMs = clock.monotonicMs();
    while (!running.signal.aborted) {
      await clock.sleep(this.#limits.flushMs, running.signal);
      for (const topic of topics) await this.#flush(topic);
      if (this.#watchers.size > 0) watchedMs = clock.monotonicMs();
      else if (clock.monotonicMs() - watchedMs >= this.#limits.keepMs) break;
    }
    this.#running = null;
    this.#channels = { flows: newChannel(), threats: newChannel() };
  }

  async #flush(topic: Topic): Promise<void> {
    const channel = this.#channels[topic];
    const ids = [...channel.waiting];
    channel.waiting.clear();
    if (ids.length === 0) return;
    try {
      for (const row of await this.#read(topic, ids)) this.#send(topic, row);
    } catch (error) {
      this.#deps.reporter.warn("cannot read rows for live clients", { error });
      this.#leaveOut(topic, ids.length);
    }
  }

  async #read(topic: Topic, ids: readonly string[]): Promise<(Flow | Threat)[]> {
    const { store } = this.#deps;
    const found = topic === "flows"
      ? (await store.readFlowsById(ids)).map((flow) => [flow.flow_id, flow] as const)
      : (await store.readThreatsById(ids)).map((threat) => [threat.id, threat] as const);
    const rows = new Map<string, Flow | Threat>(found);
    return ids.flatMap((id) => rows.get(id) ?? []);
  }

  #send(topic: Topic, row: Flow | Threat): void {
    const channel = this.#channels[topic];
    const one = { number: ++channel.number, row };
    channel.kept.push(one);
    if (channel.kept.length > this.#limits.rowsMax) channel.kept.shift();
    for (const watcher of this.#watchers) if (watcher.topic === topic) watcher.offer(one);
  }

  #leaveOut(topic: Topic, rows: number): void {
    const channel = this.#channels[topic];
    channel.number += rows;
    this.#deps.reporter.count("live_rows_left_out_total", { topic }, rows);
    for (const watcher of this.#watchers) {
      if (watcher.topic === topic) watcher.miss(rows, channel.number);
    }
  }
}

function newChannel(): Channel {
  return { waiting: new Set(), kept: [], number: 0 };
}
