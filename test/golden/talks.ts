/** Captures of short talks, octet by octet, and what tshark says of them.
 *
 * In: who says what, as hex or text.
 * Out: a capture of whole TCP connections or datagrams; fields of it; what the sensor reads.
 * Invariant: sequence numbers follow on, so that tshark and the sensor see one stream each way. @module */

import type { Facts } from "../../shared/facts.ts";
import { ack, ethernet, ipv4, pcap, psh, syn, tcp, udp } from "../sensor/frames.ts";
import { program, readFields } from "./facts_yield.ts";
import { readSegments } from "./segments.ts";

/** ">" = the client speaks, "<" = the server; octets, or hex with spaces. */
export type Line = [side: ">" | "<", said: string | Uint8Array];

export interface Talk {
  port: number;
  lines: readonly Line[];
  /** Datagrams instead of a connection. */
  isUdp?: boolean;
  /** Default 40,000 and up, one for each talk. */
  clientPort?: number;
}

export const text = (said: string): Uint8Array => new TextEncoder().encode(said);

function octetsOf(said: string | Uint8Array): Uint8Array {
  return typeof said === "string" ? Uint8Array.fromHex(said.replaceAll(/\s/g, "")) : said;
}

function framesOf({ port, lines, isUdp = false }: Talk, client: number): Uint8Array[] {
  const sides = { ">": { src: "10.0.0.1", dst: "10.0.0.2" }, "<": { src: "10.0.0.2", dst: "10.0.0.1" } };
  const next = { ">": 1_000, "<": 5_000 };
  const frames: Uint8Array[] = [];
  const send = (side: ">" | "<", payload: Uint8Array, flags: number) => {
    const other = side === ">" ? "<" : ">";
    const [src, dst] = side === ">" ? [client, port] : [port, client];
    const segment = isUdp
      ? udp(src, dst, payload)
      : tcp({ src, dst, flags, seq: next[side], ack: flags === syn ? 0 : next[other], payload });
    frames.push(ethernet(0x0800, ipv4(isUdp ? 17 : 6, segment, sides[side])));
    next[side] += payload.length + (flags & syn ? 1 : 0);
  };
  if (!isUdp) {
    send(">", new Uint8Array(), syn);
    send("<", new Uint8Array(), syn | ack);
    send(">", new Uint8Array(), ack);
  }
  for (const [side, said] of lines) send(side, octetsOf(said), ack | psh);
  return frames;
}

/** A capture of these talks, each with a port of its own. */
export function talkCapture(talks: readonly Talk[]): Uint8Array {
  const frames = talks.flatMap((talk, index) => framesOf(talk, talk.clientPort ?? 40_000 + index));
  return pcap(frames.map((frame, index) => ({ timeUs: 1_700_000_000_000_000 + index * 1_000, frame })));
}

/** What the sensor reads in each talk, in order; and what `ask` makes of the capture. */
export async function readTalks<Answer>(
  talks: readonly Talk[],
  ask: (file: string) => Promise<Answer>,
): Promise<{ facts: (Facts | null)[]; apps: string[]; answer: Answer }> {
  const file = await Deno.makeTempFile({ suffix: ".pcap" });
  try {
    await Deno.writeFile(file, talkCapture(talks));
    const [segments, answer] = await Promise.all([readSegments(file, program), ask(file)]);
    const ordered = segments.sort((a, b) => a.start - b.start);
    return { facts: ordered.map(({ facts }) => facts), apps: ordered.map((one) => one.app_protocol), answer };
  } finally {
    await Deno.remove(file);
  }
}

/** Values of one field, each of which is in a packet that `filter` lets pass. */
export async function fieldOf(file: string, field: string, filter = field): Promise<string[]> {
  const rows = await readFields(file, [field], filter);
  return rows.flatMap(([values]) => values.split("\x1f")).filter((value) => value !== "");
}
