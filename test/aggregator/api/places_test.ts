/** Country and operator of addresses outside: in answers, in filters, in series; and what is said when nobody knows.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { placedFlowTable } from "../../../aggregator/archive/flow_table.ts";
import { hostTable } from "../../../aggregator/archive/host_table.ts";
import { readParquet } from "../../../aggregator/archive/parquet.ts";
import { threatTable } from "../../../aggregator/archive/threat_table.ts";
import { parseCsv } from "../archive/parse_csv.ts";
import { NamedPlaces, Subnets } from "../../../aggregator/intel/subnets.ts";
import { noPlaces, type Places } from "../../../aggregator/model/place.ts";
import { host as address, startFixture } from "./fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "./samples.ts";

const role = "viewer";
const germany = { country: "DE", country_name: "Germany", asn: 64_500, as_org: "Example <b>" };
const places: Places = {
  isKnown: true,
  find: (ip) => ip === "198.51.100.7" ? germany : ip === "2001:db8::7" ? { country: "US" } : null,
};

async function withPlaces(
  // deno-lint-ignore no-explicit-any -- a test reads what the API says, whatever its shape.
  body: (get: (path: string) => Promise<{ status: number; body: any }>) => Promise<void>,
  known = places,
): Promise<void> {
  const fixture = await startFixture(() => ({ places: known }));
  const flows = [
    sampleFlow(0, { dst_ip: "198.51.100.7" }),
    sampleFlow(1, { dst_ip: "198.51.100.7" }),
    sampleFlow(2, { dst_ip: "2001:db8::7" }),
    sampleFlow(3, { dst_ip: "203.0.113.9" }),
    sampleFlow(4, { dst_ip: "10.0.0.9" }),
  ];
  await fixture.services.store.ingest(sampleWrite(flows));
  await fixture.services.store.saveThreats([
    sampleThreat({ flow_ids: [flows[0].flow_id as string], flows: 1 }),
  ]);
  await body((path) => fixture.ask("GET", `/api/v1${path}`, { role }));
  await fixture.stop();
}

Deno.test("flows and hosts say where their addresses outside are", () =>
  withPlaces(async (get) => {
    const { rows } = (await get("/flows")).body;
    const found = rows.map((row: Record<string, unknown>) => [row.dst_ip, row.src_place, row.dst_place]);
    assertEquals(found.reverse(), [
      ["198.51.100.7", undefined, germany],
      ["198.51.100.7", undefined, germany],
      ["2001:db8::7", undefined, { country: "US" }],
      ["203.0.113.9", undefined, undefined],
      ["10.0.0.9", undefined, undefined],
    ]);
    const id = rows.find(({ dst_ip }: { dst_ip: string }) => dst_ip === "198.51.100.7").flow_id;
    const others = [`/flows/${id}`, "/flows/search?dst_ip=198.51.100.7", "/threats/00112233445566aa/flows"];
    for (const path of others) {
      const { body } = await get(path);
      assertEquals((body.rows?.[0] ?? body).dst_place, germany, path);
    }
    assertEquals((await get("/hosts/198.51.100.7")).body.place, germany);
    assertEquals((await get("/hosts/10.0.0.9")).body.place, undefined);
    const hosts = (await get("/hosts?ip=2001:db8::/32")).body.rows;
    assertEquals(hosts.map((row: { place: unknown }) => row.place), [{ country: "US" }]);
  }));

Deno.test("threats say where the parties outside are, alone, in lists and beside a host", async () => {
  const fixture = await startFixture(() => ({ places }));
  const { store } = fixture.services;
  await store.ingest(sampleWrite([sampleFlow(0, { dst_ip: "198.51.100.7" })]));
  await store.saveThreats([
    sampleThreat({ src_ips: ["10.0.0.5"], dst_ips: ["203.0.113.9", "198.51.100.7", "2001:db8::7"] }),
    sampleThreat({ id: "00112233445566ac", dst_ips: ["10.0.0.9"] }),
    // The fifth of a side is looked up for nobody.
    sampleThreat({
      id: "00112233445566ad",
      dst_ips: ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "198.51.100.7"],
    }),
  ]);
  const get = async (path: string) => (await fixture.ask("GET", `/api/v1${path}`, { role })).body;
  const outside = [{ ip: "198.51.100.7", ...germany }, { ip: "2001:db8::7", country: "US" }];
  const byId = (rows: { id: string; outside?: unknown }[]) =>
    Object.fromEntries(rows.map(({ id, outside }) => [id, outside]));
  assertEquals(byId((await get("/threats")).rows), {
    "00112233445566aa": outside,
    "00112233445566ac": undefined,
    "00112233445566ad": undefined,
  });
  assertEquals((await get("/threats/00112233445566aa")).outside, outside);
  assertEquals(byId((await get("/hosts/198.51.100.7")).threats)["00112233445566aa"], outside);
  await fixture.stop();
});

Deno.test("exports have country and autonomous system of flows, threats and hosts in each format", async () => {
  const fixture = await startFixture(() => ({ places }));
  const { store } = fixture.services;
  await store.ingest(sampleWrite([sampleFlow(0, { dst_ip: "198.51.100.7" }), sampleFlow(1)]));
  await store.saveThreats([sampleThreat({ dst_ips: ["198.51.100.7", "2001:db8::7"] })]);
  const get = (path: string) => fixture.ask("GET", `/api/v1/export/${path}`, { role: "analyst" });
  const cellsOf = async (what: string, key: string, value: string) => {
    const [head, ...rows] = parseCsv((await get(`${what}?format=csv`)).text);
    const row = rows.find((row) => row[head.indexOf(key)].includes(value))!;
    return Object.fromEntries(head.map((name, i) => [name, row[i]]));
  };
  const flow = await cellsOf("flows", "dst_ip", "198.51.100.7");
  assertEquals([flow.src_country, flow.dst_country, flow.dst_asn], ["", "DE", "64500"]);
  assertEquals(flow.dst_as_org, "Example <b>");
  const threat = await cellsOf("threats", "dst_ips", "198.51.100.7");
  assertEquals([threat.countries, threat.asns], ['["DE","US"]', "[64500]"]);
  const host = await cellsOf("hosts", "ip", "198.51.100.7");
  assertEquals([host.country, host.asn, host.inside, host.flows], ["DE", "64500", "false", "1"]);
  const lines = async (what: string) =>
    (await get(what)).text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals((await lines("flows")).filter(({ dst_place }) => dst_place?.country === "DE").length, 1);
  assertEquals((await lines("threats"))[0].outside[0], { ip: "198.51.100.7", ...germany });
  const hosts = await lines("hosts?ip=198.51.100.0/24");
  assertEquals(hosts.map(({ ip, place }) => [ip, place]), [["198.51.100.7", germany], [
    undefined,
    undefined,
  ]]);
  const folder = await Deno.makeTempDir();
  const tables = { flows: placedFlowTable, threats: threatTable, hosts: hostTable };
  for (const [what, table] of Object.entries(tables)) {
    const request = new Request(`http://${address}/api/v1/export/${what}?format=parquet`, {
      headers: { authorization: `Bearer ${fixture.keys.analyst}` },
    });
    const answer = await fixture.api.fetch(request, { source: "192.0.2.1", isSecure: false });
    await Deno.writeFile(`${folder}/${what}`, new Uint8Array(await answer.arrayBuffer()));
    const rows = (await Array.fromAsync(readParquet(`${folder}/${what}`, table, 100))).flat();
    const found = rows.map(({ dst_country, countries, country }) =>
      dst_country ?? countries ?? country ?? null
    );
    assert(found.some((one) => String(one).includes("DE")), what);
  }
  await Deno.remove(folder, { recursive: true });
  await fixture.stop();
});

Deno.test("flows and hosts are filtered by country and autonomous system", () =>
  withPlaces(async (get) => {
    const ips = async (path: string, filter: string) =>
      (await get(`${path}?filter=${encodeURIComponent(filter)}`)).body.rows
        .map((row: { ip?: string; dst_ip?: string }) => row.ip ?? row.dst_ip).sort();
    assertEquals(await ips("/flows", "country = de"), ["198.51.100.7", "198.51.100.7"]);
    assertEquals(await ips("/flows", "dst_country in (DE, US) and not asn = 64500"), ["2001:db8::7"]);
    assertEquals(await ips("/flows", "src_country = DE"), []);
    assertEquals((await ips("/flows", "country != DE")).length, 3);
    assertEquals(await ips("/hosts", "country = DE or asn = 1"), ["198.51.100.7"]);
    assertEquals(await ips("/hosts", "inside = no and not country = DE and port = 443"), [
      "2001:db8::7",
      "203.0.113.9",
    ]);
  }));

Deno.test("threats are filtered by the country and the named network of either side", async () => {
  const named = new NamedPlaces(places, new Subnets(["inside=10.0.0.0/8", "lab=192.0.2.0/24"]));
  const fixture = await startFixture(() => ({ places: named }));
  await fixture.services.store.saveThreats([
    sampleThreat({ id: "00000000000000a1", identity: "1", src_ips: ["198.51.100.7"], dst_ips: ["10.0.0.5"] }),
    sampleThreat({ id: "00000000000000a2", identity: "2", src_ips: ["10.0.0.5"], dst_ips: ["2001:db8::7"] }),
    sampleThreat({ id: "00000000000000a3", identity: "3", src_ips: ["10.0.0.5"], dst_ips: ["192.0.2.1"] }),
  ]);
  const ids = async (filter: string) =>
    (await fixture.ask("GET", `/api/v1/threats?filter=${encodeURIComponent(filter)}`, { role })).body.rows
      .map(({ id }: { id: string }) => id.slice(-2)).sort();
  assertEquals(await ids("country in (de, US)"), ["a1", "a2"]);
  assertEquals(await ids("src_country = DE"), ["a1"]);
  assertEquals(await ids("not country = DE and dst_subnet = lab"), ["a3"]);
  assertEquals(await ids("src_subnet = inside"), ["a2", "a3"]);
  assertEquals(await ids("subnet = INSIDE and dst_country = us"), ["a2"]);
  await fixture.stop();
});

Deno.test("a series by country adds up what hosts outside had, in whole hours", () =>
  withPlaces(async (get) => {
    const from = sampleStart - sampleStart % 3_600;
    const range = `from=${from}&to=${from + 7_199}`;
    const { body } = await get(`/stats/series?${range}&by=country&step=3600`);
    const stacks = body.stacks.map((one: { name: string; bytes: number[] }) => [one.name, one.bytes.length]);
    assertEquals([body.first, stacks], [from, [["DE", 2], ["US", 2], ["", 2]]]);
    const bytes = body.stacks.map(({ bytes }: { bytes: number[] }) => bytes[0] + bytes[1]);
    const hosts = ["198.51.100.7", "2001:db8::7", "203.0.113.9"];
    assertEquals(bytes, await Promise.all(hosts.map(async (ip) => (await get(`/hosts/${ip}`)).body.bytes)));
    assertEquals(body.stacks[0].flows, undefined);
    assertEquals((await get("/stats/series?by=country")).body.step, 3_600);
    for (const wrong of ["step=1800", "sensor_id=s1"]) {
      assertEquals((await get(`/stats/series?${range}&by=country&${wrong}`)).status, 400, wrong);
    }
  }));

Deno.test("without a file nothing is guessed, and the answer says why", () =>
  withPlaces(async (get) => {
    assertEquals((await get("/hosts/198.51.100.7")).body.place, undefined);
    const asked = [
      "/flows?filter=country%20%3D%20DE",
      "/hosts?filter=asn%20%3D%201",
      "/stats/series?by=country",
    ];
    for (const path of asked) {
      const { status, body } = await get(path);
      assertEquals([status, body.code], [400, "bad_parameter"], path);
      assertStringIncludes(body.detail, "no GeoIP file in use: see serve --geoip");
    }
  }, { isKnown: false, find: () => null }));

Deno.test("networks with names are told and filtered by, with files of places and without", async () => {
  const lines = ["inside=10.0.0.0/8", "Partner=198.51.100.0/24", "partner=2001:db8::/64"];
  for (const geo of [noPlaces, places]) {
    await withPlaces(async (get) => {
      const ask = async (path: string, filter: string) =>
        await get(`${path}?filter=${encodeURIComponent(filter)}`);
      const ips = async (path: string, filter: string) =>
        (await ask(path, filter)).body.rows
          .map((row: { ip?: string; dst_ip?: string }) => row.ip ?? row.dst_ip).sort();
      const partners = ["198.51.100.7", "198.51.100.7", "2001:db8::7"];
      assertEquals(await ips("/flows", "dst_subnet = partner"), partners);
      assertEquals(await ips("/flows", "subnet in (Partner, inside)"), [
        "10.0.0.9",
        ...partners,
        "203.0.113.9",
      ]);
      assertEquals(await ips("/flows", "not dst_subnet = partner"), ["10.0.0.9", "203.0.113.9"]);
      assertEquals(await ips("/flows", "src_subnet = partner"), []);
      assertEquals(await ips("/hosts", 'subnet ~ "art"'), ["198.51.100.7", "2001:db8::7"]);
      assertEquals((await get("/hosts/10.0.0.9")).body.place, { subnet: "inside" });
      assertEquals((await get("/hosts/198.51.100.7")).body.place.subnet, "Partner");
      const { status, body } = await ask("/hosts", "subnet = partners");
      assertEquals([status, body.field], [400, "filter"]);
      assertStringIncludes(body.detail, 'it must be one of inside, Partner: current value is "partners"');
    }, new NamedPlaces(geo, new Subnets(lines)));
  }
  await withPlaces(async (get) => {
    const { body } = await get("/flows?filter=subnet%20%3D%20partner");
    assertStringIncludes(body.detail, "no network has a name: see serve --networks");
  });
});

Deno.test("a filter that names many networks many times is answered, whatever a statement takes", async () => {
  const lines = Array.from({ length: 256 }, (_, i) => `office=10.${i}.0.0/16`);
  await withPlaces(async (get) => {
    const names = Array.from({ length: 90 }, () => "office").join(", ");
    const one = "src_subnet = office and subnet = office and dst_subnet != office";
    for (const filter of [`dst_subnet in (${names})`, one]) {
      const { status, body } = await get(`/flows?filter=${encodeURIComponent(filter)}`);
      assertEquals([status, body.rows.length], [200, filter === one ? 4 : 1], filter);
    }
  }, new NamedPlaces(noPlaces, new Subnets(lines)));
});
