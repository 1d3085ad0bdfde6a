/** Table time: packet time that never steps back, and live never jumps ahead.
 *
 * In: the stamp of each packet, in the order of the capture; live also the time in which none came. Out: `nowUs`, in
 * which all time-outs are measured.
 * Invariant: `nowUs` never falls. A packet a little out of order leaves it alone; after a step back of more than
 * `stepBackUs` the new stamps are taken as the present, so that one packet of the year 2100 cannot stop the clock for
 * those after it. Live, a stamp further ahead than the time that has really passed is a step of the wall clock: the new
 * stamps are the present too, so that setting a clock ends no flow.
 * A capture file has no second clock: there a jump ahead is silence. @module */

/** Live stamps may run ahead of the second clock by this: small corrections add up until the next silence. */
const aheadUs = 5_000_000;

export class PacketClock {
  nowUs = 0;
  stepsBack = 0;
  stepsForward = 0;
  #offsetUs = 0;
  #stepBackUs: number;
  #isStarted = false;
  /** Live: a clock that never steps; the table time at one of its times;
   * how far stamps may go before it is asked again. */
  #elapsedUs: (() => number) | null;
  #anchorUs = 0;
  #anchorElapsedUs = 0;
  #limitUs = Infinity;

  constructor(stepBackUs: number, elapsedUs: (() => number) | null = null) {
    this.#stepBackUs = stepBackUs;
    this.#elapsedUs = elapsedUs;
  }

  /** Moves on to the stamp of a packet; returns the table time. */
  advance(timeUs: number): number {
    const shifted = timeUs + this.#offsetUs;
    if (shifted > this.nowUs) {
      if (shifted > this.#limitUs && this.#isStep(shifted)) {
        this.#offsetUs -= shifted - this.nowUs;
        this.stepsForward++;
      } else this.nowUs = shifted;
    } else if (this.nowUs - shifted > this.#stepBackUs && this.#isStarted) {
      this.#offsetUs += this.nowUs - shifted;
      this.stepsBack++;
    }
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#anchor();
    }
    return this.nowUs;
  }

  /** Live: `us` have passed in which no packet was stamped; returns the table time. */
  pass(us: number): number {
    if (!this.#isStarted) return this.nowUs;
    this.nowUs += us;
    // Nothing is on its way now: table time is as late as it will ever be, and stamps are measured from here.
    this.#anchor();
    return this.nowUs;
  }

  #anchor(): void {
    if (this.#elapsedUs === null) return;
    this.#anchorUs = this.nowUs;
    this.#anchorElapsedUs = this.#elapsedUs();
    this.#limitUs = this.nowUs + aheadUs;
  }

  #isStep(shiftedUs: number): boolean {
    const passedUs = this.#elapsedUs!() - this.#anchorElapsedUs;
    this.#limitUs = this.#anchorUs + passedUs + aheadUs;
    return shiftedUs > this.#limitUs;
  }
}
