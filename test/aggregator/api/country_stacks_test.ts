/** Stacks by country: the ten largest, and a rest that makes the sum whole. @module */

import { assertEquals } from "@std/assert";
import { countryStacks } from "../../../aggregator/api/stats/country_stacks.ts";

Deno.test("the eleventh country, unknown hosts and sums that were not told are the rest", () => {
  const countries = ["AA", "BB", "CC", "DD", "EE", "FF", "GG", "HH", "II", "JJ", "KK"];
  const cells = countries.map((_, i) => ({ ip: `h${i}`, time: 3_600, packets: 1, bytes: 200 - i }));
  cells.push({ ip: "unknown", time: 7_200, packets: 5, bytes: 7 });
  const totals = [{ time: 3_600, packets: 12, bytes: 3_000 }, { time: 7_200, packets: 5, bytes: 7 }];
  const places = {
    isKnown: true,
    find: (ip: string) => ip === "unknown" ? null : { country: countries[Number(ip.slice(1))] },
  };
  const stacks = countryStacks({ cells, totals }, places, { first: 0, step: 3_600, points: 3 });
  assertEquals(stacks.map(({ name }) => name), [...countries.slice(0, 10), ""]);
  assertEquals(stacks[0], { name: "AA", packets: [0, 1, 0], bytes: [0, 200, 0] });
  // 3,000 less 200 + 199 + ... + 191.
  assertEquals(stacks[10], { name: "", packets: [0, 2, 5], bytes: [0, 1_045, 7] });
  assertEquals(countryStacks({ cells: [], totals: [] }, places, { first: 0, step: 3_600, points: 3 }), []);
});
