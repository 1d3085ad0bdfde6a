/** Who calls which service, and since when: whether a destination is everybody's or one host's alone.
 *
 * In: the beginnings of own hosts' flows. Out: {@link Service}, which goes on counting while a detector holds it.
 * Invariant: at most `servicesMax` services and `networksMax` networks are
 * known, and the half that was called longest ago is evicted.
 * Why by address and by name: a content network has many addresses for one name, an implant one address for many names. @module */

import { Distinct } from "./distinct.ts";

export interface Service {
  /** Packet time of the first call seen. */
  firstS: number;
  /** Own hosts that called it, told apart up to {@link callersMax}. */
  callers: Distinct<string>;
  /** Of a network: different hours in which anything was called, as far as their order tells. */
  hours: number;
  lastHour: number;
}

export interface ServiceView {
  byAddress: Service;
  /** Null where no name was read. */
  byName: Service | null;
  network: Service;
}

export const callersMax = 4;
const servicesMax = 32_768, networksMax = 1_024;

export class ServiceBook {
  #services = new Halves(servicesMax);
  #networks = new Halves(networksMax);
  #lastNetwork = "";
  #last: Service | null = null;

  /** Counts a call of the own host `srcIp` and says what is known of the service. */
  call(network: string, srcIp: string, address: string, name: string, atS: number): ServiceView {
    const byAddress = this.#services.call(`${network}|${address}`, srcIp, atS);
    const byName = name === "" ? null : this.#services.call(`${network}|${name}`, srcIp, atS);
    if (this.#last === null || network !== this.#lastNetwork) {
      this.#last = this.#networks.call(network, srcIp, atS);
      this.#lastNetwork = network;
    }
    const whole = this.#last;
    if (atS < whole.firstS) whole.firstS = atS;
    whole.callers.add(srcIp);
    const hour = Math.floor(atS / 3_600);
    if (hour !== whole.lastHour) {
      whole.lastHour = hour;
      whole.hours++;
    }
    return { byAddress, byName, network: whole };
  }
}

class Halves {
  #young = new Map<string, Service>();
  #old = new Map<string, Service>();

  constructor(readonly max: number) {}

  call(key: string, srcIp: string, atS: number): Service {
    let service = this.#young.get(key);
    if (service === undefined) {
      service = this.#old.get(key) ??
        { firstS: atS, callers: new Distinct(callersMax), hours: 0, lastHour: NaN };
      if (this.#young.size >= this.max >> 1) {
        this.#old = this.#young;
        this.#young = new Map();
      }
      this.#young.set(key, service);
    }
    if (atS < service.firstS) service.firstS = atS;
    service.callers.add(srcIp);
    return service;
  }
}
