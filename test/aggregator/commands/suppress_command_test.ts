/** `suppress`: on the database, from a preview to an end, in words and as JSON. @module */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { threatsCommand } from "../../../aggregator/commands/ask_command.ts";
import { suppressCommand } from "../../../aggregator/commands/suppress_command.ts";
import { threat } from "../store/rows.ts";
import { runInside, storeIn, withFolder } from "./harness.ts";
import { TestClock } from "../api/fixture.ts";

const lastSeen = 1_799_990_000;

Deno.test("suppress previews, adds, lists and ends on the database", async () => {
  await withFolder(async (folder) => {
    const store = storeIn(folder), clock = new TestClock();
    await store.start();
    await store.saveThreats([
      threat("00000000000000b1", { first_seen: lastSeen, last_seen: lastSeen, title: "Scan\u001b[2J" }),
      threat("00000000000000b2", { detector: "beacon", last_seen: lastSeen }),
    ]);
    await store.stop();
    const run = (...args: string[]) =>
      runInside([suppressCommand], ["suppress", ...args, "--state", folder], { clock });
    const where = ["--source", "10.0.0.64/29", "--detector", "port_scan_vertical", "--network", "lab"];
    const preview = (await run("preview", ...where)).stdout.split("\n");
    assertEquals(preview[0], "would have hidden 1 threat of the last 30 days");
    assertStringIncludes(preview[1], "Scan\\u{1b}[2J (port_scan_vertical)");
    assertEquals(JSON.parse((await run("preview", "--source", "10.9.0.0/16", "--json")).stdout).threats, 0);
    const added = await run("add", ...where, "--reason", "our scanner", "--expires", "1h");
    const [id, ...words] = added.stdout.split("  ");
    assertMatch(id, /^[0-9a-f]{16}$/);
    assertEquals(words, [
      "network = lab and src_ip = 10.0.0.64/29 and detector = port_scan_vertical",
      "our scanner",
      "made 2027-01-15T08:00Z by command",
      "expires 2027-01-15T09:00Z",
      "1 hidden",
    ]);
    assertEquals((await run("list")).stdout, added.stdout);
    const threats = async (...args: string[]) =>
      JSON.parse(
        (await runInside([threatsCommand], ["threats", "--json", ...args, "--state", folder], { clock }))
          .stdout,
      )
        .rows.map((row: { id: string }) => row.id);
    assertEquals(await threats(), ["00000000000000b2"]);
    assertEquals(await threats("--suppressed"), ["00000000000000b2", "00000000000000b1"]);
    assertEquals((await run("end", id)).stdout, `ended ${id}`);
    assertEquals((await run()).stdout, "");
    assertStringIncludes((await run("list", "--all")).stdout, "ended 2027-01-15T08:00Z  1 hidden");
  });
});

Deno.test("suppress refuses what hides everything, a wrong port, no reason and an end out of bounds", async () => {
  await withFolder(async (folder) => {
    const run = (...args: string[]) => runInside([suppressCommand], ["suppress", ...args, "--state", folder]);
    for (
      const [args, words] of [
        [["add", "--reason", "r"], "everything is hidden"],
        [["add", "--source", "::/0", "--reason", "r"], "every address"],
        [["add", "--port", "ssh", "--reason", "r"], "dst_port"],
        [["add", "--port", "22"], "reason"],
        [["add", "--port", "22", "--reason", "r", "--expires", "59m"], "a span from 1h to 365d"],
        [["add", "--port", "22", "--reason", "r", "--expires", "366d"], "a span from 1h to 365d"],
        [["end", "nonsense"], "no suppression"],
        [["begin"], "list, add, preview, end"],
      ] as const
    ) {
      const { code, stderr } = await run(...args);
      assertEquals(code === 0, false, args.join(" "));
      assertStringIncludes(stderr, words);
    }
  });
});
