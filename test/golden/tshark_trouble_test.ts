/** A tshark that is killed, stopped or hogs memory in the middle of a replay: not one packet of the counts is lost, and
 * the facts that are lost are few and said.
 *
 * Method: one flow for each of thousands of DHCP packets, so that every fact lost is one segment without facts; the
 * trouble begins when the first answers are there. Where a silence is to end the child it is shorter than in life;
 * ../e2e/dissector_trouble_test.ts has it as it is.
 * @module */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LaneOptions } from "../../sensor/dissect/lane_options.ts";
import { Tshark } from "../../sensor/dissect/child/tshark.ts";
import { systemClock } from "../../shared/clock.ts";
import { counted } from "../sensor/ship/helpers.ts";
import { dhcpCapture } from "./dhcp_capture.ts";
import { WholeSensor } from "./whole_sensor.ts";

const flows = 6_000;
const silenceMs = 500;
const waitingPacketsMax = 1_000;
/** What a restart costs beside the silence that is allowed: tshark's own start, on a busy machine. */
const restartMsMax = 15_000;

async function replay(
  program: Tshark,
  lane: Partial<LaneOptions>,
  trouble: (sensor: WholeSensor) => void,
): Promise<{ sensor: WholeSensor; lost: number; elapsedMs: number }> {
  await program.prepare();
  const sensor = new WholeSensor({ program, lane: { waitingPacketsMax, ...lane } });
  await sensor.start();
  const startMs = systemClock.monotonicMs();
  let isDone = false;
  const file = dhcpCapture(flows, 1_000);
  const watching = (async () => {
    while (sensor.lane.health.answered === 0) await systemClock.sleep(1);
    trouble(sensor);
    isDone = true;
  })();
  await sensor.read(file, 16_384);
  await sensor.close();
  await watching;
  assert(isDone);
  const { given_up, refused } = sensor.lane.health;
  return { sensor, lost: given_up + refused, elapsedMs: systemClock.monotonicMs() - startMs };
}

/** Counts whole; facts lost = packets given up or refused, no more than may wait; said once, counted by number. */
function check({ sensor, lost, elapsedMs }: Awaited<ReturnType<typeof replay>>, what: string): void {
  sensor.assertAccount(what);
  assertEquals([sensor.packetsShipped, sensor.rowsShipped], [flows, flows], what);
  assertEquals(sensor.factsShipped, flows - lost, what);
  assert(lost > 0 && lost <= waitingPacketsMax + 100, `${what}: ${lost} facts lost`);
  const { given_up } = sensor.lane.health;
  assertEquals(counted(sensor.reporter, "facts_given_up_total"), given_up, what);
  assertEquals(counted(sensor.reporter, "dissector_starts_total", "restart"), 1, what);
  assertMatch(sensor.lines.join("\n"), /the dissector ended, facts of these packets are lost packets=\d+/);
  assert(sensor.children.size >= 2, what);
  assert(elapsedMs < silenceMs + restartMsMax, `${what}: ${elapsedMs} ms`);
}

for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
  Deno.test(`a replay whose tshark gets ${signal} counts every packet and says which facts it lost`, async () => {
    const result = await replay(
      new Tshark(),
      { silenceMs },
      ({ lane }) => Deno.kill(lane.health.children[0], signal),
    );
    check(result, signal);
  });
}

/** Stands where tshark is expected.
 * The first that reads packets answers some, then eats memory for as long as it may. */
const hog = `#!/bin/sh
case "$*" in *"-r -"*) mkdir "$0.eaten" 2>/dev/null || exec tshark "$@" ;; *) exec tshark "$@" ;; esac
head -c 200000 | tshark "$@" 2>/dev/null
exec awk 'BEGIN { for (s = "x"; ; s = s s) ; }'
`;

Deno.test("a replay whose tshark grows to its memory limit is rid of it by that limit, and counts every packet", async () => {
  const folder = await Deno.makeTempDir({ prefix: "picket-hog-" });
  try {
    // The child runs as nobody where it can; the mark that it has eaten must be possible to leave.
    await Deno.chmod(folder, 0o777);
    await Deno.writeTextFile(`${folder}/tshark-hog`, hog, { mode: 0o755 });
    const program = new Tshark({ tsharkPath: `${folder}/tshark-hog`, memoryBytesMax: 1_000_000_000 });
    // It says nothing either; on a busy machine the three seconds allowed for that could be over first.
    const result = await replay(program, { silenceMs: 60_000 }, () => {});
    check(result, "memory");
    assertMatch(result.sensor.lines.join("\n"), /reason="?exit status \d+: .*annot allocate/);
    assertEquals((await Deno.stat(`${folder}/tshark-hog.eaten`)).isDirectory, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
