/** dumpcap: its arguments, its words, and that its end is not the end of capturing. @module */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  CaptureStartError,
  dropsIn,
  Dumpcap,
  dumpcapArguments,
  type DumpcapOptions,
  explainFailure,
} from "../../../sensor/capture/dumpcap.ts";
import { type CaptureChild, LiveSource } from "../../../sensor/capture/live_source.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { bytes, enhancedPacket, interfaceBlock, sectionHeader } from "../frames.ts";

const options: DumpcapOptions = {
  interfaces: ["eth0", "eth1"],
  filter: "tcp",
  snaplen: 256,
  bufferMb: 16,
  dumpcapPath: "dumpcap",
};

Deno.test("dumpcap is given lengths and filter before the interfaces, so that they hold for each", () => {
  const args = dumpcapArguments(options);
  const queue = ["-N", "1000000", "-C", String(16 * 1024 * 1024)];
  const head = ["-q", "-s", "256", "-B", "16", "-f", "tcp"];
  assertEquals(args, [...head, ...queue, "-i", "eth0", "-i", "eth1", "-w", "-"]);
  const one = dumpcapArguments({ ...options, interfaces: ["eth0"] });
  assertEquals(one, [...head, "-i", "eth0", "-w", "-"]);
  assertEquals(dumpcapArguments({ ...options, filter: "", snaplen: 0 }).includes("-f"), false);
});

Deno.test("dumpcap's words become a reason and an advice", () => {
  const cases: [string, string][] = [
    ['dumpcap: There is no device named "nope0".\n(No such device exists)', "no_such_interface"],
    [
      'dumpcap: cap_set_proc() fail return: Operation not permitted\ndumpcap: You do not have permission to capture on device "lo".',
      "no_permission",
    ],
    [`dumpcap: Invalid capture filter "foo (" for interface 'lo'.`, "bad_filter"],
    ["dumpcap: The capture session could not be initiated (That device is not up).", "interface_down"],
    ["dumpcap: something else", "capture_failed"],
    ["", "capture_failed"],
  ];
  for (const [words, code] of cases) assertEquals(explainFailure(words, options).code, code, words);
  assertStringIncludes(explainFailure("dumpcap: something else", options).message, "something else");
});

Deno.test("dumpcap's losses are added up over its interfaces", () => {
  const line = (drops: number, flushed: number) =>
    `Packets received/dropped on interface 'x': 10/${drops} (pcap:1/dumpcap:0/flushed:${flushed}/ps_ifdrop:0) (1.0%)\n`;
  assertEquals(dropsIn(line(3, 2) + line(4, 0)), { drops: 7, flushed: 2 });
  assertEquals(dropsIn("Packets received/dropped on interface 'Loopback: lo': 10/5\n"), {
    drops: 5,
    flushed: 0,
  });
  assertEquals(dropsIn("nothing"), { drops: 0, flushed: 0 });
});

Deno.test("dumpcap that is not installed is said to be missing", async () => {
  const dumpcap = new Dumpcap({ ...options, dumpcapPath: "no-such-dumpcap" }, { clock: systemClock });
  const error = await assertRejects(() => dumpcap.start(), CaptureStartError);
  assertEquals((error as CaptureStartError).code, "dumpcap_missing");
});

/** A child that plays chunks and then ends. */
function fakeChild(
  chunks: Uint8Array[],
  ending = { isFailure: false, message: "gone", drops: 0, flushed: 0 },
): CaptureChild {
  return {
    start: () => Promise.resolve(),
    read(into) {
      const chunk = chunks.shift();
      if (!chunk) return Promise.resolve(null);
      into.set(chunk);
      return Promise.resolve(chunk.length);
    },
    stop() {},
    close: () => Promise.resolve(),
    ending: () => Promise.resolve(ending),
  };
}

Deno.test("live source restarts a child that died in the middle of a block, and loses no later packet", async () => {
  const whole = bytes(sectionHeader(), interfaceBlock(1), enhancedPacket(0, 5n, bytes(1, 2, 3, 4)));
  const children = [
    fakeChild([whole, whole.subarray(48, 60)], {
      isFailure: true,
      message: "it crashed",
      drops: 4,
      flushed: 1,
    }),
    null,
    fakeChild([whole]),
  ];
  const slept: number[] = [];
  const reporter = createReporter({ component: "test", write() {} });
  const source = new LiveSource({ ...options, exclude: [] }, {
    reporter,
    clock: { ...systemClock, sleep: (ms) => Promise.resolve(void slept.push(ms)) },
    makeChild: () =>
      children.shift() ??
        { ...fakeChild([]), start: () => Promise.reject(new CaptureStartError("interface_down", "down")) },
  });
  let packets = 0;
  source.attach({ packet: () => void packets++ });
  await source.start();
  const problems: (string | undefined)[] = [];
  for (let step = 0; step < 7; step++) {
    if (step === 6) source.stop();
    assertEquals(await source.next(), step < 6, `step ${step}`);
    problems.push(source.problem?.code);
  }
  assertEquals(packets, 2);
  assertEquals(problems, [
    undefined,
    undefined,
    "capture_failed",
    "interface_down",
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals(slept, [500, 1000]);
  assertEquals([source.restarts, source.dropped], [1, 4]);
  assertEquals(reporter.snapshot().get("capture_restarts_total"), 1);
  await source.close();
});
