/** Speed, thrift and size of the whole ingest beside what the database itself can do with the same rows, in one run.
 *
 * Use: `deno run -A test/bench/ingest.ts [CAPTURE] [--runs N] [--instances N] [--kafka]`. Without a capture the one
 * that `test/bench/sensor.ts` keeps in .cache/bench is used; the sensor's batches are recorded once and kept there too.
 * What is compared: ingest into MariaDB (see ingest_run.ts for what is in it) with `LOAD DATA` of the rows it wrote
 * into the same two tables, in the order in which the flows came, and, which is easier for the server than any arrival,
 * in the order of the key; into SQLite with prepared inserts of the same rows in transactions of 5,000; the same with
 * all detectors, and with two sensors on one path. In turns; medians count. Each run is a process of its own with a
 * fresh database; commits are durable in all of them. With `--instances N` it is one and N aggregators on one MariaDB
 * instead, see instances.ts, and with `--kafka` through a real broker.
 * Out: segments/s, ratios, CPU a segment of the aggregator alone, memory, octets a flow. What it does not mean: no
 * broker is in it. On a machine where other programs run, ratios and CPU say more than rates: the load is printed.
 * @module */

import { parseArgs } from "@std/cli/parse-args";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { migrate } from "../../aggregator/store/migrate.ts";
import { openDatabase } from "../../aggregator/store/open.ts";
import { askMariadb, createDatabase, mariadb } from "../services/mariadb.ts";
import { benchInstances } from "./instances.ts";
import { recordedBatches } from "./recorded.ts";

const root = new URL("../../", import.meta.url).pathname;
const cache = `${root}.cache/bench`;
const rowsPerTransaction = 5_000;
const reporter = createReporter({ component: "bench", write: () => {} });

interface Run {
  segments: number;
  wallS: number;
  cpuS: number;
  peakMB: number;
  flows: number;
}

const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

