/** The first call to a country: told once the network's habits are known, never above low. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exfiltration } from "../../../aggregator/detect/detectors/exfiltration.ts";
import { newCountry } from "../../../aggregator/detect/detectors/new_country.ts";
import { PrepareBooks } from "../../../aggregator/detect/prepared.ts";
import { CountryBook } from "../../../aggregator/detect/signs/countries.ts";
import { noPlaces, type Places } from "../../../aggregator/model/place.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import type { Segment } from "../../../shared/segment.ts";
import { evidenceValue, inBatches, refused, severity, times, update } from "./updates.ts";

const hour = 3_600, week = 7 * 86_400;
const places: Places = {
  isKnown: true,
  find: (ip) =>
    ip.startsWith("198.51.100.")
      ? { country: "DE", country_name: "Germany" }
      : ip.startsWith("203.0.113.")
      ? { country: "NZ", country_name: "New Zealand", asn: 64_500, as_org: "Example" }
      : null,
};
const run = (updates: FlowUpdate[], known = places) =>
  inBatches(newCountry(known), [updates], {}, new PrepareBooks(known));

const home = (hours: number) => times(hours, (i) => update(i * hour, { dst_ip: "198.51.100.7" }));
const abroad = (atS: number, change: Partial<Segment> = {}) =>
  update(atS, { dst_ip: "203.0.113.9", ...change });

Deno.test("the first call to a country is low after a week and 24 hours of calls; its second and what is unknown are none", () => {
  const [finding, ...others] = run([...home(24), abroad(week), abroad(week + 9)]);
  assertEquals([others, finding.src_ips, finding.dst_ips, finding.count], [
    [],
    ["10.0.0.5"],
    ["203.0.113.9"],
    1,
  ]);
  assertStringIncludes(
    finding.words.summary,
    "in New Zealand, which no host of this network called in 7 days",
  );
  assertEquals(evidenceValue(finding, "where it is"), "New Zealand; AS64500 Example");
  assertEquals(severity(finding), "low");
  const tls = { certificate_subject: "x", certificate_issuer: "x" };
  const [odd] = run([...home(24), abroad(week, { dst_port: 4_444, facts: { tls } })]);
  assertEquals([odd.reasons.map(({ name }) => name), severity(odd)], [["first_call", "odd"], "low"]);
  assertEquals(run([...home(24), abroad(week - 1)]), []);
  assertEquals(run([...home(22), abroad(week)]), [], "22 hours and that of the call");
  assertEquals(run([abroad(0), ...home(24), abroad(week)]), []);
  assertEquals(run([...home(24), update(week, { dst_ip: "192.0.2.1" })]), [], "nobody knows where it is");
});

Deno.test("a call that is refused, one from outside, and one inside are no call to a country", () => {
  for (const change of [refused, { src_ip: "198.51.100.7" }, { dst_ip: "10.0.0.9" }]) {
    assertEquals(run([...home(24), abroad(week, change)]), []);
  }
  const refusedFirst = [...home(24), abroad(week, refused), abroad(week + 60)];
  assertEquals(run(refusedFirst).length, 1, "the first one that is answered");
});

Deno.test("without files of places nothing is found, and files that come later begin to learn", () => {
  assertEquals(run([...home(24), abroad(week)], noPlaces), []);
  assertEquals([newCountry(noPlaces).lacks!(), newCountry(places).lacks!()], ["GeoIP files", null]);
  let isKnown = false;
  const later: Places = {
    get isKnown() {
      return isKnown;
    },
    find: places.find,
  };
  const books = new PrepareBooks(later);
  assertEquals(inBatches(newCountry(later), [home(24)], {}, books), []);
  isKnown = true;
  assertEquals(inBatches(newCountry(later), [[abroad(week)]], {}, books), []);
});

Deno.test("countries are known after a restart, and damaged ones are refused", () => {
  const book = new CountryBook(places), again = new CountryBook(places);
  for (const one of home(24)) book.call("lab", "198.51.100.7", one.segment.start);
  again.load(JSON.parse(JSON.stringify(book.save())));
  const atS = 1_700_000_000 + week;
  const [known, fresh] = ["198.51.100.7", "203.0.113.9"].map((ip) => again.call("lab", ip, atS)!);
  assertEquals([known.isFirst, fresh.isFirst, fresh.watchedS, fresh.hours], [false, true, week, 25]);
  for (
    const damaged of [null, { countries: [["x"]], networks: [] }, {
      countries: [],
      networks: [["x", -1, 0, 0]],
    }]
  ) {
    let isRefused = false;
    try {
      again.load(damaged);
    } catch {
      isRefused = true;
    }
    assert(isRefused, JSON.stringify(damaged));
  }
});

Deno.test("data that leaves for a country called for the first time counts more", () => {
  const sends = (atS: number, dst_ip: string) =>
    update(atS, { dst_ip, fwd_payload_bytes: 200_000_000, bwd_payload_bytes: 1_000 });
  const names = (updates: FlowUpdate[]) =>
    inBatches(exfiltration, [updates], {}, new PrepareBooks(places))[0].reasons.map(({ name }) => name);
  assert(names([...home(24), sends(week, "203.0.113.9")]).includes("new_country"));
  assert(
    names([...home(24), abroad(week - 10), sends(week + 3_590, "203.0.113.9")]).includes("new_country") ===
      false,
  );
  assert(names([...home(24), abroad(week), sends(week + 3_600, "203.0.113.9")]).includes("new_country"));
  assert(!names([...home(24), abroad(week), sends(week + 3_601, "203.0.113.9")]).includes("new_country"));
  assert(!names([...home(22), sends(week, "203.0.113.9")]).includes("new_country"), "23 hours");
  assert(!names([...home(24), sends(week, "198.51.100.9")]).includes("new_country"));
});
