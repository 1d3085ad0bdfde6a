/** Adds up segments and truth tables into conversations, so that both can be compared.
 *
 * In: a capture through the real pipeline; the tables of ../shared/data/truth.
 * Out: packets and IP octets a direction, by conversation.
 * Why conversations and not flows: idle and active time-outs cut flows;
 * tshark's streams know none, so sums are what is equal.
 * @module */

import { FileSource } from "../../sensor/capture/file_source.ts";
import { pump } from "../../sensor/capture/pump.ts";
import type { CaptureError } from "../../sensor/capture/capture_error.ts";
import { type CaptureSummary, Pipeline, type PipelineOptions } from "../../sensor/pipeline.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import type { Segment } from "../../shared/segment.ts";

export interface CaptureResult {
  segments: Segment[];
  summary: CaptureSummary;
  error: CaptureError | null;
}

/** Runs one capture through reader, decoder and flow table, without a deep lane. */
export async function runCapture(
  path: string,
  options: Partial<PipelineOptions> = {},
): Promise<CaptureResult> {
  const segments: Segment[] = [];
  const reporter = createReporter({ component: "test", quiet: true });
  const pipeline = new Pipeline(options, {
    sink: {
      take(rows) {
        for (let index = 0; index < rows.length; index++) segments.push(rows.object(index));
      },
    },
    reporter,
    clock: systemClock,
    deepLane: null,
    chooser: null,
  });
  const source = new FileSource(path);
  await source.start();
  const { error } = await pump(source, pipeline, () => pipeline.turn());
  await pipeline.finish();
  await source.stop();
  return { segments, summary: pipeline.summary(path), error };
}

/** Packets and IP octets from the lower end (by text) to the upper, and back. */
export interface Conversation {
  packets: [number, number];
  bytes: [number, number];
}

/** Adds one direction's counts under the key of the conversation. */
export function addConversation(
  into: Map<string, Conversation>,
  ends: { protocol: string; src: string; dst: string },
  forward: { packets: number; bytes: number },
  backward: { packets: number; bytes: number },
): void {
  const swap = ends.src > ends.dst;
  const key = `${ends.protocol} ${swap ? `${ends.dst} ${ends.src}` : `${ends.src} ${ends.dst}`}`;
  let conversation = into.get(key);
  if (!conversation) into.set(key, conversation = { packets: [0, 0], bytes: [0, 0] });
  const first = swap ? 1 : 0;
  conversation.packets[first] += forward.packets;
  conversation.packets[1 - first] += backward.packets;
  conversation.bytes[first] += forward.bytes;
  conversation.bytes[1 - first] += backward.bytes;
}

/** Conversations of TCP and UDP at one depth. */
export function conversationsOf(segments: readonly Segment[], depth: number): Map<string, Conversation> {
  const conversations = new Map<string, Conversation>();
  for (const s of segments) {
    if (s.ip_depth !== depth || (s.protocol !== "tcp" && s.protocol !== "udp")) continue;
    addConversation(
      conversations,
      { protocol: s.protocol, src: `${s.src_ip}:${s.src_port}`, dst: `${s.dst_ip}:${s.dst_port}` },
      { packets: s.fwd_packets, bytes: s.fwd_bytes },
      { packets: s.bwd_packets, bytes: s.bwd_bytes },
    );
  }
  return conversations;
}

/** Rows of a truth table, by column name; null when there is no such table. */
export async function readTable(path: string): Promise<Record<string, string>[] | null> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch {
    try {
      const file = await Deno.open(path + ".gz");
      text = await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).text();
    } catch {
      return null;
    }
  }
  const [header, ...lines] = text.split("\n").filter((line) => line !== "");
  const names = header.split("\t");
  return lines.map((line) => {
    const values = line.split("\t");
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""]));
  });
}

/** Conversations of a `truth/conv` table at one depth. */
export function conversationsOfTruth(
  rows: readonly Record<string, string>[],
  depth: number,
): Map<string, Conversation> {
  const conversations = new Map<string, Conversation>();
  for (const row of rows) {
    if (Number(row.ip_depth) !== depth) continue;
    addConversation(
      conversations,
      { protocol: row.proto, src: `${row.src}:${row.sport}`, dst: `${row.dst}:${row.dport}` },
      { packets: Number(row.pkts_src_dst), bytes: Number(row.ip_bytes_src_dst) },
      { packets: Number(row.pkts_dst_src), bytes: Number(row.ip_bytes_dst_src) },
    );
  }
  return conversations;
}

/** What differs between two sets of conversations: key, ours, theirs. */
export function compareConversations(
  ours: Map<string, Conversation>,
  theirs: Map<string, Conversation>,
): { key: string; ours: string; theirs: string }[] {
  const keys = new Set([...ours.keys(), ...theirs.keys()]);
  const differences = [];
  for (const key of keys) {
    const a = JSON.stringify(ours.get(key) ?? null), b = JSON.stringify(theirs.get(key) ?? null);
    if (a !== b) differences.push({ key, ours: a, theirs: b });
  }
  return differences;
}
