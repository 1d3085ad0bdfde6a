/** Decides what sinks are told: one message per incident, and one per rise of its severity;
 * the rest of a storm in a digest.
 *
 * In: threats that changed. Out: messages in the outbox of each sink,
 * in the transaction that marks the changes as handled.
 * Invariant: an incident is identified by the machines that act in it, as incidents are grouped by them: a sink is not
 * notified of a machine again while its story goes on, unless it becomes more severe. At most `messages_per_hour` are
 * sent at once; those beyond are counted in one digest an hour. Of several aggregators the one with the lease decides.
 * Bounds: {@link changesMax} changes and {@link contextMax} threats around them in memory. Changes from before the
 * first start with a sink are not sent. The hourly limit starts over after a restart. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { incidentLimits, storiesOf } from "../detect/incidents.ts";
import type { OutboxMessage, ToldRow } from "../model/message.ts";
import type { Threat } from "../model/threat.ts";
import type { Lease, LeaseStore, SinkChange, SinkStore, ThreatStore } from "../store/store.ts";
import { digestOf, digestWith, messageOf } from "./message.ts";
import { isWanted, minutesToWait, rankOf, type Rules, type Story } from "./rules.ts";

export const changesMax = 2_000;
export const contextMax = 1_000;
const contextPage = 500;
export const tellerLease = "sinks";
const leaseMs = 60_000;
/** A digest that is due sooner is as good as sent: nothing is added any more. */
const digestGraceMs = 60_000;
const hourMs = 3_600_000;
const toldMsMax = 30 * 24 * hourMs;
const subjectCharactersMax = 128;
/** New threats of known incidents that are worth a digest by themselves. */
const growthMin = 50;

export interface TellerDeps {
  store: LeaseStore & SinkStore & Pick<ThreatStore, "readThreats">;
  sinks: () => readonly (Rules & { name: string })[];
  sensor: (id: string) => { name: string; tags: readonly string[] };
  holder: string;
  clock: Clock;
  reporter: Reporter;
  randomBytes: (length: number) => Uint8Array;
}

interface Notes {
  told: ToldRow[];
  messages: OutboxMessage[];
}

export class Teller {
  readonly #deps: TellerDeps;
  /** Of each sink, when it was told at once within the last hour. */
  readonly #sent = new Map<string, number[]>();
  #prunedMs = -Infinity;

  constructor(deps: TellerDeps) {
    this.#deps = deps;
  }

  /** One piece: "more" = there may be more. */
  async turn(): Promise<"more" | "idle" | "standby"> {
    const { store, holder, reporter, clock } = this.#deps;
    const lease = await store.takeLease(tellerLease, holder, leaseMs);
    if (lease === null) return "standby";
    const nowMs = clock.nowMs();
    const startMs = lease.position === "" ? nowMs : Number(lease.position);
    await this.#prune(nowMs);
    const changes = await store.readSinkChanges(changesMax);
    if (changes.length === 0 && lease.position !== "") return "idle";
    const notes = await this.#notesOf(changes, startMs, nowMs);
    if (!await this.#note(lease, startMs, notes, changes)) return "standby";
    for (const { sink, message } of notes.messages) {
      reporter.count("sink_messages_total", { sink, kind: message.kind });
    }
    return changes.length === changesMax ? "more" : "idle";
  }

  async #note(lease: Lease, startMs: number, notes: Notes, changes: readonly SinkChange[]): Promise<boolean> {
    const { store, reporter } = this.#deps;
    const isNoted = await store.noteForSinks(
      tellerLease,
      lease,
      { position: `${startMs}`, ...notes },
      changes,
    );
    if (!isNoted) reporter.count("sink_fenced_total");
    return isNoted;
  }

