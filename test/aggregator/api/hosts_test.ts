/** Hosts, services, domains and conversations as people ask for them. @module */

import { assert, assertEquals } from "@std/assert";
import { startFixture } from "./fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "./samples.ts";

async function withHosts(work: (get: (path: string) => Promise<Reply>) => Promise<void>): Promise<void> {
  const fixture = await startFixture();
  const flows = [
    ...Array.from({ length: 14 }, (_, i) => sampleFlow(i)),
    sampleFlow(20, {
      src_ip: "fd00::5",
      dst_ip: "2001:db8::80",
      facts: { dns: [{ name: "www.Example.com", type: "A" }] },
      dst_port: 53,
      app_protocol: "dns",
    }),
  ];
  await fixture.services.store.ingest(sampleWrite(flows));
  await fixture.services.store.saveThreats([
    sampleThreat(),
    sampleThreat({ id: "00112233445566bb", network: "branch" }),
  ]);
  try {
    await work(async (path) => {
      const { status, body } = await fixture.ask("GET", `/api/v1${path}`, { role: "viewer" });
      return { status, body };
    });
  } finally {
    await fixture.stop();
  }
}

// deno-lint-ignore no-explicit-any -- whatever the API says; the fixture has compared it with its schema.
type Reply = { status: number; body: any };

Deno.test("hosts come by page, network and address, private ones are inside", async () => {
  await withHosts(async (get) => {
    const all = (await get("/hosts")).body.rows;
    assertEquals(all.length, 10);
    assertEquals(
      all.map(({ last_seen_ms }: { last_seen_ms: number }) => last_seen_ms)[0],
      (sampleStart + 224) * 1_000,
    );
    const inside = all.filter((row: { inside: boolean }) => row.inside).map(({ ip }: { ip: string }) => ip);
    assertEquals(inside.sort(), [...[10, 11, 5, 6, 7, 8, 9].map((n) => `10.0.0.${n}`), "fd00::5"].sort());
    const ips = async (query: string) =>
      (await get(`/hosts?${query}`)).body.rows.map(({ ip }: { ip: string }) => ip).sort();
    assertEquals(await ips("ip=10.0.0.8/30"), ["10.0.0.10", "10.0.0.11", "10.0.0.8", "10.0.0.9"]);
    assertEquals(await ips("ip=10.0.0.9"), ["10.0.0.9"]);
    assertEquals(await ips("ip=2001:0DB8:0::80"), ["2001:db8::80"]);
    assertEquals(await ips("ip=fd00::/7"), ["fd00::5"]);
    assertEquals(
      await ips("ip=0.0.0.0/0&limit=100"),
      (await ips("network=lab")).filter((ip: string) => !ip.includes(":")),
    );
    assertEquals(await ips("network=elsewhere"), []);
    assertEquals(await ips(`seen_since=${sampleStart + 224}`), ["2001:db8::80", "fd00::5"]);
    const first = (await get("/hosts?sort=bytes&limit=3")).body;
    assertEquals(first.rows[0].ip, "192.0.2.80");
    assertEquals(first.rows[0].names, ["files.example.com"]);
    const second = (await get(`/hosts?sort=bytes&limit=3&cursor=${first.next_cursor}`)).body;
    assertEquals(new Set([...first.rows, ...second.rows].map(({ ip }) => ip)).size, 6);
    for (const wrong of ["ip=10.0.0.0/33", "ip=x", "sort=name", "limit=1001", "cursor=x", "seen_since=x"]) {
      assertEquals((await get(`/hosts?${wrong}`)).status, 400, wrong);
    }
  });
});

Deno.test("hosts are listed by a filter, in pages, and a wrong one is pointed at", async () => {
  await withHosts(async (get) => {
    const ask = (filter: string, more = "") => get(`/hosts?filter=${encodeURIComponent(filter)}${more}`);
    const served = (await ask("port = 443 and inside = no")).body;
    assertEquals(served.rows.map(({ ip, ports }: { ip: string; ports: number[] }) => [ip, ports]), [[
      "192.0.2.80",
      [443],
    ]]);
    const first = (await ask("inside = yes", "&limit=1")).body;
    const second = (await ask("inside = yes", `&limit=1&cursor=${first.next_cursor}`)).body;
    assertEquals(first.rows.length + second.rows.length, 2);
    assertEquals(first.rows[0].ip === second.rows[0].ip, false);
    assertEquals((await ask("ip = 192.0.2.80", "&ip=10.0.0.0/8")).body.rows, []);
    const { status, body } = await ask("inside = yes and dst_ip = 10.0.0.1");
    assertEquals([status, body.field, body.column], [400, "filter", 18]);
  });
});

