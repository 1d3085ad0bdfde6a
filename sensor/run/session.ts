/** The fleet side of `run` and `replay --ship`:
 * identity, epoch, spool, transport, check-ins, as one thing that starts and stops.
 *
 * In: options and the capture's health. Out: an outbox for segments.
 * Nothing here needs aggregator or broker to be there.
 * Invariant: one session in a state folder at a time;
 * a revoked sensor goes on capturing and spooling but ships nothing. @module */

import type { Options } from "../../shared/options.ts";
import type { AggregatorClient } from "../aggregator_client.ts";
import { batchesIn, carryOver } from "../control/carry_over.ts";
import { CanaryKeeper, type CanaryKeeperDeps } from "../control/canary.ts";
import { CheckIn } from "../control/check_in.ts";
import { type CaptureHealth, healthReport, type HealthSources } from "../control/health.ts";
import {
  type Enrolment,
  type Identity,
  IdentityError,
  loadIdentity,
  openStateFolder,
  raiseEpoch,
  saveEnrolment,
} from "../control/identity.ts";
import { PolicyKeeper, type PolicyKeeperDeps, type PolicyKeeperOptions } from "../control/policy_keeper.ts";
import { PacketAnswers } from "../control/packet_answers.ts";
import { ShippedCaptures } from "../control/shipped_captures.ts";
import type { UpgradeKeeper } from "../control/upgrade_keeper.ts";
import { lockState } from "../control/state_lock.ts";
import { writeStatus } from "../control/status_file.ts";
import type { Disk } from "../disk.ts";
import type { PacketRing } from "../ring/packet_ring.ts";
import { Outbox } from "../ship/outbox.ts";
import { SealThread } from "../ship/seal_thread.ts";
import { Shipper } from "../ship/shipper.ts";
import { Spool } from "../ship/spool.ts";
import type { Transport } from "../ship/transport.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { CommandError, type Edges, exitCodes, randomOf } from "../../shared/command.ts";
import type { Peer } from "./own_peers.ts";
import { openTransport } from "./open_transport.ts";
import { openUpgrades, type UpgradeParts } from "./upgrades.ts";
import {
  aggregatorOptions,
  authorityFor,
  openAggregator,
  shipOptions,
  stateFolder,
} from "./common_options.ts";

export const sessionOptions = { ...aggregatorOptions, ...shipOptions } as const;
export type SessionOptions = Options<typeof sessionOptions> & { state: string };

interface SessionDeps {
  disk: Disk;
  /** Null = no packets are kept. */
  ring: PacketRing | null;
  capture: () => CaptureHealth;
  /** On which interfaces canaries are sent, and how; absent = on none, as nothing is captured live. */
  canary?: { interfaces: readonly string[]; send: CanaryKeeperDeps["send"] };
}

/** Opens the session of a state folder. @throws {CommandError} when it is not enrolled or in use. */
export async function openSession(
  mode: { live: boolean },
  options: SessionOptions,
  edges: Edges,
  deps: SessionDeps,
): Promise<Session> {
  const folder = stateFolder(options.state, edges.env);
  const identity = await loadIdentity(deps.disk, folder);
  if (!identity?.enrolment) {
    throw new CommandError(
      exitCodes.environment,
      `Cannot ship as this sensor is not enrolled in "${folder}": use \`picket-sensor enrol\` first, or name its folder with --state`,
    );
  }
  const url = options.aggregator || identity.enrolment.aggregator;
  const ca = await authorityFor(options.aggregatorCa, identity.enrolment.aggregator_ca);
  const client = openAggregator(url, ca, controlTimeoutMs);
  const { transport, peers } = await openTransport({ url, ca }, identity.enrolment, options, edges);
  await openStateFolder(deps.disk, folder);
  const lock = await lockState(folder, edges.clock);
  if (!lock) {
    throw new CommandError(
      exitCodes.environment,
      `Cannot use "${folder}" as another picket-sensor runs with it: stop that one, or enrol a second sensor with another --state`,
    );
  }
  // What waits was sealed before, whatever file and clock say.
  const floor = (await spooledIn(folder, deps.disk)).at(-1)?.epoch ?? 0;
  const start = { nowMs: edges.clock.nowMs(), random: randomOf(edges), floor };
  const { epoch, problem } = await raiseEpoch(deps.disk, folder, start);
  if (problem !== null) {
    edges.reporter.count("epoch_file_errors_total");
    edges.reporter.error("cannot store the epoch of this start, asking the aggregator what it knows", {
      problem,
    });
  }
  const epochMin = await carryBatches(folder, identity, edges, deps.disk);
  const isEpochSure = problem === null;
  const opened = { folder, identity, client, transport, peers, lock, epoch, isEpochSure, epochMin };
  return new Session(mode, options, edges, deps, opened);
}

/** Batches in the spool, those of the highest epoch last. */
async function spooledIn(folder: string, disk: Disk): Promise<{ epoch: number }[]> {
  return batchesIn(await disk.list(`${folder}/spool`).catch(() => []));
}

/** Carries over what an earlier identity left, where an enrolment could not do so.
 * Returns the lowest epoch that can be shipped. */
