/** What pages and queries cost while flows come in, beside a scan of all flows, in one run.
 *
 * Use: `deno run -A test/bench/query.ts [--store sqlite|mariadb] [--flows 1000000] [--rounds 100] [--only WORD]
 * [--at URL]`. Both stores are measured unless one is named; a MariaDB is started for it. The sizes that we promise:
 * `--store sqlite --flows 5000000`, `--store mariadb --flows 10000000`. With `--at` the store at that URL is filled as
 * far as it is not yet, and stays, so that it can be measured again; `--rounds 0` only fills.
 * Method: ten days of flows and 10,000 threats (see query_rows.ts), ANALYZE, a real aggregator over them that takes
 * some 1,000 new flows a second. The pages are asked for in turn by one client, over HTTP, so that none has the cache
 * to itself; then the views that analysts use, over a connection of their own.
 * Out: p50, p99 and the longest, ms, octets of the answer, and p99 as a share of the scan,
 * which reads each flow's facts once.
 * What it does not mean: one client asks, and client, aggregator and database share the machine.
 * Of 100 rounds the p99 is the second longest.
 * Aim: p99 <= 25 ms for pages. Searches that no index serves end after 2 s with a cursor, and are marked. @module */

import { zstdCompressSync } from "node:zlib";
import { parseArgs } from "@std/cli/parse-args";
import { makeApiKey } from "../../aggregator/api/api_keys.ts";
import { openDatabase, openStore } from "../../aggregator/store/open.ts";
import type { Database } from "../../aggregator/store/database.ts";
import { writeHeader } from "../../shared/batch.ts";
import { createReporter } from "../../shared/reporter.ts";
import { spawnProgram } from "../aggregator/commands/harness.ts";
import { segment, TestSensor } from "../aggregator/ingest/fleet.ts";
import { createDatabase, startMariadb } from "../services/mariadb.ts";
import { busiest, dayS, quiet } from "./made_flows.ts";
import { fill, idOfThreat } from "./query_rows.ts";

const days = 10, threats = 10_000;
/** Yesterday: sums by the minute do not stay for ever. */
const day = Math.floor(Date.now() / 1e3 / dayS - 1) * dayS;
const everyMs = 100, flowsPerBatch = 100;
const aimMs = 25;
const reporter = createReporter({ component: "bench", write: () => {} });
const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

interface Question {
  name: string;
  /** Octets of the answer; null = it was refused as it took too long. */
  ask(): Promise<number | null>;
  isSearch?: boolean;
}

function pagesOf(flowId: string): Record<string, string> {
  const end = day + dayS, middle = day - days / 2 * dayS;
  const filter = (text: string) => encodeURIComponent(text);
  return {
    "fleet": "fleet",
    "flows, newest 50": "flows/latest?limit=50",
    "flows, page of 1,000": "flows?limit=1000",
    "flows, page far behind": `flows?limit=50&to=${middle}`,
    "flows of the busiest host": `flows/search?ip=${busiest}&limit=50`,
    "flows of a quiet host": `flows/search?ip=${quiet}&limit=50`,
    "flows, filter by time and port": `flows?limit=50&filter=${
      filter(`dst_port = 22 and start >= ${end - 3_600}`)
    }`,
    "flows, one": `flows/${flowId}`,
    "search: a name that none has": "flows/search?name=nobody.invalid",
    "incidents, 10 days": "incidents",
    "incidents, a day": `incidents?from=${day}`,
    "threats, 50": "threats?limit=50",
    "threats, page of 1,000": "threats?limit=1000",
    "threats, high and open": `threats?limit=50&filter=${filter("severity >= high and status = open")}`,
    "threats of the busiest host": `threats?ip=${busiest}&limit=50`,
    "threats of a network": "threats?ip=10.0.0.0/8&limit=50",
    "threat, one": `threats/${idOfThreat(1)}`,
    "threat, its flows": `threats/${idOfThreat(1)}/flows`,
    "hosts, 50": "hosts?limit=50",
    "hosts, page of 1,000": "hosts?limit=1000",
    "hosts, 1,000 by bytes": "hosts?limit=1000&sort=bytes",
    "hosts of a network": "hosts?ip=10.0.0.0/8&limit=50",
    "host, the busiest": `hosts/${busiest}`,
    "host, a quiet one": `hosts/${quiet}`,
    "services": "services?limit=50",
    "services, by port": "services?limit=50&port=53",
    "domains": "domains?limit=50",
    "domains, by name": "domains?limit=50&name=site-49",
    "conversations of a day": `conversations?day=${new Date(day * 1e3).toISOString().slice(0, 10)}&limit=50`,
    "conversations of the busiest": `conversations?day=${
      new Date(day * 1e3).toISOString().slice(0, 10)
    }&ip=${busiest}&limit=50`,
    "totals": "stats/totals",
    "top talkers, a day": `stats/top-talkers?from=${day}&to=${end}`,
    "top talkers, 10 days": `stats/top-talkers?from=${end - days * dayS}&to=${end}`,
    "protocols, a day": `stats/protocols?from=${day}&to=${end}`,
    "series, a day": `stats/series?from=${day}&to=${end}&step=300`,
    "series, 10 days by protocol": `stats/series?from=${end - days * dayS}&to=${end}&step=3600&by=protocol`,
    "unique hosts, a day": `stats/unique-hosts?from=${day}&to=${end}`,
    "unique hosts, 10 days": `stats/unique-hosts?from=${end - days * dayS}&to=${end}`,
    "gaps": "gaps",
  };
}

