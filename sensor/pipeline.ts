/** Pipeline: frame -> decode -> prefilter -> flow table -> (wait for facts) -> segment sink.
 *
 * In: packets from a capture reader, in their order. Out: segments to a {@link SegmentSink}, and the capture's account.
 * Invariant: packets = packets in flows + packets left out, by reason, at any moment.
 * Why the deep lane is only asked and never awaited here: a slow or dead lane may cost facts, never a count. @module */

import type { Reporter } from "../shared/reporter.ts";
import type { Clock } from "../shared/clock.ts";
import type { NoiseClass } from "../shared/policy.ts";
import { OddPackets } from "./capture/odd_packets.ts";
import { Decoder } from "./decode/decoder.ts";
import type { Packet } from "./decode/packet.ts";
import { innerFaults, leftOutReasons, reason } from "./decode/reasons.ts";
import { answeredAll, type Chooser, type DeepLane } from "./dissect/deep_lane.ts";
import { NoiseFilter, type NoisePolicy } from "./prefilter/noise.ts";
import type { OwnPeer } from "./prefilter/kernel_filter.ts";
import { OwnTraffic } from "./prefilter/own_traffic.ts";
import { isCanary } from "./flow/canary.ts";
import { notSampled } from "./flow/sampling.ts";
import { Copies } from "./flow/copies.ts";
import { directionOf } from "./flow/find.ts";
import type { FlowOptions } from "./flow/flow_options.ts";
import { Fragments } from "./flow/fragments.ts";
import { DeepMarks } from "./flow/deep_marks.ts";
import type { SegmentPage } from "./flow/segment_page.ts";
import { Life } from "./flow/life.ts";
import { FlowTable } from "./flow/table.ts";
import { WaitingRows } from "./flow/waiting.ts";
import type { PacketRing } from "./ring/packet_ring.ts";

/** Where exported segments go. */
export interface SegmentSink {
  /** Takes what it needs of the page, which is filled anew afterwards. Awaited between chunks: back-pressure. */
  take(page: SegmentPage): void | Promise<void>;
}

/** The capture's account, as printed by `replay` and `analyze`. */
export interface CaptureSummary {
  file: string;
  packets: number;
  /** Octets on the wire. */
  bytes: number;
  /** Stamps of the earliest and the latest packet, epoch seconds; null without packets. */
  first: number | null;
  last: number | null;
  in_flows: number;
  left_out: Record<string, number>;
  /** What else was odd, by name, when there was any; see {@link Pipeline.summary}. */
  remarks: Record<string, number>;
}

/** What can change while it runs. */
export type Tuning = { timeouts: Partial<FlowOptions>; noise: readonly NoiseClass[]; facts: boolean };

export interface PipelineOptions {
  /** Live: nobody waits for facts longer than `factsWaitMs`. Replay waits as long as it takes. @default false */
  live: boolean;
  /** @default 1000 */
  factsWaitMs: number;
  /** Segments that may wait for facts. @default 50000 */
  waitingRowsMax: number;
  flow: Partial<FlowOptions>;
  noise: NoisePolicy;
}

const pipelineDefaults: Readonly<PipelineOptions> = {
  live: false,
  factsWaitMs: 1_000,
  waitingRowsMax: 50_000,
  flow: {},
  noise: {},
};

/** Longest lag of a packet out of an idle dumpcap, which empties the kernel's buffer four times a second. */
const deliveryLagUs = 300_000;

export class Pipeline {
  packets = 0;
  bytes = 0;
  /** Stamp of the packet that came last. */
  stampUs = 0;
  readonly life = new Life();
  /** Time without packets since the last chunk, and as much of it as table time has passed. */
  #silentUs = 0;
  #passedUs = 0;
  #odd = new OddPackets(this);
  #copies = new Copies();
  #firstUs = Infinity;
  #lastUs = -Infinity;
  #leftOut = new Float64Array(leftOutReasons.length);
  #innerFaults = new Float64Array(innerFaults.length);
  #decoder = new Decoder();
  #filter: NoiseFilter;
  #own = new OwnTraffic();
  #table: FlowTable;
  #marks: DeepMarks;
  #fragments: Fragments;
  #waiting: WaitingRows;
  #options: PipelineOptions;
  #sink: SegmentSink;
  #reporter: Reporter;
  #clock: Clock;
  #deepLane: DeepLane | null;
  #chooser: Chooser | null;
  #chooserGiven: Chooser | null;
  #ring: PacketRing | null;
  /** The packet chosen or not last is the first of its direction with payload. */
  #isStart = false;
  #reported = new Map<string, number>();

