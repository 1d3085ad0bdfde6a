/** Runs frames through decoder, fragments and flow table, and collects the segments.
 *
 * Why not the pipeline: these tests are about flows, and read counters of the table itself. @module */

import { Decoder } from "../../../sensor/decode/decoder.ts";
import type { FlowOptions } from "../../../sensor/flow/flow_options.ts";
import { Fragments } from "../../../sensor/flow/fragments.ts";
import { SegmentPage } from "../../../sensor/flow/segment_page.ts";
import { FlowTable } from "../../../sensor/flow/table.ts";
import type { Segment } from "../../../shared/segment.ts";
import { ipv4, tcp, type TcpOptions, udp } from "../frames.ts";

export const startUs = 1_700_000_000_000_000;

export class Harness {
  table: FlowTable;
  fragments: Fragments;
  packets = 0;
  #pages: SegmentPage[] = [];
  #decoder = new Decoder();

  constructor(options: Partial<FlowOptions> = {}) {
    this.table = new FlowTable(options, { pageFor: () => this.#page() });
    this.fragments = new Fragments(this.table);
  }

  /** One IP packet, `ms` after the start (or at `ms` of the epoch when `isEpoch`). */
  ip(packet: Uint8Array, ms: number, linkType = 101, isEpoch = false): void {
    const timeUs = (isEpoch ? 0 : startUs) + Math.round(ms * 1000);
    const stopped = this.#decoder.decode(packet, 0, packet.length, packet.length, linkType);
    if (stopped !== 0) throw new Error(`Cannot use frame as it was left out: reason ${stopped}`);
    this.packets++;
    this.table.advance(timeUs);
    for (let layer = 0; layer < this.#decoder.layerCount; layer++) {
      const p = this.#decoder.layers[layer];
      if (p.isFragment) this.fragments.count(p, packet, timeUs);
      else this.table.count(this.table.locate(p, packet, timeUs), p, timeUs);
    }
  }

  /** TCP from A (10.0.0.1:40000) to B (10.0.0.2:80). */
  a(flags: number, ms: number, given: TcpOptions = {}): void {
    this.ip(ipv4(6, tcp({ flags, ...given })), ms);
  }

  /** TCP from B to A. */
  b(flags: number, ms: number, given: TcpOptions = {}): void {
    const segment = tcp({ flags, src: 80, dst: 40_000, ...given });
    this.ip(ipv4(6, segment, { src: "10.0.0.2", dst: "10.0.0.1" }), ms);
  }

  udp(
    src: string,
    srcPort: number,
    dst: string,
    dstPort: number,
    ms: number,
    payload = new Uint8Array(4),
  ): void {
    this.ip(ipv4(17, udp(srcPort, dstPort, payload), { src, dst }), ms);
  }

  /** Segments exported so far, or with `all` also those of flows still open. */
  segments(all = true): Segment[] {
    if (all) {
      this.fragments.flush();
      for (const _ of this.table.endAll());
    }
    return this.#pages.flatMap((page) => Array.from({ length: page.length }, (_, i) => page.object(i)));
  }

  #page(): SegmentPage {
    const last = this.#pages.at(-1);
    if (last !== undefined && !last.isFull) return last;
    const page = new SegmentPage();
    this.#pages.push(page);
    return page;
  }
}

/** The parts of a segment that most tests are about. */
export function brief(s: Segment): string {
  return `${s.protocol} ${s.src_ip}:${s.src_port} ${s.dst_ip}:${s.dst_port} ${s.fwd_packets}/${s.bwd_packets} ${s.conn_state} ${s.end_reason} ${s.segment}`;
}
