/** What a detector is: one declaration, and the state that runs it.
 *
 * In: prepared updates, in any order of time. Out: findings of the episodes above their threshold.
 * Invariant: a declaration is data and pure functions; all state is in the episodes, which are bounded. No detector
 * reads a clock: times are those of packets. A finding carries its whole episode, so a later finding of the same
 * identity replaces the earlier one.
 * Why `step` and `collect` apart: a flood steps ten thousand times a second, but is worth one finding a batch.
 * @module */

import { isLearning, type Learning } from "./learned.ts";
import type { Facts } from "../../shared/facts.ts";
import type { Finding } from "../model/threat.ts";
import type { Key } from "./episode_table.ts";
import { type Episode, Episodes, type KeptEpisode } from "./episodes.ts";
import {
  type Fields,
  findingLimits,
  firstOf,
  type Found,
  type FreshFinding,
  numberEvidence,
} from "./finding.ts";
import type { Opening, PreparedUpdate } from "./prepared.ts";

/** A threshold that operators may set: `--limit NAME.LIMIT=VALUE`. */
export interface Limit {
  value: number;
  /** "ports", "s", "octets", "share" (of 1), ... */
  unit: string;
  /** Where the value comes from: a source, or the reasoning about networks. */
  why: string;
  /** What may be set. @default 0..1 for a share, else a hundredth to a hundred times of `value` */
  range?: readonly [min: number, max: number];
}
export type Limits = Readonly<Record<string, Limit>>;
/** The numbers in force. */
export type LimitValues<Table extends Limits> = { readonly [Name in keyof Table]: number };

/** When an episode ends; both may be set like limits, as `quietS` and `ageS`. */
export interface Window {
  /** A silence longer than this ends an episode. */
  quietS: Limit;
  /** An episode older than this that is still below its threshold starts again,
   * so that rare failures of months never add up. */
  ageS: Limit;
}

export type FactKind = Exclude<keyof Facts, "cut">;

/** A detector in the words of an analyst. Write it with {@link detector}, which infers its types. */
export interface Declaration<
  Table extends Limits = Limits,
  // deno-lint-ignore no-explicit-any -- the catalogue mixes declarations of different states
  State extends object = any,
  // deno-lint-ignore no-explicit-any
  Evidences extends Fields = any,
  // deno-lint-ignore no-explicit-any
  Item = any,
  // deno-lint-ignore no-explicit-any
  Shared = any,
> {
  /** Stable name, also that of its file: "port_scan_vertical". */
  readonly name: string;
  /** ATT&CK technique id. */
  readonly technique: string;
  /** A few words: "Vertical port scan". */
  readonly title: string;
  /** One sentence for the list of detectors: what it finds. */
  readonly about: string;
  /** The facts it reads: it is shown the updates that have at least one of them.
   * Those that the data never had are reported as missing. */
  readonly needs?: readonly FactKind[];
  /** It is shown the updates without such facts, too, as it learns from them. */
  readonly seesAll?: true;
  /** What else it would have to be given and has not got now, without which it finds nothing:
   * reported in the same way. Null = nothing. */
  readonly lacks?: () => string | null;
  readonly limits: Table;
  readonly window: Window;
  /** Episodes followed at once. @default 20000 */
  readonly keysMax?: number;
  /** What one update is taken apart into (DNS questions, HTTP requests), when it steps more than once.
   * @default the update, once */
  readonly items?: (update: PreparedUpdate) => readonly Item[];
  /** What the episode is about, without the network, which is always part of it.
   * Parts of the update (`by.pair`) cost less than a text. Null: the update is not this detector's business. */
  readonly key: (update: PreparedUpdate, limits: LimitValues<Table>, item: Item) => Key | null;
  /** False: the update counts only where an episode is there already. @default always true */
  readonly opens?: (update: PreparedUpdate, limits: LimitValues<Table>, item: Item) => boolean;
  /** How single updates are kept: most keys are never seen again, and a state for each of them costs more than all the
   * rest. */
  readonly slight?: Slight<Table, Item>;
  /** What all episodes of one running detector share, when they must know of each other. Bound it. One that is
   * {@link Learning} survives a restart. */
  readonly shared?: () => Shared;
  /** What every update that is shown adds to what all episodes share, before its `key` is asked for. Bound it. */
  readonly notice?: (shared: Shared, update: PreparedUpdate) => void;
  /** State of a new episode, from the update that begins it; `step` is called with the same update next. */
  readonly open: (update: PreparedUpdate, item: Item, shared: Shared) => State;
  /** Adds one update to its episode. Bound every list, set and map. */
  readonly step: (
    state: State,
    update: PreparedUpdate,
    limits: LimitValues<Table>,
    item: Item,
    episode: Readonly<Episode>,
  ) => void;
  /** Whether an episode is worth a finding. */
  readonly isThreat: (state: State, limits: LimitValues<Table>, episode: Readonly<Episode>) => boolean;
  readonly finding: (state: State & Episode, limits: LimitValues<Table>) => Found<Evidences>;
  /** Why anyone would do that. */
  readonly meaning: Words<Evidences, State & Episode>;
  /** What to do next, most urgent first. */
  readonly action: Words<Evidences, State & Episode>;
  /** How to rule out a false alarm. */
  readonly falseAlarm: Words<Evidences, State & Episode>;
}