/** As analysts ask: by the newest rows, and by an hour. */
function viewsOf(name: "sqlite" | "mariadb"): Record<string, string> {
  const hour = day + 12 * 3_600;
  const within = (time: string) =>
    name === "sqlite"
      ? `id >= ${BigInt(hour) * 2_048_000_000n} AND id < ${BigInt(hour + 3_600) * 2_048_000_000n}`
      : `${time} >= FROM_UNIXTIME(${hour}) AND ${time} < FROM_UNIXTIME(${hour + 3_600})`;
  const newest = (time: string) => name === "sqlite" ? "id DESC" : `${time} DESC, id DESC`;
  return {
    "v_flows, newest 100":
      `SELECT flow_id, start_time, protocol, src_ip, src_port, dst_ip, dst_port, total_bytes FROM v_flows ORDER BY ${
        newest("start_time")
      } LIMIT 100`,
    "traffic_logs, newest 100":
      `SELECT event_time, source_ip, source_port, dest_ip, dest_port, protocol, length, info, is_suspicious FROM traffic_logs ORDER BY ${
        newest("event_time")
      } LIMIT 100`,
    "network_flows, newest 100":
      `SELECT flow_id, start_time, end_time, src_ip, dst_ip, protocol, app_protocol, conn_state FROM network_flows ORDER BY ${
        newest("start_time")
      } LIMIT 100`,
    "flow_metrics, newest 100":
      `SELECT flow_id, start_time, src_ip, dst_ip, total_packets, total_bytes, duration_s FROM flow_metrics ORDER BY ${
        newest("start_time")
      } LIMIT 100`,
    "ai_threat_logs, one level":
      "SELECT ai_explanation, suggested_action, severity_level FROM ai_threat_logs WHERE severity_level = 'CRITICAL' LIMIT 100",
    "v_flows, sums of an hour":
      `SELECT protocol, COUNT(*) AS flows, SUM(total_bytes) AS bytes FROM v_flows WHERE ${
        within("start_time")
      } GROUP BY protocol`,
    "traffic_logs, suspicious of an hour": `SELECT COUNT(*) AS suspicious FROM traffic_logs WHERE ${
      within("event_time")
    } AND is_suspicious = 1`,
  };
}

