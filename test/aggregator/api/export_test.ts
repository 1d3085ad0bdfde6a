/** Exports are whole or say where they were cut, hold one page in memory, and end with whoever asked for them.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { placedFlowTable } from "../../../aggregator/archive/flow_table.ts";
import { readParquet } from "../../../aggregator/archive/parquet.ts";
import { threatTable } from "../../../aggregator/archive/threat_table.ts";
import { StoreUnavailable } from "../../../aggregator/store/store.ts";
import { systemClock } from "../../../shared/clock.ts";
import { parseCsv } from "../archive/parse_csv.ts";
import type { Flow } from "../../../aggregator/model/flow.ts";
import { type Fixture, host, startFixture } from "./fixture.ts";
import { sampleFlow, sampleThreat, sampleWrite } from "./samples.ts";

const role = "analyst";
const flows = "/api/v1/export/flows";

async function withFlows(count: number, change?: Parameters<typeof startFixture>[0]): Promise<Fixture> {
  const fixture = await startFixture(change);
  await fixture.services.store.ingest(sampleWrite(Array.from({ length: count }, (_, i) => sampleFlow(i))));
  return fixture;
}

const lines = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line));

/** The answer itself, for tests that read it in pieces. */
function open(fixture: Fixture, path: string): Promise<Response> {
  const request = new Request(`http://${host}${path}`, {
    headers: { authorization: `Bearer ${fixture.keys[role]}` },
  });
  return fixture.api.fetch(request, { source: "192.0.2.1", isSecure: false });
}

Deno.test("an export of flows has every row of the list, in its order, and says that it is whole", async () => {
  const fixture = await withFlows(1_234);
  const { text, headers } = await fixture.ask("GET", flows, { role });
  assertEquals(headers.get("content-disposition"), 'attachment; filename="flows.ndjson"');
  const rows = lines(text);
  assertEquals(rows.pop(), { picket_export: { rows: 1_234, complete: true, next_cursor: null } });
  const first = await fixture.ask("GET", "/api/v1/flows?limit=1000", { role });
  assertEquals(rows.slice(0, 1_000), first.body.rows);
  assertEquals(new Set(rows.map(({ flow_id }) => flow_id)).size, 1_234);
  const filtered = await fixture.ask("GET", `${flows}?ip=10.0.0.6&format=csv`, { role });
  const table = parseCsv(filtered.text);
  assertEquals(table[0], Object.keys(placedFlowTable));
  assertEquals(table.at(-1), ["# 177 rows: complete"]);
  assertEquals(table.length, 179);
  await fixture.stop();
});

