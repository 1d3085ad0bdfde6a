/** Facts across hand-overs from child to child, through the whole pipeline.
 *
 * In: two captures of ../shared/data/pcap, where they are. Out: every segment has the facts it has without hand-overs.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import type { LaneOptions } from "../../sensor/dissect/lane_options.ts";
import type { ChosenPacket } from "../../sensor/dissect/plain/plain.ts";
import { plainKind } from "../../sensor/dissect/plain/plain_kind.ts";
import type { SegmentPage } from "../../sensor/flow/segment_page.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { forgetProgram, program } from "./facts_yield.ts";

const folder = new URL("../../../shared/data/pcap", import.meta.url).pathname;
const captures = ["normal-browsing-2018.pcap", "normal-teams.pcap"];
/** Small chunks: the lane hands over between them. */
const chunkBytes = 30_000;

/** What the chooser says, but no server's flight is read on the spot: so that there is enough for several children. */
function flightsAsked(chooser: PacketChooser): ChosenPacket {
  const isFlight = () => chooser.plainKind === plainKind.hello && chooser.isFromServer;
  return Object.create(chooser, {
    plainKind: { get: () => isFlight() ? plainKind.none : chooser.plainKind },
    settle: { value: () => chooser.settle() },
  });
}

function isHere(name: string): boolean {
  try {
    return Deno.statSync(`${folder}/${name}`).isFile;
  } catch {
    return false;
  }
}

const absent = !captures.every(isHere);
if (absent) {
  const words = "SKIPPED: facts across hand-overs are not compared, as ../shared/data/pcap is not here\n";
  Deno.stderr.writeSync(new TextEncoder().encode(words));
}

async function readSegments(name: string, options: Partial<LaneOptions>) {
  const clock = systemClock;
  const reporter = createReporter({ component: "hand-over", quiet: true });
  const chooser = new PacketChooser();
  const lane = { live: false, ...options };
  const deepLane = new DissectLane(lane, { program, chooser: flightsAsked(chooser), clock, reporter });
  const segments: string[] = [];
  const take = (rows: SegmentPage) => {
    for (let i = 0; i < rows.length; i++) segments.push(JSON.stringify(rows.object(i)));
  };
  const pipeline = new Pipeline({ live: false }, { sink: { take }, reporter, clock, deepLane, chooser });
  const reader = new CaptureReader(pipeline);
  using source = await Deno.open(`${folder}/${name}`);
  try {
    await deepLane.start();
    for (;;) {
      const count = await source.read(reader.space().subarray(0, chunkBytes));
      if (count === null) break;
      reader.commit(count);
      await pipeline.turn();
    }
    reader.end();
    await pipeline.finish();
  } finally {
    await deepLane.stop();
  }
  const handOvers = reporter.snapshot().get('dissector_starts_total{reason="hand_over"}') ?? 0;
  return { segments: segments.sort(), handOvers };
}

Deno.test({
  name: "handing over from child to child loses no facts",
  ignore: absent,
  async fn() {
    for (const name of captures) {
      const whole = await readSegments(name, {});
      const parts = await readSegments(name, { handOverPackets: 40, overlapPackets: 20 });
      assert(whole.handOvers === 0 && parts.handOvers > 0, `${parts.handOvers} hand-overs`);
      assert(whole.segments.some((segment) => segment.includes('"sni"')));
      assertEquals(parts.segments, whole.segments);
    }
    await forgetProgram();
  },
});
