/** Episodes: what a detector remembers of each key, for as long as the key stays busy.
 *
 * In: a key and a prepared update. Out: the state of the key's present episode.
 * Invariant: at most `keysMax` keys; when there is no room the half that was touched longest ago is evicted, counted.
 * Why halves: taking single oldest keys out of a large Map makes V8 walk over all the holes left before; under a flood of new keys
 * that took nearly half of the detectors' time.
 * Why episodes and no sweep by time: a packet time may jump by decades or run backwards (several sensors, replayed captures). A gap
 * longer than `quietS`, in either direction, starts a new episode; nothing else ever depends on the order of times.
 * Why plain lists for flows and sensors: a million keys of one flow each must stay small; most never reach a second flow. @module */

import { findingLimits } from "./finding.ts";
import type { PreparedUpdate } from "./prepared.ts";

/** What every episode has. Times are epoch seconds. */
export interface Episode {
  /** With the network before it. */
  key: string;
  network: string;
  firstS: number;
  lastS: number;
  /** A bounded sample, the first ones. */
  flowIds: string[];
  sensors: readonly string[];
  /** Touched since the episodes above the threshold were taken last. */
  isChanged: boolean;
}

/** Episodes that changed between two takes; a batch has fewer updates. */
const changedMax = 200_000;

export interface EpisodeOptions<State> {
  /** Keys followed at once. */
  keysMax: number;
  /** A silence longer than this ends an episode. */
  quietS: number;
  /** An episode older than this that is still below its threshold starts again. */
  ageMaxS: number;
  isThreat: (state: State & Episode) => boolean;
}

export class Episodes<State extends object> {
  readonly #options: EpisodeOptions<State>;
  #young = new Map<string, State & Episode>();
  #old = new Map<string, State & Episode>();
  /** Touched since they were taken last, those that ended meanwhile included: a replayed capture goes through years in one batch. */
  #changed: (State & Episode)[] = [];
  /** Keys, and ended episodes above the threshold, that were evicted because the table was full. */
  evicted = 0;

  constructor(options: EpisodeOptions<State>) {
    this.#options = options;
  }

  get tracked(): number {
    return this.#young.size + this.#old.size;
  }

  /** The episode of `key` at the time of `update`; opened, or started again, where needed. Null: there is none and `opens` is false. */
  touch(key: string, update: PreparedUpdate, open: () => State): State & Episode;
  touch(key: string, update: PreparedUpdate, open: () => State, opens: boolean): State & Episode | null;
  touch(key: string, update: PreparedUpdate, open: () => State, opens = true): State & Episode | null {
    const { start, end } = update.segment;
    let episode = this.#young.get(key);
    const isYoung = episode !== undefined;
    if (episode === undefined && this.#old.size > 0) {
      episode = this.#old.get(key);
      if (episode !== undefined) this.#old.delete(key);
    }
    if (episode === undefined && !opens) return null;
    if (!isYoung) this.#makeRoom();
    if (episode === undefined || this.#isOver(episode, start, end)) {
      episode = begin(key, update, open());
      this.#young.set(key, episode);
    } else if (!isYoung) this.#young.set(key, episode);
    if (start < episode.firstS) episode.firstS = start;
    if (end > episode.lastS) episode.lastS = end;
    addTo(episode, update);
    if (!episode.isChanged) this.#addChanged(episode);
    return episode;
  }

  /** Episodes touched since the last call that are above the threshold, in the order of their first touch. */
  takeChanged(): (State & Episode)[] {
    const changed = this.#changed;
    this.#changed = [];
    for (const episode of changed) episode.isChanged = false;
    return changed.filter(this.#options.isThreat);
  }

  #isOver(episode: State & Episode, start: number, end: number): boolean {
    const { quietS, ageMaxS, isThreat } = this.#options;
    if (start > episode.lastS + quietS || end < episode.firstS - quietS) return true;
    return end - episode.firstS > ageMaxS && !isThreat(episode);
  }

  #addChanged(episode: State & Episode): void {
    if (this.#changed.length >= changedMax) {
      const threats = this.#changed.filter(this.#options.isThreat);
      this.#changed = threats.slice(0, changedMax >> 1);
      this.evicted += threats.length - this.#changed.length;
    }
    episode.isChanged = true;
    this.#changed.push(episode);
  }

  #makeRoom(): void {
    if (this.#young.size < Math.max(1, this.#options.keysMax >> 1)) return;
    this.evicted += this.#old.size;
    this.#old = this.#young;
    this.#young = new Map();
  }
}

function begin<State extends object>(key: string, update: PreparedUpdate, state: State): State & Episode {
  const { start, end } = update.segment;
  const episode: Episode = {
    key,
    network: update.network,
    firstS: start,
    lastS: end,
    flowIds: [],
    sensors: update.sensors,
    isChanged: false,
  };
  return Object.assign(state, episode);
}

function addTo(episode: Episode, { flowId, sensors, first }: PreparedUpdate): void {
  const { flowIds } = episode;
  const isRoom = flowIds.length < findingLimits.flowIdsMax;
  if (isRoom && flowIds.at(-1) !== flowId && (first || !flowIds.includes(flowId))) flowIds.push(flowId);
  if (sensors === episode.sensors) return;
  const missing = sensors.filter((sensor) => !episode.sensors.includes(sensor));
  if (missing.length === 0) return;
  episode.sensors = [...episode.sensors, ...missing].slice(0, findingLimits.sensorsMax);
}
