/** Applies the fleet's policy: tries what is offered, and rolls it back by itself when it does harm.
 *
 * In: the policy in each answer to a check-in; how capture and check-ins go.
 * Out: settings to apply; the policy in force, for the next check-in.
 * Rule: a new version is applied at once and on trial for `trialMs`. It is rolled back when it cannot be applied, when
 * nothing is captured for `brokenMs` of the trial, or when no check-in got through by its end: a sensor that cannot be
 * reached could not be repaired from the centre either. A version that was rolled back is remembered and not tried
 * again; another version is. A version is the same only when name and settings are too: another fleet, or one whose
 * database was restored, counts anew. A rollback that fails is tried again.
 * File: `policy.json` in the state folder: what holds, what is on trial, what was rolled back. A sensor that ends
 * during a trial without being told to finds it there and has gone back before it captures again. Without the file, or
 * with a damaged one, its own options hold until the next check-in.
 * Invariant: one change at a time; `apply` is given all settings that hold, never a difference. @module */

import type { Clock } from "../../shared/clock.ts";
import type { CheckInRequest } from "../../shared/control.ts";
import {
  type Policy,
  policyDifference,
  type PolicySettings,
  readPolicy,
  withoutKept,
} from "../../shared/policy.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { type Disk, replaceFile } from "../disk.ts";

export interface PolicyKeeperOptions {
  /** @default 60_000 */
  trialMs?: number;
  /** Fields that the sensor's own options keep. */
  own: readonly string[];
}

export interface PolicyKeeperDeps {
  disk: Disk;
  folder: string;
  clock: Clock;
  reporter: Reporter;
  /** Makes these settings hold, and for every other field the sensor's own option.
   * Returns why that is not possible, null = it was. */
  apply: (settings: PolicySettings) => Promise<string | null>;
  /** Why nothing is captured just now; null = packets are. */
  captureProblem: () => string | null;
  checkInProblem: () => string | null;
}

type Refused = Policy & { reason: string };

interface Trial {
  tried: Policy;
  before: Policy | null;
  sinceMs: number;
  /** Since when nothing is captured. */
  brokenMs: number | null;
  /** A check-in got through. */
  isHeard: boolean;
  /** Why it is rolled back, when the way back has failed so far; null = it goes on. */
  harm: string | null;
}

const lookMs = 1_000;
const brokenMsMax = 10_000;
const fileBytesMax = 64 * 1024;
const reasonCharactersMax = 400;

export class PolicyKeeper {
  readonly #trialMs: number;
  readonly #own: readonly string[];
  readonly #deps: PolicyKeeperDeps;
  readonly #stopping = new AbortController();
  /** What holds; null = the own options. */
  #held: Policy | null = null;
  /** What was offered last; undefined = nothing ever was. */
  #wanted: Policy | null | undefined;
  #refused: Refused | null = null;
  #trial: Trial | null = null;
  #working: Promise<void> = Promise.resolve();
  #isBusy = false;
  #running: Promise<void> | null = null;

  constructor(options: PolicyKeeperOptions, deps: PolicyKeeperDeps) {
    this.#trialMs = options.trialMs ?? 60_000;
    this.#own = options.own;
    this.#deps = deps;
  }

