/** Rollouts in force: what a sensor is offered, and the steps that they take by themselves.
 *
 * In: rollouts of the store, releases of the folder, sensors of the directory. Out: at most one offer for a sensor.
 * Invariant: what is answered is at most `maxAgeMs` old; whose turn it is is worked out once in that time, not at each
 * of a thousand check-ins. A step is stored only if the rollout still is what it was decided about, so that any number
 * of aggregators may take it. What does not work is counted and tried again at the next look. @module */

import type { Clock } from "../../shared/clock.ts";
import type { CheckInRequest } from "../../shared/control.ts";
import type { UpgradeOffer } from "../../shared/release.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { RolloutRow } from "../model/upgrade.ts";
import type { RolloutStore } from "../store/store.ts";
import type { SensorDirectory } from "./directory.ts";
import type { ReleaseFolder } from "./release_folder.ts";
import { nextStep, offerId, type SensorUpgrade, sensorUpgrades, sensorUpgradeStates } from "./rollout.ts";

export interface RolloutsDeps {
  store: RolloutStore;
  directory: Pick<SensorDirectory, "all">;
  releases: ReleaseFolder;
  reporter: Reporter;
}

const lookMs = 5_000;

export class Rollouts {
  readonly #deps: RolloutsDeps;
  readonly #maxAgeMs: number;
  #newest: RolloutRow | null = null;
  /** Whose turn it is. */
  #in: ReadonlySet<string> = new Set();
  #readMs = -Infinity;
  #reading: Promise<void> | null = null;
  #stopping = new AbortController();
  #running: Promise<void> | null = null;
  /** Files of the folder that were named in the log. */
  #named = new Set<string>();

  constructor(options: { maxAgeMs?: number }, deps: RolloutsDeps) {
    this.#maxAgeMs = options.maxAgeMs ?? 2_000;
    this.#deps = deps;
  }

  /** Takes the steps from here on. */
  start(clock: Clock): void {
    this.#running = this.#loop(clock);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Makes the next look read the store. */
  forget(): void {
    this.#readMs = -Infinity;
  }

  /** What a sensor is offered; null = nothing. */
  async wantedBy(
    sensorId: string,
    { upgrade, version }: Pick<CheckInRequest, "upgrade" | "version">,
    nowMs: number,
  ): Promise<UpgradeOffer | null> {
    await this.#refresh(nowMs);
    const rollout = this.#newest;
    if (!rollout || !upgrade || (rollout.state !== "running" && rollout.state !== "done")) return null;
    if (version === rollout.version || !this.#in.has(sensorId)) return null;
    const release = await this.#deps.releases.find(rollout.version, upgrade.target, nowMs);
    if (!release) return null;
    const { manifest, signature } = release;
    this.#deps.reporter.count("upgrade_offers_total");
    return { offer: offerId(rollout), manifest, signature, allow_older: rollout.allow_older };
  }

  /** How each sensor stands to a rollout. */
  async look(rollout: RolloutRow, nowMs: number): Promise<SensorUpgrade[]> {
    const { directory, releases } = this.#deps;
    return sensorUpgrades(rollout, await directory.all(nowMs), await releases.all(nowMs), nowMs);
  }

  /** Takes the next step of the rollout in force, if one is due. */
  async step(nowMs: number): Promise<void> {
    const { store, reporter } = this.#deps;
    await this.#nameProblems(nowMs);
    const [rollout] = await store.readRollouts(1);
    if (!rollout) return;
    const sensors = await this.look(rollout, nowMs);
    for (const state of sensorUpgradeStates) {
      const those = sensors.filter((one) => one.state === state);
      reporter.gauge("upgrade_sensors", those.length, { state });
    }
    const change = nextStep(rollout, sensors, nowMs);
    if (change === null || !await store.changeRollout(rollout, change, null)) return;
    this.forget();
    reporter.count("upgrade_steps_total", { step: change.state ?? "percent" });
    const words = { version: rollout.version, percent: change.percent ?? rollout.percent };
    if (change.state === "halted") reporter.error("rollout halted", { ...words, reason: change.reason });
    else reporter.info("rollout goes on", { ...words, state: change.state ?? rollout.state });
  }

  async #nameProblems(nowMs: number): Promise<void> {
    const { problems } = await this.#deps.releases.all(nowMs);
    const now = new Set(problems.map(({ file, reason }) => `${file}: ${reason}`));
    for (const problem of now) {
      if (!this.#named.has(problem)) this.#deps.reporter.error("release is not offered", { problem });
    }
    this.#named = now;
    this.#deps.reporter.gauge("releases_refused", now.size);
  }

  async #refresh(nowMs: number): Promise<void> {
    if (Math.abs(nowMs - this.#readMs) < this.#maxAgeMs) return;
    this.#reading ??= this.#read(nowMs).finally(() => this.#reading = null);
    await this.#reading;
  }

  async #read(nowMs: number): Promise<void> {
    const [newest] = await this.#deps.store.readRollouts(1);
    this.#newest = newest ?? null;
    const sensors = newest ? await this.look(newest, nowMs) : [];
    this.#in = new Set(sensors.filter(({ isIn }) => isIn).map(({ sensor_id }) => sensor_id));
    this.#readMs = nowMs;
  }

  async #loop(clock: Clock): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.step(clock.nowMs());
      } catch (error) {
        this.#deps.reporter.count("upgrade_step_errors_total");
        this.#deps.reporter.warn("cannot look at the rollout, will try again", {
          error: (error as Error).message,
        });
      }
      await clock.sleep(lookMs, this.#stopping.signal);
    }
  }
}
