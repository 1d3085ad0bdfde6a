/** Traffic with hosts outside as stacks by country.
 *
 * In: sums by host and step, where hosts are. Out: the ten largest countries, and the rest as "": other countries,
 * hosts whose country is not known, and sums too small to be told one by one. A value for each step, zeros included.
 * @module */

import type { Places } from "../../model/place.ts";
import type { OutsideTraffic, SeriesStack } from "../../model/traffic.ts";

const stacksMax = 10;

export type CountryStack = Omit<SeriesStack, "flows">;

export function countryStacks(
  { cells, totals }: OutsideTraffic,
  places: Places,
  { first, step, points }: { first: number; step: number; points: number },
): CountryStack[] {
  const zeros = () => new Array<number>(points).fill(0);
  const made = (name: string): CountryStack => ({ name, packets: zeros(), bytes: zeros() });
  const at = (time: number) => Math.round((time - first) / step);
  const byCountry = new Map<string, CountryStack>();
  for (const { ip, time, packets, bytes } of cells) {
    const country = places.find(ip)?.country;
    if (country === undefined) continue;
    const stack = byCountry.get(country) ?? made(country);
    byCountry.set(country, stack);
    stack.packets[at(time)] += packets;
    stack.bytes[at(time)] += bytes;
  }
  const total = ({ bytes }: CountryStack) => bytes.reduce((sum, value) => sum + value, 0);
  const largest = [...byCountry.values()]
    .sort((a, b) => total(b) - total(a) || (a.name < b.name ? -1 : 1))
    .slice(0, stacksMax);
  const rest = made("");
  for (const { time, packets, bytes } of totals) {
    const i = at(time);
    rest.packets[i] = packets - largest.reduce((sum, stack) => sum + stack.packets[i], 0);
    rest.bytes[i] = bytes - largest.reduce((sum, stack) => sum + stack.bytes[i], 0);
  }
  return total(rest) > 0 || rest.packets.some((sum) => sum > 0) ? [...largest, rest] : largest;
}
