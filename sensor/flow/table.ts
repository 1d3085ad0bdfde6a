/** Flow table: packets to bidirectional flows, flows to segments.
 *
 * In: packets and their stamps, in the order of the capture. Out: exported segments, each packet in exactly one.
 * Invariant: packets counted = packets in exported segments + packets in open flows; at most `flowsMax` flows are open.
 * Why one block of memory a flow: a packet then touches two or three cache lines,
 * and nothing for the garbage collector.
 * Hot path: typed arrays only. @module */

import type { Packet } from "../decode/packet.ts";
import type { EndReason } from "../../shared/segment.ts";
import { checkFlowOptions, type FlowOptions } from "./flow_options.ts";
import { isCanary } from "./canary.ts";
import { side } from "./direction.ts";
import { Directions, doubted, guessBit } from "./directions.ts";
import { directionOf, findPlace, flowOf, none, placeOf } from "./find.ts";
import { FlowKey } from "./flow_key.ts";
import {
  beginSegment,
  clearSegment,
  countPacket,
  countSum,
  followTcp,
  type PacketSum,
  putAddresses,
  putMac,
} from "./flow_record.ts";
import { float, strideWords, word } from "./layout.ts";
import { PacketClock } from "./packet_clock.ts";
import type { SegmentPage } from "./segment_page.ts";
import { FlowSampler, notSampled } from "./sampling.ts";
import { flag, isClosed, isClosing, isMidstream, isReset, isUnanswered, stateBit } from "./tcp_state.ts";
import { Wheel } from "./wheel.ts";

const { hash, chain, src, dst, ports, meta, vlan, state, timeoutClass, packets, isn } = word;
const { startUs, lastUs, touchedUs, openedUs, flowStartUs, flowId } = float;
/** Which time-out applies; index into the table's time-outs. */
const classTcp = 0, classOther = 1, classUnanswered = 2, classLinger = 3, classCanary = 4;
/** Nothing follows a canary, and somebody may wait for it. */
const canaryIdleUs = 1_000_000;
const flowsAtStart = 4_096;
/** Flows ended at the end of a capture before their segments are handed on. */
const endPortion = 8_192;

/** Decides where the segment of a flow goes: at once on its way, or to those that wait for facts up to `ticket`. */
export interface SegmentTarget {
  /** A page with room for one more. */
  pageFor(ticket: number): SegmentPage;
}

export class FlowTable {
  words: Int32Array;
  floats: Float64Array;
  openFlows = 0;
  evicted = 0;
  flowsTotal = 0;
  readonly sampler: FlowSampler;
  /** Sampling level of the flow around those that are opened next in a tunnel: they are kept as it was. */
  #outerLevel = 0;
  #heads: Int32Array;
  #free: Int32Array;
  #freeCount = 0;
  #due: Int32Array;
  #capacity: number;
  #key: FlowKey;
  #clock: PacketClock;
  #wheel = new Wheel();
  #directions = new Directions();
  #options: FlowOptions;
  #timeoutsUs: Float64Array;
  #activeUs: number;
  #closedUs: number;
  #target: SegmentTarget;

