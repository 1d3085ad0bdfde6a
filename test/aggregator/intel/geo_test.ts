/** MaxMind-format files: what they say of an address, and that a broken one harms nobody. @module */

import { assertEquals } from "@std/assert";
import { Geo } from "../../../aggregator/intel/geo.ts";
import { placeText } from "../../../aggregator/model/place.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";

/** Published test databases; beside the checkout, not in it. */
const samples = new URL("../../../../shared/data/schemas/mmdb/", import.meta.url).pathname;
const ignore = !await Deno.stat(samples).then(() => true, () => false);

async function withFiles(
  names: string[],
  body: (geo: Geo, counted: (name: string) => number) => void,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-geo-" });
  const reporter = createReporter({ component: "test", clock: systemClock, write: () => {} });
  try {
    for (const name of names) await Deno.copyFile(samples + name, `${folder}/${name}`);
    const geo = new Geo({ reporter });
    await geo.load(names.map((name) => `${folder}/${name}`));
    body(geo, (name) => reporter.snapshot().get(name) ?? 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(
  "city and network of an address come from two files and are one place",
  { ignore },
  () =>
    withFiles(["GeoLite2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"], (geo) => {
      assertEquals(geo.files.length, 2);
      assertEquals(geo.find("81.2.69.142"), {
        country: "GB",
        country_name: "United Kingdom",
        city: "London",
      });
      assertEquals(geo.find("1.128.0.1"), { asn: 1221, as_org: "Telstra Pty Ltd" });
      assertEquals(geo.find("10.0.0.1"), null);
      assertEquals(geo.find("203.0.113.1"), null);
      assertEquals(geo.find("not an address"), null);
    }),
);

Deno.test("a broken file is set aside and counted, the others go on", { ignore }, () =>
  withFiles(
    [
      "GeoLite2-Country-Test.mmdb",
      "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
      "MaxMind-DB-test-broken-pointers-24.mmdb",
      "MaxMind-DB-test-broken-search-tree-24.mmdb",
      "MaxMind-DB-no-ipv4-search-tree.mmdb",
    ],
    (geo, counted) => {
      for (let i = 1; i < 224; i++) {
        for (const rest of ["0.0.1", "1.1.1", "255.255.0"]) geo.find(`${i}.${rest}`);
      }
      for (const ip of ["1.1.1.16", "1.1.1.32", "2001:218::1", "::1.1.1.1"]) geo.find(ip);
      assertEquals(geo.find("2.125.160.216")?.country, "GB");
      assertEquals(geo.files.some((file) => file.endsWith("/GeoLite2-Country-Test.mmdb")), true);
      assertEquals(counted("geo_files_refused_total") >= 2, true);
    },
  ));

Deno.test("what was read of a file stays in use until it can be read again", { ignore }, async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-geo-" });
  const reporter = createReporter({ component: "test", clock: systemClock, write: () => {} });
  const refused = () => reporter.snapshot().get("geo_files_refused_total") ?? 0;
  try {
    const file = `${folder}/places.mmdb`, geo = new Geo({ reporter });
    await geo.load([file]);
    assertEquals([geo.isKnown, geo.find("81.2.69.142"), refused()], [false, null, 1]);
    await Deno.copyFile(`${samples}GeoLite2-Country-Test.mmdb`, file);
    await geo.load([file]);
    assertEquals([geo.isKnown, geo.find("81.2.69.142")?.country, refused()], [true, "GB", 1]);
    for (const broken of ["", "no database", "\xab\xcd\xefMaxMind.com"]) {
      await Deno.writeTextFile(file, broken);
      await geo.load([file]);
      assertEquals(geo.find("81.2.69.142")?.country, "GB");
    }
    assertEquals(refused(), 4);
    await Deno.copyFile(`${samples}GeoLite2-ASN-Test.mmdb`, file);
    await geo.load([file]);
    assertEquals([geo.find("81.2.69.142")?.country, geo.find("1.128.0.1")?.asn], [undefined, 1221]);
    await geo.load([]);
    assertEquals(geo.isKnown, false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a place is told in words, as far as it is known", () => {
  assertEquals(placeText(null), "");
  assertEquals(placeText({ asn: 64_496 }), "AS64496");
  assertEquals(
    placeText({
      country: "GB",
      country_name: "United Kingdom",
      city: "London",
      asn: 64_496,
      as_org: "Example",
    }),
    "London, United Kingdom; AS64496 Example",
  );
});
