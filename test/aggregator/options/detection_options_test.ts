/** `--intelligence`: a folder of lists becomes findings of a capture, is read again while it is used,
 * and is refused aloud.
 *
 * The bundled capture calls 198.51.100.23 every minute, after a question for sync.example.net. @module */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Analysis, analyzeFile, renderAnalysis } from "../../../aggregator/analyze.ts";
import { chooseDetectors, type detectionOptions } from "../../../aggregator/options/detection_options.ts";
import { CommandError, exitCodes } from "../../../shared/command.ts";
import type { Options } from "../../../shared/options.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { TestClock } from "../api/fixture.ts";
import { run, update } from "../detect/updates.ts";

const demo = new URL("../../../deploy/demo/office-day.pcap", import.meta.url).pathname;
const defaults: Options<typeof detectionOptions> = {
  detectors: "",
  limit: [],
  detectorOff: [],
  intelligence: "",
};

async function inFolder(
  files: Record<string, string>,
  body: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "picket-lists-" });
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function edgesOf() {
  const lines: string[] = [], clock = new TestClock();
  const reporter = createReporter({ component: "test", write: (line) => lines.push(line), clock });
  const randomBytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  return {
    clock,
    reporter,
    randomBytes,
    lines,
    counted: (name: string) => reporter.snapshot().get(name) ?? 0,
  };
}

async function analyze(intelligence: string): Promise<Analysis> {
  const edges = edgesOf();
  const detectors = await chooseDetectors({ ...defaults, intelligence }, edges);
  return analyzeFile(demo, { reporter: edges.reporter, detectors });
}

const byLists = ({ threats }: Analysis) =>
  threats.filter(({ detector }) => detector === "intelligence")
    .map(({ severity, src_ip, evidence }) => [severity, src_ip, evidence[0].value, evidence[2].value]);

Deno.test("analyze finds the address and the name that a list names, and nothing by a list of others", async () => {
  await inFolder(
    { "c2.txt": "198.51.100.23 # Bot\n", "names.csv": "domain,malware\nsync.example.net,Bot" },
    async (folder) => {
      assertEquals(byLists(await analyze(folder)).sort(), [
        ["high", "192.168.10.14", "198.51.100.23", "c2.txt"],
        ["high", "192.168.10.14", "sync.example.net", "names.csv"],
      ]);
    },
  );
  await inFolder(
    { "c2.txt": "198.51.100.200\n", "names.csv": "domain,malware\nexample.edu,Bot" },
    async (folder) => {
      const analysis = await analyze(folder);
      assertEquals([byLists(analysis), analysis.threats.length], [[], 4]);
      assert(!analysis.not_evaluable.some(({ detector }) => detector === "intelligence"));
    },
  );
  const analysis = await analyze("");
  assertEquals([byLists(analysis), analysis.threats.length], [[], 4]);
  assertStringIncludes(renderAnalysis(analysis), "intelligence (needs intelligence lists)");
});

Deno.test("a list that is refused is reported and counted, and the others are in force", () =>
  inFolder({ "bad.json": "{", "empty.txt": "", "good.txt": "198.51.100.23" }, async (folder) => {
    const edges = edgesOf();
    const { lists } = await chooseDetectors({ ...defaults, intelligence: folder }, edges);
    assertEquals(lists?.entries, 1);
    assertEquals(edges.counted('intel_reloads_total{outcome="refused"}'), 2);
    for (const name of ["bad.json", "empty.txt"]) {
      assert(
        edges.lines.some((line) => line.includes("intelligence list refused") && line.includes(name)),
        name,
      );
    }
  }));

Deno.test("a folder without a usable list is said, and one that is not there is wrong usage", async () => {
  await inFolder({ "empty.txt": "" }, async (folder) => {
    const edges = edgesOf();
    await chooseDetectors({ ...defaults, intelligence: folder }, edges);
    assert(edges.lines.some((line) => line.includes("no intelligence list is in force")));
    const intelligence = `${folder}/none`;
    const error = await assertRejects(
      () => chooseDetectors({ ...defaults, intelligence }, edges),
      CommandError,
    );
    assertEquals(error.exitCode, exitCodes.usage);
    assertStringIncludes(
      error.message,
      `Cannot use "intelligence" as folder "${intelligence}" is not readable`,
    );
  });
  assertEquals((await chooseDetectors(defaults, edgesOf())).lists, null);
});

Deno.test("lists that were started are read again: a new one is in force, a broken one leaves what was", () =>
  inFolder({ "c2.txt": "203.0.113.200" }, async (folder) => {
    const edges = edgesOf();
    const { lists, declarations } = await chooseDetectors({ ...defaults, intelligence: folder }, edges);
    const calls = () => run(declarations.find(({ name }) => name === "intelligence")!, [update(0)]).length;
    const look = async (outcome: string) => {
      const name = `intel_reloads_total{outcome="${outcome}"}`, before = edges.counted(name);
      for (let i = 0; i < 500 && edges.counted(name) === before; i++) {
        edges.clock.advance(10_000);
        await Deno.readTextFile(`${folder}/c2.txt`);
      }
      assertEquals(edges.counted(name), before + 1);
    };
    await lists!.start();
    try {
      assertEquals(calls(), 0);
      await Deno.writeTextFile(`${folder}/more.txt`, "198.51.100.7 # in force from now on");
      await look("loaded");
      assertEquals(calls(), 1);
      await Deno.writeTextFile(`${folder}/more.txt`, "");
      await look("refused");
      assertEquals([calls(), lists!.entries], [1, 2]);
      await Deno.remove(`${folder}/more.txt`);
      await look("removed");
      assertEquals(calls(), 0);
    } finally {
      await lists!.stop();
    }
  }));
