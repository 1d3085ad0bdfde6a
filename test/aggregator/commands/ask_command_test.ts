/** `flows` and `threats` by a filter: on the database, what they print, and what they say about a wrong filter.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { flowsCommand, threatsCommand } from "../../../aggregator/commands/ask_command.ts";
import { sampleFlow, sampleThreat, sampleWrite } from "../api/samples.ts";
import { runInside, storeIn, withFolder } from "./harness.ts";

Deno.test("flows and threats are listed by a filter, escaped, and a wrong filter is pointed at", async () => {
  await withFolder(async (folder) => {
    const store = storeIn(folder);
    await store.start();
    const hostile = {
      facts: { tls: { sni: "evil\u001b[31m.example" } },
      src_ip: "2001:db8::7",
      dst_port: 22,
    };
    await store.ingest(sampleWrite([sampleFlow(0), sampleFlow(1, hostile), sampleFlow(2)]));
    await store.saveThreats([
      sampleThreat(),
      sampleThreat({ id: "00112233445566ab", identity: "x", severity: "low" }),
    ]);
    await store.stop();
    const run = (...args: string[]) =>
      runInside([flowsCommand, threatsCommand], [...args, "--state", folder]);
    const found = await run("flows", "--filter", "src_ip in 2001:db8::/32 and dst_port = 22");
    assertEquals([found.code, found.stdout.split("\n").length], [0, 1], found.stderr);
    assertStringIncludes(
      found.stdout,
      "2027-01-15T07:26:51.000Z  tcp  [2001:db8::7]:40001 -> 192.0.2.80:22  tls",
    );
    assert(!found.stdout.includes("\u001b"));
    assertStringIncludes(found.stderr, "only the 24 hours up to the newest packet were searched");
    const all = await run("flows", "--rows", "2", "--json");
    assertEquals([JSON.parse(all.stdout).rows.length, JSON.parse(all.stdout).assumed], [2, undefined]);
    assertStringIncludes(all.stderr, "there are more than these 2");
    const threats = await run("threats", "--filter", "severity >= high");
    assertStringIncludes(threats.stdout, "HIGH  Vertical port scan");
    assert(!threats.stdout.includes("LOW"));
    const wrong = await run("threats", "--filter", "severity >= high and colour = red");
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, 'column 22: unknown column "colour"');
  });
});
