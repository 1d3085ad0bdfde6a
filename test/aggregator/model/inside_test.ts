/** The ranges of private addresses are what the function says of each address, at every edge. @module */

import { assertEquals } from "@std/assert";
import { insideRanges } from "../../../aggregator/model/inside.ts";
import { isWithin } from "../../../aggregator/model/network.ts";
import { formatIp, isPrivate } from "../../../shared/ip.ts";

Deno.test("an address is in a private range exactly when it is private, at both edges of each and beside them", () => {
  const beside = (edge: Uint8Array, step: 1 | -1) => {
    const octets = edge.slice();
    for (let i = octets.length - 1; i >= 0; i--) {
      octets[i] += step;
      if (octets[i] !== (step === 1 ? 0 : 255)) break;
    }
    return octets;
  };
  let outside = 0;
  for (const { low, high } of insideRanges) {
    for (const octets of [low, high, beside(low, -1), beside(high, 1)]) {
      const isInside = insideRanges.some((range) => isWithin(range, octets));
      if (!isInside) outside++;
      assertEquals(isInside, isPrivate(octets), formatIp(octets));
    }
  }
  assertEquals(outside > 20, true);
});