  async #notesOf(changes: readonly SinkChange[], startMs: number, nowMs: number): Promise<Notes> {
    const notes: Notes = { told: [], messages: [] };
    // What a suppression hides is told when it ends, which is a change.
    const fresh = changes.filter(({ threat }) =>
      threat !== null && !threat.suppressed_by && threat.updated_ms >= startMs
    );
    if (fresh.length === 0) return notes;
    const changed = new Map(fresh.map(({ threat, isNew }) => [threat!.id, isNew]));
    const stories = storiesOf(await this.#around(fresh.map(({ threat }) => threat!)))
      .filter(({ threats }) => threats.some(({ id }) => changed.has(id)));
    for (const sink of this.#deps.sinks()) await this.#tell(sink, stories, changed, nowMs, notes);
    return notes;
  }

  /** The changed threats and the newest of those that may belong to their incidents. */
  async #around(changed: readonly Threat[]): Promise<Threat[]> {
    const found = new Map(changed.map((threat) => [threat.id, threat]));
    const from = Math.min(...changed.map(({ first_seen }) => first_seen)) - incidentLimits.pauseS;
    let cursor: string | undefined;
    for (let read = 0; read < contextMax; read += contextPage) {
      const page = await this.#deps.store.readThreats({ from, isShown: true }, {
        limit: contextPage,
        ...cursor !== undefined && { cursor },
      });
      for (const threat of page.rows) found.set(threat.id, threat);
      cursor = page.next_cursor;
      if (cursor === undefined) break;
    }
    return [...found.values()];
  }

  async #tell(
    sink: Rules & { name: string },
    stories: readonly Story[],
    changed: ReadonlyMap<string, boolean>,
    nowMs: number,
    notes: Notes,
  ): Promise<void> {
    const { store, sensor } = this.#deps;
    const wanted = stories.filter((story) => isWanted(story, sink, (id) => sensor(id).tags));
    if (wanted.length === 0) return;
    const told = new Map<string, ToldRow>();
    for (const row of await store.readTold(sink.name, wanted.flatMap(subjectsOf))) told.set(row.subject, row);
    const held: { story: Story; minutes: number }[] = [];
    let grown = 0;
    for (const story of wanted) {
      const { incident } = story;
      const ranks = subjectsOf(story).map((subject) => told.get(subject))
        .filter((row) => row !== undefined && row.until_s >= incident.first_seen)
        .map((row) => row!.severity_rank);
      const before = ranks.length === 0 ? null : Math.max(...ranks);
      const rank = rankOf(incident.severity);
      for (const subject of subjectsOf(story)) {
        const row = {
          sink: sink.name,
          subject,
          severity_rank: Math.max(rank, before ?? 0),
          until_s: Math.max(
            incident.last_seen + incidentLimits.pauseS,
            told.get(subject)?.until_s ?? -Infinity,
          ),
          told_ms: nowMs,
        };
        told.set(subject, row);
        notes.told.push(row);
      }
      if (before !== null && rank <= before) {
        grown += story.threats.filter(({ id }) => changed.get(id)).length;
        continue;
      }
      const minutes = minutesToWait(incident.severity, sink, nowMs, this.#sentThisHour(sink.name, nowMs));
      if (minutes > 0) held.push({ story, minutes });
      else notes.messages.push(this.#message(sink.name, story, before === null ? "incident" : "rise", nowMs));
    }
    await this.#hold(sink, held, grown, nowMs, notes);
  }

  #message(sink: string, story: Story, kind: "incident" | "rise", nowMs: number): OutboxMessage {
    this.#sent.get(sink)!.push(nowMs);
    const id = this.#deps.randomBytes(8).toHex();
    const nameOf = (sensorId: string) => this.#deps.sensor(sensorId).name;
    return waiting(sink, id, nowMs, nowMs, messageOf(story, { id, kind, nowMs, nameOf }));
  }

  /** Adds to the digest that waits, or begins one. */
  async #hold(
    sink: Rules & { name: string },
    held: readonly { story: Story; minutes: number }[],
    grown: number,
    nowMs: number,
    notes: Notes,
  ): Promise<void> {
    if (held.length === 0 && grown === 0) return;
    const open = await this.#deps.store.readOpenDigest(sink.name, nowMs + digestGraceMs);
    if (open === null && held.length === 0 && grown < growthMin) return;
    const minutes = Math.max(0, ...held.map(({ minutes }) => minutes));
    const dueMs = open?.due_ms ??
      nowMs + digestGraceMs + (minutes || Math.max(sink.digest_minutes, 60)) * 60_000;
    const digest = open?.message ?? digestOf(this.#deps.randomBytes(8).toHex(), nowMs);
    const message = digestWith(digest, held.map(({ story }) => story), grown, nowMs);
    notes.messages.push(
      waiting(sink.name, open?.id ?? `digest-${dueMs}`, open?.made_ms ?? nowMs, dueMs, message),
    );
    this.#deps.reporter.count("sink_held_incidents_total", { sink: sink.name }, held.length);
  }

  #sentThisHour(sink: string, nowMs: number): number {
    const times = (this.#sent.get(sink) ?? []).filter((ms) => ms > nowMs - hourMs);
    this.#sent.set(sink, times);
    return times.length;
  }

  async #prune(nowMs: number): Promise<void> {
    if (nowMs - this.#prunedMs < hourMs) return;
    this.#prunedMs = nowMs;
    await this.#deps.store.pruneTold(nowMs - toldMsMax);
  }
}

function subjectsOf({ incident: { network, actors } }: Story): string[] {
  return actors.map((actor) => `${network}|${actor}`.slice(0, subjectCharactersMax));
}

function waiting(
  sink: string,
  id: string,
  madeMs: number,
  dueMs: number,
  message: OutboxMessage["message"],
): OutboxMessage {
  return { sink, id, state: "waiting", made_ms: madeMs, due_ms: dueMs, attempts: 0, reason: "", message };
}
