/** A tshark that is stopped while the sensor runs as people run it: at most five seconds of facts are lost, that is
 * said, and every count is that of an undisturbed run.
 *
 * Method: the programs themselves with their own time-outs; a capture in which every packet is a flow that only tshark
 * can read, paced by its own clock, so that the flows without facts show for how long facts were lost. @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { dhcpAddress, dhcpCapture } from "../golden/dhcp_capture.ts";
import { Wire } from "../bench/wire.ts";
import { skipLoudly } from "../services/services.ts";
import { missingForWire } from "./live_needs.ts";
import { fromSource, run, World } from "./world.ts";

const packets = 2_700;
const packetsPerSecond = 300;
const gapUs = Math.round(1e6 / packetsPerSecond);
const lostSecondsMax = 5;

const reason = await missingForWire();
const { ignore } = reason ? skipLoudly("a stopped tshark of a live sensor", reason) : { ignore: false };

interface Row {
  src_ip: string;
  start: number;
  facts: { dhcp?: unknown } | null;
  fwd_packets: number;
  fwd_bytes: number;
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-trouble-" });
  try {
    await Deno.writeFile(`${folder}/dhcp.pcap`, dhcpCapture(packets, gapUs));
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function rowsOf(stdout: string): { rows: Row[]; capture: { packets: number; in_flows: number } } {
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  return { capture: lines.pop().capture, rows: lines };
}

const counts = (rows: Row[]) =>
  rows.map(({ src_ip, start, fwd_packets, fwd_bytes }) => `${src_ip} ${start} ${fwd_packets} ${fwd_bytes}`)
    .sort();

/** The process that dissects among the descendants of `pid`. */
async function dissectorOf(pid: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    for await (const { name } of Deno.readDir("/proc")) {
      const command = /^\d+$/.test(name)
        ? await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "")
        : "";
      const status = command.includes("-r\0-\0")
        ? await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "")
        : "";
      const found = /^\d+ \(tshark\) . (\d+) /.exec(status);
      if (found && Number(found[1]) === pid) return Number(name);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`The sensor ${pid} has no tshark that reads packets`);
}

/** Replays in the capture's own time, with trouble on the way;
 * then the same without, at full speed and without tshark. */
async function pacedReplay(folder: string, trouble: (pid: number) => Promise<void>) {
  const file = `${folder}/dhcp.pcap`;
  const [program, ...first] = fromSource.sensor;
  const child = new Deno.Command(program, {
    args: [...first, "replay", file, "--speed", "1", "--flows"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [output] = await Promise.all([child.output(), trouble(child.pid)]);
  const text = (octets: Uint8Array) => new TextDecoder().decode(octets);
  assertEquals(output.code, 0, text(output.stderr));
  const disturbed = rowsOf(text(output.stdout));
  const undisturbed = rowsOf(
    (await run([...fromSource.sensor, "replay", file, "--flows", "--no-facts"])).stdout,
  );
  assertEquals(disturbed.capture, undisturbed.capture);
  assertEquals(counts(disturbed.rows), counts(undisturbed.rows));
  assertEquals(disturbed.rows.length, packets);
  return { rows: disturbed.rows, log: text(output.stderr) };
}

/** Facts were lost, for no longer than they may be, and their number was said. Returns the words about why. */
function checkLoss(starts: number[], log: string): string {
  assert(starts.length > 0, "no fact was lost");
  const seconds = Math.max(...starts) - Math.min(...starts);
  assert(seconds <= lostSecondsMax, `facts of ${seconds} s are lost`);
  const said = [
    ...log.matchAll(/the dissector ended, facts of these packets are lost packets=(\d+) reason=(.*)/g),
  ];
  assertEquals(said.length, 1, log);
  // Until the next one runs, packets are refused:
  // a replay counts them, but only a sensor of a fleet has somebody to tell.
  const refused = starts.length - Number(said[0][1]);
  assert(refused >= 0 && refused <= packetsPerSecond, `${refused} more than were said`);
  return said[0][2];
}

/** Of a flow that nobody read, the first octets stand as a fact all the same. */
const startsOf = (rows: Row[]) => rows.filter(({ facts }) => !facts?.dhcp).map(({ start }) => start);

Deno.test("a paced replay whose tshark is stopped loses facts for five seconds at most, says so, and counts everything", async () => {
  await inFolder(async (folder) => {
    const { rows, log } = await pacedReplay(folder, async (pid) => {
      const dissector = await dissectorOf(pid);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      Deno.kill(dissector, "SIGSTOP");
    });
    assertMatch(checkLoss(startsOf(rows), log), /no answer for \d+ ms/);
  });
});

Deno.test({
  name:
    "a live sensor whose tshark is stopped loses facts for five seconds at most, tells the fleet, and counts everything",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const world = new World(), wire = new Wire();
      try {
        await wire.start();
        await world.start();
        const state = await world.enrol("stopped-tshark");
        const filter = ["--filter", "udp port 67", "--check-in-s", "1"];
        const sensor = world.spawnSensor("run", "--interface", wire.near, "--state", state, ...filter);
        await world.until("/fleet", (fleet) => JSON.stringify(fleet).includes('"capturing"'), 30);
        const dissector = await dissectorOf(sensor.pid);
        const sending = wire.send(`${folder}/dhcp.pcap`, packetsPerSecond, null);
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        Deno.kill(dissector, "SIGSTOP");
        const { packets: sent } = await sending;
        assertEquals(sent, packets);
        await new Promise((resolve) => setTimeout(resolve, 500));
        sensor.kill("SIGTERM");
        assertEquals((await sensor.status).code, 0);
        const rows: Row[] = [];
        for (let cursor = ""; rows.length < sent;) {
          const page = await world.get(`/flows?limit=1000${cursor}`);
          rows.push(...page.rows);
          if (page.next_cursor === null) break;
          cursor = `&cursor=${page.next_cursor}`;
        }
        assertEquals(
          new Set(rows.map(({ src_ip }) => src_ip)),
          new Set(Array.from({ length: sent }, (_, i) => dhcpAddress(i))),
        );
        assertEquals([rows.length, (await world.get("/stats/totals")).packets], [sent, sent]);
        const starts = startsOf(rows);
        const { sensors: [{ sensor_id }] } = await world.get("/fleet");
        const health = await world.get(`/sensors/${sensor_id}`);
        const { facts, counters } = health.check_in;
        const refused = counters['facts_refused_total{reason="no_child"}'] ?? 0;
        const givenUp = counters['facts_given_up_total{reason="killed"}'];
        assertEquals([refused + givenUp, facts.refused, facts.restarts], [starts.length, starts.length, 1]);
        assertEquals(facts.offered - facts.answered, givenUp);
        assert(
          health.reasons.some((text: string) => text.includes(`${starts.length} packets`)),
          health.reasons,
        );
        const seconds = Math.max(...starts) - Math.min(...starts);
        assert(starts.length > 0 && seconds <= lostSecondsMax, `facts of ${seconds} s are lost`);
      } finally {
        await world.stop();
        await wire.stop();
      }
    }),
});
