/** The stages of the data path as a command sees them; `main.ts` fills them in, tests put fakes there.
 *
 * Why here: a command decides what runs and when; which program captures or dissects is wiring. @module */

import type { Clock } from "../../shared/clock.ts";
import type { InterfaceCounters } from "../../shared/control.ts";
import { cardDrops } from "../../shared/control_messages.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { PacketHandler } from "../capture/capture_error.ts";
import type { LinkState } from "../capture/several_sources.ts";
import type { OwnPeer } from "../prefilter/kernel_filter.ts";
import type { CanarySending } from "../control/canary.ts";
import type { CaptureHealth } from "../control/health.ts";
import type { RecentLoss } from "../control/recent_loss.ts";
import type { Walls } from "../dissect/child/sandbox.ts";
import type { Chooser, DeepLane } from "../dissect/deep_lane.ts";
import type { CaptureSummary, SegmentSink, Tuning } from "../pipeline.ts";
import type { Disk } from "../disk.ts";
import type { PacketRing } from "../ring/packet_ring.ts";

/** Where packets come from: a file, or dumpcap. */
export interface CaptureSource {
  /** File or interfaces, for people. */
  readonly name: string;
  /** Octets read of `bytesTotal`; null = nobody knows how much there is. */
  readonly bytesRead: number;
  readonly bytesTotal: number | null;
  /** Packets lost before the sensor saw them. */
  readonly dropped: number;
  /** Live: what the kernel counted for the interfaces since the start; one that has no counters is absent. */
  readonly interfaces?: readonly InterfaceCounters[];
  /** Live: how each interface is. */
  readonly links?: readonly LinkState[];
  /** First thing found wrong with what was captured, a word of `captureErrors` and a sentence; null = nothing. */
  readonly problem: { code: string; message: string } | null;
  /** Opens it. Rejects with a `CommandError` that says what to do. */
  start(): Promise<void>;
  /** Who gets the packets; called once, before the first `next`. */
  attach(handler: PacketHandler): void;
  /** Hands the packets of the next chunk to the handler; false = there are no more. */
  next(): Promise<boolean>;
  /** Live: leaves the traffic of these out as soon as it can. */
  exclude?(peers: readonly OwnPeer[]): void;
  /** Live: captures with these from now on.
   * Resolves with why that is not possible, and then nothing has changed; null = it does. */
  retune?(change: { filter: string; snaplen: number }): Promise<string | null>;
  /** Live: no new packets; those already captured still come through `next`. */
  stop(): void;
  close(): Promise<void>;
}

export interface LiveOptions {
  interfaces: string[];
  filter: string;
  snaplen: number;
  bufferMb: number;
  dumpcapPath: string;
  /** Own traffic, left out by the filter. */
  exclude: readonly OwnPeer[];
}

export interface DeepLaneOptions {
  live: boolean;
  tsharkPath: string;
  /** Where systemd starts tshark behind a socket; null = it is our own child. */
  socketPath: string | null;
  /** The sensor's key, to be kept from tshark; null = none is in use. */
  keyPath: string | null;
  cacheFolder: string | null;
}

/** What the deep lane says of itself. */
interface DeepLaneHealth {
  offered: number;
  answered: number;
  refused: number;
  version: string;
  walls: Walls | null;
  /** Ends of tshark that nobody asked for. */
  failures: { total: number; lately: number; words: string };
}

/** The running deep lane. */
export interface RunningDeepLane {
  lane: DeepLane;
  chooser: Chooser;
  health(): DeepLaneHealth;
  stop(): Promise<void>;
}

