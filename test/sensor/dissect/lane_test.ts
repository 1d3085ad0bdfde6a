/** The deep lane against dissectors that answer, fall silent, die and talk nonsense. @module */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DissectLane } from "../../../sensor/dissect/lane.ts";
import type { LaneOptions } from "../../../sensor/dissect/lane_options.ts";
import { plainKind } from "../../../sensor/dissect/plain/plain_kind.ts";
import { counted, FakeClock, silentReporter, turn } from "../ship/helpers.ts";
import { clientHello, dnsMessage, FakeProgram, lineOf } from "./fixture.ts";
import { takenFrom } from "./readings.ts";

const frame = new Uint8Array(60);
const query = dnsMessage([7, 0x0100, 1, 0, 0, 0], ["www", 0, 0, 1, 0, 1]);

function open(options: Partial<LaneOptions> = {}, answersItself = true, chooser?: {
  plainKind: number;
  plainOffset: number;
  plainLength: number;
  plainIsCut: boolean;
  plainPort: number;
  plainSeq: number;
  isFromServer: boolean;
  isContinuing: boolean;
  settle(): void;
}) {
  const program = new FakeProgram(answersItself);
  const clock = new FakeClock();
  const { reporter, lines } = silentReporter();
  const lane = new DissectLane(options, { program, clock, reporter, ...(chooser && { chooser }) });
  const offer = (flowId: number) => lane.offer(frame, 0, 60, 60, 1_000_000, flowId);
  const settle = async () => {
    for (let i = 0; i < 5; i++) await turn();
  };
  return { lane, program, clock, reporter, lines, offer, settle };
}

Deno.test("tickets rise by one and are answered in order", async () => {
  const { lane, program, offer, settle } = open({}, false);
  await lane.start();
  assertEquals([offer(5), offer(6), offer(5)], [1, 2, 3]);
  assertEquals(lane.answeredTicket, 0);
  await lane.turn();
  await settle();
  program.processes[0].say(lineOf(1, { protocols: "eth:ip:tcp:http", kind: "GET", name: "a" }));
  program.processes[0].say(lineOf(2));
  await settle();
  assertEquals(lane.answeredTicket, 2);
  assertEquals(takenFrom(lane, 5), { app_protocol: "http", facts: { http: [{ method: "GET", host: "a" }] } });
  assertEquals(takenFrom(lane, 6), { app_protocol: "", facts: null });
  await lane.stop();
});

Deno.test("a silent dissector is killed in time, its packets are given up and said, and another takes over", async () => {
  const { lane, program, clock, reporter, lines, offer, settle } = open({ silenceMs: 3_000 }, false);
  await lane.start();
  offer(1);
  await clock.advance(100);
  program.processes[0].answer();
  await settle();
  for (let i = 0; i < 10; i++) offer(2);
  let waitedMs = 0;
  for (; !program.processes[0].killed && waitedMs < 10_000; waitedMs += 50) await clock.advance(50);
  assert(waitedMs <= 3_200, `killed after ${waitedMs} ms`);
  await settle();
  assertEquals([lane.answeredTicket, lane.health.given_up], [11, 10]);
  assertEquals(counted(reporter, "facts_given_up_total", "killed"), 10);
  assertStringIncludes(lines.join("\n"), "facts of these packets are lost packets=10");
  await clock.advance(1_000);
  assertEquals(program.processes.length, 2);
  assertEquals(offer(3), 12);
  await lane.stop();
});

Deno.test("a dissector that dies is replaced after a growing delay, and offers meanwhile are refused", async () => {
  const { lane, program, clock, reporter, offer, settle } = open(
    { restartMinMs: 1_000, restartMaxMs: 4_000 },
    false,
  );
  await lane.start();
  const starts: number[] = [];
  for (let i = 0; i < 5; i++) {
    program.processes.at(-1)!.exit("killed by SIGSEGV");
    await settle();
    assertEquals(offer(1), 0);
    const count = program.processes.length;
    let waitedMs = 0;
    for (; program.processes.length === count && waitedMs < 20_000; waitedMs += 50) await clock.advance(50);
    starts.push(waitedMs);
  }
  assertEquals(starts, [1_000, 2_000, 4_000, 4_000, 4_000]);
  await clock.advance(50);
  assertEquals(counted(reporter, "facts_refused_total", "no_child"), 5);
  assertEquals(counted(reporter, "dissector_starts_total", "restart"), 5);
  assertEquals(lane.health.failures, { total: 5, lately: 5, words: "killed by SIGSEGV" });
  assertEquals(counted(reporter, "dissector_failures_total", "exited"), 5);
  await lane.stop();
  assertEquals(lane.health.failures.total, 5, "the last one was told to end");
});

