/** Tests of how the commands start the deep lane: whether it may use what an earlier start kept. @module */

import { assertEquals } from "@std/assert";
import { startDeepLane } from "../../../sensor/run/deep_lane.ts";
import { canaryCheck } from "../../../sensor/run/probes.ts";
import type { Stages } from "../../../sensor/run/stages.ts";
import { run } from "../../e2e/world.ts";
import { skipLoudly } from "../../services/services.ts";
import { fakeEdges, fakeStages } from "../commands/fakes.ts";

/** Stages that keep what the deep lane was asked for. */
function askedStages(): { stages: Stages; asked: unknown[] } {
  const asked: unknown[] = [];
  const stages: Stages = {
    ...fakeStages(),
    deepLane: ({ cacheFolder, socketPath, keyPath }) => {
      asked.push([cacheFolder, socketPath, keyPath]);
      return Promise.reject(new Error("Cannot use tshark as this is a test"));
    },
  };
  return { stages, asked };
}

Deno.test("a command keeps what tshark says of itself in the cache folder, the doctor asks it afresh", async () => {
  const { stages, asked } = askedStages();
  const { edges } = fakeEdges({ CACHE_DIRECTORY: "/var/cache/of-a-test" });
  const options = { facts: true, requireFacts: false, tsharkPath: "tshark", dissector: "" };
  const mode = { live: true, keyPath: "/state/key" };
  assertEquals(await startDeepLane(stages, options, mode, edges), null);
  assertEquals(await startDeepLane(stages, { ...options, dissector: "/run/socket" }, mode, edges), null);
  const running = () => Promise.resolve(null);
  await canaryCheck(stages, { tsharkPath: "tshark", keyPath: "/state/key", running }, edges)();
  assertEquals(asked, [
    ["/var/cache/of-a-test", null, "/state/key"],
    ["/var/cache/of-a-test", "/run/socket", "/state/key"],
    [null, null, "/state/key"],
  ]);
});

const hasTshark = await run(["tshark", "--version"]).then(({ code }) => code === 0, () => false);

// Goal: the permissions of the tasks are enough.
// Method: a profile that is used is never written again, so its file stays the same one.
Deno.test({
  name: "replay and analyze keep the same profile and use it, with the permissions of their tasks",
  ...(hasTshark ? { ignore: false } : skipLoudly("the kept profile", "tshark is not installed")),
  fn: async () => {
    const root = new URL("../../../", import.meta.url).pathname;
    const folder = await Deno.makeTempDir({ prefix: "picket-kept-" });
    const runTask = async (side: string, name: string) => {
      const task = [Deno.execPath(), "task", "--quiet", "--config", `${root}deno.json`, side, name];
      const command = [...task, `${root}deploy/demo/office-day.pcap`];
      const { code, stdout, stderr } = await run(command, { CACHE_DIRECTORY: `${folder}/${name}` });
      assertEquals([code, stderr], [0, ""]);
      const file = `${folder}/${name}/tshark.json`;
      return { stdout, inode: (await Deno.stat(file)).ino, kept: await Deno.readTextFile(file) };
    };
    try {
      const replayed = await runTask("sensor", "replay");
      assertEquals(await runTask("sensor", "replay"), replayed);
      const analyzed = await runTask("aggregator", "analyze");
      assertEquals(await runTask("aggregator", "analyze"), analyzed);
      assertEquals(analyzed.kept, replayed.kept);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
