/** Packets without a time, or with one that cannot be: counted, and never in the way of the others. @module */

import { assertEquals } from "@std/assert";
import { CaptureReader } from "../../../sensor/capture/capture_reader.ts";
import { noStamp } from "../../../sensor/capture/capture_error.ts";
import { Pipeline } from "../../../sensor/pipeline.ts";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import type { Segment } from "../../../shared/segment.ts";
import {
  ack,
  block,
  bytes,
  enhancedPacket,
  ethernet,
  fields,
  interfaceBlock,
  ipv4,
  pcap,
  sectionHeader,
  syn,
  tcp,
  udp,
} from "../frames.ts";

const second = 1_000_000;
const now = 1_750_000_000 * second;
const opening = ethernet(0x0800, ipv4(6, tcp({ flags: syn })));
const going = ethernet(0x0800, ipv4(6, tcp({ flags: ack })));
const simple = (frame: Uint8Array) => block(3, bytes(fields(false, [4, frame.length]), frame));

function pipeline() {
  const segments: Segment[] = [];
  const lane = new Pipeline({}, {
    sink: {
      take(page) {
        for (let i = 0; i < page.length; i++) segments.push(page.object(i));
      },
    },
    reporter: createReporter({ component: "test", write() {} }),
    clock: systemClock,
    deepLane: null,
    chooser: null,
  });
  return { lane, segments };
}

async function read(capture: Uint8Array) {
  const { lane, segments } = pipeline();
  const reader = new CaptureReader(lane);
  reader.space().set(capture);
  reader.commit(capture.length);
  assertEquals(reader.end(), null);
  await lane.finish();
  // The packets are all alike; that is not what these tests are about.
  const { packets, first, last, remarks: { packets_copied: _, ...remarks } } = lane.summary("");
  const flows = segments.map((s) => [s.fwd_packets, s.start, s.end]);
  return { packets, first, last, remarks, flows };
}

Deno.test("packets without a stamp take that of the first stamped one, those after it that of the one before", async () => {
  const capture = bytes(
    sectionHeader(),
    interfaceBlock(1),
    simple(opening),
    simple(going),
    enhancedPacket(0, BigInt(now + 5), going),
    simple(going),
    enhancedPacket(0, BigInt(now + 9), going),
  );
  const start = (now + 5) / 1e6, end = (now + 9) / 1e6;
  const flows = [[5, start, end]];
  assertEquals(await read(capture), { packets: 5, first: start, last: end, remarks: {}, flows });
  const unstamped = bytes(sectionHeader(), interfaceBlock(1), simple(opening), simple(going));
  assertEquals((await read(unstamped)).flows, [[2, 0, 0]]);
});

Deno.test("one stamp that is no time costs its packet's time alone, wherever it stands", async () => {
  const odd = [
    2n ** 64n - 1n,
    2n ** 53n,
    4_294_967_296_000_000n,
  ];
  for (const stamp of odd) {
    for (const at of [0, 1, 3]) {
      const stamps = [0, 1, 2, 3].map((i) => i === at ? stamp : BigInt(now + i * second));
      const blocks = stamps.map((units, i) => enhancedPacket(0, units, i === 0 ? opening : going));
      const { packets, remarks, flows } = await read(bytes(sectionHeader(), interfaceBlock(1), ...blocks));
      assertEquals([packets, remarks], [4, { stamps_refused: 1 }]);
      assertEquals(flows.map(([count]) => count), [4]);
      const [[, start, end]] = flows;
      assertEquals(start, (now + (at === 0 ? second : 0)) / 1e6);
      assertEquals(end, (now + (at === 3 ? 2 : 3) * second) / 1e6);
    }
  }
  // The last microsecond of 32-bit seconds is one.
  const late = enhancedPacket(0, 4_294_967_295_999_999n, opening);
  const { remarks, flows } = await read(bytes(sectionHeader(), interfaceBlock(1), late));
  assertEquals([remarks, flows], [{}, [[1, 4_294_967_295.999999, 4_294_967_295.999999]]]);
});

Deno.test("stamps before 1970, and clocks beyond reach, are refused too", async () => {
  const early = bytes(
    sectionHeader(),
    interfaceBlock(1, { offsetSeconds: -100 }),
    interfaceBlock(1, { resolution: 0x80 | 2 }),
    enhancedPacket(0, 200_000_000n, opening),
    enhancedPacket(0, 99_999_999n, going),
    enhancedPacket(1, 2n ** 63n, going),
  );
  const { remarks, flows } = await read(early);
  assertEquals([remarks, flows], [{ stamps_refused: 2 }, [[3, 100, 100]]]);
  const classic = pcap([{ timeUs: 4_294_967_295 * second, frame: opening }]);
  new DataView(classic.buffer).setUint32(28, 4_000_000_000, true);
  assertEquals((await read(classic)).remarks, { stamps_refused: 1 });
});

Deno.test("nothing that is sent adds up to 2^53, whatever lengths a capture claims", async () => {
  const { lane, segments } = pipeline();
  const giant = ethernet(0x0800, ipv4(17, udp(1_000, 2_000), { total: 0 }));
  for (let i = 0; i < 3_000; i++) {
    lane.packet(giant, 0, giant.length, 0xffff_ffff, now + i, 1);
  }
  await lane.finish();
  const { bytes: total, remarks } = lane.summary("");
  assertEquals([total, remarks.bytes_claimed], [3_000 * 16_777_216, 3_000 * 4_278_190_079]);
  const [s] = segments;
  assertEquals([s.fwd_packets, s.fwd_bytes], [3_000, 3_000 * (16_777_216 - 14)]);
  assertEquals(s.packet_length_max, 16_777_202);
  for (let round = 0; round < 400; round++) {
    for (let i = 0; i < 1_000; i++) lane.packet(giant, 0, giant.length, 16_777_216, now + 60_000_000, 1);
  }
  await lane.finish();
  // 6.7e12 octets of one segment are more than can be: with any factor they stay below 2^53.
  assertEquals(segments[1].fwd_bytes, 4_398_046_511_103);
});

Deno.test("packets that never get a stamp are kept only so far, and all counted", async () => {
  const { lane } = pipeline();
  const frame = bytes(opening, new Uint8Array(1_000));
  for (let i = 0; i < 9_000; i++) {
    lane.packet(frame, 0, frame.length, frame.length, noStamp, 1);
    if (i === 7_000) assertEquals(lane.packets, 0);
  }
  assertEquals(lane.packets, 9_000);
  await lane.finish();
  assertEquals([lane.summary("").first, lane.summary("").in_flows], [0, 9_000]);
});
