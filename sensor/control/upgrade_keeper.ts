/** Upgrades the sensor from the centre: takes a signed program, tries it, and goes back by itself when it does harm.
 *
 * In: the offer in each answer to a check-in; how capture and check-ins go. Out: a program in the second slot and a
 * restart; what became of it, for the next check-in.
 * Rule: an offer is taken only if its signature is of the key that was pinned at enrolment, it is for this machine, its
 * version is not older (unless that is asked for) and fits the one that runs. A program on trial is in force after
 * `trialMs` in which it captured and a check-in got through. Else the sensor starts the program before, and refuses the
 * offer until another one comes. A program that cannot say so itself is brought back from outside:
 * deploy/start-sensor.sh gives it one start, systemd ends one that hangs.
 * File: `upgrade.json` in the state folder: what is on trial, what was refused and why, what passed last.
 * Invariant: what is on trial is noted before it can be started; until it has passed, each way to end leads back.
 * An offer that is withdrawn ends a download, and what was received stays. @module */

import type { Clock } from "../../shared/clock.ts";
import type { CheckInRequest } from "../../shared/control.ts";
import {
  compareVersions,
  doesFit,
  isUpgradeOffer,
  type Manifest,
  readRelease,
  releaseKeyId,
  type UpgradeOffer,
} from "../../shared/release.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { integer, object, optional, orNull, text } from "../../shared/shape.ts";
import { type Disk, replaceFile } from "../disk.ts";
import type { Slot } from "./slots.ts";
import { download, type DownloadDeps } from "./upgrade_download.ts";

export interface UpgradeKeeperOptions {
  /** @default 60_000 */
  trialMs?: number;
  /** Of the program that runs. */
  version: string;
  target: string;
  /** Where deploy/start-sensor.sh found it; null = something else started it. */
  slot: Slot | "installed" | null;
  /** Pinned at enrolment; null = none. */
  key: string | null;
}

export interface UpgradeKeeperDeps extends Pick<DownloadDeps, "slots" | "fetchPart" | "bytesPerS"> {
  disk: Disk;
  folder: string;
  clock: Clock;
  reporter: Reporter;
  /** Why nothing is captured just now; null = packets are. */
  captureProblem: () => string | null;
  checkInProblem: () => string | null;
  /** Ends the program in order; its service starts it again. */
  restart: () => void;
}

/** On trial: `starts` so far. */
interface Tried {
  offer: string;
  version: string;
  starts: number;
}
interface Refused {
  offer: string;
  version: string;
  reason: string;
}
type Passed = Pick<Tried, "offer" | "version">;
interface Taking {
  offer: string;
  version: string;
  /** Octets that are there. */
  received: number;
  end: AbortController;
}
interface Trial extends Tried {
  sinceMs: number;
  /** Since when nothing is captured. */
  brokenMs: number | null;
  /** A check-in got through. */
  isHeard: boolean;
}

const lookMs = 1_000;
const brokenMsMax = 10_000;
/** What a start may take before the trial begins, and then some. */
const startMsMax = 120_000;
/** Starts on trial, when each was ended by somebody: a machine that a program brings down again and again. */
const startsMax = 3;
const fileBytesMax = 64 * 1024;
const reasonCharactersMax = 400;

const versionText = text(/^.{1,40}$/), offerText = text(/^.{1,40}$/);
interface Kept {
  trial: Tried | null;
  refused: Refused | null;
  passed?: Passed | null | undefined;
}
const isKept = object<Kept>({
  trial: orNull(object<Tried>({ offer: offerText, version: versionText, starts: integer(0, 1_000) })),
  refused: orNull(object<Refused>({ offer: offerText, version: versionText, reason: text() })),
  passed: optional(orNull(object<Passed>({ offer: offerText, version: versionText }))),
});

export class UpgradeKeeper {
  readonly #options: Required<UpgradeKeeperOptions>;
  readonly #deps: UpgradeKeeperDeps;
  readonly #stopping = new AbortController();
  #refused: Refused | null = null;
  /** What proved itself last. */
  #passed: Passed | null = null;
  #trial: Trial | null = null;
  /** What is being downloaded. */
  #taking: Taking | null = null;
  /** The next start is of another program. */
  #switching: Pick<Tried, "offer" | "version"> | null = null;
  #working: Promise<void> = Promise.resolve();
  #running: Promise<void> | null = null;

  constructor(options: UpgradeKeeperOptions, deps: UpgradeKeeperDeps) {
    this.#options = { trialMs: 60_000, ...options };
    this.#deps = deps;
  }

  /** Why no offer can be taken; null = they can. */
  get inability(): string | null {
    const { key, slot } = this.#options;
    if (key === null) {
      return "no release key is pinned: enrol it again, or pin one with picket-sensor release-key";
    }
    return slot === null ? "it was not started by its service, which alone can start another program" : null;
  }