async function ingest(url: string, recording: string, sensors: number, detect: boolean): Promise<Run> {
  const script = `${root}test/bench/ingest_run.ts`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, url, recording, String(sensors), detect ? "detect" : ""],
    cwd: root,
  }).output();
  if (!success) throw new Error(`Cannot bench ingest: ${new TextDecoder().decode(stderr).slice(-1_000)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Notes in the table `arrival` in which order the flows came. */
async function noteArrival(url: string, folder: string): Promise<void> {
  const rows = await askMariadb(url, "SELECT HEX(flow_ids) FROM recent ORDER BY id");
  const ids = rows.flatMap(([hex]) => hex.match(/.{16}/g) ?? []).map((id) => `${BigInt(`0x${id}`)}\n`);
  await Deno.writeTextFile(`${folder}/arrival`, ids.join(""));
  await askMariadb(
    url,
    "CREATE TABLE arrival (n INT PRIMARY KEY AUTO_INCREMENT, id BIGINT UNSIGNED UNIQUE); " +
      `LOAD DATA LOCAL INFILE '${folder}/arrival' IGNORE INTO TABLE arrival (id)`,
  );
}

/** Wall clock of `LOAD DATA` of what `url` holds into fresh tables, by key or as the flows came. */
async function loadData(
  server: string,
  url: string,
  folder: string,
  order: "key" | "arrival",
): Promise<number> {
  const tables = ["flows", "sightings"];
  for (const table of tables) {
    await Deno.remove(`${folder}/${table}`).catch(() => {});
    const from = order === "key"
      ? `${table} ORDER BY seen, id`
      : `${table} JOIN arrival USING (id) ORDER BY n`;
    await askMariadb(
      url,
      `SET time_zone = '+00:00'; SELECT ${table}.* INTO OUTFILE '${folder}/${table}' FROM ${from}`,
    );
  }
  const fresh = await createDatabase(server, "bench_load");
  const database = openDatabase(fresh, { reporter });
  await database.open();
  await migrate(database, { reporter, clock: systemClock });
  await database.close();
  const statements = tables.map((table) =>
    `LOAD DATA LOCAL INFILE '${folder}/${table}' INTO TABLE ${table} CHARACTER SET binary`
  );
  const begin = performance.now();
  await askMariadb(fresh, `SET time_zone = '+00:00'; ${statements.join("; ")}`);
  return (performance.now() - begin) / 1e3;
}

/** Wall clock of prepared inserts of what the file `from` holds into fresh tables, as the flows came. */
async function prepared(from: string, to: string): Promise<number> {
  const database = openDatabase(`sqlite:${to}`, { reporter });
  await database.open();
  await migrate(database, { reporter, clock: systemClock });
  await database.close();
  const source = new DatabaseSync(from), target = new DatabaseSync(to);
  target.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536");
  let seconds = 0;
  for (const table of ["flows", "sightings"]) {
    const read = source.prepare(`SELECT * FROM ${table}`);
    read.setReadBigInts(true);
    const all = read.all();
    if (table === "flows") sortByArrival(all, source);
    const rows = all.map((row) => Object.values(row).map(small));
    if (rows.length === 0) continue;
    const insert = target.prepare(`INSERT INTO ${table} VALUES (${rows[0].map(() => "?").join(", ")})`);
    const begin = performance.now();
    for (let at = 0; at < rows.length; at += rowsPerTransaction) {
      target.exec("BEGIN");
      for (const row of rows.slice(at, at + rowsPerTransaction)) insert.run(...row);
      target.exec("COMMIT");
    }
    seconds += (performance.now() - begin) / 1e3;
  }
  source.close();
  target.close();
  return seconds;
}

/** Flows in the order in which they came. */
function sortByArrival(rows: Record<string, unknown>[], source: DatabaseSync): void {
  const came = new Map<bigint, number>();
  for (const { flow_ids } of source.prepare("SELECT flow_ids FROM recent ORDER BY id").all()) {
    const view = new DataView((flow_ids as Uint8Array).slice().buffer);
    for (let at = 0; at < view.byteLength; at += 8) {
      const id = view.getBigUint64(at);
      if (!came.has(id)) came.set(id, came.size);
    }
  }
  rows.sort((a, b) => came.get(a.id as bigint)! - came.get(b.id as bigint)!);
}

function small(value: unknown) {
  return typeof value === "bigint" && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value as string;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function report(name: string, runs: readonly Run[], bases: readonly number[], aim: string): void {
  const of = (value: (run: Run) => number) => median(runs.map(value));
  const ratio = bases.length === 0
    ? "".padEnd(14)
    : `ratio ${median(bases.map((base, i) => base / runs[i].wallS)).toFixed(2)}`.padEnd(14);
  const rate = `${Math.round(of((run) => run.segments / run.wallS) / 1e3)}k segments/s`.padEnd(18);
  const cpu = `${of((run) => run.cpuS / run.segments * 1e6).toFixed(1)} us CPU a segment`.padEnd(24);
  print(
    `${name.padEnd(28)} ${rate} ${ratio} ${cpu} ${of((run) => run.peakMB).toFixed(0)} MB  ${aim}`.trimEnd(),
  );
}

/** Octets a flow on disk, when all pages have been written. */
async function sizes(url: string, file: string, flows: number): Promise<void> {
  await askMariadb(url, "FLUSH TABLES flows, sightings FOR EXPORT; UNLOCK TABLES");
  const tables = await askMariadb(
    url,
    "SELECT name, file_size, allocated_size FROM information_schema.innodb_sys_tablespaces " +
      "WHERE name LIKE CONCAT(DATABASE(), '/%') AND allocated_size > 1000000 ORDER BY 3 DESC",
  );
  print("");
  for (const [name, whole, allocated] of tables) {
    const each = (octets: string) => (Number(octets) / flows).toFixed(0);
    print(
      `mariadb ${name.split("/")[1]}: ${each(allocated)} B a flow on disk, indexes included (${
        each(whole)
      } in pages)`,
    );
  }
  const { size } = await Deno.stat(file);
  print(`sqlite, whole file: ${(size / flows).toFixed(0)} B a flow`);
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["runs", "instances"],
    boolean: ["kafka"],
    default: { runs: "3", instances: "" },
  });
  const capture = args._.length > 0 ? String(args._[0]) : `${cache}/perf-1000000-0.pcap`;
  const recording = `${cache}/${capture.split("/").at(-1)!.replace(/\.pcap.*$/, "")}.batches`;
  await recordedBatches(root, capture, recording);
  const server = await mariadb.start();
  if (args.instances !== "" || args.kafka) {
    print(`load before ${Deno.loadavg()[0].toFixed(1)}, ${navigator.hardwareConcurrency} cores`);
    try {
      return await benchInstances(
        server.address,
        recording,
        Number(args.instances || 1),
        args.kafka === true,
      );
    } finally {
      await server.stop();
    }
  }
  const folder = await Deno.makeTempDir({ prefix: "picket-bench-ingest-" });
  await Deno.chmod(folder, 0o777);
  const fresh = () => createDatabase(server.address, "bench");
  const all = { maria: [] as Run[], lite: [] as Run[], detect: [] as Run[], two: [] as Run[] };
  const bases = { key: [] as number[], came: [] as number[], lite: [] as number[], two: [] as number[] };
  print(`${capture}: load before ${Deno.loadavg()[0].toFixed(1)}, ${navigator.hardwareConcurrency} cores`);
  try {
    let url = "", file = "";
    for (let run = 0; run < Number(args.runs); run++) {
      url = await fresh();
      all.maria.push(await ingest(url, recording, 1, false));
      await noteArrival(url, folder);
      bases.came.push(await loadData(server.address, url, folder, "arrival"));
      bases.key.push(await loadData(server.address, url, folder, "key"));
      file = `${folder}/${run}.db`;
      all.lite.push(await ingest(`sqlite:${file}`, recording, 1, false));
      bases.lite.push(await prepared(file, `${folder}/${run}-base.db`));
      all.detect.push(await ingest(await fresh(), recording, 1, true));
      const both = await fresh();
      all.two.push(await ingest(both, recording, 2, false));
      await noteArrival(both, folder);
      bases.two.push(await loadData(server.address, both, folder, "arrival"));
    }
    print(`${all.maria[0].segments} segments, ${all.maria[0].flows} flows; medians of ${args.runs}`);
    report("MariaDB ÷ LOAD DATA", all.maria, bases.came, "aims: 0.85, 12 us");
    report("  with the rows in key order", all.maria, bases.key, "");
    report("SQLite ÷ prepared inserts", all.lite, bases.lite, "aim: 0.6");
    report("MariaDB, all detectors", all.detect, bases.came, "");
    report("two sensors ÷ LOAD DATA", all.two, bases.two, "");
    await sizes(url, file, all.maria[0].flows);
    print("aims: 350 B a flow in MariaDB, 250 B in SQLite");
  } finally {
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

await main();
