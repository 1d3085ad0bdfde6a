/** Episodes: what a detector remembers of each key, for as long as the key stays busy.
 *
 * In: a key and a prepared update. Out: the state of the key's present episode in the update's network.
 * Invariant: at most `keysMax` keys; when there is no room the half that was touched longest ago is evicted, counted.
 * Why halves: taking single oldest keys out of a large Map makes V8 walk over all the holes left before; under a flood
 * of new keys that took nearly half of the detectors' time.
 * Why episodes and no sweep by time: a packet time may jump by decades or run backwards (several sensors, replayed
 * captures). A gap longer than `quietS`, in either direction, starts a new episode; nothing else ever depends on the
 * order of times.
 * Why plain lists for flows and sensors: a million keys of one flow each must stay small;
 * most never reach a second flow. @module */

import { ByNetwork } from "./by_network.ts";
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
  /** Flows so far. */
  flows: number;
  /** Flows beyond the sample that were not handed on yet; null = none. */
  moreFlowIds: string[] | null;
  /** How many of the sample were handed on. */
  handedOn: number;
  sensors: readonly string[];
  /** Touched since the episodes above the threshold were taken last. */
  isChanged: boolean;
  /** Updates so far, and how many there must be before it is judged again. */
  touches: number;
  judgedFrom: number;
  /** Ended or evicted; what comes for its key now opens another. */
  isOver: boolean;
}

/** Episodes that changed between two takes; a batch has fewer updates. */
const changedMax = 200_000;
/** An episode that has so many updates, or is a threat, is judged again when it has so many times the updates. */
const busyTouches = 64;
const growthFactor = 1.1;
/** Flows beyond the samples that wait for their episodes to become threats. */
const flowsHeldMax = 500_000;

export interface EpisodeOptions<State> {
  /** Keys followed at once. */
  keysMax: number;
  /** A silence longer than this ends an episode. */
  quietS: number;
  /** An episode older than this that is still below its threshold starts again. */
  ageMaxS: number;
  open: (update: PreparedUpdate, item: unknown) => State;
  isThreat: (state: State & Episode) => boolean;
}

export class Episodes<State extends object> {
  readonly #options: EpisodeOptions<State>;
  #young = new ByNetwork<State & Episode>();
  #old = new ByNetwork<State & Episode>();
  /** Touched since they were taken last, those that ended meanwhile included:
   * a replayed capture goes through years in one batch. */
  #changed: (State & Episode)[] = [];
  /** Keys, and ended episodes above the threshold, that were evicted because the table was full. */
  evicted = 0;
  /** Flows that will not be linked as too many were held. */
  linksDropped = 0;
  #flowsHeld = 0;

  constructor(options: EpisodeOptions<State>) {
    this.#options = options;
  }

  get tracked(): number {
    return this.#young.size + this.#old.size;
  }