async function bench(url: string, folder: string, options: Options): Promise<void> {
  const store = openStore(url, { reporter }), database = openDatabase(url, { reporter });
  const sensor = new TestSensor("bench");
  await store.start();
  await database.open();
  const beganMs = performance.now();
  // A store that stays has batches of earlier runs.
  sensor.epoch = Date.now();
  if ((await store.readSensors()).length === 0) await sensor.enrol(store);
  await fill(store, { day, days, flows: options.flows, threats, say: print });
  await analyze(database);
  const { rows: [newest] } = await store.readFlows({}, { limit: 1 });
  const made = makeApiKey(crypto.getRandomValues(new Uint8Array(20)), {
    name: "bench",
    role: "admin",
    nowMs: Date.now(),
  });
  await store.addApiKey(made.row);
  await store.stop();
  const { name } = database.dialect;
  print(
    `\n${name}: ${options.flows} flows of ${days} days, filled in ${seconds(performance.now() - beganMs)} s`,
  );
  if (options.rounds === 0) return await database.close();
  const { PICKET_STORE_PASSWORD, address } = withoutPassword(url);
  const serve = spawnProgram(
    [
      "serve",
      "--state",
      folder,
      "--listen",
      "127.0.0.1:0",
      "--store",
      address,
      "--retain-days",
      "3650",
      "--retain-gigabytes",
      "0",
    ],
    { PICKET_STORE_PASSWORD },
  );
  serve.stderr.pipeTo(new WritableStream()).catch(() => {});
  const ready = serve.stdout.getReader();
  try {
    const { listening } = JSON.parse(new TextDecoder().decode((await ready.read()).value));
    await measure({ database, listening, key: made.key, sensor, flowId: newest.flow_id }, options);
  } finally {
    serve.kill("SIGTERM");
    await serve.status;
    await ready.cancel();
    await database.close();
  }
}

async function analyze(database: Database): Promise<void> {
  const isSqlite = database.dialect.name === "sqlite";
  const tables = [
    "flows",
    "sightings",
    "threats",
    "threat_flows",
    "threat_ips",
    "hosts",
    "host_hours",
    "services",
    "conversations",
    "traffic",
    "talkers",
    "talker_hours",
    "protocols",
  ];
  await database.read((session) =>
    session.all(isSqlite ? "ANALYZE" : `ANALYZE TABLE ${tables}`).then(() => undefined)
  );
}

interface World {
  database: Database;
  listening: string;
  key: string;
  sensor: TestSensor;
  flowId: string;
}

async function measure({ database, listening, key, sensor, flowId }: World, options: Options): Promise<void> {
  const scan: Question = {
    name: "scan of all flows",
    ask: () => askSql(database, "SELECT COUNT(*) AS found FROM flows WHERE facts LIKE '%nobody.invalid%'"),
  };
  const pages = Object.entries(pagesOf(flowId)).map(([name, path]): Question => ({
    name,
    isSearch: name.startsWith("search"),
    ask: async () => {
      const ask = () => fetch(`${listening}/api/v1/${path}`, { headers: { authorization: `Bearer ${key}` } });
      // A connection that was idle for long may end just as it is used again.
      const response = await ask().catch(ask);
      const body = await response.text();
      if (response.status === 503) return null;
      if (response.status !== 200) {
        throw new Error(`Cannot measure "${name}": ${response.status} ${body.slice(0, 300)}`);
      }
      return body.length;
    },
  }));
  const views = Object.entries(viewsOf(database.dialect.name)).map(([name, sql]): Question => ({
    name,
    ask: () => askSql(database, sql),
  }));
  const isMeant = ({ name }: Question) => name.includes(options.only);
  const ended = new AbortController();
  // The first batch waits until memory is restored.
  await send(sensor, listening, AbortSignal.timeout(1));
  const sending = send(sensor, listening, ended.signal);
  try {
    const [scanned] = await rounds([scan], 3);
    const taken = [
      ...await rounds(pages.filter(isMeant), options.rounds),
      ...await rounds(views.filter(isMeant), Math.min(options.rounds, 30)),
    ];
    print(`${"".padEnd(38)}    p50 ms    p99 ms   longest    octets  of the scan`);
    for (const one of [scanned, ...taken]) print(lineOf(one, scanned.p50));
  } finally {
    ended.abort();
    const { stored, ms } = await sending;
    const at = (share: number) => ms[Math.max(0, Math.ceil(ms.length * share) - 1)].toFixed(0);
    print(
      `flows taken in meanwhile: ${stored}, a batch took ${at(0.5)} ms (p50), ${at(0.99)} (p99), ${
        at(1)
      } (longest)`,
    );
  }
}

interface Taken {
  name: string;
  isSearch: boolean;
  p50: number;
  p99: number;
  longest: number;
  octets: number;
  refused: number;
}

