/** Ten thousand damaged captures through reader, decoder and flow table: no crash, no hang, every packet accounted for.
 *
 * Method: the captures of own_captures.ts, as pcap and as pcapng, with octets flipped, cut out, doubled or swapped by a
 * seeded generator. The seed is in every failure message; `SEED=n` replays it. @module */

import { assert, assertEquals } from "@std/assert";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { captureErrors } from "../../sensor/capture/capture_error.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import type { Segment } from "../../shared/segment.ts";
import { bytes, enhancedPacket, interfaceBlock, pcap, sectionHeader } from "../sensor/frames.ts";
import { generator, mutate } from "./mutate.ts";
import { ownCaptures } from "./own_captures.ts";

const mutants = 10_000;
const mutantsAPipeline = 1_000;
const seed = Number(Deno.env.get("SEED") ?? 20_261_121);

function originals(): Uint8Array[] {
  return ownCaptures().flatMap(({ linkType, packets }) => [
    pcap(packets, { linkType }),
    bytes(
      sectionHeader(),
      interfaceBlock(linkType),
      ...packets.map(({ timeUs, frame }) => enhancedPacket(0, BigInt(timeUs), frame)),
    ),
  ]);
}

Deno.test("ten thousand damaged captures are read to their end, and every packet is accounted for", async () => {
  const random = generator(seed);
  const pool = originals();
  let packets = 0, damaged = 0;
  for (let first = 0; first < mutants; first += mutantsAPipeline) {
    const segments: Segment[] = [];
    const pipeline = new Pipeline({ flow: { flowsMax: 2_048 } }, {
      sink: {
        take(rows) {
          for (let index = 0; index < rows.length; index++) segments.push(rows.object(index));
        },
      },
      reporter: createReporter({ component: "test", write() {} }),
      clock: systemClock,
      deepLane: null,
      chooser: null,
    });
    for (let index = 0; index < mutantsAPipeline; index++) {
      const mutant = mutate(pool[(first + index) % pool.length], random);
      const reader = new CaptureReader(pipeline, { bufferBytes: 524_288 });
      const half = random(mutant.length + 1);
      for (const part of [mutant.subarray(0, half), mutant.subarray(half)]) {
        reader.space().set(part);
        reader.commit(part.length);
      }
      const error = reader.end();
      if (error !== null) damaged++;
      assert(error === null || captureErrors.includes(error), `SEED=${seed}`);
    }
    await pipeline.finish();
    const { packets: seen, in_flows, left_out } = pipeline.summary("");
    const leftOut = Object.values(left_out).reduce((sum, count) => sum + count, 0);
    const inSegments = segments.filter((s) => s.ip_depth === 1).reduce(
      (sum, s) => sum + s.fwd_packets + s.bwd_packets,
      0,
    );
    assertEquals([seen, inSegments], [in_flows + leftOut, in_flows], `SEED=${seed}`);
    for (const s of segments) {
      assert(s.end >= s.start && s.flow_start <= s.start && s.fwd_bytes >= 0, `SEED=${seed}`);
    }
    packets += seen;
  }
  assert(packets > mutants && damaged > mutants / 10, `only ${packets} packets, ${damaged} damaged captures`);
});
