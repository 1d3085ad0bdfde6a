/** The small parts of the flow table: layout, Community ID, clock, wheel, rows that wait. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { communityHash } from "../../../sensor/flow/community_hash.ts";
import { float, strideWords, word } from "../../../sensor/flow/layout.ts";
import type { Octets } from "../../../sensor/flow/octets.ts";
import { PacketClock } from "../../../sensor/flow/packet_clock.ts";
import { WaitingRows } from "../../../sensor/flow/waiting.ts";
import { Wheel } from "../../../sensor/flow/wheel.ts";
import { communityIdDigest } from "../../../shared/community_id.ts";
import { roundTo3 } from "../../../shared/segment.ts";
import type { SegmentPage } from "../../../sensor/flow/segment_page.ts";
import { appendRow } from "./pages.ts";

Deno.test("layout keeps integer and float fields apart, within one flow's memory", () => {
  const lastWord = word.code + 1;
  assert(Math.min(...Object.values(float)) * 2 >= lastWord);
  assert(Math.max(...Object.values(float)) * 2 + 2 <= strideWords);
  assertEquals(strideWords % 2, 0);
});

Deno.test("community hash equals the shared one, for every protocol and both families", () => {
  const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(fc.property(
    fc.boolean().chain((isIpv6) => fc.tuple(octets(isIpv6 ? 16 : 4), octets(isIpv6 ? 16 : 4))),
    fc.constantFrom(1, 2, 6, 17, 47, 58, 132, 255),
    port,
    port,
    fc.boolean(),
    ([src, other], protocol, srcPort, dstPort, isSame) => {
      const dst = isSame ? src : other;
      const icmp = protocol === 1 || protocol === 58;
      const ports = [icmp ? srcPort & 255 : srcPort, icmp ? dstPort & 255 : dstPort] as const;
      const words = new Int32Array(8);
      const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset);
      for (let i = 0; i < src.length / 4; i++) {
        words[i] = view(src).getInt32(4 * i);
        words[4 + i] = view(dst).getInt32(4 * i);
      }
      const out = new Uint8Array(20);
      communityHash(protocol, words, 0, 4, src.length / 4, ...ports, out);
      assertEquals([...out], [...communityIdDigest(protocol, src, dst, ...ports)]);
    },
  ));
});

Deno.test("numbers are rounded to three significant digits", () => {
  const cases = [0, 0.0123456, 1, 9.996, 99.96, 123.4, 999.6, 1234, 123_456_789, 40];
  assertEquals(cases.map(roundTo3), [0, 0.0123, 1, 10, 100, 123, 1000, 1230, 123_000_000, 40]);
});

Deno.test("packet clock never steps back, and starts anew after a long step", () => {
  const clock = new PacketClock(30e6);
  assertEquals([100e6, 90e6, 110e6, 10e6, 11e6, 12e6].map((us) => clock.advance(us)), [
    100e6,
    100e6,
    110e6,
    110e6,
    111e6,
    112e6,
  ]);
  assertEquals(clock.stepsBack, 1);
});

Deno.test("wheel gives each flow once, not before it is due, however far time jumps", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 100 })), { maxLength: 60 }),
    (steps) => {
      const wheel = new Wheel();
      const words = new Int32Array(64 * strideWords);
      const due = new Int32Array(64);
      const dueUs = new Map<number, number>();
      let nowUs = 1_700_000_000_000_000;
      wheel.start(nowUs);
      steps.forEach(([afterSeconds, jumpSeconds], flow) => {
        const horizon = Math.min(afterSeconds, 255);
        dueUs.set(flow, nowUs + horizon * 1e6);
        wheel.insert(words, flow, nowUs + afterSeconds * 1e6);
        nowUs += jumpSeconds * 1e6;
        const count = wheel.turn(words, nowUs, due);
        for (let i = 0; i < count; i++) {
          assert(dueUs.get(due[i])! <= nowUs + 1e6, "too early");
          dueUs.delete(due[i]);
        }
        for (const us of dueUs.values()) assert(us > nowUs - 1e6, "too late");
      });
      const count = wheel.turn(words, nowUs + 1e15, due);
      assertEquals(count, dueUs.size);
      assertEquals(wheel.first(), -1);
    },
  ));
});

Deno.test("wheel names a flow of the first slot, whatever came and went before", () => {
  const slotUs = 31_250;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom("insert", "remove", "turn", "first"), fc.nat(300)), {
        maxLength: 80,
      }),
      (steps) => {
        const wheel = new Wheel();
        const words = new Int32Array(100 * strideWords), due = new Int32Array(100);
        const slotOf = new Map<number, number>();
        let tick = 0, flows = 0;
        wheel.start(0);
        for (const [what, by] of steps) {
          if (what === "insert") {
            slotOf.set(flows, tick + by + 1);
            wheel.insert(words, flows++, (tick + by) * slotUs);
          } else if (what === "remove" && slotOf.size > 0) {
            const flow = [...slotOf.keys()][by % slotOf.size];
            slotOf.delete(flow);
            wheel.remove(words, flow);
          } else if (what === "turn") {
            tick += by;
            const count = wheel.turn(words, tick * slotUs, due);
            for (let i = 0; i < count; i++) slotOf.delete(due[i]);
          } else if (what === "first") {
            const first = wheel.first();
            if (slotOf.size === 0) assertEquals(first, -1);
            else assertEquals(slotOf.get(first), Math.min(...slotOf.values()));
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

/** Adds a segment to those that wait for `ticket`, told from others by its source port. */
function fill(waiting: WaitingRows, flow_id: number, ticket: number, src_port = flow_id): void {
  appendRow(waiting.pageFor(ticket), { flow_id, ticket, src_port });
}

