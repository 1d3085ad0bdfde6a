/** Golden check of flow features against an independent meter: Zeek's own baseline logs in ../shared/data/truth/zeek.
 *
 * Method: each row of a `conn.log` must have a flow of the same ends, packets, IP octets, `conn_state` and duration, to
 * the microsecond; what has not must have one of the names in {@link explanations}, and its check must hold. @module */

import { assertEquals } from "@std/assert";
import type { Segment } from "../../shared/segment.ts";
import { skipLoudly } from "../services/services.ts";
import { runCapture } from "./conversations.ts";
import { conversationKey, endOf, type Frame, readFrames } from "./meters.ts";

const data = new URL("../../../shared/data/", import.meta.url).pathname;

const explanations = {
  teardown:
    "Zeek's duration ends before the last packets of a tear-down; all else is equal, and only packets without payload come after it",
  roles:
    "Zeek and Picket do not name the same initiator where only their rules for ports, or the first packet, tell it; the sums are equal",
  timeouts: "Zeek and Picket cut the same packets at different silences; the sums are equal",
} as const;

type Row = Record<string, string>;
/** Frames of a capture by conversation, for each depth. */
type Frames = (depth: number) => Map<string, Frame[]>;

function readLog(text: string): Row[] {
  let names: string[] = [];
  const rows: Row[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#fields")) names = line.split("\t").slice(1);
    else if (line !== "" && !line.startsWith("#")) {
      const values = line.split("\t");
      rows.push(Object.fromEntries(names.map((name, index) => [name, values[index]])));
    }
  }
  return rows;
}

/** Segments put together into whole flows: Zeek knows no segments. The last one's state is the flow's. */
function wholeFlows(segments: readonly Segment[]): Segment[] {
  const flows: Segment[] = [];
  const latest = new Map<string, number>();
  for (const s of segments) {
    const ends = [s.protocol, s.src_ip, s.src_port, s.dst_ip, s.dst_port, s.ip_depth, s.tunnel];
    const key = [...ends, s.vlan, s.vlan_inner, s.flow_start].join(" ");
    const at = s.segment === 0 ? undefined : latest.get(key);
    if (at !== undefined) flows[at] = joined(flows[at], s);
    else latest.set(key, flows.push(s) - 1);
  }
  return flows;
}

function joined(before: Segment, after: Segment): Segment {
  return {
    ...after,
    start: Math.min(before.start, after.start),
    end: Math.max(before.end, after.end),
    fwd_packets: before.fwd_packets + after.fwd_packets,
    fwd_bytes: before.fwd_bytes + after.fwd_bytes,
    bwd_packets: before.bwd_packets + after.bwd_packets,
    bwd_bytes: before.bwd_bytes + after.bwd_bytes,
  };
}

function isSameEnds(s: Segment, row: Row, turned: boolean): boolean {
  const [src, dst] = turned ? ["id.resp_h", "id.orig_h"] : ["id.orig_h", "id.resp_h"];
  if (s.src_ip !== row[src] || s.dst_ip !== row[dst]) return false;
  if (row.proto === "icmp") return s.protocol.startsWith("icmp");
  const [srcPort, dstPort] = turned ? ["id.resp_p", "id.orig_p"] : ["id.orig_p", "id.resp_p"];
  return s.protocol === row.proto && s.src_port === Number(row[srcPort]) &&
    s.dst_port === Number(row[dstPort]);
}

function equalsButDuration(s: Segment, row: Row): boolean {
  return isSameEnds(s, row, false) && s.conn_state === row.conn_state &&
    s.fwd_packets === Number(row.orig_pkts) && s.fwd_bytes === Number(row.orig_ip_bytes) &&
    s.bwd_packets === Number(row.resp_pkts) && s.bwd_bytes === Number(row.resp_ip_bytes);
}

function microseconds(seconds: number): number {
  return Math.round(seconds * 1e6);
}

/** Zeek leaves a duration of nothing out. */
function isDurationEqual(s: Segment, row: Row): boolean {
  return microseconds(s.end) - microseconds(s.start) === microseconds(Number(row.duration) || 0);
}

