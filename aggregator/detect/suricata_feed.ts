/** Takes Suricata's alerts in as threats, joined to the stored flows by their Community ID.
 *
 * In: an `eve.json` that Suricata writes and something rotates; stored flows. Out: findings, low at most.
 * Invariant: detection never waits for it. An alert waits for `waitMs`, as a sensor ships a flow only when a part of it
 * is over; then it is told with the flows found, or without any, and counted. What waits is told before the end.
 * After a crash the file is followed from where it was last saved, and what waited then waits on: nothing is lost, and
 * what was told in the last {@link saveMs} is told again.
 * Bounds: what is read in a turn (tailed_file.ts), rules and pairs of hosts that wait (suricata_alerts.ts),
 * `joinsMax` entries joined in a turn, {@link flowsMax} flows of each. What finds no room is counted. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { z } from "../../shared/schema.ts";
import type { Flow } from "../model/flow.ts";
import { type Store, StoreUnavailable } from "../store/store.ts";
import { field, type FreshFinding, hostile, numberEvidence, reason } from "./finding.ts";
import type { LearnedFile } from "./learned.ts";
import {
  AlertBook,
  type AlertEntry,
  entriesMax,
  loadEntry,
  readAlert,
  savedEntry,
  saveEntry,
} from "./suricata_alerts.ts";
import { TailedFile } from "./tailed_file.ts";

export interface SuricataFeedOptions {
  path: string;
  /** Of alerts whose flow no sensor saw. */
  network: string;
  /** @default 120000 */
  waitMs?: number;
  /** @default 1000 */
  everyMs?: number;
}

export interface SuricataFeedDeps {
  store: Pick<Store, "readFlows">;
  clock: Clock;
  reporter: Reporter;
  memory: LearnedFile;
  onFound: (findings: readonly FreshFinding[]) => Promise<void>;
}

const joinsMax = 50, flowsMax = 10;
/** A flow may have begun so long before an alert in it. */
const flowS = 86_400;
const saveMs = 5_000;
const entries = z.array(savedEntry).max(entriesMax);
const saved = z.strictObject({
  inode: z.number(),
  position: z.number().min(0),
  due: entries,
  waiting: entries,
});

export class SuricataFeed {
  readonly #options: Required<SuricataFeedOptions>;
  readonly #deps: SuricataFeedDeps;
  readonly #book = new AlertBook();
  readonly #file: TailedFile;
  readonly #stopping = new AbortController();
  /** Those that have waited, and are to be joined. */
  #due: AlertEntry[] = [];
  /** Something waits, or was told, since it was last saved. */
  #isChanged = false;
  #savedPosition = "";
  #savedMs = -Infinity;
  #running: Promise<void> | null = null;

  constructor(options: SuricataFeedOptions, deps: SuricataFeedDeps) {
    this.#options = { waitMs: 120_000, everyMs: 1_000, ...options };
    this.#deps = deps;
    const left = readSaved(deps);
    this.#file = new TailedFile(options.path, left);
    if (left === null) return;
    const nowMs = deps.clock.nowMs();
    this.#due = left.due.map((entry) => loadEntry(entry, nowMs));
    this.#book.load(left.waiting, nowMs);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#file.close();
  }

  async #run(): Promise<void> {
    const { clock } = this.#deps, { everyMs, waitMs } = this.#options, { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#read();
      await this.#join(clock.nowMs() - waitMs);
      if (Math.abs(clock.monotonicMs() - this.#savedMs) >= saveMs) this.#save();
      await clock.sleep(everyMs, signal);
    }
    await this.#read();
    // No longer than the book is large: each turn takes a part of it.
    for (let left = Infinity; this.#book.size + this.#due.length < left;) {
      left = this.#book.size + this.#due.length;
      await this.#join(Infinity);
    }
    this.#save();
  }

  async #read(): Promise<void> {
    const { reporter, clock } = this.#deps, file = this.#file;
    try {
      const before = file.tooLong;
      for (const line of await file.read()) this.#take(line, clock.nowMs());
      if (file.tooLong > before) this.#refuse("too_long", file.tooLong - before);
    } catch (error) {
      reporter.count("suricata_reads_failed_total");
      reporter.warn("cannot read Suricata's file, will try again", { file: this.#options.path, error });
    }
  }

  #take(line: string, nowMs: number): void {
    const { reporter } = this.#deps;
    const alert = readAlert(line);
    if (alert === null) return;
    if (typeof alert === "string") return this.#refuse(alert, 1);
    reporter.count("suricata_alerts_total");
    this.#isChanged = true;
    if (!this.#book.add(alert, nowMs)) reporter.count("suricata_alerts_dropped_total");
  }

  #refuse(why: string, count: number): void {
    this.#deps.reporter.count("suricata_lines_refused_total", { reason: why }, count);
  }

