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
 * most never reach a second flow. For the same reason a single update that is no threat by itself is kept as it is
 * (`slight`), one object for all detectors: making and dropping a state for each took half of the time of detection.
 * @module */

import { EpisodeTable, hashOfKey, type Key, type Keyed } from "./episode_table.ts";
import { findingLimits } from "./finding.ts";
import type { KeyParts } from "./keys.ts";
import { type Opening, Origin, type PreparedUpdate } from "./prepared.ts";

/** What a detector may ask of an episode, beside its own state. Times are epoch seconds. */
export interface Episode {
  firstS: number;
  lastS: number;
  /** Flows so far. */
  flows: number;
  /** Ended or evicted; what comes for its key now opens another. */
  isOver: boolean;
}

/** What few episodes have, as most never see a second flow. */
class Rest {
  sensors: readonly string[];
  /** The rest of a bounded sample, the first ones. */
  readonly flowIds: string[] = [];
  /** Flows beyond the sample that were not handed on yet; null = none. */
  moreFlowIds: string[] | null = null;
  /** How many of the sample were handed on. */
  handedOn = 0;
  /** How many updates there must be before it is judged again. */
  judgedFrom = 0;

  constructor(sensors: readonly string[]) {
    this.sensors = sensors;
  }
}

/** An episode as it is kept. One shape for all detectors, as most of them never see a second update: what the detector
 * may ask is put beside its state only when it is a finding. */
export class KeptEpisode<State extends object> implements Episode, Keyed {
  readonly ownKey: Key;
  readonly origin: Origin;
  readonly state: State & Partial<Episode>;
  firstS: number;
  lastS: number;
  flows = 1;
  isOver = false;
  /** Touched since the episodes above the threshold were taken last. */
  isChanged = false;
  /** Updates so far. */
  touches = 0;
  #rest: Rest | null = null;

  constructor(ownKey: Key, origin: Origin, state: State) {
    this.ownKey = ownKey;
    this.origin = origin;
    this.state = state;
    this.firstS = origin.start;
    this.lastS = origin.end;
  }

  /** With the network before it. */
  get key(): string {
    return typeof this.ownKey === "string"
      ? `${this.network}|${this.ownKey}`
      : this.ownKey.textOf(this.origin);
  }

  get network(): string {
    return this.origin.network;
  }

  get sensors(): readonly string[] {
    return this.#rest === null ? this.origin.sensors : this.#rest.sensors;
  }

  get rest(): Rest {
    return this.#rest ??= new Rest(this.origin.sensors);
  }

  get judgedFrom(): number {
    return this.#rest === null ? 0 : this.#rest.judgedFrom;
  }

  get flowIds(): string[] {
    const { flowId } = this.origin;
    return this.#rest === null ? [flowId] : [flowId, ...this.#rest.flowIds];
  }

  /** Of those beyond the sample. */
  get flowsHeld(): number {
    return this.#rest?.moreFlowIds?.length ?? 0;
  }

