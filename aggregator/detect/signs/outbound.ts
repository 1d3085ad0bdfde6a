/** What each own host sent outside so far: the most it sent to one place.
 *
 * In: a place, the octets sent to it in one episode. Out: {@link OutboundHistory}, shared by all episodes of the host.
 * Invariant: at most `hostsMax` hosts, the half that sent longest ago is evicted; of each the two places that got most,
 * which is enough to know the most beside any one place. @module */

import { Halves } from "../../model/halves.ts";

const hostsMax = 32_768;

export class OutboundHistory {
  #first = { place: "", octets: 0 };
  #second = { place: "", octets: 0 };

  add(place: string, octets: number): void {
    if (place === this.#first.place) this.#first.octets = Math.max(this.#first.octets, octets);
    else if (octets > this.#first.octets) {
      this.#second = this.#first;
      this.#first = { place, octets };
    } else if (octets > this.#second.octets || place === this.#second.place) {
      this.#second = {
        place,
        octets: Math.max(octets, place === this.#second.place ? this.#second.octets : 0),
      };
    }
  }

  /** 0 for a place that is not among the two. */
  sentTo(place: string): number {
    return [this.#first, this.#second].find((one) => one.place === place)?.octets ?? 0;
  }

  mostBesides(place: string): number {
    return this.#first.place === place ? this.#second.octets : this.#first.octets;
  }
}

export class OutboundBook {
  readonly #hosts = new Halves<string, OutboundHistory>(hostsMax);

  of(host: string): OutboundHistory {
    return this.#hosts.get(host, () => new OutboundHistory());
  }
}
