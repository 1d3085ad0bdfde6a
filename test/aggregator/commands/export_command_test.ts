/** `export` writes what the API has, in each format, and goes on where a download was broken off. @module */

import { assert, assertEquals } from "@std/assert";
import { placedFlowTable } from "../../../aggregator/archive/flow_table.ts";
import { readParquet } from "../../../aggregator/archive/parquet.ts";
import { exportCommand } from "../../../aggregator/commands/export_command.ts";
import { startFixture } from "../api/fixture.ts";
import { sampleFlow, sampleThreat, sampleWrite } from "../api/samples.ts";
import { parseCsv } from "../archive/parse_csv.ts";
import { runInside, withFolder } from "./harness.ts";

interface World {
  folder: string;
  /** Octets after which an answer breaks off. */
  cut: { after: number };
  asked: string[];
  run(...args: string[]): ReturnType<typeof runInside>;
  read(name: string): Promise<string>;
}

const hostile = { facts: { dns: [{ name: "\u{1f6aa}\n=1,\"'.example", type: "A" }] } };

/** An API over 3,000 flows, 2 threats, behind a server that may break answers off. */
function withServer(work: (world: World) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const fixture = await startFixture();
    const flows = Array.from({ length: 3_000 }, (_, i) => sampleFlow(i, i === 7 ? hostile : {}));
    await fixture.services.store.ingest(sampleWrite(flows));
    await fixture.services.store.saveThreats([sampleThreat(), sampleThreat({ id: "00112233445566bb" })]);
    const cut = { after: Number.MAX_SAFE_INTEGER }, asked: string[] = [];
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
      async (request) => {
        asked.push(new URL(request.url).search);
        const response = await fixture.api.fetch(request, { source: "127.0.0.1", isSecure: false });
        let left = cut.after;
        return new Response(
          response.body!.pipeThrough(
            new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
              transform(octets, controller) {
                controller.enqueue(octets.slice(0, Math.max(0, left)));
                left -= octets.length;
                if (left <= 0) controller.error(new Error("broken off"));
              },
            }),
          ),
          response,
        );
      },
    );
    for (const role of ["analyst", "viewer"] as const) {
      await Deno.writeTextFile(`${folder}/${role}`, fixture.keys[role]);
    }
    const url = ["--url", `http://127.0.0.1:${server.addr.port}`, "--state", folder];
    try {
      await work({
        folder,
        cut,
        asked,
        run: (...args) =>
          runInside([exportCommand], ["export", ...args, ...url, "--key-file", `${folder}/analyst`]),
        read: (name) => Deno.readTextFile(`${folder}/${name}`),
      });
      const denied = [
        "export",
        "flows",
        "--output",
        `${folder}/no.csv`,
        ...url,
        "--key-file",
        `${folder}/viewer`,
      ];
      assertEquals((await runInside([exportCommand], denied)).code, 2);
    } finally {
      await server.shutdown();
      await fixture.stop();
    }
  });
}

const idsOf = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line).flow_id);

Deno.test("export writes the same rows as NDJSON, CSV and Parquet, and leaves nothing beside them", () =>
  withServer(async ({ folder, run, read }) => {
    for (const format of ["ndjson", "csv", "parquet"]) {
      const { code, stdout, stderr } = await run("flows", "--output", `${folder}/f.${format}`, "--json");
      assertEquals(code, 0, stderr);
      assertEquals(JSON.parse(stdout).rows, 3_000);
    }
    const ids = idsOf(await read("f.ndjson"));
    assertEquals(new Set(ids).size, 3_000);
    const [head, ...rows] = parseCsv(await read("f.csv"));
    assertEquals(head, Object.keys(placedFlowTable));
    assertEquals(rows.map(([id]) => id), ids);
    const packed = (await Array.fromAsync(readParquet(`${folder}/f.parquet`, placedFlowTable, 5_000))).flat();
    assertEquals(packed.map(({ flow_id }) => flow_id), ids);
    assertEquals(packed.filter(({ facts }) => (facts as string).includes("\u{1f6aa}")).length, 1);
    assertEquals((await run("threats", "--output", `${folder}/t.csv`)).code, 0);
    assertEquals(parseCsv(await read("t.csv")).length, 3);
    assertEquals((await run("hosts", "--output", `${folder}/h.csv`)).code, 0);
    const hosts = parseCsv(await read("h.csv"));
    assertEquals(hosts.map(([ip]) => ip).sort(), [
      "10.0.0.10",
      "10.0.0.11",
      "10.0.0.5",
      "10.0.0.6",
      "10.0.0.7",
      "10.0.0.8",
      "10.0.0.9",
      "192.0.2.80",
      "ip",
    ]);
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(left, ["analyst", "f.csv", "f.ndjson", "f.parquet", "h.csv", "t.csv", "viewer"]);
  }));

