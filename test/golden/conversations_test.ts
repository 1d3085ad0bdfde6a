/** Golden check: every capture of ../shared/data through the real pipeline, against what tshark counted.
 *
 * Method: packets and IP octets of each TCP and UDP conversation each way equal `truth/conv`; packets of each pair of
 * addresses equal `truth/conv-ip` (fragments and ICMP included); Community IDs equal `truth/communityid`. A table of
 * differences is printed, and each difference must have one of the names in {@link explanations}.
 * Skipped loudly where ../shared is absent. @module */

import { assertEquals } from "@std/assert";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { Decoder } from "../../sensor/decode/decoder.ts";
import { formatIp } from "../../shared/ip.ts";
import type { Segment } from "../../shared/segment.ts";
import { skipLoudly } from "../services/services.ts";
import {
  addConversation,
  compareConversations,
  type Conversation,
  conversationsOf,
  conversationsOfTruth,
  readTable,
  runCapture,
} from "./conversations.ts";

const data = new URL("../../../shared/data/", import.meta.url).pathname;

/** Why we and tshark count differently, and who is right. */
const explanations = {
  fragments: "tshark books a datagram on the fragment that completes it; here every fragment counts",
  fuzzed:
    "headers changed at random: tshark ends a packet at the first field it dislikes; here its IP header counts",
  teredo:
    "Teredo between clients, on a port of their own: tshark takes only the server's port for Teredo, Zeek and Picket all",
  outer: "tshark gives a packet in a tunnel one Community ID, the inner; here the outer flow has its own",
  same_address: "both ends have one address: tshark cannot tell directions by address, here ports do",
} as const;
type Explanation = keyof typeof explanations;

interface Difference {
  what: string;
  ours: string;
  theirs: string;
  because: Explanation | "unexplained";
}

/** What a capture holds that explains differences. */
interface Traits {
  fragmentedPairs: Set<string>;
  isFuzzed: boolean;
}