/** An episode of one update is kept without a state while that update is no threat by itself; its state is made when a
 * second one comes. Then `open` and `step` of the declaration are given what stays of the first one,
 * so they take an {@link Opening}. */
export interface Slight<Table extends Limits, Item> {
  /** Whether {@link Declaration.isThreat} is false after this update alone. */
  readonly isSlight: (update: PreparedUpdate, limits: LimitValues<Table>, item: Item) => boolean;
  /** The item that the first update was taken apart into. @default the present one: what is read of it is in the key */
  readonly item?: (first: Opening) => Item;
}

/** Advice: the same for all, or following the evidence, the ends and the state of this finding. */
export type Words<Evidences extends Fields, State = never> =
  | string
  | ((evidence: Evidences, finding: Omit<Finding, "words">, state: State) => string);

/** Declares a detector. Its functions see the types of its limits, state, items and evidence;
 * to everybody else they are opaque.
 *
 * @example The least that a detector is.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { detector, settableLimits } from "./detector.ts";
 * import { field, reason } from "./finding.ts";
 *
 * const telnetUsed = detector({
 *   name: "telnet_used",
 *   technique: "T1021",
 *   title: "Telnet in use",
 *   about: "A host is administered by Telnet.",
 *   limits: { sessionsMin: { value: 2, unit: "sessions", why: "a single one may be a banner grab" } },
 *   window: {
 *     quietS: { value: 3_600, unit: "s", why: "people pause for lunch" },
 *     ageS: { value: 86_400, unit: "s", why: "a day is one finding" },
 *   },
 *   key: ({ begins, probe, dst, segment }) =>
 *     begins && probe === "used" && segment.dst_port === 23 ? dst.ip : null,
 *   open: ({ dst }) => ({ host: dst.ip, sessions: 0 }),
 *   step: (use) => void use.sessions++,
 *   isThreat: (use, { sessionsMin }) => use.sessions >= sessionsMin,
 *   finding: ({ host, sessions }) => ({
 *     src_ips: [],
 *     dst_ips: [host],
 *     dst_port: 23,
 *     count: sessions,
 *     summary: `${host} was used by Telnet ${sessions} times.`,
 *     reasons: [reason("sessions", 30, `${sessions} sessions`)],
 *     evidence: { sessions: field("sessions", sessions) },
 *   }),
 *   meaning: "Telnet sends passwords in the clear.",
 *   action: "Use SSH.",
 *   falseAlarm: "The device knows nothing else.",
 * });
 * assertEquals(Object.keys(settableLimits(telnetUsed)), ["sessionsMin", "quietS", "ageS"]);
 * ``` */
export function detector<
  const Table extends Limits,
  State extends object,
  Evidences extends Fields,
  Item = undefined,
  Shared = undefined,
>(declaration: Declaration<Table, State, Evidences, Item, Shared>): Declaration {
  return declaration as unknown as Declaration;
}

const groupsMax = 10_000, groupKeysMax = 256;

/** A detector that runs: a declaration, the limits in force, and the episodes. */
export interface Detector {
  readonly name: string;
  readonly declaration: Declaration;
  /** Adds one update. */
  step(update: PreparedUpdate): void;
  /** Findings of the episodes above their threshold that changed since the last call;
   * without `isAll` only of new and of grown ones. */
  collect(isAll?: boolean): FreshFinding[];
  /** Ends the episode of an identity: what comes next opens another. */
  end(identity: string): void;
  /** What survives a restart; null = nothing does. */
  readonly learning: Learning | null;
  /** Episodes followed now, and those evicted because the table was full. */
  readonly tracked: number;
  readonly evicted: number;
  /** Flows that will not be linked as too many were held. */
  readonly linksDropped: number;
}

