/** A day of capture at packet time in one process: nothing grows, nothing is missing, the dissector is handed over.
 *
 * Method: 24 hours of an office made here, minute by minute, through the real pipeline, chooser and deep lane; once
 * with the real tshark, once with a fake that answers, where what grows can be nothing but our own. Each hour ends with
 * a quiet minute, so that every segment is out and the account must be exact. @module */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals } from "@std/assert";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import { type DissectorProgram, Tshark } from "../../sensor/dissect/child/tshark.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { FakeProgram } from "./dissect/fixture.ts";
import { ack, arp, bytes, ethernet, fin, ipv4, macA, psh, syn, tcp, udp } from "./frames.ts";
import { FakeClock, silentReporter } from "./ship/helpers.ts";

const startUs = 1_700_000_000_000_000;
const minuteUs = 60e6;
const connectionsPerMinute = 40;
const tendMs = 20_000;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Puts octets of `value` at `at`, big-endian. */
function put16(frame: Uint8Array, at: number, value: number): void {
  frame[at] = value >> 8;
  frame[at + 1] = value;
}

/** Frames of one kind whose ends change with `n`: made once, patched for each use. */
function patched(template: Uint8Array, isReply: boolean) {
  return (n: number) => {
    put16(template, isReply ? 32 : 28, n >> 2 & 0xffff);
    put16(template, isReply ? 36 : 34, 1_024 + n % 60_000);
    return template;
  };
}

const text = (words: string) => new TextEncoder().encode(words);
const there = { src: "10.0.0.1", dst: "10.0.0.2" }, back = { src: "10.0.0.2", dst: "10.0.0.1" };
const data = (payload: Uint8Array, reply = false, flags = ack | psh) =>
  patched(
    ethernet(
      0x0800,
      ipv4(
        6,
        tcp({ src: reply ? 80 : 1, dst: reply ? 1 : 80, flags, ack: 1001, payload }),
        reply ? back : there,
      ),
    ),
    reply,
  );
const question = bytes([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], [3, 119, 119, 119, 0], [0, 1, 0, 1]);
const web = [
  data(bytes(), false, syn),
  data(bytes(), true, syn | ack),
  data(bytes(), false, ack),
  data(text("GET /a HTTP/1.1\r\nHost: intranet\r\n\r\n")),
  data(text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), true),
  data(bytes(), true, fin | ack),
  data(bytes(), false, fin | ack),
  data(bytes(), true, ack),
];
const dns = patched(ethernet(0x0800, ipv4(17, udp(1, 53, question), there)), false);
const scan = patched(ethernet(0x0800, ipv4(6, tcp({ flags: syn }), there)), false);
const odd = patched(
  ethernet(0x0800, ipv4(17, udp(1, 5_060, text("OPTIONS sip:a SIP/2.0\r\n\r\n")), there)),
  false,
);
const login = [
  ethernet(0x0800, ipv4(6, tcp({ src: 22, dst: 50_000, flags: ack | psh, payload: bytes(1, 2, 3) }), back)),
  ethernet(0x0800, ipv4(6, tcp({ src: 50_000, dst: 22, flags: ack }), there)),
];
const orphan = (id: number) => ethernet(0x0800, ipv4(17, new Uint8Array(40), { ...there, id, fragment: 20 }));
const stp = ethernet(0x0026, new Uint8Array(38).fill(0x42));

interface Office {
  minute(index: number): void;
}

function office(send: (frame: Uint8Array, timeUs: number) => void): Office {
  let n = 0;
  return {
    minute(index) {
      const fromUs = startUs + index * minuteUs;
      for (let i = 0; i < connectionsPerMinute; i++, n++) {
        web.forEach((frame, step) => send(frame(n), fromUs + i * 1.2e6 + step * 2_000));
        send(dns(n), fromUs + i * 1.2e6 + 20_000);
        if (i % 4 === 0) send(odd(n), fromUs + i * 1.2e6 + 30_000);
      }
      // A scan once an hour, and flows that never end.
      for (let i = 0; i < (index % 60 === 17 ? 2_000 : 0); i++, n++) send(scan(n), fromUs + 50e6 + i * 1_000);
      for (let i = 0; i < 6; i++) {
        login.forEach((frame, step) => send(frame, fromUs + i * 1e7 + 4e6 + step * 900));
      }
      send(orphan(index & 0xffff), fromUs + 55e6);
      send(stp, fromUs + 56e6);
    },
  };
}

Deno.test("a day of capture leaves nothing behind: memory flat, every packet accounted for each hour, no gap in a flow", async () => {
  const program = new FakeProgram();
  await captureDay(program);
  assertEquals(program.processes.filter((process) => process.killed).length, 0);
});

