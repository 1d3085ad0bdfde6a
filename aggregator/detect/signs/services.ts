/** Who calls which service, and since when: whether a destination is everybody's or one host's alone.
 *
 * In: the beginnings of own hosts' flows. Out: {@link Service}, which goes on counting while a detector holds it.
 * Invariant: at most `servicesMax` services and `networksMax` networks are
 * known, and the half that was called longest ago is evicted.
 * Why by address and by name: a content network has many addresses for one name, an implant one address for many names.
 * @module */

import { z } from "../../../shared/schema.ts";
import {
  isWatchedRow,
  learnedKey,
  learnedTime,
  type Learning,
  newWatched,
  rowOfWatched,
  watch,
  type Watched,
  watchedOfRow,
  watchedRow,
} from "../learned.ts";
import { Halves } from "../../model/halves.ts";
import { Distinct } from "./distinct.ts";

export interface Service {
  /** Packet time of the first call seen. */
  firstS: number;
  /** Own hosts that called it, told apart up to {@link callersMax}. */
  callers: Distinct<string>;
}

export interface ServiceView {
  byAddress: Service;
  /** Null where no name was read. */
  byName: Service | null;
  network: CallingNetwork;
  /** Hours in which anything was called in the network, up to this call: `network` goes on counting. */
  hours: number;
}

/** A network, with the hours in which anything was called, and its own hosts as those of a service. */
export interface CallingNetwork extends Watched {
  callers: Distinct<string>;
}

export const callersMax = 4;
const servicesMax = 32_768, networksMax = 1_024;

const callersRow = z.array(learnedKey).max(callersMax);
const serviceRow = z.tuple([learnedKey, learnedTime, callersRow]);
const saved = z.strictObject({
  services: z.array(serviceRow).max(servicesMax),
  networks: z.array(z.tuple([watchedRow, callersRow])).max(networksMax),
});

export class ServiceBook implements Learning {
  #services = new Halves<string, Service>(servicesMax);
  #networks = new Halves<string, CallingNetwork>(networksMax);
  #lastNetwork = "";
  #last: CallingNetwork | null = null;

  /** Counts a call of the own host `srcIp` and says what is known of the service. */
  call(network: string, srcIp: string, address: string, name: string, atS: number): ServiceView {
    const byAddress = this.#callOne(`${network}|${address}`, srcIp, atS);
    const byName = name === "" ? null : this.#callOne(`${network}|${name}`, srcIp, atS);
    if (this.#last === null || network !== this.#lastNetwork) {
      this.#last = this.#networks.get(network, () => withCallers(newWatched(atS), []));
      this.#lastNetwork = network;
    }
    watch(this.#last, atS);
    this.#last.callers.add(srcIp);
    return { byAddress, byName, network: this.#last, hours: this.#last.hours };
  }

  save(): unknown {
    return {
      services: this.#services.all().map(([key, { firstS, callers }]) => [key, firstS, [...callers]])
        .filter((row) => serviceRow.safeParse(row).success),
      networks: this.#networks.all().map((
        [key, network],
      ) => [rowOfWatched(key, network), [...network.callers]])
        .filter(([row]) => isWatchedRow(row)),
    };
  }

  load(given: unknown): void {
    const { services, networks } = saved.parse(given);
    for (const [key, firstS, callers] of services) {
      this.#services.get(key, () => ({ firstS, callers: callersOf(callers) }));
    }
    for (const [row, callers] of networks) {
      this.#networks.get(row[0], () => withCallers(watchedOfRow(row), callers));
    }
  }

  #callOne(key: string, srcIp: string, atS: number): Service {
    const service = this.#services.get(key, () => ({ firstS: atS, callers: callersOf([]) }));
    if (atS < service.firstS) service.firstS = atS;
    service.callers.add(srcIp);
    return service;
  }
}

function callersOf(hosts: readonly string[]): Distinct<string> {
  const callers = new Distinct<string>(callersMax);
  for (const host of hosts) callers.add(host);
  return callers;
}

function withCallers(watched: Watched, hosts: readonly string[]): CallingNetwork {
  return { ...watched, callers: callersOf(hosts) };
}