Deno.test("one host is told in depth, with the threats of its own network", async () => {
  await withHosts(async (get) => {
    const { body: server } = await get("/hosts/192.0.2.80");
    assertEquals(server.services.length, 1);
    assertEquals([server.services[0].app, server.services[0].port, server.services[0].clients], [
      "tls",
      443,
      7,
    ]);
    assertEquals([server.peers.length, server.sensors, server.uses], [7, ["s1"], []]);
    const { body: client } = await get("/hosts/10.0.0.5?network=lab");
    assertEquals(client.threats.map(({ id }: { id: string }) => id), ["00112233445566aa"]);
    assertEquals(client.uses.map(({ ip, port }: { ip: string; port: number }) => [ip, port]), [[
      "192.0.2.80",
      443,
    ]]);
    assertEquals((await get("/hosts?ip=10.0.0.5")).body.rows[0].threats, 1);
    for (const missing of ["10.0.0.99", "nonsense", "10.0.0.5?network=other", "10.0.0.5%2F8"]) {
      assertEquals((await get(`/hosts/${missing}`)).status, 404, missing);
    }
  });
});

Deno.test("threats of another network with the same address leave those of a host where they are", async () => {
  const fixture = await startFixture();
  const { store } = fixture.services;
  await store.ingest(sampleWrite([sampleFlow(0)]));
  const others = Array.from(
    { length: 50 },
    (_, i) => sampleThreat({ id: `00112233445577${i.toString(16).padStart(2, "0")}`, network: "branch" }),
  );
  await store.saveThreats([sampleThreat({ last_seen: sampleStart + 1 }), ...others]);
  const { body } = await fixture.ask("GET", "/api/v1/hosts/10.0.0.5?network=lab", { role: "viewer" });
  assertEquals(body.threats.map(({ id }: { id: string }) => id), ["00112233445566aa"]);
  await fixture.stop();
});

Deno.test("services, domains, conversations and the number of hosts are told", async () => {
  await withHosts(async (get) => {
    const services = (await get("/services?port=443&protocol=tcp")).body.rows;
    assertEquals(services.map(({ ip, flows }: { ip: string; flows: number }) => [ip, flows]), [[
      "192.0.2.80",
      14,
    ]]);
    assertEquals((await get("/services?ip=10.0.0.0/8")).body.rows, []);
    const domains = (await get("/domains?name=EXA")).body.rows;
    assertEquals(
      domains.map((
        { name, queries, hosts }: { name: string; queries: number; hosts: number },
      ) => [name, queries, hosts]),
      [
        ["example.com", 1, 1],
      ],
    );
    const { day, rows } = (await get("/conversations")).body;
    assertEquals([day, rows.length], ["2027-01-15", 8]);
    assertEquals((await get("/conversations?ip=10.0.0.6&day=2027-01-15")).body.rows.length, 1);
    assertEquals((await get("/conversations?day=2027-01-14")).body.rows, []);
    for (const wrong of ["day=2027-13-01", "day=2027-02-31", "day=today", "ip=10.0.0.0/8"]) {
      assertEquals((await get(`/conversations?${wrong}`)).status, 400, wrong);
    }
    const counted = (await get(`/stats/unique-hosts?from=${sampleStart}&to=${sampleStart + 300}`)).body;
    assertEquals([counted.hosts, counted.inside, counted.exact], [10, 8, true]);
    assert((await get("/stats/unique-hosts")).status === 200);
    assertEquals((await get(`/stats/unique-hosts?from=0&to=${32 * 86_400}`)).status, 400);
    assertEquals((await get(`/stats/unique-hosts?from=0&to=${31 * 86_400}`)).status, 200);
  });
});

Deno.test("a series by protocol has a value for each step, zeros included", async () => {
  await withHosts(async (get) => {
    const { body } = await get(
      `/stats/series?from=${sampleStart - 100}&to=${sampleStart + 299}&step=100&by=protocol`,
    );
    assertEquals([body.first, body.rows.length], [sampleStart - 100, 3]);
    assertEquals(body.stacks.map(({ name, flows }: { name: string; flows: number[] }) => [name, flows]), [
      ["tcp", [0, 10, 4, 1]],
    ]);
    assertEquals((await get("/stats/series?by=site")).status, 400);
    assertEquals((await get("/stats/series")).body.stacks, undefined);
  });
});
