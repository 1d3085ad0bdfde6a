/** One dumpcap relieves another: each packet comes once, and what the kernel dropped is known while capture goes on.
 *
 * Method: dumpcaps that are not there, over a wire that is a list: each has a ring of its own, hands on a block when it
 * is full or a quarter of a second old, stamps what this machine sent by itself, and forgets what it has not handed on
 * when it is told to end. A hundred seeds choose the traffic; a failure names its seed. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { DumpcapOptions } from "../../../sensor/capture/dumpcap.ts";
import { type CaptureChild, LiveSource } from "../../../sensor/capture/live_source.ts";
import { bytes, enhancedPacket, interfaceBlock, sectionHeader, u32 } from "../frames.ts";
import { counted, FakeClock, prng, silentReporter } from "../ship/helpers.ts";

const options: DumpcapOptions & { exclude: [] } = {
  interfaces: ["a0"],
  filter: "",
  snaplen: 0,
  bufferMb: 1,
  dumpcapPath: "dumpcap",
  exclude: [],
};

/** A canary passes whatever the filter. */
const orCanary = (filter: string) =>
  `((udp dst port 8601 and (dst host 239.255.86.1 or dst host ff12::8601)) or (${filter}))`;

interface Packet {
  atUs: number;
  index: number;
  /** Sent by this machine: each capture stamps it for itself. */
  isOwn: boolean;
  frame: Uint8Array;
}

const startMs = 20;
const blockMs = 250;
/** From being told to the end. */
const endMs = 60;
const pollMs = 5;
const beginUs = 1_700_000_000_000_000;

/** The time that goes on when the clock is set. */
function trueMs(clock: FakeClock): number {
  return beginUs / 1_000 + clock.monotonicMs();
}

function stampUs(atUs: number, { atMs, byMs }: Wire["step"]): number {
  return atUs < beginUs + atMs * 1_000 ? atUs : atUs + byMs * 1_000;
}

/** What all dumpcaps of one test share. */
interface Wire {
  clock: FakeClock;
  random: () => number;
  packets: Packet[];
  interfaces: number;
  /** Packets a block holds, and packets a ring holds. */
  blockPackets: number;
  ringPackets: number;
  /** When the clock is set, and by how much. */
  step: { atMs: number; byMs: number };
}

class FakeDumpcap implements CaptureChild {
  #at = 0;
  #rings: { packets: Packet[]; sinceMs: number }[];
  #drops = 0;
  #endMs = Infinity;
  #header: Uint8Array | null;

  constructor(readonly wire: Wire) {
    const descriptions = Array.from({ length: wire.interfaces }, () => interfaceBlock(1));
    this.#rings = descriptions.map(() => ({ packets: [], sinceMs: 0 }));
    this.#header = bytes(sectionHeader(), ...descriptions);
  }

