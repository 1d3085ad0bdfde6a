/** Live capture: packets sent over a veth pair between two network namespaces come out as flows in the API.
 *
 * Method: a sensor runs `dumpcap` on one end while `tcpreplay` sends the demo capture into the other; the sensor reaches the
 * aggregator on loopback, which it shares. Needs root for `ip netns`; skipped loudly otherwise. @module */

import { assert, assertEquals } from "@std/assert";
import { skipLoudly } from "../services/services.ts";
import { demoCapture as capture } from "./scenarios.ts";
import { run, World } from "./world.ts";

async function missing(): Promise<string | null> {
  for (const tool of ["ip", "tcpreplay", "dumpcap"]) {
    const found = await run(["sh", "-c", `command -v ${tool}`]);
    if (found.code !== 0) return `"${tool}" is not installed`;
  }
  const made = await run(["ip", "netns", "add", "picket-probe"]);
  if (made.code !== 0) return `cannot make a network namespace: ${made.stderr.trim()}`;
  await run(["ip", "netns", "delete", "picket-probe"]);
  return null;
}

const reason = await missing();
const { ignore } = reason ? skipLoudly("live capture", reason) : { ignore: false };

Deno.test({
  name: "packets sent over a veth pair come out as flows in the API",
  ignore,
  fn: async () => {
    const id = crypto.randomUUID().slice(0, 6);
    const [space, near, far] = [`picket-${id}`, `pk${id}a`, `pk${id}b`];
    const world = new World();
    try {
      for (
        const command of [
          ["ip", "netns", "add", space],
          ["ip", "link", "add", near, "type", "veth", "peer", "name", far],
          ["ip", "link", "set", far, "netns", space],
          ["ip", "link", "set", near, "up"],
          ["ip", "-n", space, "link", "set", far, "up"],
        ]
      ) assertEquals((await run(command)).code, 0, command.join(" "));
      await world.start();
      const state = await world.enrol("wire");
      const sensor = world.spawnSensor("run", "--interface", near, "--state", state);
      await world.until("/fleet", (fleet) => JSON.stringify(fleet).includes('"capturing"'), 30);
      const sent = await run([
        "ip",
        "netns",
        "exec",
        space,
        "tcpreplay",
        "--pps",
        "5000",
        "-i",
        far,
        capture,
      ]);
      assertEquals(sent.code, 0, sent.stderr);
      const { rows } = await world.until("/flows?limit=1000", (body) => body.rows.length >= 100, 30);
      assert(rows.some((flow: { protocol: string }) => flow.protocol === "tcp"));
      sensor.kill("SIGTERM");
      assertEquals((await sensor.status).code, 0);
      const totals = await world.get("/stats/totals");
      const expected = await world.sensor("replay", capture, "--no-facts");
      const { capture: summary } = JSON.parse(expected.stdout.trim().split("\n").at(-1)!);
      assert(totals.packets >= summary.in_flows, `${totals.packets} of ${summary.in_flows} packets arrived`);
    } finally {
      await world.stop();
      await run(["ip", "netns", "delete", space]);
      await run(["ip", "link", "delete", near]);
    }
  },
});
