/** Tests of the shipping loop: order, acknowledgement, refusals, waiting. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Shipper } from "../../../sensor/ship/shipper.ts";
import { Spool } from "../../../sensor/ship/spool.ts";
import type { PackedBatch } from "../../../sensor/ship/packed_batch.ts";
import type { SendResult, Transport } from "../../../sensor/ship/transport.ts";
import { counted, FakeClock, fileOf, signer, silentReporter, turn } from "./helpers.ts";
import { FakeDisk } from "./fake_disk.ts";

class ScriptedTransport implements Transport {
  readonly kind = "http";
  sent: number[][] = [];
  answer: (batches: PackedBatch[]) => SendResult = (taken) => ({ taken, refused: [], problem: null });
  send(batches: PackedBatch[]): Promise<SendResult> {
    this.sent.push(batches.map((batch) => batch.header.seq));
    return Promise.resolve(this.answer(batches));
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

const down = (): SendResult => ({
  taken: [],
  refused: [],
  problem: { code: "unreachable", message: "no route" },
});

async function open(options = {}, random = () => 0.5) {
  const { reporter, lines } = silentReporter();
  const clock = new FakeClock();
  const disk = new FakeDisk();
  const spool = new Spool({ folder: "/spool" }, { disk, reporter });
  await spool.start();
  const transport = new ScriptedTransport();
  const shipper = new Shipper(options, {
    spool,
    transport,
    identity: signer,
    clock,
    reporter,
    random,
  });
  return { spool, transport, shipper, clock, reporter, disk, lines };
}

Deno.test("shipper sends in order, acknowledges what was taken, then waits for more", async () => {
  const { spool, transport, shipper, clock, reporter } = await open({ inFlightBatchesMax: 2 });
  await spool.put([1, 2, 3].map((seq) => fileOf(1, 0, seq)));
  shipper.start();
  await clock.advance(0);
  assertEquals(transport.sent, [[1, 2], [3]]);
  assertEquals(spool.batches, 0);
  await spool.put([fileOf(1, 0, 4)]);
  shipper.wake();
  await clock.advance(0);
  assertEquals(transport.sent.at(-1), [4]);
  assertEquals(shipper.sentBatches, 4);
  assertEquals(counted(reporter, "batches_sent_total"), 4);
  assertEquals(shipper.problem, null);
  await shipper.stop();
});

Deno.test("shipper keeps everything while the other side is away, waits longer each time, and says so", async () => {
  const { spool, transport, shipper, clock, reporter, lines } = await open();
  transport.answer = down;
  await spool.put([fileOf(1, 0, 1)]);
  shipper.start();
  const tries: number[] = [];
  for (let s = 0; s < 120; s++) {
    await clock.advance(1_000);
    shipper.wake(); // New batches do not shorten the wait.
    if (transport.sent.length > tries.length) tries.push(s);
  }
  assert(transport.sent.length >= 6 && transport.sent.length <= 12, `${transport.sent.length} tries`);
  assertEquals(spool.batches, 1);
  assertEquals(shipper.problem?.code, "unreachable");
  assertEquals(counted(reporter, "send_errors_total", "unreachable"), transport.sent.length);
  assert(lines.some((line) => line.includes("stay in the spool")));
  transport.answer = (taken) => ({ taken, refused: [], problem: null });
  await clock.advance(30_000);
  assertEquals(spool.batches, 0);
  assertEquals(shipper.problem, null);
  await shipper.stop();
});

Deno.test("shipper spreads a fleet's tries over half of each pause", async () => {
  for (const [random, first, second] of [[0, 500, 1_000], [0.5, 750, 1_500], [0.998, 999, 1_998]]) {
    const { spool, transport, shipper } = await open({ backoffMinMs: 1_000 }, () => random);
    transport.answer = down;
    await spool.put([fileOf(1, 0, 1)]);
    assertEquals([await shipper.turn(), await shipper.turn()], [first, second]);
  }
});

Deno.test("shipper waits as long as the other side asks", async () => {
  const { spool, transport, shipper } = await open();
  transport.answer = () => ({
    taken: [],
    refused: [],
    problem: { code: "overloaded", message: "busy", retryAfterMs: 7_000 },
  });
  await spool.put([fileOf(1, 0, 1)]);
  assertEquals(await shipper.turn(), 7_000);
});

Deno.test("shipper sets aside what is refused for good, and goes on", async () => {
  const { spool, transport, shipper, reporter, disk } = await open();
  transport.answer = ([first, ...rest]) => ({
    taken: rest,
    refused: [{ batch: first, reason: "signature" }],
    problem: null,
  });
  await spool.put([1, 2].map((seq) => fileOf(1, 0, seq)));
  await shipper.turn();
  assertEquals(spool.batches, 0);
  assertEquals(disk.paths("/spool/quarantine/"), ["/spool/quarantine/1-0-1.batch.signature"]);
  assertEquals(counted(reporter, "batches_quarantined_total", "signature"), 1);
});

Deno.test("shipper that is paused keeps everything until it resumes", async () => {
  const { spool, transport, shipper, clock } = await open();
  shipper.pause("revoked");
  await spool.put([fileOf(1, 0, 1)]);
  shipper.start();
  await clock.advance(10_000);
  assertEquals(transport.sent, []);
  assertEquals(shipper.problem, { code: "paused", message: "revoked" });
  shipper.resume();
  await clock.advance(0);
  await turn();
  assertEquals(transport.sent, [[1]]);
  await shipper.stop();
});

Deno.test("shipper survives a disk that fails to read", async () => {
  const { spool, transport, shipper, disk, reporter } = await open();
  await spool.put([fileOf(1, 0, 1)]);
  disk.failAt = disk.operations + 1;
  assert(await shipper.turn() > 0);
  assertEquals(counted(reporter, "spool_read_errors_total"), 1);
  assertEquals(transport.sent, []);
  assertEquals(await shipper.turn(), 0);
  assertEquals(spool.batches, 0);
});

Deno.test("shipper says which limit is wrong", async () => {
  const { reporter } = silentReporter();
  const { spool, transport, clock } = await open();
  assertThrows(
    () =>
      new Shipper({ backoffMinMs: 0 }, {
        spool,
        transport,
        identity: signer,
        clock,
        reporter,
        random: () => 0,
      }),
    RangeError,
    'Cannot ship batches as "backoffMinMs" must be >= 1: current value is 0',
  );
});

Deno.test("shipper keeps to a limit of octets a second, and new batches do not make it faster", async () => {
  const { spool, transport, shipper, clock } = await open();
  transport.answer = (taken) => ({ taken, refused: [], problem: null });
  const files = Array.from({ length: 10 }, (_, i) => fileOf(1, 0, i + 1, 2_000));
  await spool.put(files);
  const bytes = spool.bytes;
  shipper.limit(Math.ceil(bytes / 20));
  shipper.start();
  for (let s = 0; s < 10; s++) {
    await clock.advance(1_000);
    shipper.wake();
  }
  assert(spool.batches >= 4 && spool.batches <= 6, `${spool.batches} left after half of the time`);
  await clock.advance(12_000);
  assertEquals(spool.batches, 0);
  await spool.put(Array.from({ length: 10 }, (_, i) => fileOf(1, 0, i + 11, 2_000)));
  shipper.limit(0);
  await clock.advance(4_000);
  assertEquals(spool.batches, 0, "without a limit nothing waits");
  await shipper.stop();
});