  async start(): Promise<void> {
    const { clock, random } = this.wire;
    await clock.sleep(startMs * random());
    this.#at = this.wire.packets.findIndex((packet) => packet.atUs >= trueMs(clock) * 1_000);
    if (this.#at < 0) this.#at = this.wire.packets.length;
    await clock.sleep(startMs * random());
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const isTold = this.#endMs < Infinity;
      const block = this.#header ?? (isTold ? null : this.#block());
      this.#header = null;
      if (block !== null) into.set(block);
      if (block !== null) return block.length;
      if (isTold && this.wire.clock.monotonicMs() >= this.#endMs) return null;
      await this.wire.clock.sleep(pollMs);
    }
  }

  /** Puts what came meanwhile into the rings, and takes the next block that is ready. */
  #block(): Uint8Array | null {
    const { clock, packets, ringPackets, blockPackets, random, step } = this.wire;
    const nowMs = trueMs(clock);
    for (; this.#at < packets.length && packets[this.#at].atUs <= nowMs * 1_000; this.#at++) {
      const ring = this.#rings[packets[this.#at].index];
      if (ring.packets.length === 0) ring.sinceMs = packets[this.#at].atUs / 1_000;
      if (ring.packets.length < ringPackets) ring.packets.push(packets[this.#at]);
      else this.#drops++;
    }
    for (const ring of this.#rings) {
      const isOld = ring.packets.length > 0 && nowMs - ring.sinceMs >= blockMs;
      if (ring.packets.length < blockPackets && !isOld) continue;
      const taken = ring.packets.splice(0, blockPackets);
      ring.sinceMs = ring.packets.length > 0 ? ring.packets[0].atUs / 1_000 : 0;
      return bytes(
        ...taken.map(({ atUs, index, isOwn, frame }) =>
          enhancedPacket(index, BigInt(stampUs(atUs, step) + (isOwn ? Math.floor(random() * 50) : 0)), frame)
        ),
      );
    }
    return null;
  }

  stop(): void {
    const { clock, random } = this.wire;
    this.#endMs = Math.min(this.#endMs, clock.monotonicMs() + endMs * random());
  }

  close(): Promise<void> {
    this.#endMs = 0;
    return Promise.resolve();
  }

  ending() {
    // What it had not handed on it counts as flushed, in part.
    const flushed = this.#rings[0].packets.length;
    return Promise.resolve({ isFailure: false, message: "", drops: this.#drops + flushed, flushed });
  }
}

/** Traffic for four seconds in bursts and pauses; `isAlike`: most frames differ only behind what is compared. */
function traffic(random: () => number, interfaces: number, isAlike: boolean): Packet[] {
  const packets: Packet[] = [];
  for (let atUs = beginUs; atUs < beginUs + 4e6;) {
    const gapUs = random() < 0.02 ? 400_000 * random() : random() < 0.5 ? 1 : 3_000;
    atUs += 1 + Math.floor(random() * gapUs);
    const frame = new Uint8Array(140);
    frame.set(u32(packets.length), isAlike ? 132 : 40);
    packets.push({ atUs, index: Math.floor(random() * interfaces), isOwn: random() < 0.3, frame });
  }
  return packets;
}

async function capture(wire: Wire, handOverMs: number) {
  const { reporter, lines } = silentReporter();
  const seen: number[] = [];
  const names = Array.from({ length: wire.interfaces }, (_, index) => `a${index}`);
  const source = new LiveSource({ ...options, interfaces: names, handOverMs }, {
    clock: wire.clock,
    reporter,
    makeChild: () => new FakeDumpcap(wire),
  });
  const droppedAt: number[] = [];
  source.attach({
    packet: (b, o) => {
      const view = new DataView(b.buffer, b.byteOffset + o);
      seen.push(view.getUint32(40) + view.getUint32(132));
    },
  });
  const running = (async () => {
    await source.start();
    while (await source.next()) droppedAt.push(source.dropped);
  })();
  const { atMs, byMs } = wire.step;
  if (byMs !== 0) {
    await wire.clock.advance(atMs);
    wire.clock.step(byMs);
  }
  await wire.clock.advance(5_000 + 1_000 * wire.random() - wire.clock.monotonicMs());
  source.stop();
  await wire.clock.advance(500);
  await running;
  await source.close();
  return { seen, source, reporter, lines, droppedAt };
}

function wireOf(seed: number, change: Partial<Wire> = {}): Wire {
  const random = prng(seed);
  const interfaces = seed % 4 === 0 ? 2 : 1;
  const packets = traffic(random, interfaces, seed % 3 === 0)
    .filter(({ atUs }) => atUs > beginUs + 100_000);
  const clock = new FakeClock(beginUs / 1_000);
  const step = { atMs: 0, byMs: 0 };
  return { clock, random, packets, interfaces, blockPackets: 40, ringPackets: Infinity, step, ...change };
}

Deno.test("live source relieves its dumpcap again and again, and hands on every packet once", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const wire = wireOf(seed);
    const { seen, source, reporter } = await capture(wire, 300 + seed);
    assert(counted(reporter, "capture_hand_overs_total") >= 4, `seed ${seed}`);
    assertEquals([seen.length, source.dropped], [wire.packets.length, 0], `seed ${seed}`);
    // Frames that look alike are told apart by their number only.
    if (seed % 3 !== 0) assertEquals(new Set(seen).size, wire.packets.length, `seed ${seed}`);
  }
});

Deno.test("live source loses no packet when the clock is set in the middle of a hand-over", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = prng(seed * 7_919);
    const byMs = Math.round((random() < 0.5 ? -1 : 1) * 10 ** (1 + 6 * random()));
    const wire = wireOf(seed, { step: { atMs: 300 + Math.floor(3_500 * random()), byMs } });
    const { seen, source } = await capture(wire, 310);
    const twice = seen.length - wire.packets.length;
    assert(twice >= 0 && twice < 500, `seed ${seed}, ${byMs} ms: ${twice}`);
    if (seed % 3 !== 0) assertEquals(new Set(seen).size, wire.packets.length, `seed ${seed}, ${byMs} ms`);
    assertEquals(source.dropped, 0);
  }
});

Deno.test("live source knows what the kernel dropped while it goes on capturing", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const wire = wireOf(seed, { ringPackets: 30, interfaces: 1 });
    for (const packet of wire.packets) packet.index = 0;
    const { seen, source, droppedAt } = await capture(wire, 500);
    const lost = wire.packets.length - new Set(seen).size;
    if (seed % 3 !== 0) {
      assertEquals(seen.length, new Set(seen).size, `seed ${seed}: a packet came twice`);
      assert(lost > 0 && source.dropped >= lost, `seed ${seed}: ${lost} lost, ${source.dropped} counted`);
    }
    const known = droppedAt.filter((dropped) => dropped > 0).length;
    assert(known > 0 && droppedAt[0] === 0, `seed ${seed}: ${droppedAt}`);
  }
});