function portsOf(page: SegmentPage): number[] {
  return Array.from({ length: page.length }, (_, i) => page.object(i).src_port);
}

Deno.test("rows wait for their answers, and get their facts", () => {
  const waiting = new WaitingRows({ waitMs: 1_000, rowsMax: 10 });
  const source = {
    answeredTicket: 0,
    takeFacts(flowId: number, _segment: number, out: Octets) {
      if (flowId !== 1) out.utf8(`{"cut":${flowId}}`);
      return `app${flowId}`;
    },
  };
  const ports = () => waiting.take().map(portsOf);
  fill(waiting, 1, 5);
  fill(waiting, 2, 3);
  fill(waiting, 3, 0);
  waiting.release(source, 0);
  fill(waiting, 4, 6);
  assertEquals([ports(), waiting.waitingCount], [[[3]], 3]);
  source.answeredTicket = 4;
  waiting.release(source, 10);
  assertEquals(ports(), []);
  source.answeredTicket = 5;
  waiting.release(source, 20);
  const [rows, ...others] = waiting.take();
  assertEquals(others.length, 0);
  assertEquals(portsOf(rows), [1, 2]);
  assertEquals(rows.apps, ["app1", "app2"]);
  assertEquals([rows.object(0).facts, rows.object(1).facts], [null, { cut: 2 }]);
  source.answeredTicket = 6;
  waiting.release(source, 30);
  assertEquals([ports(), waiting.waitingCount, waiting.hurried], [[[4]], 0, 0]);
});

Deno.test("rows wait no longer than told, and no more of them than told; both are counted", () => {
  const never = { answeredTicket: 0, takeFacts: () => "" };
  const late = new WaitingRows({ waitMs: 1_000, rowsMax: 10 });
  fill(late, 1, 1);
  late.release(never, 5_000);
  late.release(never, 5_999);
  assertEquals(late.take(), []);
  late.release(never, 6_000);
  assertEquals([late.take().length, late.hurried], [1, 1]);
  const full = new WaitingRows({ waitMs: Infinity, rowsMax: 3 });
  for (let port = 1; port <= 5; port++) {
    fill(full, port, port);
    full.release(never, 0);
  }
  assertEquals(full.take().map(portsOf), [[1], [2]]);
  assertEquals([full.waitingCount, full.hurried], [3, 2]);
});

Deno.test("rows that came in one go leave in pages, none lost", () => {
  const waiting = new WaitingRows({ waitMs: Infinity, rowsMax: 10_000 });
  for (let port = 0; port < 2_000; port++) fill(waiting, port, port + 1);
  waiting.release({ answeredTicket: 2_000, takeFacts: () => "" }, 0);
  const pages = waiting.take();
  assertEquals(pages.map((rows) => rows.length), [512, 512, 512, 464]);
  assertEquals(
    pages.flatMap(portsOf),
    Array.from({ length: 2_000 }, (_, port) => port),
  );
});
