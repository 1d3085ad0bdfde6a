/** The countries that own hosts call: whether a call is the first to one in its network.
 *
 * In: answered calls of own hosts to places outside. Out: {@link CountryView}.
 * Invariant: at most `countriesMax` pairs of network and country and `networksMax` networks are known, and the half
 * that was called longest ago is forgotten. A network is watched only while places are known: whoever adds a file of
 * places later does not find every country new.
 * Why for the network and not for each host: one page of the web calls half a dozen countries. @module */

import { z } from "../../../shared/schema.ts";
import { Halves } from "../../model/halves.ts";
import type { Place, Places } from "../../model/place.ts";
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

const countriesMax = 65_536, networksMax = 1_024;

const countryRow = z.tuple([learnedKey, learnedTime]);
const saved = z.strictObject({
  countries: z.array(countryRow).max(countriesMax),
  networks: z.array(watchedRow).max(networksMax),
});

export interface CountryView {
  place: Place;
  /** ISO 3166-1 alpha-2. */
  code: string;
  isFirst: boolean;
  /** Since the first call to it. */
  sinceS: number;
  /** How long the network was watched before that, and in how many hours anything outside was called so far. */
  watchedS: number;
  hours: number;
}

/** A week holds the habits of a network, weekend included, if it was in use. */
export const habitS = 7 * 86_400, habitHours = 24;
/** What follows the first call to a country within this belongs to it. */
const newS = 3_600;

/** Whether nobody in the network called the country before the last hour, and its habits are known. */
export function isNewCountry(view: CountryView | null): view is CountryView {
  return view !== null && view.sinceS <= newS && view.watchedS >= habitS && view.hours >= habitHours;
}

export class CountryBook implements Learning {
  readonly #places: Places;
  readonly #countries = new Halves<string, { firstS: number }>(countriesMax);
  readonly #networks = new Halves<string, Watched>(networksMax);

  constructor(places: Places) {
    this.#places = places;
  }

  /** Counts an answered call to `ip`; null = nobody knows where that is. */
  call(network: string, ip: string, atS: number): CountryView | null {
    if (!this.#places.isKnown) return null;
    const place = this.#places.find(ip);
    if (!place?.country) return null;
    const watched = this.#networks.get(network, () => newWatched(atS));
    watch(watched, atS);
    let isFirst = false;
    const country = this.#countries.get(`${network}|${place.country}`, () => {
      isFirst = true;
      return { firstS: atS };
    });
    if (atS < country.firstS) country.firstS = atS;
    return {
      place,
      code: place.country,
      isFirst,
      sinceS: atS - country.firstS,
      watchedS: country.firstS - watched.firstS,
      hours: watched.hours,
    };
  }

  save(): unknown {
    return {
      countries: this.#countries.all().map(([key, { firstS }]) => [key, firstS])
        .filter((row) => countryRow.safeParse(row).success),
      networks: this.#networks.all().map(([key, watched]) => rowOfWatched(key, watched)).filter(isWatchedRow),
    };
  }

  load(given: unknown): void {
    const { countries, networks } = saved.parse(given);
    for (const [key, firstS] of countries) this.#countries.get(key, () => ({ firstS }));
    for (const row of networks) this.#networks.get(row[0], () => watchedOfRow(row));
  }
}
