/** `serve` with a sensor that replays a capture, watched while it goes:
 * every stored flow comes, and the program ends at once. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { runProgram, spawnProgram, withFolder } from "./harness.ts";

const demo = new URL("../../../deploy/demo/office-day.pcap", import.meta.url).pathname;
const sensor = new URL("../../../sensor/main.ts", import.meta.url).pathname;

async function runSensor(args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", sensor, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
}

/** Ids of the rows of a stream, and how many it says are missing, until it is cancelled. */
function follow(
  response: Response,
  name: string,
): { ids: Set<string>; missed: () => number; ended: Promise<void> } {
  const ids = new Set<string>();
  let missed = 0;
  const read = async () => {
    let event = "";
    const lines = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      if (line.startsWith("event: ")) event = line.slice(7);
      if (!line.startsWith("data: ")) continue;
      const data = JSON.parse(line.slice(6));
      if (event === name) ids.add(data.flow_id ?? data.id);
      if (event === "missed") missed += data.rows;
    }
  };
  return { ids, missed: () => missed, ended: read().catch(() => undefined) };
}

Deno.test("serve shows flows and threats live within a second or two, and ends at once though they are watched", () =>
  withFolder(async (folder) => {
    const child = spawnProgram(["serve", "--state", folder, "--listen", "127.0.0.1:0"]);
    const errors = new Response(child.stderr).text();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
    const ready = JSON.parse((await lines.read()).value!);
    const headers = { authorization: `Bearer ${(await Deno.readTextFile(ready.key_file)).trim()}` };
    const ask = (path: string) => fetch(`${ready.listening}/api/v1/${path}`, { headers });
    const flows = follow(await ask("live?of=flows"), "flow");
    const threats = follow(
      await ask(`live?of=threats&filter=${encodeURIComponent("severity >= medium")}`),
      "threat",
    );
    const token = JSON.parse((await runProgram(["token", "--state", folder, "--json"])).stdout).token;
    const state = ["--state", `${folder}/sensor`];
    await runSensor(["enrol", "--aggregator", ready.listening, "--token", token, "--name", "roof", ...state]);
    await runSensor(["replay", demo, "--ship", ...state]);
    const { flows: stored } = await (await ask("stats/totals")).json();
    const { rows } = await (await ask("threats?severity_min=medium&limit=1000")).json();
    assert(stored > 100 && rows.length > 0);
    for (let i = 0; i < 100; i++) {
      if (flows.ids.size + flows.missed() >= stored && threats.ids.size >= rows.length) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert(
      flows.ids.size >= 250 && flows.ids.size + flows.missed() >= stored,
      `${flows.ids.size} of ${stored}`,
    );
    for (const { id } of rows) assert(threats.ids.has(id), id);
    const started = performance.now();
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    assert(performance.now() - started < 6_000, "it waited for those who watch");
    await Promise.all([flows.ended, threats.ended]);
    assertStringIncludes(await errors, "admin API key written");
    await lines.cancel();
  }));
