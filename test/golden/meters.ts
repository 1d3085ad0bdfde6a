/** Flows as other meters report them, and ours brought to the same form, so that both can be compared.
 *
 * In: a capture through the real pipeline; argus and ipfixprobe tables of ../shared/data/truth.
 * Out: flows by conversation.
 * Invariant: times are integer microseconds; counts are from the flow's own `src` to its `dst` and back.
 * Why the frames are read once more: argus counts octets on the link, segments count IP octets; the difference, link
 * headers and padding, is added up from the frames themselves. @module */

import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { Decoder } from "../../sensor/decode/decoder.ts";
import type { Packet } from "../../sensor/decode/packet.ts";
import { formatIp } from "../../shared/ip.ts";
import { protocolName } from "../../shared/protocols.ts";
import type { Segment } from "../../shared/segment.ts";

/** One flow of one meter. */
export interface MeterFlow {
  protocol: string;
  src: string;
  dst: string;
  startUs: number;
  endUs: number;
  packets: [number, number];
  bytes: [number, number];
  /** The meter's own word for how the connection went. */
  state: string;
}

/** What one frame adds to its outermost flow. */
export interface Frame {
  src: string;
  timeUs: number;
  /** Octets of the frame that are not the IP packet's: link headers, padding. */
  linkBytes: number;
  payloadLength: number;
  tcpFlags: number;
  isFragment: boolean;
}

/** Both ends in an order that does not depend on the direction. */
export function conversationKey(protocol: string, src: string, dst: string): string {
  return src < dst ? `${protocol} ${src} ${dst}` : `${protocol} ${dst} ${src}`;
}

/** An address with its port where the protocol has one. */
export function endOf(protocol: string, ip: string, port: number | string): string {
  return protocol === "tcp" || protocol === "udp" ? `${ip}:${port}` : ip;
}

function addressText(family: number, words: readonly number[]): string {
  const octets = words.slice(0, family === 6 ? 4 : 1).flatMap(
    (w) => [w >>> 24, w >> 16 & 255, w >> 8 & 255, w & 255],
  );
  return formatIp(Uint8Array.from(octets));
}

/** Every frame of a capture that has a network header at this depth, by conversation, in the order of the capture. */
export async function readFrames(path: string, depth = 1): Promise<Map<string, Frame[]>> {
  const conversations = new Map<string, Frame[]>();
  const decoder = new Decoder();
  const reader = new CaptureReader({
    packet(b, offset, captured, wireLength, timeUs, linkType) {
      if (decoder.decode(b, offset, captured, wireLength, linkType) !== 0) return;
      if (decoder.layerCount < depth) return;
      const p: Packet = decoder.layers[depth - 1];
      const protocol = protocolName(p.protocol);
      const src = endOf(protocol, addressText(p.family, [p.src0, p.src1, p.src2, p.src3]), p.srcPort);
      const dst = endOf(protocol, addressText(p.family, [p.dst0, p.dst1, p.dst2, p.dst3]), p.dstPort);
      const key = conversationKey(protocol, src, dst);
      let frames = conversations.get(key);
      if (!frames) conversations.set(key, frames = []);
      const { payloadLength, tcpFlags, isFragment } = p;
      frames.push({ src, timeUs, linkBytes: wireLength - p.ipBytes, payloadLength, tcpFlags, isFragment });
    },
  });
  const file = await Deno.open(path);
  for (;;) {
    const count = await file.read(reader.space());
    if (count === null) break;
    reader.commit(count);
  }
  file.close();
  return conversations;
}

function microseconds(seconds: number): number {
  return Math.round(seconds * 1e6);
}

