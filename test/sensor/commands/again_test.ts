/** Tests of shipping a capture twice: it is recognised however it comes, and shipped again only when that is asked for.
 * @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { captureBytes } from "./fakes.ts";
import { type Machine, machineTest, until } from "./machine.ts";

function ship(machine: Machine, path: string, ...more: string[]) {
  return machine.call("replay", path, "--ship", "--no-facts", ...more);
}

machineTest(
  "a capture that is shipped again is refused, as a copy, as a pipe, and grown since",
  async (machine) => {
    const { aggregator, folder } = machine;
    await machine.enrol();
    const path = machine.capture(300);
    assertEquals((await ship(machine, path)).code, 0);
    const copy = `${folder}/copy.pcap`;
    Deno.copyFileSync(path, copy);
    const grown = `${folder}/grown.pcap`;
    Deno.writeFileSync(grown, captureBytes(400));
    const pipe = `${folder}/pipe`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const writing = new Deno.Command("sh", { args: ["-c", `cat '${path}' > '${pipe}'`] }).output();
    for (const again of [path, copy, pipe, grown]) {
      const { code, err } = await ship(machine, again);
      assertEquals(code, 1, again);
      assertStringIncludes(err, "was shipped on");
      assertStringIncludes(err, path);
    }
    await writing;
    assertEquals(aggregator.flows, 300);
    // The folder is free again, and what was asked for is done.
    assertEquals((await ship(machine, copy, "--again")).code, 0);
    assertEquals(aggregator.flows, 600);
  },
);

machineTest(
  "a capture that waits in the spool is not read again, and what waits is shipped",
  async (machine) => {
    const { aggregator } = machine;
    await machine.enrol();
    await aggregator.stop();
    const path = machine.capture(20);
    assertEquals((await ship(machine, path, "--timeout-ms", "100")).code, 3);
    const waiting = machine.spooled().length;
    aggregator.start();
    const { code, err } = await ship(machine, path);
    assertEquals([code, aggregator.flows], [1, 20]);
    assertStringIncludes(err, `of ${waiting} batches that waited in the spool, 0 are left`);
  },
);

machineTest(
  "a capture of which only a part was shipped is shipped, with a warning; an empty one always",
  async (machine) => {
    const { aggregator } = machine;
    await machine.enrol();
    const path = machine.capture(300);
    const { ended, stop, complaints } = machine.begin("replay", path, "--ship", "--no-facts", "--speed", "1");
    await until(() => aggregator.checkIns.length > 0);
    stop();
    await ended;
    assertEquals(complaints, []);
    const { code, log } = await ship(machine, path);
    assertEquals(code, 0);
    assertStringIncludes(log, "a part of this capture was shipped before");
    assertEquals((await ship(machine, path)).code, 1);
    const empty = machine.capture(0);
    for (const _ of [1, 2]) assertEquals((await ship(machine, empty)).code, 0);
  },
);

machineTest(
  "other captures are shipped, even one that differs in a single stamp, or after the list was damaged",
  async (machine) => {
    const { aggregator, folder } = machine;
    await machine.enrol();
    const bytes = captureBytes(20);
    const path = `${folder}/one.pcap`;
    Deno.writeFileSync(path, bytes);
    assertEquals((await ship(machine, path)).code, 0);
    new DataView(bytes.buffer).setUint32(24 + 10 * 76 + 4, 1, true);
    Deno.writeFileSync(path, bytes);
    assertEquals((await ship(machine, path)).code, 0);
    assertEquals((await ship(machine, path)).code, 1);
    Deno.writeTextFileSync(`${machine.state}/shipped.json`, "[{");
    assertEquals((await ship(machine, path)).code, 0);
    assertEquals(aggregator.flows, 60);
  },
);

machineTest("replay --ship shows how far it is until the last acknowledgement", async (machine) => {
  const { aggregator } = machine;
  await machine.enrol();
  const shown: string[] = [];
  const busy = () => Response.json({ code: "busy" }, { status: 503, headers: { "retry-after": "1" } });
  aggregator.batchAnswer = busy;
  setTimeout(() => aggregator.batchAnswer = null, 500);
  const { ended } = machine.beginWith(
    (text) => shown.push(text),
    "replay",
    machine.capture(40),
    "--ship",
    "--no-facts",
  );
  assertEquals(await ended, 0);
  assert(shown.some((text) => text.startsWith("ship [")), shown.join("|"));
  assertEquals(shown.at(-1), "");
});