  /** `elapsedUs`: a clock that never steps, when the packets are live; see packet_clock.ts.
   * @throws {RangeError} when an option is out of range. */
  constructor(options: Partial<FlowOptions>, target: SegmentTarget, elapsedUs: (() => number) | null = null) {
    const checked = checkFlowOptions(options);
    this.#options = checked;
    this.#target = target;
    this.#key = new FlowKey(checked.hashSeed);
    this.#clock = new PacketClock(checked.stepBackMs * 1000, elapsedUs);
    this.sampler = new FlowSampler(longestIdleUs(checked));
    this.#timeoutsUs = timeoutsOf(checked);
    this.#activeUs = checked.activeMs * 1000;
    this.#closedUs = Math.min(checked.closedMs, checked.lingerMs) * 1000;
    this.#capacity = Math.min(flowsAtStart, checked.flowsMax);
    const memory = new ArrayBuffer(this.#capacity * strideWords * 4);
    this.words = new Int32Array(memory);
    this.floats = new Float64Array(memory);
    this.#heads = new Int32Array(headsFor(this.#capacity)).fill(none);
    this.#free = new Int32Array(this.#capacity);
    this.#due = new Int32Array(this.#capacity);
    this.#release(0, this.#capacity);
  }

  /** Other timeouts from here on; an open flow may still be looked at first when its old one is over.
   * @throws {RangeError} when one is out of range. */
  retime(timeouts: Partial<FlowOptions>): void {
    this.#options = checkFlowOptions({ ...this.#options, ...timeouts });
    this.#timeoutsUs = timeoutsOf(this.#options);
    this.#activeUs = this.#options.activeMs * 1000;
    this.sampler.idleUs = longestIdleUs(this.#options);
  }

  /** Table time, see packet_clock.ts. */
  get nowUs(): number {
    return this.#clock.nowUs;
  }

  /** Steps back of the packets' clock. */
  get stepsBack(): number {
    return this.#clock.stepsBack;
  }

  /** Steps forward of it, only noticed live. */
  get stepsForward(): number {
    return this.#clock.stepsForward;
  }

  /** Lets packet time pass: ends flows that have been silent, cuts segments that have become long. */
  advance(timeUs: number): void {
    const nowUs = this.#clock.advance(timeUs);
    if (nowUs >= this.#wheel.nextUs) this.#turn(nowUs);
  }

  /** The same, for time in which no packet came. */
  pass(us: number): void {
    const nowUs = this.#clock.pass(us);
    if (nowUs >= this.#wheel.nextUs) this.#turn(nowUs);
  }

  /** The place of a packet (see find.ts) in its open flow, which is made if there is none, or {@link notSampled}.
   * `bytes` is the buffer of the frame. */
  locate(p: Packet, bytes: Uint8Array, timeUs: number): number {
    const key = this.#key;
    key.of(p);
    const place = findPlace(this.words, this.#heads, key, p);
    if (place === none) return this.#open(p, bytes, timeUs);
    const words = this.words, floats = this.floats;
    const found = flowOf(place);
    const base = found * strideWords, half = base >> 1;
    const nowUs = this.#clock.nowUs;
    if (nowUs - floats[half + touchedUs] > this.#timeoutsUs[words[base + timeoutClass]]) {
      this.#end(found, this.#silentReason(base));
      return this.#open(p, bytes, timeUs);
    }
    if (p.protocol === 6 && (p.tcpFlags & 0x12) === flag.syn && this.#isReuse(p, base, directionOf(place))) {
      this.#end(found, "reused");
      return this.#open(p, bytes, timeUs);
    }
    if (words[base + packets] + words[base + packets + 1] === 0) floats[half + openedUs] = nowUs;
    else if (
      this.#isSegmentOver(base, nowUs) ||
      this.#isClockStep(timeUs - floats[half + lastUs], nowUs - floats[half + touchedUs])
    ) {
      this.#cut(base);
      floats[half + openedUs] = nowUs;
      // After a step back the flow's beginning lies in the future: it begins anew.
      if (timeUs < floats[half + flowStartUs]) floats[half + flowStartUs] = timeUs;
    }
    if ((words[base + state] & stateBit.directionGuessed) !== 0) {
      return doubted(words, floats, place, p, bytes);
    }
    return place;
  }

  /** The packet goes on in a tunnel, whose own flow is at `place`. */
  noteOuter(place: number): void {
    this.#outerLevel = place < 0 ? 0 : this.words[flowOf(place) * strideWords + word.code] >>> 16;
  }

  /** Counts a packet at the place that {@link locate} returned for it. */
  count(place: number, p: Packet, timeUs: number): void {
    const words = this.words, floats = this.floats;
    const flow = flowOf(place), direction = directionOf(place);
    const base = flow * strideWords;
    countPacket(words, floats, base, p, direction, timeUs);
    floats[(base >> 1) + touchedUs] = this.#clock.nowUs;
    if (p.protocol === 6 && !(p.isFragment && p.fragmentOffset > 0)) {
      const before = words[base + timeoutClass];
      const bits = followTcp(words, floats, base, p, direction, timeUs);
      const now = isClosed(bits) ? classLinger : isUnanswered(bits) ? classUnanswered : classTcp;
      if (now !== before) this.#reclass(flow, base, now);
    }
  }

  /** Counts packets that were added up elsewhere at the place that {@link locate} returned for them. */
  countSum(place: number, sum: PacketSum): void {
    const base = flowOf(place) * strideWords;
    countSum(this.words, this.floats, base, sum, directionOf(place));
    this.floats[(base >> 1) + touchedUs] = this.#clock.nowUs;
  }

  /** Ends every flow, the oldest first: the capture is over.
   * Pauses now and then, so that what it exported can be handed on. */
  *endAll(): Generator<void> {
    const { words, floats } = this;
    const open = new Int32Array(this.openFlows);
    let count = 0;
    for (const head of this.#heads) {
      for (let flow = head; flow !== none; flow = words[flow * strideWords + chain]) open[count++] = flow;
    }
    const numberOf = (flow: number) => floats[(flow * strideWords >> 1) + flowId];
    open.sort((a, b) => numberOf(a) - numberOf(b));
    for (let i = 0; i < open.length; i++) {
      const base = open[i] * strideWords;
      this.#end(open[i], words[base + timeoutClass] === classLinger ? this.#silentReason(base) : "stopped");
      if (i % endPortion === endPortion - 1) yield;
    }
  }

  /** A SYN that begins another connection than the one in the table. */
  #isReuse(p: Packet, base: number, direction: number): boolean {
    const bits = this.words[base + state];
    const isKnown = (bits & stateBit.isnKnown) !== 0;
    if (direction === 0 && isKnown) return this.words[base + isn] !== p.tcpSeq;
    return isClosing(bits) || isMidstream(bits);
  }

  #open(p: Packet, bytes: Uint8Array, timeUs: number): number {
    const { sampler } = this;
    const key = this.#key, nowUs = this.#clock.nowUs;
    const isOutermost = p.depth === 1;
    const isKept = isCanary(p);
    if (sampler.isActive && isOutermost && !isKept && sampler.leavesOut(p, key.hash, nowUs)) {
      this.#directions.noteLeftOut(key, p, nowUs);
      return notSampled;
    }
    const sender = this.#directions.senderOf(key, p, bytes, nowUs);
    if (this.#freeCount === 0) this.#makeRoom();
    const flow = this.#free[--this.#freeCount];
    const words = this.words, floats = this.floats;
    const base = flow * strideWords, half = base >> 1;
    const isBackward = (sender & side.responder) !== 0;
    words.fill(0, base, base + strideWords);
    const from = base + (isBackward ? dst : src), to = base + (isBackward ? src : dst);
    putAddresses(words, from, to, p);
    words[base + ports] = isBackward ? key.reverse : key.ports;
    words[base + word.code] = p.dstPort | (isKept ? 0 : isOutermost ? sampler.level : this.#outerLevel) << 16;
    words[base + meta] = key.meta;
    words[base + vlan] = key.vlan;
    words[base + state] = (sender & guessBit) !== 0 ? stateBit.directionGuessed : 0;
    words[base + hash] = key.hash;
    const head = key.hash & this.#heads.length - 1;
    words[base + chain] = this.#heads[head];
    this.#heads[head] = flow;
    beginSegment(words, base);
    putMac(words, base + word.macs, bytes, p.srcMacOffset, isBackward ? 6 : 0);
    putMac(words, base + word.macs, bytes, p.dstMacOffset, isBackward ? 0 : 6);
    words[base + timeoutClass] = p.protocol === 6 ? classUnanswered : isKept ? classCanary : classOther;
    floats[half + flowStartUs] = timeUs;
    floats[half + startUs] = timeUs;
    floats[half + openedUs] = nowUs;
    floats[half + touchedUs] = nowUs;
    floats[half + flowId] = ++this.flowsTotal;
    this.openFlows++;
    this.#wheel.start(nowUs);
    this.#wheel.insert(words, flow, this.#dueUs(base));
    return placeOf(flow, isBackward ? 1 : 0);
  }

  /** The stamps of a flow's packets moved differently from table time: a segment must not last over that. */
  #isClockStep(byStampsUs: number, byTableUs: number): boolean {
    const stepUs = this.#options.stepBackMs * 1000;
    return byStampsUs < -stepUs || byStampsUs - byTableUs > stepUs;
  }

  /** The flow goes on, or lingers, but what it has so far is due. */
  #isSegmentOver(base: number, nowUs: number): boolean {
    const half = base >> 1;
    if (nowUs - this.floats[half + openedUs] >= this.#activeUs) return true;
    return this.words[base + timeoutClass] === classLinger &&
      nowUs - this.floats[half + touchedUs] > this.#closedUs;
  }

  #cutReason(base: number): EndReason {
    return this.words[base + timeoutClass] === classLinger ? this.#silentReason(base) : "active";
  }

  #dueUs(base: number): number {
    const half = base >> 1;
    const { words, floats } = this;
    const idle = floats[half + touchedUs] + this.#timeoutsUs[words[base + timeoutClass]];
    if (words[base + packets] + words[base + packets + 1] === 0) return idle;
    if (words[base + timeoutClass] === classLinger) return floats[half + touchedUs] + this.#closedUs;
    const active = floats[half + openedUs] + this.#activeUs;
    return active < idle ? active : idle;
  }

  #reclass(flow: number, base: number, now: number): void {
    this.words[base + timeoutClass] = now;
    // A shorter time-out must not wait for the longer one's turn; a longer one is noticed when the shorter comes up.
    if (now !== classLinger) return;
    this.#wheel.remove(this.words, flow);
    this.#wheel.insert(this.words, flow, this.#dueUs(base));
  }

  #turn(nowUs: number): void {
    const words = this.words, floats = this.floats;
    const count = this.#wheel.turn(words, nowUs, this.#due);
    for (let i = 0; i < count; i++) {
      const flow = this.#due[i];
      const base = flow * strideWords, half = base >> 1;
      if (nowUs - floats[half + touchedUs] > this.#timeoutsUs[words[base + timeoutClass]]) {
        // It has left the wheel already: back in for a moment, so that ending a flow is one operation.
        this.#wheel.insert(words, flow, nowUs);
        this.#end(flow, this.#silentReason(base));
        continue;
      }
      const isEmpty = words[base + packets] + words[base + packets + 1] === 0;
      if (!isEmpty && this.#isSegmentOver(base, nowUs)) this.#cut(base);
      this.#wheel.insert(words, flow, this.#dueUs(base));
    }
  }

  #silentReason(base: number): EndReason {
    if (this.words[base + timeoutClass] !== classLinger) return "idle";
    return isReset(this.words[base + state]) ? "rst" : "fin";
  }

