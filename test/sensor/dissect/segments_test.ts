/** Facts of a long flow, through pipeline and lane: each segment has those of its own packets. @module */

import { assertEquals } from "@std/assert";
import { PacketChooser } from "../../../sensor/dissect/choose.ts";
import { DissectLane } from "../../../sensor/dissect/lane.ts";
import type { SegmentPage } from "../../../sensor/flow/segment_page.ts";
import { Pipeline } from "../../../sensor/pipeline.ts";
import { FakeClock, silentReporter, turn } from "../ship/helpers.ts";
import { bytesOf, dnsMessage, FakeProgram, lineOf, rawUdp } from "./fixture.ts";

const rawLinkType = 101;

async function open(answersItself: boolean) {
  const program = new FakeProgram(answersItself);
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const chooser = new PacketChooser();
  const lane = new DissectLane({ live: false }, { program, clock, reporter, chooser });
  await lane.start();
  const segments: { segment: number; app: string; facts: unknown }[] = [];
  const take = (rows: SegmentPage) => {
    for (let i = 0; i < rows.length; i++) {
      const { segment, app_protocol: app, facts } = rows.object(i);
      segments.push({ segment, app, facts });
    }
  };
  const pipeline = new Pipeline({}, { sink: { take }, reporter, clock, deepLane: lane, chooser });
  const send = (seconds: number, port: number, payload: Uint8Array) => {
    const frame = rawUdp(40_000, port, payload);
    pipeline.packet(frame, 0, frame.length, frame.length, seconds * 1e6, rawLinkType);
  };
  return { program, lane, pipeline, send, segments };
}

Deno.test("DNS names stand in the segments whose packets held them", async () => {
  const { lane, pipeline, send, segments } = await open(true);
  const ask = (seconds: number, name: string) =>
    send(seconds, 53, dnsMessage([7, 0x0100, 1, 0, 0, 0], [name, 0, 0, 1, 0, 1]));
  for (let seconds = 0; seconds <= 140; seconds += 20) ask(seconds, `n${seconds}`);
  await pipeline.finish();
  const names = segments.map(({ facts }) =>
    (facts as { dns: { name: string }[] }).dns.map((one) => one.name)
  );
  assertEquals(names, [["n0", "n20", "n40"], ["n60", "n80", "n100"], ["n120", "n140"]]);
  assertEquals(segments.map(({ segment, app }) => [segment, app]), [[0, "dns"], [1, "dns"], [2, "dns"]]);
  await lane.stop();
});

Deno.test("answers that come after two segments were cut find their way to each", async () => {
  const { program, lane, pipeline, send, segments } = await open(false);
  for (let seconds = 0; seconds <= 70; seconds += 10) {
    send(seconds, 5_060, bytesOf("INVITE sip:a SIP/2.0\r\n"));
  }
  await lane.turn();
  await turn();
  const [child] = program.processes;
  assertEquals(child.packets, 8);
  for (let i = 1; i <= 8; i++) {
    child.say(lineOf(i, { protocols: "raw:ip:udp:sip", kind: "INVITE", type: i < 7 ? "first" : "second" }));
  }
  const finished = pipeline.finish();
  for (let i = 0; i < 5; i++) await turn();
  child.exit("");
  await finished;
  const other = (uri: string) => ({ other: { "sip.Method": "INVITE", "sip.r-uri": uri } });
  assertEquals(segments, [
    { segment: 0, app: "sip", facts: other("first") },
    { segment: 1, app: "sip", facts: other("second") },
  ]);
  await lane.stop();
});