  hasFlow(id: string): boolean {
    return this.origin.flowId === id || (this.#rest !== null && this.#rest.flowIds.includes(id));
  }

  /** Of the sample. */
  get lastFlowId(): string {
    const rest = this.#rest;
    return rest === null || rest.flowIds.length === 0
      ? this.origin.flowId
      : rest.flowIds[rest.flowIds.length - 1];
  }

  addFlowId(id: string): void {
    this.rest.flowIds.push(id);
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

export interface EpisodeOptions<State extends object> {
  /** Keys followed at once. */
  keysMax: number;
  /** A silence longer than this ends an episode. */
  quietS: number;
  /** An episode older than this that is still below its threshold starts again. */
  ageMaxS: number;
  open: (update: PreparedUpdate | Origin, item: unknown) => State;
  isThreat: (state: State, episode: Episode) => boolean;
  /** Where single updates are kept without a state. */
  slight?: {
    isSlight: (update: PreparedUpdate, item: unknown) => boolean;
    /** That of the update that opened the episode; `present`: of the one that found it. */
    item: (first: Origin, present: unknown) => unknown;
    step: (episode: KeptEpisode<State>, first: Origin, item: unknown) => void;
  };
}

export class Episodes<State extends object> {
  readonly #options: EpisodeOptions<State>;
  /** An episode, or where a single update opened it that is no threat by itself, what stays of that. */
  #young = new EpisodeTable<KeptEpisode<State> | Origin>();
  #old = new EpisodeTable<KeptEpisode<State> | Origin>();
  /** Those that keys were made of. */
  readonly #parts: KeyParts[] = [];
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
   * there is nothing to step, as there is none and `opens` is false, or as a slight update begins one. */
  touch(key: Key, update: PreparedUpdate, item?: unknown, opens = true): KeptEpisode<State> | null {
    const { start, end } = update.segment, hash = hashOfKey(key, update);
    let found = this.#young.get(key, update, hash);
    const isYoung = found !== undefined;
    if (found === undefined && this.#old.size > 0) {
      found = this.#old.get(key, update, hash);
      if (found !== undefined) this.#old.delete(key, update, hash);
    }
    if (found === undefined && !opens) return null;
    if (!isYoung) this.#makeRoom();
    if (found === undefined || this.#isOver(found, start, end)) {
      if (found instanceof KeptEpisode) this.#close(found);
      else if (found === undefined && typeof key !== "string" && !this.#parts.includes(key)) {
        this.#parts.push(key);
      }
      const opened = this.#open(key, update, item);
      this.#young.set(key, update, opened ?? update.origin, hash);
      if (opened !== null) this.#add(opened, update);
      return opened;
    }
    const episode = found instanceof KeptEpisode ? found : this.#recall(key, found, item);
    if (!isYoung || episode !== found) this.#young.set(key, update, episode, hash);
    this.#add(episode, update);
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
      const isBusy = isThreat || episode.touches >= busyTouches;
      if (isBusy || episode.judgedFrom > 0) {
        episode.rest.judgedFrom = isBusy ? episode.touches * growthFactor : 0;
      }
      if (isThreat) taken.push(episode);
      else if (episode.isOver) this.#freeFlows(episode);
    }
    return taken;
  }

  /** Flows of an episode that were not handed on before. */
  takeFlowIds(episode: KeptEpisode<State>): string[] {
    const { flowIds, rest } = episode;
    const taken = [...flowIds.slice(rest.handedOn), ...rest.moreFlowIds ?? []];
    rest.handedOn = flowIds.length;
    this.#freeFlows(episode);
    return taken;
  }

  /** Ends the episode whose {@link Episode.key} this is: what comes next opens another. */
  end(whole: string): void {
    for (const half of [this.#young, this.#old]) {
      const episode = half.take(whole, this.#parts);
      if (episode instanceof KeptEpisode) this.#close(episode);
    }
  }

  /** Null: the update is kept by itself. */
  #open(key: Key, update: PreparedUpdate, item: unknown): KeptEpisode<State> | null {
    const { slight, open } = this.#options;
    if (slight !== undefined && slight.isSlight(update, item)) return null;
    return new KeptEpisode(key, update.origin, open(update, item));
  }

  /** Makes up for what was put off when `first` came. */
  #recall(key: Key, first: Origin, present: unknown): KeptEpisode<State> {
    const { slight, open } = this.#options;
    const item = slight!.item(first, present);
    const episode = new KeptEpisode(key, first, open(first, item));
    episode.touches = 1;
    slight!.step(episode, first, item);
    return episode;
  }

  #add(episode: KeptEpisode<State>, update: PreparedUpdate): void {
    const { start, end } = update.segment;
    episode.touches++;
    if (start < episode.firstS) episode.firstS = start;
    if (end > episode.lastS) episode.lastS = end;
    this.#addFlow(episode, update);
    if (update.sensors !== episode.sensors) addSensors(episode, update.sensors);
    if (!episode.isChanged) this.#addChanged(episode);
  }

  #isOver(episode: KeptEpisode<State> | Origin, start: number, end: number): boolean {
    const { quietS, ageMaxS } = this.#options;
    if (episode instanceof Origin) {
      return start > episode.end + quietS || end < episode.start - quietS || end - episode.start > ageMaxS;
    }
    if (start > episode.lastS + quietS || end < episode.firstS - quietS) return true;
    return end - episode.firstS > ageMaxS && !this.#isThreat(episode);
  }

  #isThreat(episode: KeptEpisode<State>): boolean {
    return this.#options.isThreat(episode.state, episode);
  }

  /** A later segment counts as a flow of its own only while the sample shows that its flow is a new one. */
  #addFlow(episode: KeptEpisode<State>, { flowId, first }: Opening): void {
    if (episode.flows < findingLimits.flowIdsMax) {
      if (episode.lastFlowId === flowId || (!first && episode.hasFlow(flowId))) return;
      episode.addFlowId(flowId);
      return;
    }
    if (!first) return;
    const { rest } = episode;
    if (rest.moreFlowIds?.at(-1) === flowId) return;
    if (++episode.flows > findingLimits.linksMax) return;
    if (this.#flowsHeld >= flowsHeldMax) {
      this.linksDropped++;
      return;
    }
    this.#flowsHeld++;
    (rest.moreFlowIds ??= []).push(flowId);
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
    if (episode.flowsHeld === 0) return;
    this.#flowsHeld -= episode.flowsHeld;
    episode.rest.moreFlowIds = null;
  }

  #makeRoom(): void {
    if (this.#young.size < Math.max(1, this.#options.keysMax >> 1)) return;
    this.evicted += this.#old.size;
    for (const stale of this.#old.values()) if (stale instanceof KeptEpisode) this.#close(stale);
    this.#old.clear();
    [this.#old, this.#young] = [this.#young, this.#old];
  }
}

function addSensors(episode: KeptEpisode<object>, sensors: readonly string[]): void {
  const missing = sensors.filter((sensor) => !episode.sensors.includes(sensor));
  if (missing.length === 0) return;
  episode.rest.sensors = [...episode.sensors, ...missing].slice(0, findingLimits.sensorsMax);
}
