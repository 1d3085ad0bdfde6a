/** What a large fleet costs the aggregator while nothing else happens.
 *
 *     deno run -A test/bench/fleet.ts [--sensors 1000] [--seconds 60] [--every 10] [--counters 200]
 *
 * Method: a real aggregator over SQLite, in a process of its own. So many sensors enrol, then each checks in every so
 * many seconds, evenly spread, signed, with as many counters as a busy sensor has, and with a policy that it has been
 * given. An upgrade is under way and is offered to all of them. Beside that one page of the fleet is asked for every
 * half second.
 * Out: check-ins sent, answered and lost; p50 and p99 of a check-in and of the page; octets of the page; CPU of the
 * aggregator as a share of one core; the share of this program too, and how late it was: it signs for all, and can be
 * what is slow.
 * Aim, 1,000 sensors: check-in p99 <= 50 ms, none lost, page p99 <= 100 ms and <= 200 kB. @module */

import { openStore } from "../../aggregator/store/open.ts";
import { sha256Hex, signText } from "../../shared/batch.ts";
import { checkInMessage } from "../../shared/control_messages.ts";
import { createReporter } from "../../shared/reporter.ts";
import { healthOf } from "../aggregator/api/fixture.ts";
import { ReleaseFolder } from "../../aggregator/fleet/release_folder.ts";
import { releaseKeyId } from "../../shared/release.ts";
import { here, releaseKey, releaseOf, tinyProgram } from "../sensor/control/upgrade_fixture.ts";
import { spawnProgram } from "../aggregator/commands/harness.ts";
import { HttpLines } from "./http_lines.ts";
import { enrolAll, makeSensors } from "./made_sensors.ts";

const sensors = option("--sensors", 1_000), seconds = option("--seconds", 60);
const everyS = option("--every", 10), countersEach = option("--counters", 200);
const pagePauseMs = 500;
const folder = await Deno.makeTempDir({ prefix: "picket-bench-fleet-" });
const counters = Object.fromEntries(
  Array.from({ length: countersEach }, (_, i) => [`bench_counter_${i}_total{reason="r${i % 7}"}`, i * 1_000]),
);
const policy = { name: "bench", wanted: 1, actual: 1, problem: null, kept: [], filtered: true };
const release = releaseOf(tinyProgram(0), { version: "0.1.9" });
const upgrade = {
  target: here,
  slot: "installed",
  key: releaseKeyId(releaseKey),
  state: "idle",
  offer: null,
  version: null,
  problem: null,
  received: 0,
};
const made = makeSensors(sensors);
/** Without batches: those that a sensor claims and nobody gets are looked for, one query a sensor. */
const templateId = "sbench-template";
const template = JSON.stringify({ ...healthOf(templateId, 0), sealed: {}, counters, policy, upgrade });
const encoder = new TextEncoder();
/** `late`: how long after its time a check-in left this program. */
const times: { checkIns: number[]; pages: number[]; late: number[] } = { checkIns: [], pages: [], late: [] };
let sent = 0, lost = 0, lostPages = 0, pageBytes = 0;