/** Whole flows at one depth: the segments of each put together, with its last state. */
export function flowsOf(segments: readonly Segment[], depth = 1): MeterFlow[] {
  const open = new Map<string, MeterFlow>();
  const flows: MeterFlow[] = [];
  for (const s of segments) {
    if (s.ip_depth !== depth) continue;
    const src = endOf(s.protocol, s.src_ip, s.src_port), dst = endOf(s.protocol, s.dst_ip, s.dst_port);
    const own = [s.src_port, s.dst_port, s.vlan, s.vlan_inner, microseconds(s.flow_start)];
    const key = [s.protocol, src, dst, ...own].join(" ");
    let flow = open.get(key);
    if (!flow || s.segment === 0) {
      const startUs = microseconds(s.start);
      flow = {
        protocol: s.protocol,
        src,
        dst,
        startUs,
        endUs: startUs,
        packets: [0, 0],
        bytes: [0, 0],
        state: "",
      };
      open.set(key, flow);
      flows.push(flow);
    }
    flow.startUs = Math.min(flow.startUs, microseconds(s.start));
    flow.endUs = Math.max(flow.endUs, microseconds(s.end));
    flow.packets[0] += s.fwd_packets;
    flow.packets[1] += s.bwd_packets;
    flow.bytes[0] += s.fwd_bytes;
    flow.bytes[1] += s.bwd_bytes;
    flow.state = s.conn_state;
  }
  return flows;
}

/** Flows of an argus table. */
export function flowsOfArgus(rows: readonly Record<string, string>[]): MeterFlow[] {
  return rows.map((row) => {
    const protocol = row.proto === "ipv6-icmp" ? "icmp6" : row.proto;
    const startUs = microseconds(Number(row.start));
    return {
      protocol,
      src: endOf(protocol, row.src, row.sport),
      dst: endOf(protocol, row.dst, row.dport),
      startUs,
      endUs: startUs + microseconds(Number(row.duration)),
      packets: [Number(row.pkts_src), Number(row.pkts_dst)],
      bytes: [Number(row.bytes_src), Number(row.bytes_dst)],
      state: row.state,
    };
  });
}

/** Flows of an ipfixprobe CSV file; it is sorted, header and all, and its times have no zone and are UTC. */
export function flowsOfIpfixprobe(text: string): MeterFlow[] {
  const all = text.split("\n").filter((line) => line !== "");
  const header = all.find((line) => line.startsWith("ipaddr "))!;
  const lines = all.filter((line) => line !== header);
  const names = header.split(",").map((name) => name.split(" ")[1]);
  return lines.map((line) => {
    const values = line.split(",");
    const of = (name: string) => values[names.indexOf(name)];
    const protocol = protocolName(Number(of("PROTOCOL")));
    return {
      protocol,
      src: endOf(protocol, of("SRC_IP"), of("SRC_PORT")),
      dst: endOf(protocol, of("DST_IP"), of("DST_PORT")),
      startUs: isoMicroseconds(of("TIME_FIRST")),
      endUs: isoMicroseconds(of("TIME_LAST")),
      packets: [Number(of("PACKETS")), Number(of("PACKETS_REV"))],
      bytes: [Number(of("BYTES")), Number(of("BYTES_REV"))],
      state: `${of("TCP_FLAGS")} ${of("TCP_FLAGS_REV")}`,
    };
  });
}

/** `Date` knows no microseconds. */
function isoMicroseconds(text: string): number {
  const [seconds, fraction] = text.split(".");
  return Date.parse(seconds + "Z") * 1000 + Number(fraction);
}

/** Flows by conversation, the earliest first. */
export function byConversation(flows: readonly MeterFlow[]): Map<string, MeterFlow[]> {
  const groups = new Map<string, MeterFlow[]>();
  for (const flow of flows) {
    const key = conversationKey(flow.protocol, flow.src, flow.dst);
    const group = groups.get(key);
    if (group) group.push(flow);
    else groups.set(key, [flow]);
  }
  for (const group of groups.values()) group.sort((a, b) => a.startUs - b.startUs || a.endUs - b.endUs);
  return groups;
}

/** Packets and octets that `end` sent in all these flows. */
export function sentBy(flows: readonly MeterFlow[], end: string): { packets: number; bytes: number } {
  let packets = 0, bytes = 0;
  for (const flow of flows) {
    for (const direction of [0, 1] as const) {
      if ((direction === 0 ? flow.src : flow.dst) !== end) continue;
      packets += flow.packets[direction];
      bytes += flow.bytes[direction];
    }
  }
  return { packets, bytes };
}