  /** The episode of `key` in the network and at the time of `update`; opened, or started again, where needed. Null:
   * there is none and `opens` is false. */
  touch(key: string, update: PreparedUpdate, item?: unknown, opens = true): State & Episode | null {
    const { network, segment: { start, end } } = update;
    let episode = this.#young.get(network, key);
    const isYoung = episode !== undefined;
    if (episode === undefined && this.#old.size > 0) {
      episode = this.#old.get(network, key);
      if (episode !== undefined) this.#old.delete(network, key);
    }
    if (episode === undefined && !opens) return null;
    if (!isYoung) this.#makeRoom();
    if (episode === undefined || this.#isOver(episode, start, end)) {
      if (episode !== undefined) this.#close(episode);
      episode = begin(key, update, this.#options.open(update, item));
      this.#young.set(network, key, episode);
    } else if (!isYoung) this.#young.set(network, key, episode);
    episode.touches++;
    if (start < episode.firstS) episode.firstS = start;
    if (end > episode.lastS) episode.lastS = end;
    this.#addFlow(episode, update);
    if (update.sensors !== episode.sensors) addSensors(episode, update.sensors);
    if (!episode.isChanged) this.#addChanged(episode);
    return episode;
  }

  /** Episodes touched since they were taken last that are above the threshold, in the order of their first touch. A
   * threat, or a busy one, is judged again when it has grown by a tenth, when it is over, or when `isAll`: judging and
   * describing it anew after every batch costs more than all the rest. */
  takeChanged(isAll = true): (State & Episode)[] {
    const changed = this.#changed, taken: (State & Episode)[] = [];
    this.#changed = [];
    for (const episode of changed) {
      if (!isAll && !episode.isOver && episode.touches < episode.judgedFrom) {
        this.#changed.push(episode);
        continue;
      }
      episode.isChanged = false;
      const isThreat = this.#options.isThreat(episode);
      episode.judgedFrom = isThreat || episode.touches >= busyTouches ? episode.touches * growthFactor : 0;
      if (isThreat) taken.push(episode);
      else if (episode.isOver) this.#freeFlows(episode);
    }
    return taken;
  }

  /** Flows of an episode that were not handed on before. */
  takeFlowIds(episode: Episode): string[] {
    const { flowIds, moreFlowIds, handedOn } = episode;
    const taken = [...flowIds.slice(handedOn), ...moreFlowIds ?? []];
    this.#flowsHeld -= moreFlowIds?.length ?? 0;
    episode.handedOn = flowIds.length;
    episode.moreFlowIds = null;
    return taken;
  }

  /** Ends the episode whose {@link Episode.key} this is: what comes next opens another. */
  end(whole: string): void {
    for (const half of [this.#young, this.#old]) {
      const episode = half.take(whole);
      if (episode) this.#close(episode);
    }
  }

  #isOver(episode: State & Episode, start: number, end: number): boolean {
    const { quietS, ageMaxS, isThreat } = this.#options;
    if (start > episode.lastS + quietS || end < episode.firstS - quietS) return true;
    return end - episode.firstS > ageMaxS && !isThreat(episode);
  }

  /** A later segment counts as a flow of its own only while the sample shows that its flow is a new one. */
  #addFlow(episode: State & Episode, { flowId, first }: PreparedUpdate): void {
    const { flowIds } = episode;
    if (episode.flows < findingLimits.flowIdsMax) {
      if (flowIds[flowIds.length - 1] === flowId || (!first && flowIds.includes(flowId))) return;
      flowIds.push(flowId);
      episode.flows++;
      return;
    }
    if (!first || episode.moreFlowIds?.at(-1) === flowId) return;
    if (++episode.flows > findingLimits.linksMax) return;
    if (this.#flowsHeld >= flowsHeldMax) {
      this.linksDropped++;
      return;
    }
    this.#flowsHeld++;
    (episode.moreFlowIds ??= []).push(flowId);
  }

  #addChanged(episode: State & Episode): void {
    if (this.#changed.length >= changedMax) this.#dropChanged();
    episode.isChanged = true;
    this.#changed.push(episode);
  }

  /** Leaves half of the changed ones at most, all of them threats.
   * What is dropped is judged again when more comes of it. */
  #dropChanged(): void {
    const kept: (State & Episode)[] = [];
    for (const episode of this.#changed) {
      const isThreat = this.#options.isThreat(episode);
      if (isThreat && kept.length < changedMax >> 1) {
        kept.push(episode);
        continue;
      }
      if (isThreat) this.evicted++;
      episode.isChanged = false;
      if (episode.isOver) this.#freeFlows(episode);
    }
    this.#changed = kept;
  }

  /** Frees the flows held for an episode that is over; one that changed is taken once more, and frees them then. */
  #close(episode: State & Episode): void {
    episode.isOver = true;
    if (!episode.isChanged) this.#freeFlows(episode);
  }

  #freeFlows(episode: Episode): void {
    this.#flowsHeld -= episode.moreFlowIds?.length ?? 0;
    episode.moreFlowIds = null;
  }

  #makeRoom(): void {
    if (this.#young.size < Math.max(1, this.#options.keysMax >> 1)) return;
    this.evicted += this.#old.size;
    for (const stale of this.#old.values()) this.#close(stale);
    this.#old = this.#young;
    this.#young = new ByNetwork();
  }
}

function begin<State extends object>(key: string, update: PreparedUpdate, state: State): State & Episode {
  const { start, end } = update.segment;
  const episode: Episode = {
    key: `${update.network}|${key}`,
    network: update.network,
    firstS: start,
    lastS: end,
    // One element, not an empty list to grow: most episodes never see a second flow.
    flowIds: [update.flowId],
    flows: 1,
    moreFlowIds: null,
    handedOn: 0,
    sensors: update.sensors,
    isChanged: false,
    touches: 0,
    judgedFrom: 0,
    isOver: false,
  };
  return Object.assign(state, episode);
}

function addSensors(episode: Episode, sensors: readonly string[]): void {
  const missing = sensors.filter((sensor) => !episode.sensors.includes(sensor));
  if (missing.length === 0) return;
  episode.sensors = [...episode.sensors, ...missing].slice(0, findingLimits.sensorsMax);
}
