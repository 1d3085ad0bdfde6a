/** Segments of a capture, as the sensor reports them: reader, decoder, flow table, chooser, the real tshark.
 *
 * In: the path of a capture and a prepared program. Out: every segment with its facts.
 * Invariant: what a detector would be given. @module */

import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import type { DissectorProgram } from "../../sensor/dissect/child/tshark.ts";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import type { Segment } from "../../shared/segment.ts";

export async function readSegments(file: string, program: DissectorProgram): Promise<Segment[]> {
  const reporter = createReporter({ component: "segments", quiet: true });
  const chooser = new PacketChooser();
  const lane = new DissectLane({ live: false }, { program, clock: systemClock, reporter, chooser });
  await lane.start();
  const segments: Segment[] = [];
  try {
    const pipeline = new Pipeline({ live: false }, {
      sink: {
        take(page) {
          for (let i = 0; i < page.length; i++) segments.push(page.object(i));
        },
      },
      reporter,
      clock: systemClock,
      deepLane: lane,
      chooser,
    });
    const reader = new CaptureReader(pipeline);
    using source = await Deno.open(file);
    for (;;) {
      const count = await source.read(reader.space());
      if (count === null) break;
      reader.commit(count);
      await pipeline.turn();
    }
    reader.end();
    await pipeline.finish();
  } finally {
    await lane.stop();
  }
  return segments;
}
