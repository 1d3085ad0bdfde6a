/** Tests of several interfaces as one source: what happens to one costs the others nothing. @module */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CaptureStartError, type DumpcapOptions } from "../../../sensor/capture/dumpcap.ts";
import type { CaptureChild } from "../../../sensor/capture/live_source.ts";
import { interfacesMax, SeveralSources } from "../../../sensor/capture/several_sources.ts";
import { kernelFilter } from "../../../sensor/prefilter/kernel_filter.ts";
import { bytes, enhancedPacket, interfaceBlock, sectionHeader } from "../frames.ts";
import { FakeClock, silentReporter, turn } from "../ship/helpers.ts";

/** What the interfaces of a test are like, by name. */
interface Wire {
  /** Why a dumpcap on it cannot begin; absent = it can. */
  refusals: Map<string, CaptureStartError>;
  /** On which one hangs when it begins. */
  hanging: Set<string>;
  children: FakeChild[];
}

class FakeChild implements CaptureChild {
  #chunks: (Uint8Array | null)[] = [bytes(sectionHeader(), interfaceBlock(1))];
  #news = Promise.withResolvers<void>();
  #hung = Promise.withResolvers<void>();
  isTold = false;

  constructor(readonly options: DumpcapOptions, readonly wire: Wire) {
    wire.children.push(this);
  }
  get name(): string {
    return this.options.interfaces[0];
  }
  start(): Promise<void> {
    if (this.wire.hanging.has(this.name)) return this.#hung.promise;
    const refusal = this.wire.refusals.get(this.name);
    return refusal ? Promise.reject(refusal) : Promise.resolve();
  }
  packet(timeUs: number): void {
    this.#give(enhancedPacket(0, BigInt(timeUs), new Uint8Array(60)));
  }
  die(): void {
    this.#give(null);
  }
  #give(chunk: Uint8Array | null): void {
    this.#chunks.push(chunk);
    this.#news.resolve();
  }
  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      this.#news = Promise.withResolvers();
      await this.#news.promise;
    }
    const chunk = this.#chunks.shift()!;
    if (chunk !== null) into.set(chunk);
    return chunk?.length ?? null;
  }
  stop(): void {
    this.isTold = true;
    this.die();
  }
  /** It began after all. */
  release(): void {
    this.#hung.resolve();
  }
  close(): Promise<void> {
    this.#hung.promise.catch(() => {});
    this.#hung.reject(new CaptureStartError("capture_failed", "closed"));
    return Promise.resolve();
  }
  ending() {
    return Promise.resolve({ isFailure: true, message: `${this.name} went away`, drops: 0, flushed: 0 });
  }
}

const gone = (name: string) => new CaptureStartError("no_such_interface", `no interface ${name}`);

function open(interfaces: string[], refusals: [string, CaptureStartError][] = []) {
  const wire: Wire = { refusals: new Map(refusals), hanging: new Set(), children: [] };
  const clock = new FakeClock();
  const { reporter } = silentReporter();
  const given = { interfaces, filter: "", snaplen: 0, bufferMb: 1, dumpcapPath: "dumpcap", exclude: [] };
  const source = new SeveralSources(given, {
    clock,
    reporter,
    makeChild: (options) => new FakeChild(options, wire),
  });
  const seen: number[] = [];
  source.attach({ packet: (_buffer, _offset, _captured, _wire, timeUs) => void seen.push(timeUs) });
  const child = (name: string) => wire.children.findLast((one) => one.name === name)!;
  /** Reads on in the background, as the command does. */
  const pump = async () => {
    while (await source.next());
  };
  return { wire, clock, source, seen, child, pump };
}

Deno.test("two interfaces, one dies: the other is captured on, the first again when it is back", async () => {
  const { wire, clock, source, seen, child, pump } = open(["a0", "b0"]);
  await source.start();
  const pumped = pump();
  child("a0").packet(1);
  child("b0").packet(2);
  await turn();
  wire.refusals.set("b0", gone("b0"));
  child("b0").die();
  await turn();
  child("a0").packet(3);
  await clock.advance(3_000);
  assertEquals(seen.toSorted(), [1, 2, 3]);
  assertEquals(source.problem, null);
  assertEquals(source.links.map(({ name, error }) => [name, error]), [["a0", null], [
    "b0",
    "no interface b0",
  ]]);
  // Pauses double: 0.5, 1, 2, .. s.
  const tries = () => wire.children.filter(({ name }) => name === "b0").length - 1;
  assertEquals(tries(), 2);
  await clock.advance(4_600);
  assertEquals(tries(), 4);
  wire.refusals.clear();
  await clock.advance(8_000);
  assertEquals(source.links[1], { name: "b0", error: null, dropped: 0, restarts: 1 });
  child("b0").packet(4);
  await turn();
  assertEquals(seen.at(-1), 4);
  source.stop();
  await clock.advance(1_000);
  await pumped;
  await source.close();
});