Deno.test("export goes on from the last whole row, and begins anew for another question", () =>
  withServer(async ({ folder, run, read, cut, asked }) => {
    const output = ["--output", `${folder}/f.ndjson`];
    assertEquals((await run("flows", "--output", `${folder}/whole.ndjson`)).code, 0);
    for (const after of [700_000, 500_000]) {
      cut.after = after;
      const broken = await run("flows", ...output);
      assertEquals(broken.code, 3, broken.stderr);
    }
    assert((await read("f.ndjson.part")).length > 700_000);
    cut.after = Number.MAX_SAFE_INTEGER;
    asked.length = 0;
    assertEquals((await run("flows", ...output)).code, 0);
    assert(/^\?cursor=[0-9a-f]{16}$/.test(asked[0]), asked[0]);
    assertEquals(await read("f.ndjson"), await read("whole.ndjson"));

    cut.after = 300_000;
    assertEquals((await run("flows", ...output)).code, 3);
    cut.after = Number.MAX_SAFE_INTEGER;
    asked.length = 0;
    assertEquals((await run("flows", ...output, "--filter", "ip=10.0.0.6")).code, 0);
    assertEquals(asked, ["?ip=10.0.0.6"]);
    assertEquals(idsOf(await read("f.ndjson")).length, 429);
  }));

Deno.test("export asks on with the cursor that a part without rows gave; a time without an offset is UTC", () =>
  withFolder(async (folder) => {
    const asked: string[] = [];
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => undefined }, ({ url }) => {
      asked.push(new URL(url).search);
      const end = { rows: 0, complete: asked.length === 3, next_cursor: `000000000000000${asked.length}` };
      return new Response(`${JSON.stringify({ picket_export: end })}\n`);
    });
    await Deno.writeTextFile(`${folder}/key`, "pk_any");
    const url = `http://127.0.0.1:${server.addr.port}`;
    const { code, stderr } = await runInside([exportCommand], [
      ...["export", "flows", "--output", `${folder}/f.ndjson`, "--from", "2026-01-15T08:00"],
      ...["--url", url, "--state", folder, "--key-file", `${folder}/key`],
    ]);
    assertEquals(code, 0, stderr);
    assertEquals(asked, [
      "?from=1768464000",
      "?from=1768464000&cursor=0000000000000001",
      "?from=1768464000&cursor=0000000000000002",
    ]);
    await server.shutdown();
  }));

Deno.test("export says what is wrong with its arguments", () =>
  withServer(async ({ folder, run }) => {
    const output = ["--output", `${folder}/f.csv`];
    const cases: [string[], string][] = [
      [["flows"], '"output" must name a file'],
      [["sensors", ...output], "must be one of flows, threats, hosts"],
      [["flows", "--output", `${folder}/f.txt`], "must be one of ndjson, csv, parquet"],
      [["flows", ...output, "--from", "yesterday"], "must be like 2026-01-15"],
      [["flows", ...output, "--from", "2026-02-31"], "must be like 2026-01-15"],
      [["flows", ...output, "--filter", "limit=3"], "must be NAME=VALUE"],
      [["flows", ...output, "--filter", "nonsense=3"], "400"],
    ];
    for (const [args, words] of cases) {
      const { code, stderr } = await run(...args);
      assertEquals(code, 2, stderr);
      assert(stderr.includes(words), stderr);
    }
  }));