/** Each question once a round. A search is asked for five times at most, as each takes seconds. */
async function rounds(questions: readonly Question[], count: number): Promise<Taken[]> {
  const all = questions.map((question) => ({ question, ms: [] as number[], octets: 0, refused: 0 }));
  // Connections are opened, and what the runtime compiles is compiled.
  for (const { question } of all) await question.ask();
  for (let round = 0; round < count; round++) {
    for (const one of all) {
      if (one.question.isSearch && round >= 5) continue;
      const beganMs = performance.now();
      const octets = await one.question.ask();
      if (octets === null) one.refused++;
      else one.octets = octets;
      one.ms.push(performance.now() - beganMs);
    }
  }
  return all.map(({ question: { name, isSearch = false }, ms, octets, refused }) => {
    ms.sort((a, b) => a - b);
    const at = (share: number) => ms[Math.max(0, Math.ceil(ms.length * share) - 1)];
    return { name, isSearch, p50: at(0.5), p99: at(0.99), longest: at(1), octets, refused };
  });
}

function lineOf({ name, isSearch, p50, p99, longest, octets, refused }: Taken, scanMs: number): string {
  const cells = [p50, p99, longest].map((ms) => ms.toFixed(1).padStart(10)).join("");
  const share = `${(100 * p99 / scanMs).toFixed(2)} %`.padStart(13);
  const isSlow = p99 > aimMs && !name.startsWith("scan");
  const mark = isSearch
    ? "  search"
    : refused > 0
    ? `  refused ${refused} times`
    : isSlow
    ? "  above the aim"
    : "";
  return `${name.padEnd(38)}${cells}${String(octets).padStart(10)}${share}${mark}`;
}

async function askSql(database: Database, sql: string): Promise<number> {
  const rows = await database.read((session) => session.all(sql));
  return JSON.stringify(rows, (_, value) => typeof value === "bigint" ? Number(value) : value).length;
}

/** New flows over HTTP until `signal`. */
async function send(sensor: TestSensor, url: string, signal: AbortSignal) {
  let stored = 0;
  const ms: number[] = [];
  do {
    const batches = sensor.seal(Array.from({ length: flowsPerBatch }, () => {
      const i = stored++, start = Date.now() / 1e3 - 60 + i % 50;
      return segment({
        src_port: 1_024 + i % 60_000,
        src_ip: `10.1.2.${i % 200}`,
        tcp_isn: i,
        start,
        end: start + 1,
      });
    }));
    for (const { header, value } of batches) {
      const headers = { ...writeHeader(header), "content-encoding": "zstd" };
      const beganMs = performance.now();
      const response = await fetch(`${url}/api/v1/batches`, {
        method: "POST",
        headers,
        body: new Uint8Array(zstdCompressSync(value)),
      });
      ms.push(performance.now() - beganMs);
      if (response.status !== 200) throw new Error(`Cannot store batch: ${await response.text()}`);
      await response.body?.cancel();
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  } while (!signal.aborted);
  return { stored, ms: ms.sort((a, b) => a - b) };
}

/** An argument is visible to every user of the machine. */
function withoutPassword(url: string): { PICKET_STORE_PASSWORD: string; address: string } {
  if (!url.startsWith("mariadb:")) return { PICKET_STORE_PASSWORD: "", address: url };
  const parsed = new URL(url), { password } = parsed;
  parsed.password = "";
  return { PICKET_STORE_PASSWORD: decodeURIComponent(password), address: parsed.href };
}

const seconds = (ms: number) => (ms / 1e3).toFixed(0);

interface Options {
  flows: number;
  rounds: number;
  only: string;
  at: string;
}

const given = parseArgs(Deno.args, { string: ["store", "flows", "rounds", "only", "at"] });
const options = {
  flows: Number(given.flows ?? 1_000_000),
  rounds: Number(given.rounds ?? 100),
  only: String(given.only ?? ""),
  at: String(given.at ?? ""),
};
const folder = await Deno.makeTempDir({ prefix: "picket-bench-query-" });
print(`load before: ${Deno.loadavg()[0].toFixed(2)}`);
try {
  if (options.at !== "") await bench(options.at, folder, options);
  else if (given.store !== "mariadb") await bench(`sqlite:${folder}/picket.db`, folder, options);
  if (options.at === "" && given.store !== "sqlite") {
    const service = await startMariadb(["--innodb-buffer-pool-size=512M"]);
    try {
      await Deno.mkdir(`${folder}/mariadb`);
      await bench(await createDatabase(service.address, "bench_query"), `${folder}/mariadb`, options);
    } finally {
      await service.stop();
    }
  }
  print(`load after: ${Deno.loadavg()[0].toFixed(2)}`);
} finally {
  await Deno.remove(folder, { recursive: true });
}