/** The fast lane, from packets to segments. */
export interface FastLane extends PacketHandler {
  turn(): Promise<void>;
  /** For `ms` more no packet came; the last one was `lagMs` old when it came. */
  advance(ms: number, lagMs: number): Promise<void>;
  finish(): Promise<void>;
  summary(file: string): CaptureSummary;
  /** Brings the reporter's counters up to date. */
  report(): void;
  readonly openFlows: number;
  /** Flows begun, and those of them reported early as the table was full. */
  readonly flowCounts: { opened: number; evicted: number };
  /** Stamp of the packet that came last, 0 = none yet. */
  readonly stampUs: number;
  /** Latest stamps of packets that are no canaries, 0 = none yet. */
  readonly life: { readonly trafficUs: number; readonly unicastUs: number };
  /** New flows are kept one in this many. */
  readonly factor: number;
  /** Leaves the sensor's own connections out. */
  leaveOut(peers: readonly OwnPeer[]): void;
  /** Keeps new flows one in 2^level. */
  sample(level: number): void;
  tune(tuning: Tuning): void;
}

export interface CaptureInterface {
  name: string;
  description: string;
  addresses: string[];
  isLoopback: boolean;
  isUp: boolean;
}

export interface Stages {
  disk: Disk;
  fileSource(path: string, chunkBytes?: number): CaptureSource;
  liveSource(options: LiveOptions, deps: { clock: Clock; reporter: Reporter }): CaptureSource;
  fastLane(
    options: { live: boolean; flow: Record<string, number> },
    deps: {
      sink: SegmentSink;
      reporter: Reporter;
      clock: Clock;
      deepLane: RunningDeepLane | null;
      ring: PacketRing | null;
    },
  ): FastLane;
  /** Starts the dissector. Rejects with a message for the operator when it cannot run. */
  deepLane(
    options: DeepLaneOptions,
    deps: { clock: Clock; reporter: Reporter },
  ): Promise<RunningDeepLane>;
  /** Sends a canary on an interface. Never rejects. */
  sendCanary(interfaceName: string, deps: { clock: Clock }): Promise<CanarySending>;
  /** Interfaces that could be captured. Rejects with a `CommandError` when dumpcap cannot say. */
  interfaces(dumpcapPath: string): Promise<CaptureInterface[]>;
}

/** What a check-in says about capture, from the stages that run; of a live one with what it lost lately. */
export function captureHealth(
  state: CaptureHealth["state"],
  source: CaptureSource,
  fastLane: FastLane,
  deepLane: RunningDeepLane | null,
  live?: { recentLoss: RecentLoss; clock: Clock; isFiltered: boolean },
): CaptureHealth {
  fastLane.report();
  const { packets, bytes, in_flows, left_out } = fastLane.summary(source.name);
  const facts = deepLane?.health() ??
    { offered: 0, answered: 0, refused: 0, walls: null, failures: undefined };
  const { dropped, interfaces, links } = source;
  const failing = links?.filter(({ error }) => error !== null) ?? [];
  const totals = { packets, dropped, card_dropped: cardDrops(interfaces ?? []) };
  return {
    // A capture that is being started again sees nothing, whatever the command is doing.
    state: state === "capturing" && source.problem !== null ? "failed" : state,
    source: source.name,
    error: source.problem?.message ?? failing[0]?.error ?? null,
    packets,
    bytes,
    in_flows,
    left_out,
    dropped,
    interfaces: interfaces?.length ? [...interfaces] : undefined,
    links: links && [...links],
    recent: live?.recentLoss.take(totals, live.clock.monotonicMs()),
    last_packet: secondsOf(fastLane.life.trafficUs),
    last_unicast: live && !live.isFiltered ? secondsOf(fastLane.life.unicastUs) : undefined,
    flows_open: fastLane.openFlows,
    factor: fastLane.factor,
    facts: {
      offered: facts.offered,
      answered: facts.answered,
      refused: facts.refused,
      failures: facts.failures,
      ...(facts.walls &&
        { walls: { standing: [...facts.walls.standing], missing: [...facts.walls.missing] } }),
    },
  };
}

/** Null = there was none. */
function secondsOf(stampUs: number): number | null {
  return stampUs === 0 ? null : stampUs / 1e6;
}
