/** Episodes: what a detector remembers of each key, for as long as the key stays busy.
 *
 * In: a key and a packet time. Out: the state of the key's present episode.
 * Invariant: at most `keysMax` keys; when there is no room the half that was touched longest ago goes, counted.
 * Why halves: taking single oldest keys out of a large Map makes V8 walk over all the holes left before; under a flood of new keys
 * that took nearly half of the detectors' time.
 * Why episodes and no sweep by time: a packet time may jump by decades or run backwards (several sensors, replayed captures). A gap
 * longer than `quietS`, in either direction, starts a new episode; nothing else ever depends on the order of times. @module */

import type { FlowUpdate } from "../model/flow.ts";
import { type Advice, type Detector, findingLimits } from "./detector.ts";
import type { Finding } from "../model/threat.ts";

/** What every episode has. Times are epoch seconds. */
export interface Episode {
  key: string;
  network: string;
  firstS: number;
  lastS: number;
  flowIds: Set<string>;
  sensors: Set<string>;
}

export interface EpisodeOptions<State> {
  /** Keys followed at once. */
  keysMax: number;
  /** A silence longer than this ends an episode. */
  quietS: number;
  /** An episode older than this that is still below its threshold starts again, so that rare failures of months never add up. */
  ageMaxS: number;
  create: () => State;
  isAboveThreshold: (state: State & Episode) => boolean;
}

export class Episodes<State extends object> {
  readonly #options: EpisodeOptions<State>;
  #young = new Map<string, State & Episode>();
  #old = new Map<string, State & Episode>();
  readonly #changed = new Set<string>();
  /** Episodes above the threshold that ended before anyone asked for them. */
  #ended: (State & Episode)[] = [];
  /** Keys, and ended episodes above the threshold, that went for want of room. */
  evicted = 0;

  constructor(options: EpisodeOptions<State>) {
    this.#options = options;
  }

  get tracked(): number {
    return this.#young.size + this.#old.size;
  }

  /** The episode of `key` at the time of `update`; made, or started again, where needed. */
  touch(key: string, update: FlowUpdate): State & Episode {
    const { start, end } = update.segment;
    let episode = this.get(key);
    if (!episode || this.#isOver(episode, start, end)) {
      if (episode) this.#end(episode);
      episode = this.#begin(key, update);
    }
    this.#keep(key, episode);
    episode.firstS = Math.min(episode.firstS, start);
    episode.lastS = Math.max(episode.lastS, end);
    if (episode.flowIds.size < findingLimits.flowIdsMax) episode.flowIds.add(update.flow_id);
    for (const sensor of update.sensors) {
      if (episode.sensors.size < findingLimits.sensorsMax) episode.sensors.add(sensor);
    }
    this.#changed.add(key);
    return episode;
  }

  /** Episode of a key, untouched. */
  get(key: string): (State & Episode) | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** Episodes touched since the last call that are above the threshold, those that ended first. */
  takeChanged(): (State & Episode)[] {
    const found = this.#ended;
    this.#ended = [];
    for (const key of this.#changed) {
      const episode = this.get(key);
      if (episode && this.#options.isAboveThreshold(episode)) found.push(episode);
    }
    this.#changed.clear();
    return found;
  }

  #isOver(episode: State & Episode, start: number, end: number): boolean {
    const { quietS, ageMaxS, isAboveThreshold } = this.#options;
    if (start > episode.lastS + quietS || end < episode.firstS - quietS) return true;
    return end - episode.firstS > ageMaxS && !isAboveThreshold(episode);
  }

  #begin(key: string, update: FlowUpdate): State & Episode {
    const { start, end } = update.segment;
    return {
      ...this.#options.create(),
      key,
      network: update.network,
      firstS: start,
      lastS: end,
      flowIds: new Set<string>(),
      sensors: new Set<string>(),
    };
  }

  /** Keeps what is worth a finding until it is taken; a replayed capture goes through years in one batch. */
  #end(episode: State & Episode): void {
    if (!this.#changed.delete(episode.key) || !this.#options.isAboveThreshold(episode)) return;
    if (this.#ended.length < this.#options.keysMax) this.#ended.push(episode);
    else this.evicted++;
  }

  #keep(key: string, episode: State & Episode): void {
    this.#old.delete(key);
    if (!this.#young.has(key) && this.#young.size >= Math.max(1, this.#options.keysMax >> 1)) {
      for (const stale of this.#old.values()) this.#end(stale);
      this.evicted += this.#old.size;
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, episode);
  }
}

/** The detector that keeps `episodes` by `step` and tells of those above their threshold. */
export function episodeDetector<State extends object>(
  name: string,
  advice: Advice,
  episodes: Episodes<State>,
  step: (update: FlowUpdate) => void,
  describe: (episode: State & Episode) => Finding,
): Detector {
  return {
    name,
    advice,
    step,
    collect: () => episodes.takeChanged().map(describe),
    get tracked() {
      return episodes.tracked;
    },
    get evicted() {
      return episodes.evicted;
    },
  };
}

/** The part of a finding that an episode gives. */
export function episodeParts(episode: Episode): {
  network: string;
  first_seen: number;
  last_seen: number;
  flow_ids: string[];
  sensors: string[];
} {
  return {
    network: episode.network,
    first_seen: episode.firstS,
    last_seen: episode.lastS,
    flow_ids: [...episode.flowIds],
    sensors: [...episode.sensors].sort(),
  };
}