Deno.test("a day of capture hands one tshark over to the next, and their facts are all there", async () => {
  await captureDay(new Tshark());
});

async function captureDay(program: DissectorProgram): Promise<void> {
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const chooser = new PacketChooser();
  const lane = new DissectLane(
    {
      live: false,
      // Small, so that the names it remembers of ended flows are at their bound within the first hour.
      flowsMax: 2_048,
      handOverPackets: 3_000,
      handOverMs: 3_600_000,
      tendMs,
      // The day passes faster than any process can answer.
      silenceMs: 864e5,
      startMs: 864e5,
    },
    { program, clock, reporter, chooser },
  );
  await lane.start();
  let counted = 0, withFacts = 0, calls = 0;
  const logins: LoginPart[] = [];
  const pipeline = new Pipeline({ live: false }, {
    sink: {
      take(page) {
        for (let row = 0; row < page.length; row++) {
          const segment = page.object(row);
          counted += segment.fwd_packets + segment.bwd_packets;
          if (segment.facts !== null) withFacts++;
          if (segment.app_protocol === "sip") calls++;
          if (segment.src_port === 22 || segment.dst_port === 22) {
            const { segment: number, flow_start, start, end } = segment;
            logins.push([number, segment.fwd_packets + segment.bwd_packets, flow_start, start, end]);
          }
        }
      },
    },
    reporter,
    clock,
    deepLane: lane,
    chooser,
  });
  const send = (frame: Uint8Array, timeUs: number) =>
    pipeline.packet(frame, 0, frame.length, frame.length, timeUs, 1);
  const day = office(send);
  const heapMb: number[] = [], open: number[] = [];
  for (let hour = 0; hour < 24; hour++) {
    for (let minute = 0; minute < 59; minute++) {
      day.minute(hour * 60 + minute);
      await pipeline.turn();
      await clock.advance(60_000);
    }
    // A quiet minute; then one packet, whose flow is still open, says that it has passed.
    for (const minute of [59.44, 59.98]) {
      send(ethernet(0x0806, arp(macA, "10.0.0.1", "10.0.0.9")), startUs + (hour * 60 + minute) * minuteUs);
      await pipeline.turn();
      await clock.advance(30_000);
    }
    pipeline.report();
    while (reporter.snapshot().get("segments_waiting") !== 0) {
      await pipeline.turn();
      // Whoever looks after tshark asks for the answers it holds back.
      await clock.advance(tendMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
      pipeline.report();
    }
    const { packets, left_out } = pipeline.summary("");
    assertEquals(packets - 1, counted + left_out.stp, `hour ${hour}`);
    open.push(pipeline.openFlows);
    collectGarbage();
    heapMb.push(Deno.memoryUsage().heapUsed / 1e6);
  }
  await pipeline.finish();
  await lane.stop();
  checkLogins(logins);
  assert(open.every((flows) => flows === open[0] && flows < 50), `open flows: ${open}`);
  assert(withFacts > 24 * 59 * connectionsPerMinute, `${withFacts} segments with facts`);
  // Counters, code and the segments this test keeps: nothing else may have grown since the first hour.
  assert(heapMb[23] < heapMb[1] + 4, `heap, MB: ${heapMb.map((mb) => mb.toFixed(1))}`);
  const counters = reporter.snapshot();
  assert(counters.get('dissector_starts_total{reason="hand_over"}')! >= 24, "the child was not handed over");
  assertEquals([lane.health.given_up, lane.health.refused, lane.health.children], [0, 0, []]);
  assertEquals(counters.get("flows_evicted_total") ?? 0, 0);
  // A few of them come from ports that mean another protocol to tshark.
  const expected = 24 * 59 * connectionsPerMinute / 4;
  if (program instanceof Tshark) assert(calls > 0.999 * expected, `${calls} calls of ${expected}`);
}

/** What the test keeps of a segment, as little as it can: number, packets, start of the flow, start, end. */
type LoginPart = [number: number, packets: number, flowStart: number, start: number, end: number];

/** One flow all day: its segments follow each other without a hole, and count all its packets.
 * Those that wait for facts leave later. */
function checkLogins(given: LoginPart[]): void {
  const all = given.toSorted(([one], [other]) => one - other);
  assertEquals(all.map(([number]) => number), all.map((_, index) => index));
  assertEquals(all.reduce((sum, [, packets]) => sum + packets, 0), 24 * 59 * 12);
  assertEquals(new Set(all.map(([, , flowStart]) => flowStart)).size, 1);
  all.forEach(([, , , start, end], index) => {
    assert(end - start <= 60);
    assert(index === 0 || start > all[index - 1][4]);
  });
}
