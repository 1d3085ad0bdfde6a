/** Pages of segments made by hand: the words a flow table would have left.
 *
 * In: the few columns a test is about; everything else is zero or the default. Out: a page. @module */

import type { Facts } from "../../../shared/facts.ts";
import { parseIp } from "../../../shared/ip.ts";
import { arpProtocol, protocolNumber } from "../../../shared/protocols.ts";
import type { EndReason } from "../../../shared/segment.ts";
import { family } from "../../../sensor/decode/packet.ts";
import { float, strideWords, word } from "../../../sensor/flow/layout.ts";
import { SegmentPage } from "../../../sensor/flow/segment_page.ts";

export interface RowOfPage {
  start_us?: number;
  protocol?: string;
  src_ip?: string;
  dst_ip?: string;
  src_port?: number;
  dst_port?: number;
  flow_id?: number;
  ticket?: number;
  /** Forward, backward. */
  packets?: readonly [number, number];
  /** @default "idle" */
  end_reason?: EndReason;
  facts?: Facts | null;
}

/** Words of one flow. */
export function flowWords(row: RowOfPage): Int32Array {
  const words = new Int32Array(strideWords), floats = new Float64Array(words.buffer);
  const { protocol = "tcp", src_ip = "0.0.0.0", dst_ip = "0.0.0.0", src_port = 0, dst_port = 0 } = row;
  const number = protocolNumber(protocol);
  const kind = number === arpProtocol ? family.arp : src_ip.includes(":") ? family.ipv6 : family.ipv4;
  words[word.meta] = number | kind << 9 | 1 << 12;
  words[word.ports] = src_port << 16 | dst_port;
  const addresses = [[word.src, src_ip], [word.dst, dst_ip]] as const;
  for (const [at, text] of addresses) {
    const bytes = parseIp(text)!;
    for (let i = 0; i < bytes.length; i += 4) {
      words[at + i / 4] = new DataView(bytes.buffer).getInt32(i);
    }
  }
  words.set(row.packets ?? [0, 0], word.packets);
  const startUs = row.start_us ?? 0;
  floats[float.startUs] = floats[float.lastUs] = floats[float.flowStartUs] = startUs;
  floats[float.flowId] = row.flow_id ?? 0;
  floats[float.ticket] = row.ticket ?? 0;
  return words;
}

export function pageOf(rows: readonly RowOfPage[]): SegmentPage {
  const page = new SegmentPage();
  for (const row of rows) appendRow(page, row);
  return page;
}

export function appendRow(page: SegmentPage, row: RowOfPage): void {
  page.append(flowWords(row), 0, row.end_reason ?? "idle");
  if (row.facts) putFacts(page, page.length - 1, "", row.facts);
}

/** Gives row `index` what a deep lane would have read; the rows before it have theirs. */
export function putFacts(page: SegmentPage, index: number, app: string, facts: Facts | null): void {
  if (facts !== null) page.facts.utf8(JSON.stringify(facts));
  page.endFacts(index, app);
}
