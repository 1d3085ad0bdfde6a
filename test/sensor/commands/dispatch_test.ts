/** Tests of the command line: help, version, wrong options, configuration files, exit codes. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Command } from "../../../shared/command.ts";
import { configCommand } from "../../../sensor/commands/config_command.ts";
import { dispatch } from "../../../shared/dispatch.ts";
import { doctorCommand } from "../../../sensor/commands/doctor_command.ts";
import { enrolCommand } from "../../../sensor/commands/enrol_command.ts";
import { interfacesCommand } from "../../../sensor/commands/interfaces_command.ts";
import { replayCommand } from "../../../sensor/commands/replay_command.ts";
import { runCommand } from "../../../sensor/commands/run_command.ts";
import { statusCommand } from "../../../sensor/commands/status_command.ts";
import { realDisk } from "../../../sensor/disk.ts";
import { version } from "../../../shared/version.ts";
import { fakeEdges, fakeStages, programOf } from "./fakes.ts";

const stages = fakeStages();
const commands: Command[] = [
  enrolCommand({ disk: realDisk, hostname: () => "testhost" }),
  runCommand(stages),
  replayCommand(stages),
  doctorCommand(stages),
  interfacesCommand(stages),
  statusCommand({ disk: realDisk }),
  configCommand(),
];

async function call(args: string[], env: Record<string, string> = {}) {
  const { edges, printed, complaints } = fakeEdges(env);
  const code = await dispatch(args, programOf(commands), edges);
  return { code, out: printed.join("\n"), err: complaints.join("\n") };
}

Deno.test("dispatch prints version and help, and a summary of every command", async () => {
  assertEquals(await call(["--version"]), { code: 0, out: `picket-sensor ${version}`, err: "" });
  const help = await call(["--help"]);
  assertEquals(help.code, 0);
  for (const { name, summary } of commands) {
    assertStringIncludes(help.out, name);
    assertStringIncludes(help.out, summary);
  }
  assertEquals((await call([])).code, 2);
});

Deno.test("dispatch shows usage, options, examples and exit codes of each command", async () => {
  for (const { name, options } of commands) {
    for (const args of [[name, "--help"], ["help", name]]) {
      const { code, out } = await call(args);
      assertEquals(code, 0);
      assertStringIncludes(out, `Usage: picket-sensor ${name}`);
      assertStringIncludes(out, "Examples:\n  picket-sensor " + name);
      assertStringIncludes(out, "Exit codes:");
      if ("state" in options) assertStringIncludes(out, "--state DIR");
    }
  }
});

Deno.test("dispatch refuses an unknown command and option with exit code 2, all problems at once", async () => {
  const unknown = await call(["captur"]);
  assertEquals([unknown.code, unknown.out], [2, ""]);
  assertStringIncludes(unknown.err, 'Unknown command "captur"');
  const { code, err } = await call(["run", "--spool-mb", "lots", "--snapln", "5", "--transport", "pigeon"]);
  assertEquals(code, 2);
  assertStringIncludes(err, 'Cannot use "spoolMb" as it must be a number: current value is "lots"');
  assertStringIncludes(err, 'Unknown option "--snapln": did you mean "--snaplen"?');
  assertStringIncludes(err, 'Cannot use "transport" as it must be one of auto, http, kafka');
  const secret = await call(["run", "--kafka-password", "hunter2"]);
  assertEquals(secret.code, 2);
  assertStringIncludes(secret.err, "PICKET_KAFKA_PASSWORD");
  assert(!secret.err.includes("hunter2"));
});

Deno.test("dispatch takes one configuration file for all commands, and refuses unknown keys and secrets in it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/sensor.json`;
  try {
    Deno.writeTextFileSync(
      path,
      JSON.stringify({ interface: ["eth7"], spoolMb: 9, tsharkPath: "/opt/tshark" }),
    );
    const good = await call(["config", "--config", path, "--spool-mb=11"], { PICKET_SNAPLEN: "200" });
    assertEquals(good.code, 0);
    const dumped = JSON.parse(good.out);
    assertEquals([dumped.interface, dumped.spoolMb, dumped.snaplen], [["eth7"], 11, 200]);
    assert(!("kafkaPassword" in dumped));
    // What is printed can be given back.
    Deno.writeTextFileSync(path, good.out);
    assertEquals((await call(["config", "--config", path])).out, good.out);
    // A key of another command does not disturb this one.
    assertEquals((await call(["interfaces", "--config", path])).code, 0);
    Deno.writeTextFileSync(path, JSON.stringify({ spoolMB: 9, colour: "red", kafkaPassword: "hunter2" }));
    const bad = await call(["interfaces", "--config", path]);
    assertEquals(bad.code, 2);
    assertStringIncludes(bad.err, 'Unknown configuration key "spoolMB"');
    assertStringIncludes(bad.err, 'Unknown configuration key "colour"');
    assertStringIncludes(bad.err, 'Cannot take "kafkaPassword" from a configuration file');
    Deno.writeTextFileSync(path, "{");
    assertStringIncludes((await call(["config", "--config", path])).err, "as JSON");
    const missing = await call(["config", "--config", `${folder}/none.json`]);
    assertEquals(missing.code, 2);
    assertStringIncludes(missing.err, "Cannot read configuration");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("interfaces lists what can be captured", async () => {
  const { code, out } = await call(["interfaces"]);
  assertEquals(code, 0);
  assertStringIncludes(out, "fake0  up  192.0.2.9");
  assertEquals(JSON.parse((await call(["interfaces", "--json"])).out)[0].name, "lo");
});

Deno.test("status says that nothing is enrolled", async () => {
  const folder = await Deno.makeTempDir();
  const { code, out } = await call(["status", "--state", folder]);
  await Deno.remove(folder, { recursive: true });
  assertEquals(code, 3);
  assertStringIncludes(out, "not enrolled");
});
