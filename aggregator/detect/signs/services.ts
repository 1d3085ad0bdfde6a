/** Who calls which service, and since when: whether a destination is everybody's or one host's alone.
 *
 * In: the beginnings of own hosts' flows. Out: {@link Service}, which goes on counting while a detector holds it.
 * Invariant: at most `servicesMax` services and `networksMax` networks are
 * known, and the half that was called longest ago is evicted.
 * Why by address and by name: a content network has many addresses for one name, an implant one address for many names.
 * @module */

import { parseIp } from "../../../shared/ip.ts";
import { z } from "../../../shared/schema.ts";
import { EpisodeTable, hashOfKey, type Keyed } from "../episode_table.ts";
import { by, type KeyEnd, type KeyEnds } from "../keys.ts";
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

/** As it is kept: by the address and port of the last two parts of a call, or by a name. */
class KnownService implements Service, Keyed, KeyEnds {
  readonly callers = new Distinct<string>(callersMax);
  readonly network: string;
  readonly salt: number;
  readonly dst: KeyEnd;
  readonly port: number;

  constructor({ network, salt, dst, port }: KeyEnds, readonly name: string, public firstS: number) {
    this.network = network;
    this.salt = salt;
    this.dst = dst;
    this.port = port;
  }

  get origin(): KeyEnds {
    return this;
  }

  get protocol(): string {
    return "";
  }

  get src(): KeyEnd {
    return this.dst;
  }

  /** What it is saved by. */
  get text(): string {
    return this.name === "" ? by.dstPort.textOf(this) : `${this.network}|${this.name}`;
  }
}

export class ServiceBook implements Learning {
  #young = new EpisodeTable<KnownService>();
  #old = new EpisodeTable<KnownService>();
  #networks = new Halves<string, CallingNetwork>(networksMax);
  #lastNetwork = "";
  #last: CallingNetwork | null = null;

  /** Counts a call, of the own host `src`, and says what is known of the service. */
  call(call: KeyEnds, name: string, atS: number): ServiceView {
    const byAddress = this.#callOne(call, "", atS);
    const byName = name === "" ? null : this.#callOne(call, name, atS);
    const { network, src } = call;
    if (this.#last === null || network !== this.#lastNetwork) {
      this.#last = this.#networks.get(network, () => withCallers(newWatched(atS), []));
      this.#lastNetwork = network;
    }
    watch(this.#last, atS);
    this.#last.callers.add(src.ip);
    return { byAddress, byName, network: this.#last, hours: this.#last.hours };
  }

  save(): unknown {
    return {
      services: [...new Set([...this.#old.values(), ...this.#young.values()])]
        .map(({ text, firstS, callers }) => [text, firstS, [...callers]])
        .filter((row) => serviceRow.safeParse(row).success),
      networks: this.#networks.all().map((
        [key, network],
      ) => [rowOfWatched(key, network), [...network.callers]])
        .filter(([row]) => isWatchedRow(row)),
    };
  }

  load(given: unknown): void {
    const { services, networks } = saved.parse(given);
    for (const [text, firstS, callers] of services) {
      const ends = by.dstPort.read(text), end = text.indexOf("|");
      const isAddress = ends !== null && parseIp(ends.dst.ip) !== null;
      const service = isAddress
        ? this.#find(ends, "", firstS)
        : this.#find(endsOf(text.slice(0, end)), text.slice(end + 1), firstS);
      for (const host of callers) service.callers.add(host);
    }
    for (const [row, callers] of networks) {
      this.#networks.get(row[0], () => withCallers(watchedOfRow(row), callers));
    }
  }

  #callOne(call: KeyEnds, name: string, atS: number): Service {
    const service = this.#find(call, name, atS);
    if (atS < service.firstS) service.firstS = atS;
    service.callers.add(call.src.ip);
    return service;
  }

  /** As of {@link Halves}. */
  #find(ends: KeyEnds, name: string, atS: number): KnownService {
    const key = name === "" ? by.dstPort : name, hash = hashOfKey(key, ends);
    const known = this.#young.get(key, ends, hash);
    if (known !== undefined) return known;
    const service = this.#old.get(key, ends, hash) ?? new KnownService(ends, name, atS);
    if (this.#young.size >= servicesMax >> 1) {
      this.#old.clear();
      [this.#old, this.#young] = [this.#young, this.#old];
    }
    this.#young.set(key, ends, service, hash);
    return service;
  }
}

/** Enough for a key that is a text. */
function endsOf(network: string): KeyEnds {
  const end = { ip: "", hash: 0 };
  return { network, salt: 0, protocol: "", src: end, dst: end, port: 0 };
}

function callersOf(hosts: readonly string[]): Distinct<string> {
  const callers = new Distinct<string>(callersMax);
  for (const host of hosts) callers.add(host);
  return callers;
}

function withCallers(watched: Watched, hosts: readonly string[]): CallingNetwork {
  return { ...watched, callers: callersOf(hosts) };
}
