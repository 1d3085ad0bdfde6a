/** Numbers for vantages, so that a sighting holds four octets instead of a name.
 *
 * Bound: {@link vantagesMax}; a hostile sensor that invents VLANs beyond it gets one vantage for all of them. @module */

const vantagesMax = 200_000;

export class Vantages {
  #numbers = new Map<string, number>();
  #sensors: string[] = [];

  number(sensorId: string, vlan: number, ipDepth: number): number {
    const isFull = this.#sensors.length >= vantagesMax;
    const name = `${sensorId}|${vlan}|${ipDepth}`;
    return this.#numbers.get(name) ?? this.#add(isFull ? `${sensorId}|*` : name, sensorId);
  }

  sensorOf(vantage: number): string {
    return this.#sensors[vantage];
  }

  #add(name: string, sensorId: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#sensors.push(sensorId) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  }
}
