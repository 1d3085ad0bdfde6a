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

/** What a detector may ask of an episode, beside its own state. Times are epoch seconds. */
export interface Episode {
  firstS: number;
  lastS: number;
  /** Flows so far. */
  flows: number;
  /** Ended or evicted; what comes for its key now opens another. */
  isOver: boolean;
}

/** An episode as it is kept. One shape for all detectors, as most of them never see a second update: what the detector
 * may ask is put beside its state only when it is a finding. */
export class KeptEpisode<State extends object> implements Episode {
  readonly state: State & Partial<Episode>;
  readonly network: string;
  firstS: number;
  lastS: number;
  flows = 1;
  isOver = false;
  sensors: readonly string[];
  readonly #key: string;
  readonly #flowId: string;
  /** The rest of a bounded sample, the first ones; null = none. */
  #flowIds: string[] | null = null;
  /** Flows beyond the sample that were not handed on yet; null = none. */
  moreFlowIds: string[] | null = null;
  /** How many of the sample were handed on. */
  handedOn = 0;
  /** Touched since the episodes above the threshold were taken last. */
  isChanged = false;
  /** Updates so far, and how many there must be before it is judged again. */
  touches = 0;
  judgedFrom = 0;

  constructor(key: string, { network, flowId, sensors, segment }: PreparedUpdate, state: State) {
    this.state = state;
    this.network = network;
    this.firstS = segment.start;
    this.lastS = segment.end;
    this.sensors = sensors;
    this.#key = key;
    this.#flowId = flowId;
  }

  /** With the network before it. */
  get key(): string {
    return `${this.network}|${this.#key}`;
  }

  get flowIds(): string[] {
    return this.#flowIds === null ? [this.#flowId] : [this.#flowId, ...this.#flowIds];
  }

  hasFlow(id: string): boolean {
    return this.#flowId === id || (this.#flowIds !== null && this.#flowIds.includes(id));
  }

  /** Of the sample. */
  get lastFlowId(): string {
    return this.#flowIds === null ? this.#flowId : this.#flowIds[this.#flowIds.length - 1];
  }

  addFlowId(id: string): void {
    if (this.#flowIds === null) this.#flowIds = [id];
    else this.#flowIds.push(id);
    this.flows++;
  }

  /** The state, with what the detector may ask of its episode. */
  get shown(): State & Episode {
    const { state } = this;
    state.firstS = this.firstS;
    state.lastS = this.lastS;
    state.flows = this.flows;
    state.isOver = this.isOver;
    return state as State & Episode;
  }
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
  isThreat: (state: State, episode: Episode) => boolean;
}

export class Episodes<State extends object> {
  readonly #options: EpisodeOptions<State>;
  #young = new ByNetwork<KeptEpisode<State>>();
  #old = new ByNetwork<KeptEpisode<State>>();
  /** Touched since they were taken last, those that ended meanwhile included:
   * a replayed capture goes through years in one batch. */
  #changed: KeptEpisode<State>[] = [];
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
  touch(key: string, update: PreparedUpdate, item?: unknown, opens = true): KeptEpisode<State> | null {
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
      episode = new KeptEpisode(key, update, this.#options.open(update, item));
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
  takeChanged(isAll = true): KeptEpisode<State>[] {
    const changed = this.#changed, taken: KeptEpisode<State>[] = [];
    this.#changed = [];
    for (const episode of changed) {
      if (!isAll && !episode.isOver && episode.touches < episode.judgedFrom) {
        this.#changed.push(episode);
        continue;
      }
      episode.isChanged = false;
      const isThreat = this.#isThreat(episode);
      episode.judgedFrom = isThreat || episode.touches >= busyTouches ? episode.touches * growthFactor : 0;
      if (isThreat) taken.push(episode);
      else if (episode.isOver) this.#freeFlows(episode);
    }
    return taken;
  }

  /** Flows of an episode that were not handed on before. */
  takeFlowIds(episode: KeptEpisode<State>): string[] {
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

  #isOver(episode: KeptEpisode<State>, start: number, end: number): boolean {
    const { quietS, ageMaxS } = this.#options;
    if (start > episode.lastS + quietS || end < episode.firstS - quietS) return true;
    return end - episode.firstS > ageMaxS && !this.#isThreat(episode);
  }

  #isThreat(episode: KeptEpisode<State>): boolean {
    return this.#options.isThreat(episode.state, episode);
  }

  /** A later segment counts as a flow of its own only while the sample shows that its flow is a new one. */
  #addFlow(episode: KeptEpisode<State>, { flowId, first }: PreparedUpdate): void {
    if (episode.flows < findingLimits.flowIdsMax) {
      if (episode.lastFlowId === flowId || (!first && episode.hasFlow(flowId))) return;
      episode.addFlowId(flowId);
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

  #addChanged(episode: KeptEpisode<State>): void {
    if (this.#changed.length >= changedMax) this.#dropChanged();
    episode.isChanged = true;
    this.#changed.push(episode);
  }

  /** Leaves half of the changed ones at most, all of them threats.
   * What is dropped is judged again when more comes of it. */
  #dropChanged(): void {
    const kept: KeptEpisode<State>[] = [];
    for (const episode of this.#changed) {
      const isThreat = this.#isThreat(episode);
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
  #close(episode: KeptEpisode<State>): void {
    episode.isOver = true;
    // Others of the same detector may hold the state, and must learn of it.
    episode.state.isOver = true;
    if (!episode.isChanged) this.#freeFlows(episode);
  }

  #freeFlows(episode: KeptEpisode<State>): void {
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

function addSensors(episode: KeptEpisode<object>, sensors: readonly string[]): void {
  const missing = sensors.filter((sensor) => !episode.sensors.includes(sensor));
  if (missing.length === 0) return;
  episode.sensors = [...episode.sensors, ...missing].slice(0, findingLimits.sensorsMax);
}