  /** For the check-in; undefined = there is nothing to say. */
  get state(): CheckInRequest["policy"] {
    const shown = this.#wanted ?? this.#held;
    if (!shown && !this.#refused && this.#wanted === undefined) return undefined;
    const isRefused = isSame(shown ?? null, this.#refused);
    const held = withoutKept(this.#held?.settings ?? {}, this.#own);
    return {
      name: shown?.name ?? null,
      wanted: shown?.version ?? 0,
      actual: this.#held?.version ?? 0,
      problem: isRefused && shown ? this.#refused!.reason : null,
      kept: Object.keys(shown?.settings ?? {}).filter((field) => this.#own.includes(field)),
      filtered: (held.filter ?? "") !== "",
    };
  }

  /** Begins to watch trials. Settles once what held before is applied, for which capture must be read meanwhile. */
  start(): Promise<void> {
    this.#running = this.#watch();
    return this.#work(() => this.#resume());
  }

  async #resume(): Promise<void> {
    const kept = await readKept(this.#deps);
    this.#refused = kept.refused;
    if (kept.trial) this.#refuse(kept.trial, "the sensor ended while it was tried");
    if (kept.held !== null) {
      const problem = await this.#apply(kept.held.settings);
      if (problem === null) this.#held = kept.held;
      // Nothing has changed then: the own options hold.
      else this.#refuse(kept.held, problem);
    }
    if (kept.trial || kept.held !== this.#held) await this.#save(null);
  }

  /** Ends in order: what is on trial is not to blame, and is tried anew. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#running, this.#working]);
    if (this.#trial === null) return;
    this.#held = this.#trial.before;
    await this.#save(null);
  }

  /** Takes the offer of an answer; undefined = it said nothing of policies. Settles when it was applied, or not. */
  offer(given: unknown): Promise<void> {
    if (this.#trial) this.#trial.isHeard = true;
    if (given === undefined || this.#isBusy || this.#stopping.signal.aborted) return this.#working;
    const policy = given === null ? null : readPolicy(given);
    if (policy === null && given !== null) {
      this.#deps.reporter.count("policy_offers_total", { outcome: "malformed" });
      return this.#working;
    }
    this.#wanted = policy;
    if (isSame(policy, this.#held) || (policy && isSame(policy, this.#refused))) return this.#working;
    return this.#work(() => policy === null ? this.#leave() : this.#try(policy));
  }

  #work(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    return this.#working = work().finally(() => this.#isBusy = false);
  }

  /** Never rejects: what is thrown is a reason like any other. */
  async #apply(settings: PolicySettings): Promise<string | null> {
    try {
      return await this.#deps.apply(withoutKept(settings, this.#own));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #try(policy: Policy): Promise<void> {
    const { clock, reporter } = this.#deps;
    // One that comes while another is on trial takes its place; the way back leads to what held before both.
    const before = this.#trial ? this.#trial.before : this.#held;
    await this.#save(policy, before);
    const problem = await this.#apply(policy.settings);
    const sinceMs = clock.monotonicMs();
    this.#trial = { tried: policy, before, sinceMs, brokenMs: null, isHeard: false, harm: null };
    if (problem !== null) return await this.#goBack(problem);
    this.#held = policy;
    reporter.count("policy_offers_total", { outcome: "applied" });
    reporter.info("policy applied, on trial", { name: policy.name, version: policy.version });
  }

  /** The fleet has no policy for this sensor any more. */
  async #leave(): Promise<void> {
    const problem = await this.#apply({});
    if (problem !== null) return this.#stick(problem); // The next offer is the same.
    this.#held = this.#trial = null;
    await this.#save(null);
    this.#deps.reporter.info("no policy applies any more, the sensor's own options do");
  }

  async #goBack(reason: string): Promise<void> {
    const trial = this.#trial!, { tried, before, harm } = trial;
    trial.harm = reason;
    if (harm === null) this.#refuse(tried, reason);
    await this.#save(null, before);
    const problem = await this.#apply(before?.settings ?? {});
    if (problem !== null) return this.#stick(problem); // The watch comes back to it.
    this.#held = before;
    this.#trial = null;
  }

  #stick(problem: string): void {
    const { reporter } = this.#deps;
    reporter.count("policy_offers_total", { outcome: "stuck" });
    reporter.error("cannot roll back to the earlier settings, will try again", { problem });
  }

  #refuse({ name, version, settings }: Policy, reason: string): void {
    const { reporter } = this.#deps;
    this.#refused = { name, version, settings, reason: reason.slice(0, reasonCharactersMax) };
    reporter.count("policy_offers_total", { outcome: "rolled_back" });
    reporter.error("policy rolled back, it is not tried again until it changes", { name, version, reason });
  }

  async #watch(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(lookMs, this.#stopping.signal);
      if (this.#trial === null || this.#isBusy || this.#stopping.signal.aborted) continue;
      const verdict = this.#judge(this.#trial, clock.monotonicMs());
      if (verdict === "goes on") continue;
      await this.#work(() => verdict === "passed" ? this.#pass() : this.#goBack(verdict.reason));
    }
  }

  #judge(trial: Trial, nowMs: number): "goes on" | "passed" | { reason: string } {
    const { captureProblem, checkInProblem } = this.#deps;
    if (trial.harm !== null) return { reason: trial.harm };
    const problem = captureProblem();
    trial.brokenMs = problem === null ? null : trial.brokenMs ?? nowMs;
    if (trial.brokenMs !== null && nowMs - trial.brokenMs >= Math.min(brokenMsMax, this.#trialMs / 2)) {
      return { reason: `capture broke: ${problem}` };
    }
    if (nowMs - trial.sinceMs < this.#trialMs) return "goes on";
    if (!trial.isHeard) {
      const seconds = Math.round(this.#trialMs / 1_000);
      return { reason: `no check-in got through for ${seconds} s: ${checkInProblem() ?? "none was due"}` };
    }
    return trial.brokenMs === null ? "passed" : "goes on";
  }

  async #pass(): Promise<void> {
    const { name, version } = this.#trial!.tried;
    this.#trial = null;
    await this.#save(null);
    this.#deps.reporter.info("policy passed its trial", { name, version });
  }

  async #save(trial: Policy | null, held = this.#held): Promise<void> {
    const { disk, folder, reporter } = this.#deps;
    const text = JSON.stringify({ held, trial, refused: this.#refused });
    // A full disk must not keep a policy from holding.
    await replaceFile(disk, folder, "policy.json", new TextEncoder().encode(text))
      .catch(() => reporter.count("policy_write_errors_total"));
  }
}

function isSame(a: Policy | null, b: Policy | null): boolean {
  if (a === null || b === null) return a === b;
  return a.version === b.version && a.name === b.name &&
    policyDifference(a.settings, b.settings).length === 0;
}

async function readKept(
  { disk, folder, reporter }: Pick<PolicyKeeperDeps, "disk" | "folder" | "reporter">,
): Promise<{ held: Policy | null; trial: Policy | null; refused: Refused | null }> {
  try {
    const kept = JSON.parse(new TextDecoder().decode(await disk.read(`${folder}/policy.json`, fileBytesMax)));
    const refused = readPolicy(kept.refused), reason = kept.refused?.reason;
    return {
      held: readPolicy(kept.held),
      trial: readPolicy(kept.trial),
      refused: refused && typeof reason === "string" ? { ...refused, reason } : null,
    };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) reporter.count("policy_read_errors_total");
    return { held: null, trial: null, refused: null };
  }
}
