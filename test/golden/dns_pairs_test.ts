/** DNS questions and their answers, put together by the whole sensor as tshark puts them together (`dns.response_to`).
 *
 * In: captures of ../shared/data/pcap, where they are. Out: as many pairs as tshark finds, but for those that a segment
 * or an idle time cuts apart: these are told as one question without an answer, and one answer that is `unasked`.
 * Why these: over UDP and TCP, one question a flow, a thousand in one flow, and hundreds that wait at a time.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../shared/clock.ts";
import { type DnsFact, dnsMessages } from "../../shared/facts.ts";
import { createReporter } from "../../shared/reporter.ts";
import { FileSource } from "../../sensor/capture/file_source.ts";
import { pump } from "../../sensor/capture/pump.ts";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import type { SegmentPage } from "../../sensor/flow/segment_page.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { skipLoudly } from "../services/services.ts";
import { forgetProgram, program, readFields } from "./facts_yield.ts";

const folder = new URL("../../../shared/data/pcap", import.meta.url).pathname;
const captures = [
  "dns-udp-tcp-load.pcap",
  "dns-normal-60k.pcapng",
  "attack-dga-tinba.pcap",
  "attack-dns-tunnel-dns2tcp.pcapng",
  "normal-browsing-2018.pcap",
];
/** Pairs that segments may cut apart. */
const cutShareMax = 0.01;

const isAbsent = await Deno.stat(folder).then(() => false, () => true);
const { ignore } = isAbsent
  ? skipLoudly("pairs of DNS questions and answers", "../shared/data/pcap is absent")
  : { ignore: false };

/** What all segments of a capture say of DNS. */
async function readEntries(file: string): Promise<DnsFact[]> {
  const reporter = createReporter({ component: "pairs", quiet: true });
  const clock = systemClock;
  const chooser = new PacketChooser();
  const deepLane = new DissectLane({ live: false }, { program, clock, reporter, chooser });
  const entries: DnsFact[] = [];
  const take = (page: SegmentPage) => {
    for (let i = 0; i < page.length; i++) entries.push(...page.object(i).facts?.dns ?? []);
  };
  const pipeline = new Pipeline({ live: false }, { sink: { take }, reporter, clock, deepLane, chooser });
  const source = new FileSource(file);
  try {
    await deepLane.start();
    await source.start();
    await pump(source, pipeline, () => pipeline.turn());
    await pipeline.finish();
  } finally {
    await source.stop();
    await deepLane.stop();
  }
  return entries;
}

Deno.test({
  name: "DNS questions and answers stand together as tshark puts them together",
  ignore,
  async fn() {
    for (const name of captures) {
      const entries = await readEntries(`${folder}/${name}`);
      const columns = await readFields(`${folder}/${name}`, ["dns.flags.response", "dns.response_to"], "dns");
      const count = (column: number) =>
        columns.flatMap((values) => values[column].split("\x1f")).filter((text) =>
          text !== "" && text !== "0" && text !== "False"
        ).length;
      const responses = dnsMessages(entries).filter(({ rcode }) => rcode !== undefined).length;
      const pairs = entries.filter(({ rcode, unasked }) => rcode !== undefined && !unasked).length;
      const expected = count(1);
      assertEquals(responses, count(0), name);
      assert(expected > 100 && pairs <= expected, `${name}: ${pairs} pairs, tshark has ${expected}`);
      assert(pairs >= expected * (1 - cutShareMax), `${name}: ${pairs} pairs, tshark has ${expected}`);
    }
    await forgetProgram();
  },
});