Deno.test("nonsense from the dissector never reaches a flow", async () => {
  for (const nonsense of ["hello\n", lineOf(2), lineOf(1) + lineOf(2), "x".repeat(1_100_000)]) {
    const { lane, program, offer, settle } = open({}, false);
    await lane.start();
    offer(1);
    await lane.turn();
    await settle();
    program.processes[0].say(nonsense);
    await settle();
    assert(program.processes[0].killed);
    assertEquals(takenFrom(lane, 1).facts, null);
    assertEquals(lane.answeredTicket, 1);
    await lane.stop();
  }
});

Deno.test("a hand-over loses nothing and keeps the order of tickets", async () => {
  const { lane, program, offer, settle } = open({ handOverPackets: 10, overlapPackets: 5 }, false);
  await lane.start();
  for (let i = 0; i < 10; i++) offer(1);
  await lane.turn();
  for (let i = 0; i < 5; i++) offer(2);
  await lane.turn();
  await settle();
  const [old, young] = program.processes;
  assert(old.ended && !young.ended);
  assertEquals([old.packets, young.packets], [10, 5]);
  young.answer();
  await settle();
  assertEquals(lane.answeredTicket, 0);
  old.answer();
  old.exit("");
  await settle();
  assertEquals([lane.answeredTicket, lane.health.given_up, lane.health.children.length], [15, 0, 1]);
  await lane.stop();
});

Deno.test("after a hand-over the rest of a message goes to the child that has its beginning, for a while", async () => {
  const chooser = {
    plainKind: plainKind.none as number,
    plainOffset: 0,
    plainLength: 0,
    plainIsCut: false,
    plainPort: 0,
    isFromServer: false,
    plainSeq: 0,
    isContinuing: false,
    settle() {},
  };
  const options = { handOverPackets: 10, overlapPackets: 4, overlapMs: 2_000 };
  const { lane, program, offer, settle } = open(options, false, chooser);
  await lane.start();
  for (let i = 0; i < 10; i++) offer(1);
  await lane.turn();
  await settle();
  const [old, young] = program.processes;
  const rest = (flow: number) => {
    chooser.isContinuing = true;
    offer(flow);
    chooser.isContinuing = false;
  };
  offer(2);
  rest(1);
  rest(2);
  await lane.turn();
  await settle();
  assertEquals([old.packets, young.packets, old.ended], [11, 2, false]);
  offer(1);
  rest(1);
  await lane.turn();
  await settle();
  assertEquals([old.packets, young.packets, old.ended], [11, 4, true]);
  await lane.stop();
});

Deno.test("a hand-over is over after some time too", async () => {
  const { lane, program, clock, offer } = open({ handOverPackets: 2, overlapMs: 500 });
  await lane.start();
  for (let i = 0; i < 2; i++) offer(1);
  await lane.turn();
  assert(!program.processes[0].ended);
  await clock.advance(600);
  assert(program.processes[0].ended && !program.processes[1].ended);
  await lane.stop();
});

Deno.test("a child is relieved by time too", async () => {
  const { lane, program, clock } = open({ handOverMs: 60_000 });
  await lane.start();
  await clock.advance(61_000);
  assertEquals(program.processes.length, 2);
  await lane.stop();
});

Deno.test("live offers beyond a bound are refused at once and counted by reason", async () => {
  const { lane, clock, reporter, offer } = open({ waitingPacketsMax: 4, packetsPerSecondMax: 7 }, false);
  await lane.start();
  assertEquals(Array.from({ length: 6 }, () => offer(1)), [1, 2, 3, 4, 0, 0]);
  await clock.advance(50);
  assertEquals(counted(reporter, "facts_refused_total", "packets_max"), 2);
  await lane.stop();
  const second = open({ packetsPerSecondMax: 3 });
  await second.lane.start();
  assertEquals(Array.from({ length: 5 }, () => second.offer(1)), [1, 2, 3, 0, 0]);
  await second.clock.advance(2_000);
  assertEquals(second.offer(1), 4);
  assertEquals(counted(second.reporter, "facts_refused_total", "rate"), 2);
  await second.lane.stop();
});

Deno.test("a replay waits for room instead of refusing", async () => {
  const { lane, program, offer, settle } = open({ live: false, waitingPacketsMax: 10 }, false);
  await lane.start();
  for (let i = 0; i < 8; i++) assert(offer(1) > 0);
  let isBack = false;
  const waiting = lane.turn().then(() => isBack = true);
  await settle();
  assert(!isBack);
  program.processes[0].answer(3);
  await settle();
  assert(isBack);
  await waiting;
  await lane.stop();
});