  /** For the check-in. */
  get state(): NonNullable<CheckInRequest["upgrade"]> {
    const { target, slot, key } = this.#options;
    const at = this.#switching ?? this.#trial ?? this.#taking ?? this.#refused ?? this.#passed;
    return {
      target,
      slot: slot ?? "none",
      key: key === null ? null : releaseKeyId(key),
      state: this.#switching
        ? "switching"
        : this.#trial
        ? "trial"
        : this.#taking
        ? "downloading"
        : this.inability !== null
        ? "unable"
        : this.#refused
        ? "failed"
        : "idle",
      offer: at?.offer ?? null,
      version: at?.version ?? null,
      problem: this.#switching || this.#trial || this.#taking
        ? null
        : this.inability ?? this.#refused?.reason ?? null,
      received: this.#taking?.received ?? 0,
    };
  }

  /** Finds out whether this program is on trial, or the one before it was. */
  async start(): Promise<void> {
    const { disk, folder, slots } = this.#deps;
    const kept = await readKept(disk, folder);
    this.#refused = kept.refused;
    this.#passed = kept.passed ?? null;
    const tried = await slots.tried();
    if (tried !== null && tried === this.#options.slot) await this.#begin(kept.trial);
    else if (kept.trial !== null || tried !== null) await this.#lookBack(kept.trial, tried);
    this.#running = this.#watch();
  }

  /** `asked`: somebody ended the sensor, and what is on trial is not to blame. */
  async stop(asked: boolean): Promise<void> {
    this.#stopping.abort();
    this.#taking?.end.abort();
    await Promise.all([this.#running, this.#working]);
    const trial = this.#trial;
    if (trial === null || !asked || trial.starts >= startsMax) return;
    await this.#save(trial);
    await this.#deps.slots.putBack().catch(() => this.#deps.reporter.count("upgrade_write_errors_total"));
  }

  /** Takes the offer of an answer, null = none; undefined = it said nothing of upgrades. Never waits. */
  offer(given: unknown): void {
    if (this.#trial) this.#trial.isHeard = true;
    if (given === undefined || this.#switching || this.#trial || this.#stopping.signal.aborted) return;
    const offer = isUpgradeOffer(given) ? given : null;
    if (offer === null && given !== null) this.#count("malformed");
    if (this.#taking && this.#taking.offer !== offer?.offer) this.#taking.end.abort();
    if (offer === null || this.#taking || this.inability !== null) return;
    // Where nothing is captured before, a trial could not tell who is to blame.
    if (offer.offer === this.#refused?.offer || this.#deps.captureProblem() !== null) return;
    const checked = this.#check(offer);
    if (!checked.ok) {
      this.#refuse({ offer: offer.offer, version: checked.version }, checked.reason);
      this.#working = this.#save(null).then(() => undefined);
      return;
    }
    const { manifest } = checked;
    if (manifest.version === this.#options.version) return;
    const end = new AbortController();
    this.#taking = { offer: offer.offer, version: manifest.version, received: 0, end };
    this.#working = this.#take(manifest, this.#taking).finally(() => this.#taking = null);
  }

  #check({ allow_older, ...release }: UpgradeOffer):
    | { ok: true; manifest: Manifest }
    | { ok: false; version: string; reason: string } {
    const { key, target, version } = this.#options;
    const read = readRelease(release, key!);
    if (!read.ok) {
      const reason = read.problem === "signature"
        ? `its signature is not of the release key ${releaseKeyId(key!)} that was pinned at enrolment`
        : "its manifest cannot be read";
      return { ok: false, version: "?", reason };
    }
    const { manifest } = read;
    const no = (reason: string) => ({ ok: false, version: manifest.version, reason } as const);
    if (manifest.target !== target) return no(`it is for ${manifest.target}, and this machine is ${target}`);
    if (compareVersions(manifest.version, version) < 0 && !allow_older) {
      return no(`it is older than version ${version}, which runs`);
    }
    if (doesFit(manifest.fits, version)) return { ok: true, manifest };
    const { min, max } = manifest.fits;
    return no(`it takes over from versions ${min} to ${max}, and version ${version} runs`);
  }

  async #take(manifest: Manifest, taking: Taking): Promise<void> {
    const { slots, fetchPart, bytesPerS, clock, reporter, restart } = this.#deps;
    const { offer, end: { signal } } = taking;
    const { version } = manifest;
    reporter.info("downloading an upgrade", { version, bytes: manifest.bytes });
    const onProgress = (bytes: number) => void (taking.received = bytes);
    const deps = { slots, fetchPart, bytesPerS, clock, reporter, onProgress };
    let problem = await download(manifest, deps, signal);
    if (problem === "" || signal.aborted) return;
    if (problem === null) {
      const tried = { offer, version, starts: 0 };
      try {
        await this.#write(tried);
        await slots.stage(manifest.sha256, (this.#options.trialMs + startMsMax) / 1_000);
        this.#switching = tried;
        this.#count("staged");
        reporter.info("starting again with the new program, on trial", { version });
        return restart();
      } catch (error) {
        problem = `it cannot be put into its slot: ${(error as Error).message}`;
      }
    }
    this.#refuse({ offer, version }, problem);
    await this.#save(null);
  }

  /** This program is on trial from now on. */
  async #begin(noted: Tried | null): Promise<void> {
    const { clock, reporter } = this.#deps;
    const { version } = this.#options;
    const tried = noted ?? { offer: "0.0", version, starts: 0 };
    const starts = tried.starts + 1;
    this.#trial = { ...tried, starts, sinceMs: clock.monotonicMs(), brokenMs: null, isHeard: false };
    if (tried.version !== version) {
      return await this.#goBack(`the program says that it is version ${version}`);
    }
    reporter.info("this program is on trial", { version, start: starts });
  }

  /** The program before this one was on trial, or never came to it. */
  async #lookBack(noted: Tried | null, tried: Slot | null): Promise<void> {
    const { slots } = this.#deps;
    if (tried !== null) {
      const ended = await slots.ended();
      const how = ended === "" ? "" : ` (${ended})`;
      this.#refuse(noted ?? { offer: "0.0", version: "?" }, `it ended before it had proved itself${how}`);
    }
    // The note first: a program that could be tried without one would have no name.
    if (await this.#save(null)) {
      await slots.forget().catch(() => this.#deps.reporter.count("upgrade_write_errors_total"));
    }
  }

  async #goBack(reason: string): Promise<void> {
    const { slots, restart } = this.#deps;
    const { offer, version } = this.#trial!;
    this.#trial = null;
    this.#switching = { offer, version };
    this.#refuse({ offer, version }, reason);
    // Where it cannot be noted, the program before finds that this one ended on trial, which is true.
    if (await this.#save(null)) {
      await slots.forget().catch(() => this.#deps.reporter.count("upgrade_write_errors_total"));
    }
    restart();
  }

  #refuse({ offer, version }: Pick<Tried, "offer" | "version">, reason: string): void {
    this.#refused = { offer, version, reason: reason.slice(0, reasonCharactersMax) };
    this.#count("refused");
    this.#deps.reporter.error("upgrade refused, it is not tried again until another is offered", {
      version,
      reason,
    });
  }

  async #watch(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(lookMs, this.#stopping.signal);
      if (this.#trial === null || this.#stopping.signal.aborted) continue;
      const verdict = this.#judge(this.#trial, clock.monotonicMs());
      if (verdict === "passed") await this.#pass();
      else if (verdict !== "goes on") await this.#goBack(verdict.reason);
    }
  }

  #judge(trial: Trial, nowMs: number): "goes on" | "passed" | { reason: string } {
    const { captureProblem, checkInProblem } = this.#deps;
    const { trialMs } = this.#options;
    const problem = captureProblem();
    trial.brokenMs = problem === null ? null : trial.brokenMs ?? nowMs;
    if (trial.brokenMs !== null && nowMs - trial.brokenMs >= Math.min(brokenMsMax, trialMs / 2)) {
      return { reason: `capture broke: ${problem}` };
    }
    if (nowMs - trial.sinceMs < trialMs) return "goes on";
    if (!trial.isHeard) {
      const seconds = Math.round(trialMs / 1_000);
      return { reason: `no check-in got through for ${seconds} s: ${checkInProblem() ?? "none was due"}` };
    }
    return trial.brokenMs === null ? "passed" : "goes on";
  }

  async #pass(): Promise<void> {
    const { slots, reporter } = this.#deps;
    try {
      await slots.pass();
    } catch (error) {
      return await this.#goBack(`it cannot be put in force: ${(error as Error).message}`);
    }
    const { offer, version } = this.#trial!;
    this.#refused = null;
    this.#passed = { offer, version };
    await this.#save(null);
    this.#trial = null;
    this.#count("passed");
    reporter.info("the new program has proved itself and is in force", { version });
  }

  /** Whether it was written. */
  async #save(trial: Tried | null): Promise<boolean> {
    try {
      await this.#write(trial);
      return true;
    } catch {
      this.#deps.reporter.count("upgrade_write_errors_total");
      return false;
    }
  }

  async #write(trial: Tried | null): Promise<void> {
    const { disk, folder } = this.#deps;
    const noted = trial && { offer: trial.offer, version: trial.version, starts: trial.starts };
    const words = JSON.stringify({ trial: noted, refused: this.#refused, passed: this.#passed });
    await replaceFile(disk, folder, "upgrade.json", new TextEncoder().encode(words));
  }

  #count(outcome: "malformed" | "refused" | "staged" | "passed"): void {
    this.#deps.reporter.count("upgrades_total", { outcome });
  }
}

/** A damaged file says nothing: what is on trial then shows in the slots. */
async function readKept(disk: Disk, folder: string): Promise<Kept> {
  try {
    const bytes = await disk.read(`${folder}/upgrade.json`, fileBytesMax);
    const kept: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isKept(kept)) return kept;
  } catch {
    // Not there, or not JSON.
  }
  return { trial: null, refused: null };
}