/** Zeek's end is the time of a packet of this connection, and after it nobody said anything. */
function isTeardown(s: Segment, row: Row, frames: Frames): boolean {
  if (s.protocol !== "tcp" || !/^(SF|RST.*|REJ)$/.test(s.conn_state)) return false;
  const src = endOf(s.protocol, s.src_ip, s.src_port), dst = endOf(s.protocol, s.dst_ip, s.dst_port);
  const zeekEndUs = microseconds(s.start) + microseconds(Number(row.duration) || 0);
  const own = frames(s.ip_depth).get(conversationKey(s.protocol, src, dst)) ?? [];
  const after = own.filter((frame) => frame.timeUs > zeekEndUs && frame.timeUs <= microseconds(s.end));
  return own.some((frame) => frame.timeUs === zeekEndUs) && after.length > 0 &&
    after.every((frame) => frame.payloadLength === 0);
}

/** Packets and octets of all rows, and of all segments, between the ends of `row`. */
function isSumEqual(row: Row, rows: readonly Row[], segments: readonly Segment[]): boolean {
  const own = segments.filter((s) => isSameEnds(s, row, false) || isSameEnds(s, row, true));
  const theirs = rows.filter((other) =>
    own.some((s) => isSameEnds(s, other, false) || isSameEnds(s, other, true))
  );
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return sum(own.map((s) => s.fwd_packets + s.bwd_packets)) ===
      sum(theirs.map((other) => Number(other.orig_pkts) + Number(other.resp_pkts))) &&
    sum(own.map((s) => s.fwd_bytes + s.bwd_bytes)) ===
      sum(theirs.map((other) => Number(other.orig_ip_bytes) + Number(other.resp_ip_bytes)));
}

function compare(rows: readonly Row[], segments: readonly Segment[], frames: Frames) {
  const unused = new Set(segments);
  const result = { equal: 0, teardown: 0, roles: 0, timeouts: 0, unexplained: [] as string[] };
  for (const row of rows) {
    const candidates = [...unused].filter((s) => equalsButDuration(s, row));
    const equal = candidates.find((s) => isDurationEqual(s, row));
    const found = equal ?? candidates.find((s) => isTeardown(s, row, frames));
    if (found) {
      unused.delete(found);
      result[equal ? "equal" : "teardown"]++;
    } else if (candidates.length > 0) {
      result.unexplained.push(`${JSON.stringify(row)}: only the duration differs`);
    } else if (!isSumEqual(row, rows, segments)) {
      result.unexplained.push(`${row.proto} ${row["id.orig_h"]}:${row["id.orig_p"]} ${row.conn_state}`);
    } else if (row.history?.startsWith("^") || segments.some((s) => isSameEnds(s, row, true))) result.roles++;
    else result.timeouts++;
  }
  return result;
}

const isAbsent = await Deno.stat(`${data}truth/zeek`).then(() => false, () => true);
const { ignore } = isAbsent ? skipLoudly("golden Zeek logs", "../shared/data is absent") : { ignore: false };

Deno.test({
  name: "connection states, packets, octets and durations equal Zeek's, or differ for a named reason",
  ignore,
  fn: async () => {
    const lines = [
      "log                                                                    equal  teardown  roles  time-outs",
    ];
    const unexplained: string[] = [];
    let equal = 0, teardown = 0;
    for (
      const { name } of [...Deno.readDirSync(`${data}truth/zeek`)].sort((a, b) => a.name < b.name ? -1 : 1)
    ) {
      const rows = readLog(await Deno.readTextFile(`${data}truth/zeek/${name}`));
      if (rows.length === 0 || rows[0].conn_state === undefined) continue;
      const capture = `${data}pcap/${name.split("--")[0]}`;
      const { segments } = await runCapture(capture);
      const frames = await Promise.all([1, 2, 3].map((depth) => readFrames(capture, depth)));
      const result = compare(rows, wholeFlows(segments), (depth) => frames[depth - 1]);
      equal += result.equal;
      teardown += result.teardown;
      const { roles, timeouts } = result;
      const numbers = [result.equal, result.teardown, roles, timeouts].map((count) =>
        String(count).padStart(7)
      );
      lines.push(`${name.slice(0, 70).padEnd(70)} ${numbers.join(" ")}`);
      unexplained.push(...result.unexplained.map((text) => `${name}: ${text}`));
    }
    for (const [name, text] of Object.entries(explanations)) lines.push(`${name}: ${text}`);
    Deno.stdout.writeSync(new TextEncoder().encode(lines.join("\n") + "\n"));
    assertEquals(unexplained, []);
    assertEquals(equal >= 65 && equal + teardown >= 103, true, `only ${equal} rows are equal`);
  },
});