Deno.test("live source captures with another filter and snaplen from the next dumpcap on, and loses no packet by it", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const wire = wireOf(seed);
    const { reporter } = silentReporter();
    const made: string[] = [], seen = new Set<number>(), answers: (string | null)[] = [];
    const source = new LiveSource({
      ...options,
      interfaces: ["a0", "a1"].slice(0, wire.interfaces),
      filter: "ip",
    }, {
      clock: wire.clock,
      reporter,
      makeChild: (given) => {
        made.push(`${given.filter} ${given.snaplen}`);
        const child = new FakeDumpcap(wire);
        if (given.filter.includes("nonsense")) {
          child.start = () => Promise.reject(new Error("dumpcap: syntax error"));
        }
        return child;
      },
    });
    source.attach({ packet: (buffer, at) => void seen.add(new DataView(buffer.buffer, at).getUint32(40)) });
    const running = (async () => {
      await source.start();
      while (await source.next());
    })();
    await wire.clock.advance(1_000);
    for (const tuning of [{ filter: "udp", snaplen: 96 }, { filter: "nonsense", snaplen: 0 }]) {
      source.retune(tuning).then((answer) => answers.push(answer));
      await wire.clock.advance(1_500);
    }
    assertEquals([answers, source.tuning], [[null, "dumpcap: syntax error"], { filter: "udp", snaplen: 96 }]);
    source.exclude([{ host: "192.0.2.9", port: 9 }]);
    source.retune({ ...source.tuning, snaplen: 128 });
    await wire.clock.advance(2_500);
    source.stop();
    await wire.clock.advance(500);
    await running;
    await source.close();
    const own = `not (host 192.0.2.9 and tcp port 9) and not (host 127.86.0.1) and ${orCanary("udp")} 128`;
    const first = ["ip", "udp", "nonsense"].map(orCanary);
    assertEquals(made, [`${first[0]} 0`, `${first[1]} 96`, `${first[2]} 0`, own], `seed ${seed}`);
    if (seed % 3 !== 0) assertEquals(seen.size, wire.packets.length, `seed ${seed}`);
  }
});

Deno.test("live source goes on with its dumpcap when the other one does not start, and tries again", async () => {
  const wire = wireOf(1);
  const { reporter, lines } = silentReporter();
  let made = 0, seen = 0, closed = 0;
  const source = new LiveSource({ ...options, handOverMs: 1_000 }, {
    clock: wire.clock,
    reporter,
    makeChild: () => {
      const child = new FakeDumpcap(wire);
      if (made++ === 0) return child;
      child.start = () => Promise.reject(new Error("no more memory"));
      child.close = () => Promise.resolve(void closed++);
      return child;
    },
  });
  source.attach({ packet: () => void seen++ });
  const running = (async () => {
    await source.start();
    while (await source.next());
  })();
  await wire.clock.advance(5_500);
  source.stop();
  await wire.clock.advance(500);
  await running;
  await source.close();
  assertEquals([seen, source.problem, source.restarts], [wire.packets.length, null, 0]);
  assert(made >= 4, `${made} were made`);
  assertEquals([counted(reporter, "capture_hand_over_failures_total"), closed], [made - 1, made - 1]);
  assert(lines.some((line) => line.includes("no more memory")));
});

Deno.test("live source takes the pieces a relieved dumpcap leaves for no damage, and what it drops then for no loss", async () => {
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const packet = enhancedPacket(0, 5n, bytes(1, 2, 3, 4)), header = bytes(sectionHeader(), interfaceBlock(1));
  const cut = enhancedPacket(0, 6n, new Uint8Array(64)).subarray(0, 60);
  const told = Promise.withResolvers<void>();
  const first = [header, packet, bytes(cut, sectionHeader(), sectionHeader()), null],
    second = [header, packet];
  const made: CaptureChild[] = [];
  const source = new LiveSource({ ...options, handOverMs: 10 }, {
    clock,
    reporter,
    makeChild: () => {
      const chunks = made.length === 0 ? first : second;
      const child: CaptureChild = {
        start: () => Promise.resolve(),
        async read(into) {
          if (chunks === first && chunks.length === 2) await told.promise;
          const chunk = chunks.shift();
          if (chunk) into.set(chunk);
          return chunk?.length ?? null;
        },
        stop: () => told.resolve(),
        close: () => Promise.resolve(),
        ending: () => Promise.resolve({ isFailure: false, message: "", drops: 7, flushed: 4 }),
      };
      made.push(child);
      return child;
    },
  });
  let packets = 0;
  source.attach({ packet: () => void packets++ });
  await source.start();
  await source.next();
  await clock.advance(20);
  const taking = (async () => {
    // The packet, the pieces, the end; then of the new one the header and the packet, which is the same.
    for (let step = 0; step < 5; step++) assertEquals(await source.next(), true);
  })();
  await clock.advance(400);
  await taking;
  assertEquals([packets, source.dropped, source.problem, made.length], [1, 3, null, 2]);
  assertEquals(counted(reporter, "capture_hand_overs_total"), 1);
  assertEquals(counted(reporter, "capture_restarts_total"), 0);
  await source.close();
});