  #end(flow: number, reason: EndReason): void {
    const words = this.words;
    const base = flow * strideWords;
    if ((reason === "idle" || reason === "evicted") && words[base + timeoutClass] !== classLinger) {
      this.#directions.noteEnded(words, base, this.#key, this.#clock.nowUs);
    }
    this.#export(base, reason);
    this.#wheel.remove(words, flow);
    const head = words[base + hash] & this.#heads.length - 1;
    if (this.#heads[head] === flow) this.#heads[head] = words[base + chain];
    else {
      let before = this.#heads[head] * strideWords;
      while (words[before + chain] !== flow) before = words[before + chain] * strideWords;
      words[before + chain] = words[base + chain];
    }
    this.#free[this.#freeCount++] = flow;
    this.openFlows--;
  }

  /** Exports the segment unless it is empty. */
  #export(base: number, reason: EndReason): void {
    const words = this.words, floats = this.floats;
    if (words[base + packets] + words[base + packets + 1] === 0) return;
    this.#target.pageFor(floats[(base >> 1) + float.ticket]).append(words, base, reason);
  }

  /** The same of a flow that goes on. */
  #cut(base: number): void {
    this.#export(base, this.#cutReason(base));
    this.words[base + word.segment]++;
    clearSegment(this.words, this.floats, base);
  }

  #makeRoom(): void {
    if (this.#capacity >= this.#options.flowsMax) {
      this.evicted++;
      this.#end(this.#wheel.first(), "evicted");
      return;
    }
    const before = this.#capacity;
    const capacity = Math.min(before * 2, this.#options.flowsMax);
    const memory = new ArrayBuffer(capacity * strideWords * 4);
    const words = new Int32Array(memory);
    words.set(this.words);
    this.words = words;
    this.floats = new Float64Array(memory);
    this.#capacity = capacity;
    this.#free = new Int32Array(capacity);
    this.#due = new Int32Array(capacity);
    this.#release(before, capacity);
    this.#heads = new Int32Array(headsFor(capacity)).fill(none);
    for (let flow = 0; flow < before; flow++) {
      const base = flow * strideWords;
      const head = words[base + hash] & this.#heads.length - 1;
      words[base + chain] = this.#heads[head];
      this.#heads[head] = flow;
    }
  }

  #release(from: number, to: number): void {
    for (let flow = to - 1; flow >= from; flow--) this.#free[this.#freeCount++] = flow;
  }
}

/** Twice as many hash chains as flows, a power of two. */
function headsFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity * 2));
}

function longestIdleUs({ tcpIdleMs, otherIdleMs }: FlowOptions): number {
  return Math.max(tcpIdleMs, otherIdleMs) * 1000;
}

function timeoutsOf({ tcpIdleMs, otherIdleMs, unansweredIdleMs, lingerMs }: FlowOptions): Float64Array {
  const [tcp, other, unanswered, linger] = [tcpIdleMs, otherIdleMs, unansweredIdleMs, lingerMs];
  return Float64Array.of(tcp * 1000, other * 1000, unanswered * 1000, linger * 1000, canaryIdleUs);
}