async function carryBatches(folder: string, identity: Identity, edges: Edges, disk: Disk): Promise<number> {
  if (identity.carry === null || identity.enrolment === null) return 0;
  try {
    await carryOver(`${folder}/spool`, identity, { disk, reporter: edges.reporter });
    await saveEnrolment(disk, folder, identity.enrolment);
    return 0;
  } catch (error) {
    edges.reporter.count("carry_over_failures_total");
    edges.reporter.error("cannot carry batches of the earlier identity over, they stay for the next start", {
      error: (error as Error).message,
    });
    return identity.carry.epoch;
  }
}

const controlTimeoutMs = 4_000;

interface Opened {
  folder: string;
  identity: Identity;
  client: AggregatorClient;
  transport: Transport;
  peers: Peer[];
  lock: { release(): void };
  epoch: number;
  /** No earlier start can have had it. */
  isEpochSure: boolean;
  /** Of batches that can be shipped. */
  epochMin: number;
}

export class Session {
  readonly enrolment: Enrolment;
  readonly outbox: Outbox;
  readonly spool: Spool;
  readonly shipper: Shipper;
  /** Captures that were shipped before. */
  readonly shipped: ShippedCaptures;
  readonly #checkIn: CheckIn;
  readonly #packets: PacketAnswers;
  readonly #sources: HealthSources;
  readonly #opened: Opened;
  readonly #edges: Edges;
  readonly #disk: Disk;
  readonly #reload: () => Promise<void>;
  #policy: PolicyKeeper | null = null;
  #upgrades: UpgradeKeeper | null = null;
  readonly #canary: CanaryKeeper | null;
  #forgetReload: () => void = () => {};
  /** The aggregator has said which epoch it knows.
   * Heeded once: a later one of it is a copy's, and who rose above it would hide that. */
  #isEpochKnown = false;

