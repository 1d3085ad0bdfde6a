/** Others read an archived day: the snippets of aggregator/archive/README.md, run by DuckDB, pandas and pyarrow.
 * @module */

import { assertEquals } from "@std/assert";
import { keepDay } from "../../../aggregator/archive/keep.ts";
import { archiveTable } from "../../../aggregator/archive/flow_table.ts";
import { openStore } from "../../../aggregator/store/open.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { missingPython, runPython } from "../../services/python.ts";
import { skipLoudly } from "../../services/services.ts";
import { flowsOf, flowWrite, nothing, sighting } from "../store/rows.ts";
import { date, day, fill } from "./stores.ts";

const packages = ["duckdb", "pandas", "pyarrow"];
const why = await missingPython(packages, packages);
const name = "\u{1f6aa}\u0007=cmd|' /C calc'!A1.example";
/** As Python shows it. */
const pythonText = `"\u{1f6aa}\\x07=cmd|' /C calc'!A1.example"`;

async function snippet(language: string): Promise<string> {
  const path = new URL("../../../aggregator/archive/README.md", import.meta.url);
  return new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(await Deno.readTextFile(path))![1];
}

Deno.test({
  name: "DuckDB, pandas and pyarrow read an archived day: counts, sums, times, types, odd text",
  ...(why === undefined ? {} : skipLoudly("the readers of archives", why)),
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "picket-archive-" });
    const store = openStore("sqlite::memory:", {
      reporter: createReporter({ component: "test", write: () => {} }),
    });
    await store.start();
    const odd = flowWrite(25_000, {
      facts: { dns: [{ name, type: "A" }] },
      fwd_bytes: 9_000_000_000_000_000,
      bwd_bytes: 0,
      tcp_isn: 4_294_967_295,
      src_ip: "2001:db8::1",
    }, { sightings: [sighting("s-one", 25_000), sighting("s-two", 25_000)] });
    await fill(store, 25_000);
    await store.ingest({ ...nothing(), ...flowsOf([odd]) });
    const stored = (await store.readDays()).find((one) => one.day === day)!;
    const { manifest } = await keepDay(store, { folder, bucket: null, day: stored, isFinal: true });
    await store.stop();

    await Deno.writeTextFile(`${folder}/query.sql`, await snippet("sql"));
    const ask = "import duckdb; print(duckdb.sql(open('query.sql').read()).fetchall())";
    assertEquals((await runPython(["-c", ask], folder)).trim(), "[('10.0.0.5', 3, 9000)]");
    await Deno.writeTextFile(`${folder}/read.py`, await snippet("python"));
    const printed = (await runPython([`${folder}/read.py`, `${folder}/${manifest.file}`])).trim();
    assertEquals(printed, `25001 9000000075000000 ${date}T12:00:00+00:00 [${pythonText}]`);

    const types = [
      "import duckdb, pyarrow.parquet as p, json",
      `file = p.ParquetFile('${manifest.file}')`,
      "meta = file.metadata",
      "print(meta.num_rows, meta.num_row_groups, meta.row_group(0).column(0).compression, meta.created_by)",
      "print(','.join(file.schema_arrow.names))",
      "print(file.schema_arrow.field('start').type, file.schema_arrow.field('fwd_bytes').type)",
      'print(duckdb.sql("SELECT count(*), sum(fwd_packets + bwd_packets)::BIGINT, count(seen_by), count(facts), ' +
      "count(tcp_isn), min(src_port), max(dst_port) FROM 'flows-*.parquet'\").fetchall())",
    ].join("\n");
    assertEquals((await runPython(["-c", types], folder)).trim().split("\n"), [
      "25001 5 ZSTD picket",
      Object.keys(archiveTable).join(","),
      "timestamp[us, tz=UTC] int64",
      `[(25001, 375015, ${manifest.sums.sightings / 2}, 1, 1, 1024, 443)]`,
    ]);
    await Deno.remove(folder, { recursive: true });
  },
});