/** Starts a detector. `set` holds the limits that differ from the declared ones, already checked (settings.ts). */
export function startDetector(
  declaration: Declaration,
  set: Readonly<Record<string, number>> = {},
): Detector {
  const limits = limitsInForce(declaration, set);
  const { name, items, notice, key, opens, open, step, isThreat, slight } = declaration;
  const shared = declaration.shared?.();
  const episodes = new Episodes<object>({
    keysMax: declaration.keysMax ?? 20_000,
    quietS: limits.quietS,
    ageMaxS: limits.ageS,
    // It reads no more of what stays of a slight update, as it takes an Opening.
    open: (update, item) => open(update as PreparedUpdate, item, shared),
    isThreat: (state, episode) => isThreat(state, limits, episode),
    ...slight && {
      slight: {
        isSlight: (update, item) => slight.isSlight(update, limits, item),
        item: (first, present) => slight.item === undefined ? present : slight.item(first),
        step: (episode, first, item) =>
          step(episode.state, first as Opening as PreparedUpdate, limits, item, episode),
      },
    },
  });

  const groups = new Map<string, Set<string>>();

  function collect(episode: KeptEpisode<object>): FreshFinding {
    const finding = findingOf(declaration, episode, limits);
    const own = `${name}|${episode.key}`;
    if (finding.identity !== own) addToGroup(groups, finding.identity, episode.key);
    return { ...finding, new_flow_ids: episodes.takeFlowIds(episode) };
  }

  function stepItem(update: PreparedUpdate, item: unknown): void {
    const own = key(update, limits, item);
    if (own === null) return;
    const mayOpen = opens === undefined || opens(update, limits, item);
    const episode = episodes.touch(own, update, item, mayOpen);
    if (episode !== null) step(episode.state, update, limits, item, episode);
  }

  return {
    name,
    declaration,
    step(update) {
      notice?.(shared, update);
      if (items === undefined) return stepItem(update, undefined);
      for (const item of items(update)) stepItem(update, item);
    },
    collect: (isAll) => episodes.takeChanged(isAll).map(collect),
    end(identity) {
      for (const key of groups.get(identity) ?? [identity.slice(name.length + 1)]) episodes.end(key);
      groups.delete(identity);
    },
    learning: isLearning(shared) ? shared : null,
    get tracked() {
      return episodes.tracked;
    },
    get evicted() {
      return episodes.evicted;
    },
    get linksDropped() {
      return episodes.linksDropped;
    },
  };
}

/** Episodes that share one threat, so that they end with it. */
function addToGroup(groups: Map<string, Set<string>>, identity: string, key: string): void {
  const keys = groups.get(identity);
  if (keys) {
    if (keys.size < groupKeysMax) keys.add(key);
    return;
  }
  if (groups.size >= groupsMax) groups.delete(groups.keys().next().value!);
  groups.set(identity, new Set([key]));
}

/** All that may be set of a detector, its window included. */
export function settableLimits({ limits, window }: Pick<Declaration, "limits" | "window">): Limits {
  return { ...limits, quietS: window.quietS, ageS: window.ageS };
}

function limitsInForce(
  declaration: Declaration,
  set: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(settableLimits(declaration)).map(([name, { value }]) => [name, set[name] ?? value]),
  );
}

function findingOf(
  declaration: Declaration,
  episode: KeptEpisode<object>,
  limits: Record<string, number>,
): Finding {
  const { name, technique, title, meaning, action, falseAlarm } = declaration;
  const state = episode.shown;
  const found = declaration.finding(state, limits);
  const finding = {
    detector: name,
    identity: `${name}|${
      found.identity === undefined ? episode.key : `${episode.network}|${found.identity}`
    }`,
    technique: found.technique ?? technique,
    title: found.title ?? title,
    network: episode.network,
    src_ips: firstOf(found.src_ips, findingLimits.addressesMax),
    dst_ips: firstOf(found.dst_ips, findingLimits.addressesMax),
    dst_port: found.dst_port,
    first_seen: episode.firstS,
    last_seen: episode.lastS,
    count: found.count,
    reasons: found.reasons,
    evidence: numberEvidence(found.evidence),
    flow_ids: episode.flowIds,
    flows: episode.flows,
    sensors: [...episode.sensors].sort(),
  };
  const say = (words: Words<Fields, Episode>) =>
    typeof words === "string" ? words : words(found.evidence, finding, state);
  return {
    ...finding,
    words: {
      summary: found.summary,
      meaning: say(meaning),
      action: say(action),
      false_alarm: say(falseAlarm),
    },
  };
}
