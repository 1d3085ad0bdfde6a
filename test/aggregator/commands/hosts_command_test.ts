/** The command `hosts`: words for people, JSON for programs, nothing that a packet wrote gets through to the terminal.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { hostsCommand } from "../../../aggregator/commands/hosts_command.ts";
import { TestClock } from "../api/fixture.ts";
import { sampleFlow, sampleStart, sampleThreat, sampleWrite } from "../api/samples.ts";
import { runInside, storeIn, withFolder } from "./harness.ts";

Deno.test("hosts lists what was seen and tells one host in depth, as words and as JSON", async () => {
  await withFolder(async (folder) => {
    const store = storeIn(folder);
    await store.start();
    const hostile = sampleFlow(40, {
      src_ip: "10.0.0.50",
      dst_ip: "192.0.2.81",
      facts: { tls: { sni: "\u001b[31mred.\u202eexample" } },
    });
    await store.ingest(sampleWrite([...Array.from({ length: 14 }, (_, i) => sampleFlow(i)), hostile]));
    await store.saveThreats([sampleThreat()]);
    await store.stop();
    const clock = new TestClock();
    clock.ms = (sampleStart + 3_600) * 1_000;
    const run = (...args: string[]) =>
      runInside([hostsCommand], ["hosts", ...args, "--state", folder], { clock });
    const all = await run();
    assertEquals(all.code, 0, all.stderr);
    const lines = all.stdout.trim().split("\n");
    assertEquals(lines.length, 10);
    assertStringIncludes(
      all.stdout,
      "192.0.2.80 (files.example.com), outside, network lab: 14 flows, 468,590 octets",
    );
    for (const sign of ["\u001b", "\u202e"]) assert(!all.stdout.includes(sign));
    assertStringIncludes((await run("--limit", "2")).stdout, "and more: the first 2 are listed");
    assertEquals((await run("10.0.0.8/30", "--sort", "bytes")).stdout.trim().split("\n").length, 4);
    assertEquals((await run("10.99.0.0/16")).stdout, "no host was seen");
    const served = await run("--filter", "inside = no and port = 443 and name ~ FILES");
    assertEquals(served.stdout.trim().split("\n").length, 1, served.stderr);
    assertStringIncludes(served.stdout, "192.0.2.80 (files.example.com)");
    assertEquals((await run("10.0.0.5", "--filter", "port = 1")).stdout, "no host fits");
    assertStringIncludes((await run("--filter", "colour = 1")).stderr, 'column 1: unknown column "colour"');
    const one = await run("10.0.0.5", "--network", "lab");
    for (
      const words of [
        "inside, network lab",
        ", 1 threat",
        "by s1",
        "tcp 443 (tls) at 192.0.2.80: 2 flows",
        "high: Vertical",
      ]
    ) assertStringIncludes(one.stdout, words);
    assertStringIncludes((await run("192.0.2.80")).stdout, "tcp 443 (tls): 14 flows, 7 clients");
    assertEquals(JSON.parse((await run("10.0.0.5", "--json")).stdout).threats.length, 1);
    assertEquals(JSON.parse((await run("--json", "--limit", "3")).stdout).rows.length, 3);
    assertEquals((await run("10.0.0.99")).code, 1);
    for (const wrong of [["--sort", "name"], ["nonsense"], ["10.0.0.1", "10.0.0.2"], ["--limit", "0"]]) {
      assertEquals((await run(...wrong)).code, 2, wrong.join(" "));
    }
  });
});
