/** Networks with names: the narrowest counts, and a line that cannot be read is named. @module */

import { assertEquals, assertThrows } from "@std/assert";
import { NamedPlaces, Subnets } from "../../../aggregator/intel/subnets.ts";
import { noPlaces, placeText } from "../../../aggregator/model/place.ts";

const subnets = new Subnets([
  "campus=10.0.0.0/8",
  "Printers=10.2.0.0/16",
  "printers = 10.9.0.7",
  "lab=2001:db8:7::/48",
]);

Deno.test("an address has the name of the narrowest network that holds it", () => {
  const names = [
    "10.2.3.4",
    "10.3.0.1",
    "10.9.0.7",
    "10.9.0.8",
    "2001:db8:7::1",
    "2001:db8:8::1",
    "192.0.2.1",
    "x",
  ]
    .map((ip) => subnets.nameOf(ip));
  assertEquals(names, ["Printers", "campus", "Printers", "campus", "lab", null, null, null]);
});

Deno.test("a name counts in any case and is shown as it was written first", () => {
  assertEquals(subnets.names, ["campus", "Printers", "lab"]);
  assertEquals(subnets.networksOf("PRINTERS").length, 2);
  assertEquals(subnets.networksOf("printer"), []);
});

Deno.test("a line that names no network is refused and named", () => {
  const lines = [
    "printers",
    "=10.0.0.0/8",
    "printers=",
    "printers=10.0.0.0/33",
    "<b>=10.0.0.0/8",
    "a\x1b=10.0.0.1",
  ];
  for (const line of [...lines, `${"n".repeat(41)}=10.0.0.0/8`]) {
    assertThrows(() => new Subnets([line]), RangeError, line.slice(0, 80));
  }
  assertEquals(new Subnets([`${"n".repeat(40)}=10.0.0.0/8`]).names, ["n".repeat(40)]);
});

Deno.test("256 networks have names, and no more", () => {
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `n${i}=10.${i % 200}.0.0/16`);
  assertEquals(new Subnets(lines(256)).names.length, 256);
  assertThrows(() => new Subnets(lines(257)), RangeError, "current number is 257");
});

Deno.test("a place is what the files know and what the operator says", () => {
  const geo = {
    ...noPlaces,
    isKnown: true,
    find: (ip: string) => ip === "198.51.100.7" ? { country: "FR" } : null,
  };
  const places = new NamedPlaces(geo, new Subnets(["partner=198.51.100.0/24", "office=10.1.0.0/16"]));
  assertEquals(placeText(places.find("198.51.100.7")), "partner; FR");
  assertEquals(places.find("198.51.100.8"), { subnet: "partner" });
  assertEquals(places.find("10.1.2.3"), { subnet: "office" });
  assertEquals(places.find("10.2.2.3"), null);
});

Deno.test("letters beyond ASCII count as they are written, as in filters", () => {
  const named = new Subnets(["BÜRO=10.1.0.0/16", "büro=10.2.0.0/16"]);
  assertEquals(named.names, ["BÜRO", "büro"]);
  assertEquals(["bÜro", "Büro", "BüRO"].map((name) => named.networksOf(name).length), [1, 1, 1]);
});
