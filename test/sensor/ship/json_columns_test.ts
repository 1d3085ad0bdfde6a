/** What is written straight from the words of flows, parsed again, is what those flows are as objects. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { readColumns } from "../../../aggregator/ingest/columns.ts";
import { segmentsOf } from "../../aggregator/ingest/merging.ts";
import { family, tunnelNames } from "../../../sensor/decode/packet.ts";
import { float, strideWords, word } from "../../../sensor/flow/layout.ts";
import { pageRowsMax, SegmentPage } from "../../../sensor/flow/segment_page.ts";
import { stateBit } from "../../../sensor/flow/tcp_state.ts";
import { JsonColumns } from "../../../sensor/ship/json_columns.ts";
import { sealableOf } from "./helpers.ts";
import type { Facts } from "../../../shared/facts.ts";
import { arpProtocol } from "../../../shared/protocols.ts";
import { endReasons, type Segment } from "../../../shared/segment.ts";
import { pageOf, putFacts } from "../flow/pages.ts";

/** Segments of a batch with the value `bytes`, as the aggregator reads them. */
function received(bytes: Uint8Array, rows: number): Segment[] {
  const columns = readColumns(bytes, rows);
  assert(typeof columns !== "string", `refused: ${columns}`);
  return segmentsOf(columns);
}

function slotsOf(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

/** Any words a flow can have: those that count something are free, kinds and states are of the lists they come from. */
const anyFlow = fc.record({
  words: fc.array(fc.oneof(fc.constant(0), fc.integer()), { minLength: strideWords, maxLength: strideWords }),
  sums: fc.array(fc.maxSafeNat().map((n) => n % 2 ** 36), { minLength: 16, maxLength: 16 }),
  family: fc.constantFrom(...Object.values(family)),
  protocol: fc.constantFrom(1, 6, 17, 47, 58, 132, 200),
  tunnel: fc.nat(tunnelNames.length - 1),
  packets: fc.tuple(fc.nat(2 ** 31), fc.nat(3)),
  reason: fc.constantFrom(...endReasons),
  facts: fc.constantFrom<Facts | null>(null, { http: [{ uri: '/"\\\u2028\ud800\u0000é🙂' }] }, {
    tls: { sni: "a.example" },
  }),
});

Deno.test("columns written from words are the objects of the same segments", () => {
  const json = new JsonColumns();
  fc.assert(
    fc.property(fc.array(anyFlow, { minLength: 1, maxLength: 30 }), (flows) => {
      const page = new SegmentPage();
      flows.forEach((flow, index) => {
        const words = Int32Array.from(flow.words), floats = new Float64Array(words.buffer);
        const isArp = flow.family === family.arp;
        floats.set(flow.sums.slice(0, 15), float.startUs);
        // By start, which is the order in which the aggregator reads them.
        floats[float.startUs] = 1_700_000_000_000_000 + index;
        floats[float.lastUs] = floats[float.startUs] + flow.sums[1] % 2 ** 40;
        floats[float.flowStartUs] = floats[float.startUs] - flow.sums[2] % 2 ** 40;
        words[word.meta] = (isArp ? arpProtocol : flow.protocol) | flow.family << 9 | 1 << 12 |
          flow.tunnel << 16;
        words[word.ports] &= flow.protocol === 1 || flow.protocol === 58 ? 0x00ff00ff : -1;
        words[word.code] &= 0x000400ff;
        words[word.packets] = flow.packets[0] + 1;
        words[word.packets + 1] = flow.packets[1];
        words[word.gapMinUs] &= 0x7fffffff;
        words[word.gapMaxUs] &= 0x7fffffff;
        if (index % 2 === 0) words[word.state] |= stateBit.isnKnown;
        page.append(words, 0, flow.reason);
        putFacts(page, index, flow.facts === null ? "" : "http", flow.facts);
      });
      const written = json.encode(sealableOf(page), slotsOf(page.length));
      const objects = Array.from({ length: page.length }, (_, i) => page.object(i));
      assertEquals(received(written, page.length), JSON.parse(JSON.stringify(objects)));
    }),
    { numRuns: 200 },
  );
});

Deno.test("a column that holds only its default is left out, those of the flow key and the counts never", () => {
  const page = pageOf([{ src_ip: "10.0.0.1", dst_ip: "10.0.0.2", src_port: 1, dst_port: 2 }]);
  const text = new TextDecoder().decode(
    new JsonColumns().encode(sealableOf(page), slotsOf(1)),
  );
  const given = Object.keys(JSON.parse(text));
  assertEquals(given, [
    "start_us",
    "duration_us",
    "vlan",
    "protocol",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "fwd_packets",
    "fwd_bytes",
    "fwd_payload_bytes",
    "bwd_packets",
    "bwd_bytes",
    "bwd_payload_bytes",
  ]);
});

Deno.test("numbers are written digit by digit as they are", () => {
  const numbers = [0, 9, 10, 99_999, 1e8, 999_999_999, 1e9, 1e9 + 1, 4_294_967_295, 1_700_000_000_000_001];
  const page = pageOf(numbers.map((start_us) => ({ start_us })));
  const value = JSON.parse(
    new TextDecoder().decode(new JsonColumns().encode(sealableOf(page), slotsOf(10))),
  );
  assertEquals(value.start_us, numbers);
  const largest = pageOf([{ start_us: Number.MAX_SAFE_INTEGER }]);
  const text = new TextDecoder().decode(
    new JsonColumns().encode(sealableOf(largest), slotsOf(1)),
  );
  assertEquals(JSON.parse(text).start_us, [Number.MAX_SAFE_INTEGER]);
});

Deno.test("only the rows asked for are written, a page full of them too", () => {
  const page = pageOf(Array.from({ length: pageRowsMax }, (_, i) => ({ src_port: i })));
  const json = new JsonColumns();
  const ports = (from: number, to: number) =>
    JSON.parse(
      new TextDecoder().decode(json.encode(sealableOf(page), slotsOf(pageRowsMax).subarray(from, to))),
    )
      .src_port;
  assertEquals(ports(3, 6), [3, 4, 5]);
  assertEquals(ports(0, pageRowsMax).length, pageRowsMax);
});