Deno.test("live source that is stopped while one dumpcap relieves another stops both and reads what both have", async () => {
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const gone = Promise.withResolvers<void>(), told: number[] = [];
  const header = bytes(sectionHeader(), interfaceBlock(1));
  let made = 0, packets = 0;
  const source = new LiveSource({ ...options, handOverMs: 10 }, {
    clock,
    reporter,
    makeChild: () => {
      const number = made++;
      // What the first has not handed on, the second has.
      const chunks = number === 0 ? [header, header] : [header, enhancedPacket(0, 5n, bytes(1, 2, 3, 4))];
      return {
        start: () => Promise.resolve(),
        async read(into) {
          if (chunks.length === 0 && number === 0) await gone.promise;
          const chunk = chunks.shift();
          if (chunk) into.set(chunk);
          return chunk?.length ?? null;
        },
        stop: () => void told.push(number),
        close: () => Promise.resolve(),
        ending: () => Promise.resolve({ isFailure: false, message: "", drops: 0, flushed: 0 }),
      };
    },
  });
  source.attach({ packet: () => void packets++ });
  await source.start();
  await source.next();
  await clock.advance(20);
  await source.next();
  await clock.advance(400);
  assertEquals(told, [], "nobody waits for packets, so some may wait to be read");
  const reading = source.next();
  await clock.advance(100);
  assertEquals(told, [0]);
  source.stop();
  assertEquals(told, [0, 0, 1]);
  gone.resolve();
  const results = [await reading];
  do results.push(await source.next()); while (results.at(-1));
  assertEquals([results, packets, made], [[true, true, true, false], 1, 2]);
  await source.close();
});

Deno.test("live source that is given another filter before anybody reads begins with it when they do, and loses no packet", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const wire = wireOf(seed);
    const { reporter } = silentReporter();
    const seen = new Set<number>();
    const source = new LiveSource({ ...options, interfaces: ["a0", "a1"].slice(0, wire.interfaces) }, {
      clock: wire.clock,
      reporter,
      makeChild: () => new FakeDumpcap(wire),
    });
    source.attach({ packet: (buffer, at) => void seen.add(new DataView(buffer.buffer, at).getUint32(40)) });
    const started = source.start();
    await wire.clock.advance(600);
    await started;
    const answer = source.retune({ filter: "udp", snaplen: 0 });
    await wire.clock.advance(1_000);
    const running = (async () => {
      while (await source.next());
    })();
    await wire.clock.advance(4_000);
    const counts = ["capture_hand_overs_total", "capture_hand_over_failures_total"];
    assertEquals(counts.map((name) => counted(reporter, name)), [1, 0], `seed ${seed}`);
    source.stop();
    await wire.clock.advance(500);
    await running;
    assertEquals(await answer, null);
    await source.close();
    if (seed % 3 !== 0) assertEquals(seen.size, wire.packets.length, `seed ${seed}`);
  }
});

Deno.test("live source that is stopped ends a dumpcap that hangs in its start, as somebody may wait for it", async () => {
  const wire = wireOf(1);
  const { reporter } = silentReporter();
  const hanging = Promise.withResolvers<void>();
  let made = 0;
  const source = new LiveSource(options, {
    clock: wire.clock,
    reporter,
    makeChild: () => {
      const child = new FakeDumpcap(wire);
      if (made++ === 0) return child;
      child.start = () => hanging.promise;
      child.stop = () => hanging.reject(new Error("ended without a word"));
      return child;
    },
  });
  const running = (async () => {
    await source.start();
    while (await source.next());
  })();
  await wire.clock.advance(1_000);
  let answer: string | null | undefined;
  source.retune({ filter: "udp", snaplen: 0 }).then((said) => answer = said);
  await wire.clock.advance(100);
  assertEquals([made, answer], [2, undefined]);
  source.stop();
  await wire.clock.advance(500);
  await running;
  assertEquals(answer, null);
  await source.close();
});

Deno.test("live source refuses a time between hand-overs that is none", () => {
  const { reporter } = silentReporter();
  assertThrows(
    () => new LiveSource({ ...options, handOverMs: 0 }, { clock: new FakeClock(), reporter }),
    RangeError,
    "handOverMs",
  );
});