  /** Place and alerts together, as one without the other would lose or repeat some. */
  #save(): void {
    const { memory, clock, reporter } = this.#deps, { place } = this.#file;
    if (place === null) return;
    const position = `${place.inode} ${place.position}`;
    if (!this.#isChanged && position === this.#savedPosition) return;
    this.#savedMs = clock.monotonicMs();
    const left: z.infer<typeof saved> = {
      ...place,
      due: this.#due.map(saveEntry),
      waiting: this.#book.save(),
    };
    try {
      memory.write(JSON.stringify(left));
    } catch (error) {
      reporter.count("suricata_saves_failed_total");
      reporter.warn("cannot save Suricata's alerts, will try again", { error });
      return;
    }
    this.#isChanged = false;
    this.#savedPosition = position;
  }

  /** Tells of those that have waited since before `untilMs`; while the store is away they go on waiting. */
  async #join(untilMs: number): Promise<void> {
    const { reporter, onFound } = this.#deps;
    if (this.#due.length === 0) {
      this.#due = this.#book.take(untilMs);
      this.#isChanged ||= this.#due.length > 0;
    }
    for (const entry of this.#due.slice(0, joinsMax)) {
      try {
        const flows = await this.#flowsOf(entry);
        await onFound([findingOf(entry, flows, this.#options.network)]);
        if (flows.length === 0) reporter.count("suricata_alerts_unjoined_total", undefined, entry.count);
      } catch (error) {
        reporter.count("suricata_joins_failed_total");
        if (error instanceof StoreUnavailable) return;
        // It would fail again; those behind it go on.
        reporter.error("cannot take an alert of Suricata in", { rule: entry.rule, error });
      }
      this.#due.shift();
      this.#isChanged = true;
    }
  }

  async #flowsOf({ communities, victim, firstS, lastS }: AlertEntry): Promise<Flow[]> {
    const flows = new Map<string, Flow>();
    for (const community_id of communities) {
      const { rows } = await this.#deps.store.readFlows(
        { ip: victim, community_id, from: firstS - flowS, to: lastS + 1 },
        { limit: flowsMax },
      );
      for (const flow of rows) flows.set(flow.flow_id, flow);
      if (flows.size >= flowsMax) break;
    }
    return [...flows.values()].slice(0, flowsMax);
  }
}

function readSaved({ memory, reporter }: SuricataFeedDeps): z.infer<typeof saved> | null {
  const text = memory.read();
  if (text === null || text === "") return null;
  try {
    return saved.parse(JSON.parse(text));
  } catch (error) {
    reporter.count("suricata_reads_failed_total");
    reporter.warn("cannot read where Suricata's file was left, it is followed from its end", { error });
    return null;
  }
}

/** Points by Suricata's severity, 1 to 3; all of them stay low. */
const pointsOf = (severity: number) => severity <= 1 ? 35 : severity === 2 ? 25 : 10;

function findingOf(entry: AlertEntry, flows: readonly Flow[], network: string): FreshFinding {
  const { attacker, victim, port, rule, signature, category, severity, count, firstS, lastS } = entry;
  const where = flows[0]?.network ?? network;
  const evidence = {
    alerts: field("alerts", count),
    rule: field("number of the rule", rule),
    signature: hostile("the rule's words", signature || "none"),
    category: hostile("the rule's category", category || "none"),
    severity: field("Suricata's severity, 1 is the gravest", severity),
    flows: field("flows joined by Community ID", flows.length),
  };
  const flow_ids = flows.map(({ flow_id }) => flow_id);
  const sensors = [...new Set(flows.flatMap(({ seen_by }) => seen_by.map(({ sensor_id }) => sensor_id)))];
  return {
    detector: "suricata",
    identity: `suricata|${where}|${rule}|${attacker}|${victim}`,
    technique: "",
    title: "Suricata alert",
    network: where,
    src_ips: [attacker],
    dst_ips: [victim],
    dst_port: port,
    first_seen: firstS,
    last_seen: lastS,
    count,
    reasons: [
      reason(
        "rule",
        pointsOf(severity),
        `${evidence.alerts} alert(s) of rule ${rule}, of severity ${severity}`,
      ),
    ],
    evidence: numberEvidence(evidence),
    words: {
      summary:
        `Suricata's rule ${rule} matched traffic from ${attacker} to ${victim}; it raised ${evidence.alerts} alert(s).`,
      meaning:
        "A rule matches a pattern. Many rules match harmless traffic too, so that an alert counts where other threats of the same hosts stand beside it.",
      action: `See what else ${attacker} did, in the incident of this threat, and what the rule looks for.`,
      false_alarm:
        "Compare the rule's text with the packets; switch the rule off in Suricata if it is wrong here.",
    },
    flow_ids,
    new_flow_ids: flow_ids,
    flows: flow_ids.length,
    sensors: sensors.sort(),
  };
}