async function traitsOf(path: string, isFuzzed: boolean): Promise<Traits> {
  const decoder = new Decoder();
  const fragmentedPairs = new Set<string>();
  const text = (family: number, ...words: number[]) => {
    const octets = words.slice(0, family === 6 ? 4 : 1).flatMap((
      w,
    ) => [w >>> 24, w >> 16 & 255, w >> 8 & 255, w & 255]);
    return formatIp(Uint8Array.from(octets));
  };
  const reader = new CaptureReader({
    packet(b, offset, captured, wire, _timeUs, linkType) {
      if (decoder.decode(b, offset, captured, wire, linkType) !== 0) return;
      for (const p of decoder.layers.slice(0, decoder.layerCount)) {
        if (!p.isFragment) continue;
        const src = text(p.family, p.src0, p.src1, p.src2, p.src3);
        const dst = text(p.family, p.dst0, p.dst1, p.dst2, p.dst3);
        fragmentedPairs.add(pairOf(src, dst));
      }
    },
  });
  const file = await Deno.open(path);
  for (;;) {
    const count = await file.read(reader.space());
    if (count === null) break;
    reader.commit(count);
  }
  file.close();
  return { fragmentedPairs, isFuzzed };
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

/** Addresses of "udp a:1 b:2". */
function addressesOf(key: string): [string, string] {
  const [, first, second] = key.split(" ");
  const address = (end: string) => end.slice(0, end.lastIndexOf(":"));
  return [address(first), address(second)];
}

function explain(traits: Traits, a: string, b: string, depth: number): Difference["because"] {
  if (traits.fragmentedPairs.has(pairOf(a, b))) return "fragments";
  if (depth > 1 && (a.startsWith("2001:0:") || b.startsWith("2001:0:"))) return "teredo";
  return traits.isFuzzed ? "fuzzed" : "unexplained";
}

async function conversationDifferences(
  name: string,
  segments: Segment[],
  traits: Traits,
): Promise<Difference[]> {
  const truth = await readTable(`${data}truth/conv/${name}.tsv`);
  if (truth === null) throw new Error(`Cannot compare "${name}" as its truth is missing`);
  return [1, 2, 3].flatMap((depth) =>
    compareConversations(conversationsOf(segments, depth), conversationsOfTruth(truth, depth)).map((d) => {
      const [a, b] = addressesOf(d.key);
      return {
        what: `${d.key} at depth ${depth}`,
        ours: d.ours,
        theirs: d.theirs,
        because: explain(traits, a, b, depth),
      };
    })
  );
}

async function pairDifferences(name: string, segments: Segment[], traits: Traits): Promise<Difference[]> {
  const truth = await readTable(`${data}truth/conv-ip/${name}.tsv`);
  const ours = new Map<string, Conversation>(), theirs = new Map<string, Conversation>();
  const count = (packets: number | string) => ({ packets: Number(packets), bytes: 0 });
  for (const s of segments) {
    if (s.protocol === "arp") continue;
    const ends = { protocol: String(s.ip_depth), src: s.src_ip, dst: s.dst_ip };
    addConversation(ours, ends, count(s.fwd_packets), count(s.bwd_packets));
  }
  for (const row of truth ?? []) {
    const ends = { protocol: row.ip_depth, src: row.src, dst: row.dst };
    addConversation(theirs, ends, count(row.pkts_src_dst), count(row.pkts_dst_src));
  }
  return compareConversations(ours, theirs).map((d) => {
    const [depth, a, b] = d.key.split(" ");
    // Fragments explain nothing here: each of them is a packet for both.
    const because = a === b
      ? "same_address"
      : explain({ ...traits, fragmentedPairs: new Set() }, a, b, Number(depth));
    return { what: `pair ${d.key}`, ours: d.ours, theirs: d.theirs, because };
  });
}

async function communityDifferences(
  name: string,
  segments: Segment[],
  traits: Traits,
): Promise<Difference[]> {
  const truth = await readTable(`${data}truth/communityid/${name}.tsv`) ?? [];
  const ours = new Map<string, { packets: number; segment: Segment }>();
  for (const s of segments) {
    if (s.community_id === "") continue;
    const packets = (ours.get(s.community_id)?.packets ?? 0) + s.fwd_packets + s.bwd_packets;
    ours.set(s.community_id, { packets, segment: s });
  }
  const differences: Difference[] = [];
  for (const row of truth) {
    const mine = ours.get(row.communityid);
    ours.delete(row.communityid);
    if (mine?.packets === Number(row.packets)) continue;
    const depth = row.src.includes(":") ? 2 : 1;
    const because = explain(traits, row.src, row.dst, depth);
    const what = `${row.communityid} ${row.proto} ${row.src} ${row.dst}`;
    differences.push({ what, ours: String(mine?.packets), theirs: row.packets, because });
  }
  const isTunnelled = segments.some((s) => s.ip_depth > 1);
  for (const [id, { packets, segment: s }] of ours) {
    const known = explain(traits, s.src_ip, s.dst_ip, s.ip_depth);
    const because = known === "unexplained" && isTunnelled && s.ip_depth === 1 ? "outer" : known;
    differences.push({
      what: `${id} ${s.protocol} ${s.src_ip} ${s.dst_ip}`,
      ours: String(packets),
      theirs: "none",
      because,
    });
  }
  return differences;
}

async function captures(): Promise<{ name: string; isFuzzed: boolean }[]> {
  const manifest = await readTable(`${data}pcap/MANIFEST.tsv`) ?? [];
  return manifest.map((row) => ({ name: row.file, isFuzzed: row.label === "unjudged" }));
}

const isAbsent = await Deno.stat(`${data}pcap`).then(() => false, () => true);
const { ignore } = isAbsent
  ? skipLoudly("golden conversations", "../shared/data is absent")
  : { ignore: false };

Deno.test({
  name: "conversations and Community IDs of 60 captures equal tshark's, or differ for a named reason",
  ignore,
  fn: async () => {
    const lines = ["file                                flows  packets  differences"];
    const unexplained: string[] = [];
    const files = await captures();
    assertEquals(files.length, 60);
    for (const { name, isFuzzed } of files) {
      const path = `${data}pcap/${name}`;
      const { segments, summary } = await runCapture(path);
      const leftOut = Object.values(summary.left_out).reduce((sum, count) => sum + count, 0);
      assertEquals(summary.packets, summary.in_flows + leftOut, name);
      const outermost = segments.filter((s) => s.ip_depth === 1);
      assertEquals(
        outermost.reduce((sum, s) => sum + s.fwd_packets + s.bwd_packets, 0),
        summary.in_flows,
        name,
      );
      const traits = await traitsOf(path, isFuzzed);
      const differences = [
        ...await conversationDifferences(name, segments, traits),
        ...await pairDifferences(name, segments, traits),
        ...await communityDifferences(name, segments, traits),
      ];
      const counts = new Map<string, number>();
      for (const { because } of differences) counts.set(because, (counts.get(because) ?? 0) + 1);
      const told = [...counts].map(([because, count]) => `${count} ${because}`).join(", ") || "none";
      lines.push(
        `${name.padEnd(35)} ${String(segments.length).padStart(5)} ${
          String(summary.packets).padStart(8)
        }  ${told}`,
      );
      for (const d of differences) {
        if (d.because === "unexplained") {
          unexplained.push(`${name}: ${d.what}: ours ${d.ours}, tshark ${d.theirs}`);
        }
      }
    }
    for (const [name, text] of Object.entries(explanations)) lines.push(`${name}: ${text}`);
    Deno.stdout.writeSync(new TextEncoder().encode(lines.join("\n") + "\n"));
    assertEquals(unexplained, []);
  },
});