Deno.test("a dissector that has answered all and does not end keeps nobody waiting", async () => {
  const { lane, program, clock, offer, settle } = open({ silenceMs: 3_000 }, false);
  await lane.start();
  offer(1);
  await clock.advance(100);
  program.processes[0].answer();
  await settle();
  let isDrained = false;
  const draining = lane.drain().then(() => isDrained = true);
  await settle();
  assertEquals([program.processes[0].ended, program.processes[0].killed], [true, false]);
  await clock.advance(2_900);
  assertEquals([isDrained, program.processes[0].killed], [false, false]);
  await clock.advance(300);
  await draining;
  assertEquals([lane.health.given_up, program.processes[0].killed], [0, true]);
  await lane.stop();
});

Deno.test("drain answers everything, across a crash too", async () => {
  const { lane, program, offer, settle } = open({ live: false, handOverPackets: 5 }, false);
  await lane.start();
  for (let i = 0; i < 5; i++) offer(1);
  await lane.turn();
  for (let i = 0; i < 3; i++) offer(1);
  const drained = lane.drain();
  await settle();
  program.processes[0].exit("killed by SIGKILL");
  program.processes[1].answer();
  program.processes[1].exit("");
  await drained;
  assertEquals([lane.answeredTicket, lane.health.answered, lane.health.given_up], [8, 3, 5]);
  await lane.stop();
});

for (const live of [true, false]) {
  Deno.test(`answers held back are pushed out by a few fillers, which answer nobody (live: ${live})`, async () => {
    const { lane, program, clock, offer, settle } = open({ live }, false);
    await lane.start();
    offer(1);
    await clock.advance(100);
    const [process] = program.processes;
    assert(process.packets >= 2);
    await clock.advance(1_000);
    assertEquals(process.packets, 5);
    process.answer(3);
    await settle();
    assertEquals([lane.answeredTicket, lane.health.answered], [1, 1]);
    await clock.advance(1_000);
    assertEquals(process.packets, 5);
    offer(2);
    await clock.advance(1_000);
    assertEquals(process.packets, 10);
    await lane.stop();
  });
}

Deno.test("plain DNS is read on the spot, without a child", async () => {
  const chooser = {
    plainKind: plainKind.dns as number,
    plainOffset: 0,
    plainLength: query.length,
    plainIsCut: false,
    plainPort: 53,
    isFromServer: false,
    plainSeq: 0,
    isContinuing: false,
    settle() {},
  };
  const { lane, program, clock, reporter, offer } = open({}, false, chooser);
  await lane.start();
  const ticket = lane.offer(query, 0, query.length, query.length, 0, 9);
  assertEquals([ticket, lane.answeredTicket], [1, 1]);
  assertEquals(takenFrom(lane, 9).facts?.dns?.[0].name, "www");
  chooser.plainKind = plainKind.none;
  assertEquals([offer(1), lane.answeredTicket], [2, 1]);
  await clock.advance(100);
  assertEquals(program.processes[0].packets, 2);
  assertEquals([counted(reporter, "facts_read_here_total"), counted(reporter, "facts_offered_total")], [
    1,
    1,
  ]);
  await lane.stop();
});

Deno.test("a hello behind something else is read on the spot, and dissected where there is a child", async () => {
  const hello = clientHello("www.example");
  const chooser = {
    plainKind: plainKind.laterHello as number,
    plainOffset: 0,
    plainLength: hello.length,
    plainIsCut: false,
    plainPort: 25,
    isFromServer: false,
    plainSeq: 0,
    isContinuing: false,
    settle() {},
  };
  for (const isThere of [true, false]) {
    const { lane, program, clock } = open({}, false, chooser);
    if (!isThere) program.refusal = new Error("gone");
    await lane.start();
    // Where nobody else will read it, what was read here is to be waited for all the same.
    assertEquals(lane.offer(hello, 0, hello.length, hello.length, 0, 1), 1);
    assertEquals(lane.answeredTicket, isThere ? 0 : 1);
    await clock.advance(100);
    assertEquals([lane.health.refused, lane.health.read_here], isThere ? [0, 0] : [1, 1]);
    const { app_protocol, facts } = takenFrom(lane, 1);
    assertEquals([app_protocol, facts?.tls?.sni], ["", "www.example"]);
    // The file header, and the packet.
    if (isThere) assertEquals(program.processes[0].packets, 2);
    await lane.stop();
  }
});

Deno.test("a dissector that cannot be started is tried again", async () => {
  const { lane, program, clock, lines, offer } = open();
  program.refusal = new Error("no such program");
  await lane.start();
  assertEquals(offer(1), 0);
  program.refusal = null;
  await clock.advance(1_000);
  assertEquals(offer(1), 1);
  assertStringIncludes(lines.join("\n"), "cannot start the dissector, will retry reason=no such program");
  assertEquals(lane.health.failures, { total: 1, lately: 1, words: "no such program" });
  await lane.stop();
  assert(program.disposed);
});

Deno.test("options out of bounds are named", () => {
  assertThrows(
    () => open({ silenceMs: 0 }),
    RangeError,
    'Cannot open the deep lane as "silenceMs" must be >= 1: current value is 0',
  );
});
