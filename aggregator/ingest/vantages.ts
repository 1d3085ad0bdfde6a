/** Numbers for vantages, so that a sighting holds four octets instead of a name.
 *
 * Bound: {@link vantagesMax}; a hostile sensor that invents VLANs beyond it gets one vantage for all of them.
 * @module */

const vantagesMax = 200_000;

export class Vantages {
  /** By sensor, then by VLAN and depth. */
  #numbers = new Map<string, Map<number, number>>();
  #vantages: { sensorId: string; vlan: number; ipDepth: number }[] = [];

  number(sensorId: string, vlan: number, ipDepth: number): number {
    let ofSensor = this.#numbers.get(sensorId);
    if (!ofSensor) this.#numbers.set(sensorId, ofSensor = new Map());
    const known = ofSensor.get(vlan * 256 + ipDepth);
    if (known !== undefined) return known;
    const isFull = this.#vantages.length >= vantagesMax;
    const place = isFull ? -1 : vlan * 256 + ipDepth;
    let number = ofSensor.get(place);
    if (number === undefined) {
      number = this.#vantages.push({ sensorId, vlan: isFull ? 0 : vlan, ipDepth: isFull ? 0 : ipDepth }) - 1;
      ofSensor.set(place, number);
    }
    return number;
  }

  sensorOf(vantage: number): string {
    return this.#vantages[vantage].sensorId;
  }

  vlanOf(vantage: number): number {
    return this.#vantages[vantage].vlan;
  }

  ipDepthOf(vantage: number): number {
    return this.#vantages[vantage].ipDepth;
  }
}
