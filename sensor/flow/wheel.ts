/** Timer wheel over the flows of the table.
 *
 * In: a flow and when it is due.
 * Out: the flows whose slot has come, each once; the caller decides whether they are really due.
 * Invariant: every open flow is in exactly one slot; a turn visits at most all slots once, however far time has jumped.
 * Why lazy: a packet only notes when it came;
 * the wheel is touched when a flow's old due time comes, not a packet at a time. @module */

import { strideWords, word } from "./layout.ts";

/** Fine slots, as what is due waits for the end of its slot. */
const slots = 8_192;
const slotUs = 31_250;
const none = -1;

export class Wheel {
  /** First flow of each slot. */
  #heads = new Int32Array(slots).fill(none);
  #tick = 0;
  /** No flow is due before this tick: a full table asks for the first one with every packet of a flood. */
  #earliest = 0;
  #isStarted = false;
  #count = 0;

  /** Table time from which {@link turn} has something to do. */
  get nextUs(): number {
    return this.#isStarted ? (this.#tick + 1) * slotUs : 0;
  }

  /** Puts a flow where it will come up at `dueUs`, or at the horizon (256 s), whichever is sooner. */
  insert(words: Int32Array, flow: number, dueUs: number): void {
    let tick = Math.floor(dueUs / slotUs) + 1;
    if (tick <= this.#tick) tick = this.#tick + 1;
    else if (tick >= this.#tick + slots) tick = this.#tick + slots - 1;
    if (tick < this.#earliest) this.#earliest = tick;
    const slot = tick % slots;
    const base = flow * strideWords;
    const head = this.#heads[slot];
    words[base + word.wheelSlot] = slot;
    words[base + word.wheelPrevious] = none;
    words[base + word.wheelNext] = head;
    if (head !== none) words[head * strideWords + word.wheelPrevious] = flow;
    this.#heads[slot] = flow;
    this.#count++;
  }

  remove(words: Int32Array, flow: number): void {
    const base = flow * strideWords;
    const previous = words[base + word.wheelPrevious];
    const next = words[base + word.wheelNext];
    if (previous === none) this.#heads[words[base + word.wheelSlot]] = next;
    else words[previous * strideWords + word.wheelNext] = next;
    if (next !== none) words[next * strideWords + word.wheelPrevious] = previous;
    this.#count--;
  }

  /** Starts at `nowUs` when nothing has happened yet. */
  start(nowUs: number): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#tick = Math.floor(nowUs / slotUs);
  }

  /** Takes all flows out of the slots that have passed by `nowUs` into `due`; returns how many there are. */
  turn(words: Int32Array, nowUs: number, due: Int32Array): number {
    const target = Math.floor(nowUs / slotUs);
    let count = 0;
    const last = Math.min(target, this.#tick + slots);
    for (let tick = this.#tick + 1; tick <= last; tick++) {
      const slot = tick % slots;
      for (let flow = this.#heads[slot]; flow !== none;) {
        due[count++] = flow;
        flow = words[flow * strideWords + word.wheelNext];
      }
      this.#heads[slot] = none;
    }
    if (target > this.#tick) this.#tick = target;
    this.#count -= count;
    return count;
  }

  /** The flow that is due first, -1 when there is none. */
  first(): number {
    if (this.#count === 0) return none;
    const from = Math.max(this.#earliest, this.#tick + 1);
    for (let tick = from; tick < from + slots; tick++) {
      const head = this.#heads[tick % slots];
      if (head === none) continue;
      this.#earliest = tick;
      return head;
    }
    return none;
  }
}