  constructor(
    mode: { live: boolean },
    options: SessionOptions,
    edges: Edges,
    deps: SessionDeps,
    opened: Opened,
  ) {
    const { clock, reporter } = edges;
    const { identity, transport, epoch, folder } = opened;
    const { disk } = deps;
    this.shipped = new ShippedCaptures(folder, disk);
    this.#opened = opened;
    this.#edges = edges;
    this.#reload = () => reloadAuthority(options, opened, { disk: deps.disk, reporter });
    this.#disk = disk;
    this.enrolment = identity.enrolment!;
    const { sensor_id: sensor, buckets } = this.enrolment;
    const signer = { sensor, key: identity.key, privateKey: identity.privateKey };
    const random = randomOf(edges);
    const bytesMax = options.spoolMb * 1024 * 1024;
    const { sealAgeMs } = options;
    const sealing = new SealThread({ buckets, epoch, sealAgeMs, isPrompt: mode.live }, { signer, reporter });
    const spool = this.spool = new Spool({ folder: `${folder}/spool`, bytesMax, epochMin: opened.epochMin }, {
      disk,
      reporter,
    });
    // A replay is waited for by somebody; a live sensor has time.
    const shipper = this.shipper = new Shipper({ backoffMaxMs: mode.live ? 30_000 : 5_000 }, {
      spool,
      transport,
      identity: signer,
      clock,
      reporter,
      random,
    });
    this.outbox = new Outbox(mode, { sealing, spool, shipper, clock, reporter });
    this.#sources = {
      sensorId: sensor,
      epoch,
      startedMs: clock.nowMs(),
      transportKind: transport.kind,
      capture: deps.capture,
      sealing,
      spool,
      shipper,
      ring: deps.ring,
      policy: () => this.#policy?.state,
      upgrade: () => this.#upgrades?.state,
      canary: () => this.#canary?.state,
      reporter,
    };
    const { client } = opened;
    this.#canary = deps.canary
      ? new CanaryKeeper(deps.canary, { ...deps.canary, disk, folder, clock, reporter, random })
      : null;
    this.#packets = new PacketAnswers({}, { ring: deps.ring, client, identity, clock, reporter });
    this.#checkIn = new CheckIn({ intervalMs: options.checkInS * 1_000 }, {
      client: opened.client,
      identity,
      clock,
      reporter,
      random,
      report: () => healthReport(this.#sources, clock.nowMs()),
      onPacketRequests: (requests) => this.#packets.take(requests),
      onCanary: (answer) => this.#canary?.heed(answer),
      // Not awaited: a dumpcap may take seconds to begin, and check-ins go on.
      onPolicy: (offer) => void this.#policy?.offer(offer),
      onUpgrade: (offer) => this.#upgrades?.offer(offer),
      onAnswer: async (revoked, epochKnown) => {
        obey(revoked, shipper, edges);
        if (epochKnown > 0 && !this.#isEpochKnown) {
          this.#isEpochKnown = true;
          const { isEpochSure } = this.#opened;
          if (epochKnown > this.#sources.epoch - (isEpochSure ? 0 : 1)) await this.#rise(epochKnown);
        }
        await this.#saveStatus(false);
      },
    });
  }

  /** Hosts and ports of our own traffic, for the capture filter; there may be more once batches travel. */
  get peers(): Peer[] {
    const { peers, transport } = this.#opened;
    return [...peers, ...transport.peers ?? []];
  }

  /** Opens the spool, begins to ship and to check in. Where an earlier start may have had this epoch, the aggregator is
   * asked before anything is sealed; what waits is shipped meanwhile. Without an answer it goes on. */
  async start(): Promise<void> {
    this.#forgetReload = this.#edges.onReload(this.#reload);
    await this.outbox.start();
    if (!this.#opened.isEpochSure) await this.#checkIn.once();
    this.#checkIn.start();
    this.#canary?.start();
  }

  /** Keeps to the fleet's policy from here on; before `start`. */
  heed(options: PolicyKeeperOptions, deps: Pick<PolicyKeeperDeps, "apply" | "captureProblem">): void {
    const { clock, reporter } = this.#edges;
    const checkInProblem = () => this.#checkIn.problem;
    const { folder } = this.#opened;
    this.#policy = new PolicyKeeper(options, {
      ...deps,
      disk: this.#disk,
      folder,
      clock,
      reporter,
      checkInProblem,
    });
    // Not awaited: a dumpcap relieves another only while packets are read, which begins later.
    void this.#policy.start();
  }

  /** Takes upgrades from the centre from here on; before `start`. */
  async takeUpgrades(
    trialMs: number,
    deps: Pick<UpgradeParts, "captureProblem" | "restart">,
  ): Promise<void> {
    this.#upgrades = openUpgrades(trialMs, {
      ...deps,
      ...this.#opened,
      ...this.#edges,
      disk: this.#disk,
      checkInProblem: () => this.#checkIn.problem,
      bytesPerS: () => this.shipper.bytesPerS,
    });
    await this.#upgrades.start();
  }

  /** Batches in the spool of a session that was not started. */
  async waiting(): Promise<number> {
    return (await spooledIn(this.#opened.folder, this.#disk)).length;
  }

  /** Gives the state folder back, of a session that was not started. */
  release(): void {
    this.#opened.lock.release();
  }

  /** Seals, spools, reports a last time, closes everything. */
  async stop(): Promise<void> {
    this.#forgetReload();
    // Side by side: each may wait for an answer that does not come, and a stopping program has little time.
    await Promise.all([
      this.outbox.stop(),
      this.#checkIn.halt(),
      this.#packets.stop(),
      this.#policy?.stop(),
      this.#canary?.stop(),
      this.#upgrades?.stop(this.#edges.signal.aborted),
    ]);
    await this.#checkIn.stop(true);
    await this.#saveStatus(true);
    this.release();
  }

  /** The aggregator knows a later start of this sensor, as after a backup was restored on a machine whose clock had run
   * fast: what is sealed from now on must be later still. */
  async #rise(floor: number): Promise<void> {
    const { clock, reporter } = this.#edges;
    const above = { nowMs: clock.nowMs(), random: randomOf(this.#edges), floor };
    const { epoch, problem } = await raiseEpoch(this.#disk, this.#opened.folder, above);
    reporter.count("epoch_rises_total");
    reporter.warn("the aggregator knows a later start of this sensor, continuing above it", {
      epoch,
      problem,
    });
    await this.outbox.renew(epoch);
    this.#sources.epoch = epoch;
  }

  async #saveStatus(stopped: boolean): Promise<void> {
    const { clock, reporter } = this.#edges;
    const status = {
      written_ms: clock.nowMs(),
      pid: Deno.pid,
      stopped,
      clock_offset_ms: this.#checkIn.offsetMs,
      check_in_error: this.#checkIn.problem,
      canary_arrived_ms: this.#canary?.arrivedMs ?? null,
      health: healthReport(this.#sources, clock.nowMs()),
    };
    // A full disk must not end the check-ins; the spool says so already.
    await writeStatus(this.#disk, this.#opened.folder, status)
      .catch(() => reporter.count("status_write_errors_total"));
  }
}

/** Trusts the authority that option or identity names now. */
async function reloadAuthority(
  options: SessionOptions,
  { folder, identity, client, transport }: Opened,
  { disk, reporter }: { disk: Disk; reporter: Reporter },
): Promise<void> {
  const now = await loadIdentity(disk, folder);
  if (now?.key !== identity.key || !now.enrolment) {
    throw new IdentityError("another key is in the state folder: restart the sensor to use it");
  }
  const ca = await authorityFor(options.aggregatorCa, now.enrolment.aggregator_ca);
  client.trust(ca);
  transport.trust?.(ca);
  reporter.info("certificate authority reloaded");
}

/** What a check-in's answer means for shipping. */
function obey(revoked: boolean | null, shipper: Shipper, edges: Edges): void {
  const isPaused = shipper.problem?.code === "paused";
  if (revoked === true && !isPaused) {
    shipper.pause("this sensor is revoked or quarantined by the aggregator");
    edges.reporter.error(
      "this sensor is revoked or quarantined by the aggregator: it goes on capturing and spooling, but ships nothing",
    );
  } else if (revoked === false && isPaused) {
    shipper.resume();
    edges.reporter.info("this sensor is accepted again, shipping goes on");
  }
}