Deno.test("an export that was cut says so, and goes on where it was cut", async () => {
  const fixture = await withFlows(1_100);
  const all = lines((await fixture.ask("GET", flows, { role })).text).slice(0, -1);
  const found: unknown[] = [];
  for (let cursor = "", tries = 0; tries < 3; tries++) {
    const rows = lines((await fixture.ask("GET", `${flows}?limit=500${cursor}`, { role })).text);
    const { picket_export: end } = rows.pop();
    found.push(...rows);
    assertEquals(end.complete, tries === 2);
    assertEquals(end.rows, [500, 500, 100][tries]);
    cursor = `&cursor=${end.next_cursor}`;
  }
  assertEquals(found, all);
  const exact = lines((await fixture.ask("GET", `${flows}?limit=1100`, { role })).text).at(-1);
  assertEquals(exact.picket_export.complete, true);
  const csv = await fixture.ask("GET", `${flows}?limit=2&format=csv`, { role });
  assert(/\r\n# 2 rows: cut; go on with cursor=[0-9a-f]{16}\r\n$/.test(csv.text), csv.text.slice(-80));
  await fixture.stop();
});

Deno.test("an export takes the filter language, and one of flows asks for a bound", async () => {
  const fixture = await withFlows(30);
  await fixture.services.store.saveThreats([
    sampleThreat(),
    sampleThreat({ id: "00112233445566bb", severity: "low" }),
  ]);
  const ask = (path: string) => fixture.ask("GET", path, { role });
  const filter = (text: string) => `filter=${encodeURIComponent(text)}`;
  const [end] = lines((await ask(`${flows}?${filter("dst_port = 1")}&from=0`)).text);
  assertEquals(end, { picket_export: { rows: 0, complete: true, next_cursor: null } });
  const found = lines((await ask(`${flows}?${filter("src_ip = 10.0.0.6")}`)).text);
  assertEquals(found.map(({ src_ip }) => src_ip), [...Array(found.length - 1).fill("10.0.0.6"), undefined]);
  assert(found.length > 1 && found.length < 31);
  const open = await ask(`${flows}?${filter("dst_port = 1")}`);
  assertEquals([open.status, open.body.field], [400, "from"]);
  const bad = await ask(`${flows}?${filter("dst_port = x")}&from=0`);
  assertEquals([bad.status, bad.body.field, bad.body.column], [400, "filter", 12]);
  const low = lines((await ask(`/api/v1/export/threats?${filter("severity = low")}`)).text);
  assertEquals(low.map(({ id }) => id), ["00112233445566bb", undefined]);
  await fixture.stop();
});

Deno.test("exports of threats are safe to open, whatever the texts hold", async () => {
  const fixture = await startFixture();
  const explanation = '=HYPERLINK("http://x","y")\r\n@SUM(1);\u{1f6aa}';
  await fixture.services.store.saveThreats([
    sampleThreat({ explanation, title: "-1+1", network: "lab" }),
    sampleThreat({ id: "00112233445566bb", dst_port: 443 }),
  ]);
  const path = "/api/v1/export/threats";
  const csv = parseCsv((await fixture.ask("GET", `${path}?format=csv`, { role })).text);
  assertEquals(csv[0], Object.keys(threatTable));
  assertEquals([csv.length, csv[3]], [4, ["# 2 rows: complete"]]);
  for (const row of csv.slice(1, 3)) {
    assertEquals(row.length, csv[0].length);
    for (const cell of row) assert(!/^\s*[=+\-@]/.test(cell), cell);
  }
  const threats = lines((await fixture.ask("GET", path, { role })).text);
  assert(threats.some((one) => one.explanation === explanation));
  const folder = await Deno.makeTempDir();
  for (const [what, table, count] of [["threats", threatTable, 2], ["flows", placedFlowTable, 0]] as const) {
    const response = await open(fixture, `/api/v1/export/${what}?format=parquet`);
    const octets = new Uint8Array(await response.arrayBuffer());
    await Deno.writeFile(`${folder}/file`, octets);
    const rows = (await Array.fromAsync(readParquet(`${folder}/file`, table, 100))).flat();
    assertEquals(rows.length, count);
    if (count > 0) assert(rows.some((row) => row.explanation === explanation));
    assert(new TextDecoder().decode(octets).includes(`{"rows":${count},"complete":true`));
  }
  await Deno.remove(folder, { recursive: true });
  await fixture.stop();
});

Deno.test("what is wrong with the question is an answer, not half a file", async () => {
  const fixture = await withFlows(3);
  for (
    const [query, status] of [["format=xml", 400], ["cursor=no", 400], ["limit=0", 400], ["from=2&to=1", 400]]
  ) {
    assertEquals((await fixture.ask("GET", `${flows}?${query}`, { role })).status, status, String(query));
  }
  assertEquals((await fixture.ask("GET", flows, { role: "viewer" })).status, 403);
  await fixture.stop();
});

Deno.test("who goes away ends the reading and frees the place; a third export is told to wait", async () => {
  let reads = 0;
  const fixture = await withFlows(2_600, ({ store }) => ({
    flowStore: { ...store, readFlows: (query, page) => (reads++, store.readFlows(query, page)) },
  }));
  const [one, two] = [await open(fixture, flows), await open(fixture, flows)];
  assertEquals((await fixture.ask("GET", flows, { role })).body.code, "busy");
  const reader = one.body!.getReader();
  await reader.read();
  await reader.cancel();
  await two.body!.cancel();
  await Promise.resolve();
  const readsThen = reads;
  assert(readsThen <= 5, `${readsThen} pages for two callers who took one`);
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  assertEquals(fixture.counter("exports_cancelled_total"), 2);
  assertEquals(lines((await fixture.ask("GET", flows, { role })).text).length, 2_601);
  assertEquals(reads - readsThen, 6);
  await fixture.stop();
});

Deno.test("an export that finds nothing for long is cut, and says where to go on", async () => {
  let reads = 0;
  const fixture = await withFlows(1, ({ store }) => ({
    flowStore: {
      ...store,
      readFlows: () => {
        reads++;
        // A page with rows begins the count anew.
        const rows = reads === 9 ? [sampleFlow(0) as unknown as Flow] : [];
        return Promise.resolve({ rows, next_cursor: reads.toString(16).padStart(16, "0") });
      },
    },
  }));
  const { text } = await fixture.ask("GET", flows, { role });
  assertEquals(reads, 19);
  assertEquals(lines(text).at(-1), {
    picket_export: { rows: 1, complete: false, next_cursor: "0000000000000013" },
  });
  await fixture.stop();
});

Deno.test("a question for the head alone takes no place", async () => {
  const fixture = await withFlows(1_100);
  for (let i = 0; i < 3; i++) {
    const { status, headers } = await fixture.ask("HEAD", flows, { role });
    assertEquals([status, headers.get("content-type")], [200, "application/x-ndjson"]);
  }
  assertEquals(lines((await fixture.ask("GET", flows, { role })).text).length, 1_101);
  await fixture.stop();
});

Deno.test("a store that fails half way breaks the file off and frees the place", async () => {
  let reads = 0;
  const fixture = await withFlows(1_700, ({ store }) => ({
    flowStore: {
      ...store,
      readFlows: (query, page) =>
        ++reads % 3 === 0 ? Promise.reject(new StoreUnavailable("gone")) : store.readFlows(query, page),
    },
  }));
  for (let tries = 0; tries < 3; tries++) {
    const text = await (await open(fixture, flows)).text().catch((error: Error) => error.message);
    assertEquals(text, "gone");
  }
  assertEquals(fixture.counter("exports_broken_off_total"), 3);
  await fixture.stop();
});

Deno.test("over a socket, a client that hangs up ends the export", async () => {
  const fixture = await withFlows(30_000);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    (request) => fixture.api.fetch(request, { source: "127.0.0.1", isSecure: false }),
  );
  const hangUp = new AbortController();
  const response = await fetch(`http://127.0.0.1:${server.addr.port}${flows}`, {
    headers: { authorization: `Bearer ${fixture.keys[role]}` },
    signal: hangUp.signal,
  });
  await response.body!.getReader().read();
  hangUp.abort();
  for (let tries = 0; fixture.counter("exports_cancelled_total") === 0 && tries < 200; tries++) {
    await systemClock.sleep(20);
  }
  assertEquals(fixture.counter("exports_cancelled_total"), 1);
  await server.shutdown();
  await fixture.stop();
});