  /** Without a deep lane or a chooser, segments carry no facts and wait for none.
   * @throws {RangeError} when an option is out of range. */
  constructor(
    options: Partial<PipelineOptions>,
    deps: {
      sink: SegmentSink;
      reporter: Reporter;
      clock: Clock;
      deepLane: DeepLane | null;
      chooser: Chooser | null;
      /** Gets every packet of a flow. @default null */
      ring?: PacketRing | null;
    },
  ) {
    this.#options = { ...pipelineDefaults, ...options };
    for (const name of ["factsWaitMs", "waitingRowsMax"] as const) {
      if (!(this.#options[name] >= 1)) {
        throw new RangeError(
          `Cannot open pipeline as "${name}" must be >= 1: current value is ${this.#options[name]}`,
        );
      }
    }
    const { live, factsWaitMs, waitingRowsMax } = this.#options;
    this.#waiting = new WaitingRows({ waitMs: live ? factsWaitMs : Infinity, rowsMax: waitingRowsMax });
    const elapsedUs = live ? () => deps.clock.monotonicMs() * 1000 : null;
    this.#table = new FlowTable(this.#options.flow, this.#waiting, elapsedUs);
    this.#marks = new DeepMarks(this.#table);
    this.#fragments = new Fragments(this.#table);
    this.#filter = new NoiseFilter(this.#options.noise);
    this.#sink = deps.sink;
    this.#reporter = deps.reporter;
    this.#clock = deps.clock;
    this.#deepLane = deps.deepLane;
    this.#chooser = this.#chooserGiven = deps.chooser;
    this.#ring = deps.ring ?? null;
  }

  /** Flows open in the table. */
  get openFlows(): number {
    return this.#table.openFlows;
  }

  /** Flows begun, and those of them reported early as the table was full. */
  get flowCounts(): { opened: number; evicted: number } {
    return { opened: this.#table.flowsTotal, evicted: this.#table.evicted };
  }

  /** New flows are kept one in `factor`, a power of two; see flow/sampling.ts. */
  get factor(): number {
    return 2 ** this.#table.sampler.level;
  }

  /** Keeps new flows one in 2^level from here on. */
  sample(level: number): void {
    this.#table.sampler.setLevel(level, this.#table.nowUs);
  }

  /** Changes what a policy may, at run time. Without facts no packet is chosen; those on their way are answered. */
  tune({ timeouts, noise, facts }: Tuning): void {
    this.#table.retime(timeouts);
    this.#filter = new NoiseFilter(Object.fromEntries(noise.map((name) => [name, "count"])));
    this.#chooser = facts ? this.#chooserGiven : null;
  }

  /** Leaves the connections of these out from here on; see prefilter/own_traffic.ts. */
  leaveOut(ownPeers: readonly OwnPeer[]): void {
    this.#own.set(ownPeers);
  }

  /** One packet. Hot path; called by the capture reader. */
  packet(
    buffer: Uint8Array,
    offset: number,
    capturedLength: number,
    wireLength: number,
    timeUs: number,
    linkType: number,
  ): void {
    const odd = this.#odd;
    if (odd.isOdd(timeUs, wireLength)) {
      return odd.take(buffer, offset, capturedLength, wireLength, timeUs, linkType, this.stampUs);
    }
    this.packets++;
    this.bytes += wireLength;
    this.stampUs = timeUs;
    if (timeUs < this.#firstUs) this.#firstUs = timeUs;
    if (timeUs > this.#lastUs) this.#lastUs = timeUs;
    const decoder = this.#decoder;
    let stopped = decoder.decode(buffer, offset, capturedLength, wireLength, linkType);
    if (stopped !== 0 || !isCanary(decoder.layers[0])) {
      this.life.note(stopped === 0 ? decoder.layers[0] : null, buffer, timeUs);
      if (stopped === 0 && this.#own.isActive && this.#own.isIn(decoder.layers, decoder.layerCount)) {
        stopped = reason.own_traffic;
      }
      if (stopped === 0 && this.#filter.isActive) stopped = this.#filter.leaveOut(decoder.layers[0], buffer);
    }
    if (stopped !== 0) {
      this.#leftOut[stopped]++;
      return;
    }
    if (decoder.innerFault !== 0) this.#innerFaults[decoder.innerFault]++;
    this.#copies.note(decoder.layers[0], buffer, timeUs);
    this.#table.advance(timeUs);
    const layerCount = decoder.layerCount;
    let place = -1;
    for (let layer = 0; layer < layerCount; layer++) {
      place = this.#countLayer(decoder.layers[layer], buffer, timeUs);
      if (place === notSampled) {
        this.#leftOut[reason.not_sampled]++;
        return;
      }
      // What travels in a tunnel is kept or left out with it.
      if (layer === 0 && layerCount > 1) this.#table.noteOuter(place);
    }
    if (this.#ring !== null) {
      const payloadAt = decoder.layers[layerCount - 1].payloadOffset;
      this.#ring.add(buffer, offset, capturedLength, wireLength, timeUs, linkType, payloadAt);
    }
    if (this.#deepLane !== null && this.#chooser !== null && place >= 0) {
      const before = decoder.layers[layerCount - 1].ipOffset - offset;
      this.#look(this.#deepLane, this.#chooser, place, buffer, capturedLength - before, wireLength - before);
    }
  }

  /** Shows the innermost packet to the deep lane; `captured` and `onWire` are its octets from its IP header on. A
   * function of its own, so that V8 has room to inline the counting, which every packet needs. */
  #look(
    lane: DeepLane,
    chooser: Chooser,
    place: number,
    buffer: Uint8Array,
    captured: number,
    onWire: number,
  ): void {
    const decoder = this.#decoder, marks = this.#marks;
    const p = decoder.layers[decoder.layerCount - 1];
    const isChosen = this.#chooses(chooser, place, p, buffer);
    if (this.#isStart) {
      const { payloadOffset, payloadCaptured } = p;
      const flowId = marks.flowId(place);
      const ticket = lane.noteStart(flowId, directionOf(place), buffer, payloadOffset, payloadCaptured);
      if (ticket > 0) marks.noteTicket(place, ticket);
    }
    if (!isChosen) return;
    const ticket = lane.offer(
      buffer,
      p.ipOffset,
      captured,
      onWire,
      this.stampUs,
      marks.flowId(place),
      marks.segment(place),
    );
    if (ticket > 0) marks.noteTicket(place, ticket);
  }

  #countLayer(p: Packet, buffer: Uint8Array, timeUs: number): number {
    if (p.isFragment) return this.#fragments.count(p, buffer, timeUs);
    const place = this.#table.locate(p, buffer, timeUs);
    if (place !== notSampled) this.#table.count(place, p, timeUs);
    return place;
  }

  #chooses(chooser: Chooser, place: number, p: Packet, buffer: Uint8Array): boolean {
    const marks = this.#marks;
    const index = marks.payloadIndex(place, p);
    this.#isStart = index === 0 && p.payloadLength > 0;
    const memory = chooser.choose(p, buffer, index, marks.memory(place));
    marks.remember(place, memory);
    return (memory & 1) !== 0;
  }

  /** Between chunks: lets the deep lane work, hands exported rows on. */
  async turn(): Promise<void> {
    this.#silentUs = this.#passedUs = 0;
    await this.#work();
  }

  /** Live only: no packet came for `ms` more; the last was `lagMs` old on arrival, so that much had passed before. */
  async advance(ms: number, lagMs: number): Promise<void> {
    if (this.packets === 0) return await this.#work();
    this.#silentUs += ms * 1_000;
    // Packets may still be on their way through the kernel: their stamps are the time that counts.
    const silentUs = Math.max(0, this.#silentUs - deliveryLagUs) +
      Math.max(0, Math.min(deliveryLagUs, lagMs * 1_000));
    if (silentUs > this.#passedUs) {
      this.#table.pass(silentUs - this.#passedUs);
      this.#passedUs = silentUs;
    }
    await this.#work();
  }

  async #work(): Promise<void> {
    this.#fragments.expire();
    if (this.#deepLane !== null) await this.#deepLane.turn();
    await this.#handOn(false);
  }

  /** No more packets: ends all flows, waits for their facts, hands everything on. */
  async finish(): Promise<void> {
    this.#odd.finish();
    this.#fragments.flush();
    for (const _ of this.#table.endAll()) await this.#work();
    await this.#handOn(false);
    if (this.#deepLane !== null) await this.#deepLane.drain();
    await this.#handOn(true);
    this.report();
  }

  async #handOn(isLast: boolean): Promise<void> {
    const waiting = this.#waiting;
    if (this.#deepLane !== null) {
      // After draining there is nothing left to wait for, whatever the tickets say.
      const source = isLast ? answeredAll(this.#deepLane) : this.#deepLane;
      waiting.release(source, this.#clock.monotonicMs());
    }
    for (const page of waiting.take()) {
      await this.#sink.take(page);
      waiting.giveBack(page);
    }
  }

  summary(file: string): CaptureSummary {
    const left = Object.fromEntries(
      leftOutReasons.map((name, index) => [name, this.#leftOutBy(index)] as const).filter(([, count]) =>
        count > 0
      ),
    );
    const leftOut = Object.values(left).reduce((sum, count) => sum + count, 0);
    const hasPackets = this.packets > 0;
    return {
      file,
      packets: this.packets,
      bytes: this.bytes,
      first: hasPackets ? this.#firstUs / 1e6 : null,
      last: hasPackets ? this.#lastUs / 1e6 : null,
      in_flows: this.packets - leftOut,
      left_out: left,
      remarks: Object.fromEntries(Object.entries(this.#remarks).filter(([, count]) => count > 0)),
    };
  }

  /** `bytes_claimed`: octets that headers claim and the wire did not carry, in no count. `packets_copied`: seen a
   * moment before, counted like any other. `stamps_refused`: no valid time; the packet before lends its stamp. */
  get #remarks(): Record<string, number> {
    return {
      bytes_claimed: this.#decoder.claimedBytes + this.#odd.claimedBytes,
      packets_copied: this.#copies.count,
      stamps_refused: this.#odd.stampsRefused,
    };
  }

  /** Fragments wait for the first one of their datagram before it is known whether their flow is left out. */
  #leftOutBy(index: number): number {
    return this.#leftOut[index] + (index === reason.not_sampled ? this.#fragments.notSampled : 0);
  }

  /** Brings the counters of the reporter up to date. */
  report(): void {
    this.#count("packets_total", {}, this.packets);
    this.#count("packet_bytes_total", {}, this.bytes);
    for (let index = 1; index < leftOutReasons.length; index++) {
      this.#count("packets_left_out_total", { reason: leftOutReasons[index] }, this.#leftOutBy(index));
    }
    for (let index = 1; index < innerFaults.length; index++) {
      this.#count("inner_headers_refused_total", { reason: innerFaults[index] }, this.#innerFaults[index]);
    }
    for (const [name, count] of Object.entries(this.#remarks)) this.#count(`${name}_total`, {}, count);
    this.#count("ring_packets_total", {}, this.#ring?.added ?? 0);
    this.#count("ring_packets_overwritten_total", {}, this.#ring?.overwritten ?? 0);
    this.#count("flows_total", {}, this.#table.flowsTotal);
    this.#count("flows_evicted_total", {}, this.#table.evicted);
    this.#count("clock_steps_back_total", {}, this.#table.stepsBack);
    this.#count("clock_steps_forward_total", {}, this.#table.stepsForward);
    this.#reporter.gauge("sampling_factor", this.factor);
    this.#count("fragments_orphaned_total", {}, this.#fragments.orphans);
    this.#count("segments_hurried_total", {}, this.#waiting.hurried);
    this.#reporter.gauge("flows_open", this.#table.openFlows);
    this.#reporter.gauge("segments_waiting", this.#waiting.waitingCount);
  }

  #count(name: string, labels: Record<string, string>, total: number): void {
    const key = name + (labels.reason ?? "");
    const by = total - (this.#reported.get(key) ?? 0);
    if (by > 0) this.#reporter.count(name, labels, by);
    this.#reported.set(key, total);
  }
}