Deno.test("one of two interfaces that is missing, down or of another kind at the start is left for later", async () => {
  const reasons = ["no_such_interface", "interface_down", "bad_filter", "no_permission"] as const;
  for (const code of reasons) {
    const { clock, source, seen, child, pump, wire } = open(["a0", "b0"], [
      ["a0", new CaptureStartError(code, code)],
    ]);
    await source.start();
    const pumped = pump();
    child("b0").packet(7);
    await turn();
    assertEquals(seen, [7]);
    assertEquals(source.links.map(({ error }) => error), [code, null]);
    wire.refusals.clear();
    await clock.advance(600);
    assertEquals(source.links.map(({ error }) => error), [null, null]);
    source.stop();
    await clock.advance(1_000);
    await pumped;
    await source.close();
  }
});

Deno.test("an interface whose capture hangs when it begins keeps neither start, packets nor the end of the others waiting", async () => {
  for (const isLate of [true, false]) {
    const { wire, clock, source, seen, child, pump } = open(["a0", "b0"]);
    wire.hanging.add("b0");
    const started = source.start();
    await clock.advance(2_500);
    await started;
    const pumped = pump();
    child("a0").packet(1);
    await turn();
    assertEquals(seen, [1]);
    if (isLate) {
      child("b0").release();
      await turn();
      child("b0").packet(2);
      await turn();
      assertEquals(seen, [1, 2]);
    }
    source.stop();
    await source.close();
    await clock.advance(1_000);
    await pumped;
  }
});

Deno.test("interfaces of which none can be captured are said to be so, as one alone is", async () => {
  const refused = (name: string): [string, CaptureStartError] => [name, gone(name)];
  const { source } = open(["a0", "b0"], [refused("a0"), refused("b0")]);
  await assertRejects(() => source.start(), CaptureStartError, "no interface a0");
  assertEquals(source.problem?.code, "no_such_interface");
  await assertRejects(() => open(["a0"], [refused("a0")]).source.start(), CaptureStartError);
});

Deno.test("a busy interface does not keep a quiet one waiting, and packets come only while they are asked for", async () => {
  const { source, seen, child, clock } = open(["a0", "b0"]);
  await source.start();
  for (let i = 0; i < 50; i++) child("a0").packet(100 + i);
  child("b0").packet(1);
  await turn();
  assertEquals(seen, []);
  for (let i = 0; i < 6; i++) await source.next();
  assert(seen.includes(1), `after ${seen.length} packets the other had no turn`);
  source.stop();
  await clock.advance(1_000);
  while (await source.next());
  await source.close();
  assertEquals(seen.length, 51);
});

Deno.test("an interface that is named twice is captured once, and too many are refused", () => {
  assertEquals(open(["a0", "a0"]).source.links.length, 1);
  const names = Array.from({ length: 17 }, (_, i) => `a${i}`);
  assertEquals([interfacesMax, open(names.slice(1)).source.links.length], [16, 16]);
  assertThrows(() => open(names), RangeError, "must be <= 16");
  assertThrows(() => open([]), TypeError);
});

Deno.test("another filter holds on every interface or on none, and one that is gone has it when it is back", async () => {
  const { wire, clock, source, child, pump } = open(["a0", "b0", "c0"]);
  await source.start();
  const pumped = pump();
  await turn();
  wire.refusals.set("c0", gone("c0"));
  child("c0").die();
  await turn();
  const retune = async (filter: string) => {
    const answer = source.retune({ filter, snaplen: 96 });
    await clock.advance(2_000);
    return await answer;
  };
  assertEquals(await retune("udp"), null);
  const filter = kernelFilter({ ownPeers: [], expression: "udp" });
  assertEquals([child("a0"), child("b0")].map(({ options }) => options.filter), [filter, filter]);
  wire.refusals.set("b0", new CaptureStartError("bad_filter", "syntax error"));
  assertEquals(await retune("nonsense"), "syntax error");
  wire.refusals.clear();
  // The one that goes on, and whose successor begins as it did.
  wire.children.find(({ name, options }) => name === "b0" && options.filter === filter)!.die();
  await clock.advance(60_000);
  assertEquals(["a0", "b0", "c0"].map((name) => child(name).options.filter), [
    filter,
    filter,
    filter,
  ]);
  source.stop();
  await clock.advance(1_000);
  await pumped;
  await source.close();
});
