/** Who calls which service, and since when: whether a destination is everybody's or one host's alone.
 *
 * In: the beginnings of own hosts' flows. Out: {@link Service}, which goes on counting while a detector holds it.
 * Invariant: at most `servicesMax` services and `networksMax` networks are
 * known, and the half that was called longest ago is evicted.
 * Why by address and by name: a content network has many addresses for one name, an implant one address for many names. @module */

import { Halves } from "../../model/halves.ts";
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
  #services = new Halves<string, Service>(servicesMax);
  #networks = new Halves<string, Service>(networksMax);
  #lastNetwork = "";
  #last: Service | null = null;

  /** Counts a call of the own host `srcIp` and says what is known of the service. */
  call(network: string, srcIp: string, address: string, name: string, atS: number): ServiceView {
    const byAddress = call(this.#services, `${network}|${address}`, srcIp, atS);
    const byName = name === "" ? null : call(this.#services, `${network}|${name}`, srcIp, atS);
    if (this.#last === null || network !== this.#lastNetwork) {
      this.#last = call(this.#networks, network, srcIp, atS);
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

function call(services: Halves<string, Service>, key: string, srcIp: string, atS: number): Service {
  const service = services.get(key, newService);
  if (atS < service.firstS) service.firstS = atS;
  service.callers.add(srcIp);
  return service;
}

function newService(): Service {
  return { firstS: Infinity, callers: new Distinct(callersMax), hours: 0, lastHour: NaN };
}