try {
  await enrolAll(`sqlite:${folder}/picket.db`, made, true);
  await beginUpgrade(`sqlite:${folder}/picket.db`, Date.now());
  // As behind a proxy: one address may bring only so many connections, and here all sensors have one.
  const proxied = ["--trusted-proxies", "127.0.0.1"];
  const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0", ...proxied]);
  child.stderr.pipeTo(new WritableStream()).catch(() => {});
  const ready = child.stdout.getReader();
  try {
    const { listening, key_file } = JSON.parse(new TextDecoder().decode((await ready.read()).value));
    await run(listening, (await Deno.readTextFile(key_file)).trim(), child.pid);
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await ready.cancel();
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function beginUpgrade(url: string, nowMs: number): Promise<void> {
  const store = openStore(url, { reporter: createReporter({ component: "bench", write: () => {} }) });
  await store.start();
  const { offer: { manifest, signature }, program } = release;
  const releases = new ReleaseFolder(`${folder}/releases`), path = `${folder}/program`;
  await Deno.writeFile(path, program);
  await Deno.writeTextFile(`${path}.release`, JSON.stringify({ manifest, signature }));
  await releases.trust(releaseKey);
  await releases.add(path, nowMs);
  await store.addRollout({
    version: "0.1.9",
    canary: "percent=100",
    canary_ms: 3_600_000,
    step_percent: 25,
    step_ms: 3_600_000,
    allow_older: false,
    state: "running",
    percent: 0,
    stage_ms: nowMs,
    attempt: 1,
    reason: null,
    created_ms: nowMs,
    created_by: "bench",
  }, { name: "bench", keyId: "" });
  await store.stop();
}

async function run(url: string, key: string, pid: number): Promise<void> {
  const lines = new HttpLines(url);
  // The first round fills the fleet and is not counted.
  await round(lines, everyS);
  times.checkIns = [];
  times.late = [];
  sent = lost = 0;
  const cpuBefore = cpuMs(pid), ownBefore = cpuMs(Deno.pid), startedMs = performance.now();
  const ended = new AbortController();
  const looking = look(url, key, ended.signal);
  for (let passed = 0; passed < seconds; passed += everyS) await round(lines, everyS);
  ended.abort();
  await looking;
  lines.close();
  const passedMs = performance.now() - startedMs;
  const share = (pidOf: number, before: number) => ((cpuMs(pidOf) - before) / passedMs * 100).toFixed(1);
  say(`${sensors} sensors, a check-in every ${everyS} s, ${countersEach} counters each, ${seconds} s`);
  say(`check-ins: ${sent} sent, ${lost} lost; ${words(times.checkIns)}`);
  say(`this program sent them late: ${words(times.late)}; connections ${lines.opened}`);
  say(
    `fleet page: ${times.pages.length} asked, ${lostPages} lost; ${words(times.pages)}; ${pageBytes} octets`,
  );
  say(`CPU: aggregator ${share(pid, cpuBefore)} % of one core, this program ${share(Deno.pid, ownBefore)} %`);
}

/** Every sensor once, spread over the time. */
async function round(lines: HttpLines, overS: number): Promise<void> {
  const startedMs = performance.now(), waiting = new Set<Promise<void>>();
  for (let index = 0; index < sensors; index++) {
    const dueMs = startedMs + index * overS * 1_000 / sensors;
    const waitMs = dueMs - performance.now();
    if (waitMs > 2) await new Promise((resolve) => setTimeout(resolve, waitMs));
    times.late.push(Math.max(0, performance.now() - dueMs));
    const one = checkIn(lines, index).finally(() => waiting.delete(one));
    waiting.add(one);
  }
  await Promise.all(waiting);
  const leftMs = startedMs + overS * 1_000 - performance.now();
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
}

async function checkIn(lines: HttpLines, index: number): Promise<void> {
  const sentMs = Date.now(), { id, privateKey } = made[index];
  const json = template.replaceAll(templateId, id).replace(`"sent_ms":0,`, `"sent_ms":${sentMs},`);
  const signature = signText(checkInMessage(id, sentMs, sha256Hex(json)), privateKey);
  const head = `POST /api/v1/check-in HTTP/1.1\r\npicket-signature: ${signature}\r\n` +
    "content-type: application/json\r\n";
  sent++;
  const startedMs = performance.now();
  try {
    const { status } = await lines.ask(head, encoder.encode(json));
    if (status !== 200) lost++;
  } catch {
    lost++;
  }
  times.checkIns.push(performance.now() - startedMs);
}

async function look(url: string, key: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const startedMs = performance.now();
    try {
      const response = await fetch(`${url}/api/v1/fleet`, { headers: { authorization: `Bearer ${key}` } });
      pageBytes = (await response.bytes()).length;
      if (response.status !== 200) lostPages++;
    } catch {
      lostPages++;
    }
    times.pages.push(performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, pagePauseMs));
  }
}

function words(ms: number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

/** User and system time of a process and its threads, from ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function option(name: string, standard: number): number {
  const index = Deno.args.indexOf(name);
  return index < 0 ? standard : Number(Deno.args[index + 1]);
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
