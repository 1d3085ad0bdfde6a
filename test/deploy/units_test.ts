/** The systemd units stay hardened: their exposure score is gated as systemd 252 (Debian 12, Pi OS) computes it.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findProgram } from "../services/guarded_child.ts";
import { skipLoudly } from "../services/services.ts";

const deploy = new URL("../../deploy/", import.meta.url).pathname;
const scoreTenthsMax = {
  "picket-sensor.service": 16,
  "picket-aggregator.service": 10,
  "picket-dissector@.service": 4,
} as const;
const missing = await findProgram("systemd-analyze")
  ? { ignore: false }
  : skipLoudly("score of the systemd units", "systemd-analyze is not installed (apt: systemd)");

for (const [unit, tenthsMax] of Object.entries(scoreTenthsMax)) {
  Deno.test({
    name: `unit ${unit} scores at most ${tenthsMax / 10}`,
    ignore: missing.ignore,
    fn: async () => {
      const text = await Deno.readTextFile(deploy + unit);
      const { code, output } = await scoreOf(text, unit, tenthsMax);
      assertEquals(code, 0, output);
      // The gate can fail: without one line of its hardening the same unit is over the limit.
      const weaker = await scoreOf(text.replace(/^CapabilityBoundingSet=.*$/m, ""), unit, tenthsMax);
      assert(weaker.code !== 0, weaker.output);
    },
  });
}

Deno.test("units name the commands, folders and restart the documentation promises", async () => {
  const sensor = await Deno.readTextFile(`${deploy}picket-sensor.service`);
  assertStringIncludes(sensor, "ExecStart=/usr/local/lib/picket/start-sensor run\n");
  assertStringIncludes(sensor, "StateDirectory=picket-sensor\n");
  assertStringIncludes(sensor, "CacheDirectory=picket-sensor\n");
  // dumpcap is asked to end by the sensor, so that what it has is still read; then all are killed.
  assertStringIncludes(sensor, "KillMode=mixed\n");
  assertStringIncludes(sensor, "AmbientCapabilities=CAP_NET_RAW\n");
  const aggregator = await Deno.readTextFile(`${deploy}picket-aggregator.service`);
  assertStringIncludes(aggregator, "ExecStart=/usr/local/bin/picket-aggregator serve\n");
  assertStringIncludes(aggregator, "StateDirectory=picket-aggregator\n");
  assertStringIncludes(aggregator, "EnvironmentFile=-/etc/picket/aggregator.env\n");
  for (const text of [sensor, aggregator]) {
    assertStringIncludes(text, "Restart=always\n");
    assertStringIncludes(text, "OOMPolicy=continue\n");
  }
});

async function scoreOf(
  text: string,
  unit: string,
  tenthsMax: number,
): Promise<{ code: number; output: string }> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/${unit}`, text);
    const { code, stdout, stderr } = await new Deno.Command((await findProgram("systemd-analyze"))!, {
      args: ["security", "--offline=true", `--threshold=${tenthsMax}`, "--no-pager", `${folder}/${unit}`],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
