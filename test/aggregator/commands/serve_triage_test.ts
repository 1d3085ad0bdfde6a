/** `serve` with a model: what a real sensor ships is explained by it, and nothing of the site leaves.
 *
 * Method: the demo capture through the real programs, with a local server that speaks Gemini's wire format. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { World } from "../../e2e/world.ts";
import { startFakeGemini } from "../triage/fake_gemini.ts";
import { until } from "../../sensor/commands/machine.ts";

const demo = new URL("../../../deploy/demo/office-day.pcap", import.meta.url).pathname;

Deno.test("serve lets the model explain each threat, audits every call, and sends no address", async () => {
  const reply = {
    explanation: "A model explains this at some length, so that a person understands it.",
    severity: "info",
    suggested_action: "Look at the machine and decide.",
    confidence: 0.7,
    technique: "T1046",
    claims: [{ text: "It was measured.", evidence_ids: ["e1"] }],
  };
  const gemini = startFakeGemini([{ kind: "text", text: JSON.stringify(reply) }]);
  const world = new World({
    serveArgs: ["--gemini-base-url", gemini.url],
    env: { GEMINI_API_KEY: "test-key-of-the-model" },
  });
  await world.start();
  try {
    const state = await world.enrol("roof");
    const shipped = await world.sensor("replay", demo, "--state", state, "--ship");
    assertEquals(shipped.code, 0, shipped.stderr);
    const { rows } = await world.until("/threats", (page) =>
      page.rows.length >= 4 &&
      page.rows.every((threat: { engine: string }) => threat.engine.startsWith("gemini:")), 30);
    for (const threat of rows) {
      assert(threat.explanation.endsWith(` adds: ${reply.explanation}`), threat.explanation);
      assert(threat.explanation.startsWith(threat.rules.explanation), "the rules' words come first");
      assert(threat.severity !== "info", "a model never lowers a severity");
    }
    assert(gemini.requests.length >= 4);
    for (const { body } of gemini.requests) {
      for (const name of ["192.168.10.", "203.0.113.", "198.51.100.", "example.org"]) {
        assert(!body.includes(name), `${name} left for the model`);
      }
    }
    const about = await world.aggregator(
      "triage",
      "preview",
      rows[0].id,
      "--state",
      `${world.folder}/aggregator`,
    );
    assertEquals(about.code, 0, about.stderr);
    assert(
      gemini.requests.some(({ body }) => JSON.parse(body).contents[0].parts[0].text.includes('"HOST_1"')),
    );
    assertStringIncludes(about.stdout, "HOST_1 = ");
    const audit = `${world.folder}/aggregator/triage-audit.ndjson`;
    // A call is noted once it was answered.
    await until(async () =>
      (await Deno.readTextFile(audit)).trim().split("\n").length >= gemini.requests.length
    );
    const lines = (await Deno.readTextFile(audit)).trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.length, gemini.requests.length);
    assertEquals((await Deno.stat(audit)).mode! & 0o777, 0o600);
  } finally {
    await world.stop();
    await gemini.stop();
  }
});
