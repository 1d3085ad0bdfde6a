/** What a live sensor's batches cost:
 * how many there are, how full, how many octets a segment, and how long the end of a connection waits.
 *
 * In: a capture (argument; default the one that `test/bench/sensor.ts` keeps in .cache/bench). Its packets are given
 * with stamps of their own, evenly at each rate, to the flow table, and its segments to the sealer,
 * in the time of these stamps.
 * Out: for each rate batches a second, segments and octets a batch and a segment (as a body of HTTP with its headers),
 * and the time from a TCP connection's last packet to its sealed batch.
 * What it does not mean: no facts are in it, nor disk and network.
 * Use: `deno run -A test/bench/seal.ts [CAPTURE] [--rates 3000,100] [--seconds 120]`. @module */

import { parseArgs } from "@std/cli/parse-args";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { packBatch, unpackBatch } from "../../sensor/ship/packed_batch.ts";
import { Packer, unpack } from "../../sensor/ship/parcel.ts";
import { Sealer } from "../../sensor/ship/seal.ts";
import type { SegmentPage } from "../../sensor/flow/segment_page.ts";
import { type Batch, keyId, keysFromSeed, writeHeader } from "../../shared/batch.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";

const capture = new URL("../../.cache/bench/perf-1000000-0.pcap", import.meta.url).pathname;
const buckets = 4;
const tickMs = 25;
const readBytes = 65_536;
/** More than one read can hold. */
const chunkPackets = 10_000;
const startUs = 1_700_000_000_000_000;
/** Before the first flows of other protocols have ended, there is less to seal than later. */
const leadInS = 60;
/** Of each header over HTTP: its name, its value, and four octets between and behind. */
const headerRest = 4;

class Run {
  batches = 0;
  segments = 0;
  octets = 0;
  readonly waits: number[] = [];
  #sealer: Sealer;

  constructor() {
    const { privateKey, publicKey } = keysFromSeed(new Uint8Array(32).fill(7));
    this.#sealer = new Sealer({ buckets, epoch: 1 }, {
      sensor: "s_bench",
      key: keyId(publicKey),
      privateKey,
    });
  }

  add(page: SegmentPage, nowMs: number): void {
    const packer = new Packer();
    for (let row = 0; row < page.length; row++) packer.add(page, row);
    this.#note(this.#sealer.add(unpack(packer.take()), nowMs), nowMs);
  }

  forget(): void {
    this.batches =
      this.segments =
      this.octets =
      this.waits.length =
        0;
  }

  tick(nowMs: number): void {
    this.#note(this.#sealer.seal(nowMs), nowMs);
  }

  #note(batches: readonly Batch[], nowMs: number): void {
    for (const batch of batches) {
      const file = unpackBatch(packBatch(batch).bytes);
      if (typeof file === "string") throw new Error(`Cannot read batch: ${file}`);
      this.batches++;
      this.segments += batch.header.flows;
      this.octets += file.body.length;
      for (const [name, value] of Object.entries(writeHeader(batch.header))) {
        this.octets += name.length + value.length + headerRest;
      }
      const columns = JSON.parse(new TextDecoder().decode(batch.value)) as Record<string, unknown[]>;
      for (const [row, reason] of (columns.end_reason ?? []).entries()) {
        if (reason !== "fin" && reason !== "rst") continue;
        const endUs = (columns.start_us[row] as number) + ((columns.duration_us?.[row] ?? 0) as number);
        this.waits.push(nowMs - endUs / 1e3);
      }
    }
  }
}

/** Plays `seconds` of the capture at `rate` packets a second, after a lead-in that does not count. */
async function play(path: string, rate: number, seconds: number): Promise<Run> {
  const reporter = createReporter({ component: "bench", write: () => {} });
  const run = new Run();
  let nowMs = startUs / 1e3, isCounted = false;
  const sink = { take: (page: SegmentPage) => run.add(page, nowMs) };
  const pipeline = new Pipeline({}, { sink, reporter, clock: systemClock, deepLane: null, chooser: null });
  const packets: { octets: Uint8Array; wire: number; linkType: number }[] = [];
  const wanted = rate * (leadInS + seconds);
  const reader = new CaptureReader({
    packet(buffer, offset, captured, wire, _timeUs, linkType) {
      if (packets.length >= chunkPackets) return;
      packets.push({ octets: buffer.slice(offset, offset + captured), wire, linkType });
    },
  });
  const file = await Deno.open(path);
  let sent = 0;
  for (let isOver = false; !isOver && sent < wanted;) {
    const read = await file.read(reader.space().subarray(0, readBytes));
    isOver = read === null;
    if (read !== null) reader.commit(read);
    for (const { octets, wire, linkType } of packets.splice(0)) {
      if (sent >= wanted) break;
      const timeUs = startUs + Math.floor(sent++ * 1e6 / rate);
      while (nowMs + tickMs <= timeUs / 1e3) {
        nowMs += tickMs;
        await pipeline.turn();
        run.tick(nowMs);
        if (isCounted || nowMs < startUs / 1e3 + leadInS * 1e3) continue;
        isCounted = true;
        run.forget();
      }
      pipeline.packet(octets, 0, octets.length, wire, timeUs, linkType);
    }
  }
  file.close();
  if (sent < wanted) throw new Error(`Cannot play ${wanted} packets as the capture has ${sent}`);
  return run;
}

async function main(): Promise<void> {
  const args = parseArgs(Deno.args, {
    string: ["rates", "seconds"],
    default: { rates: "3000,100", seconds: "120" },
  });
  const seconds = Number(args.seconds);
  for (const rate of String(args.rates).split(",").map(Number)) {
    const { batches, segments, octets, waits } = await play(String(args._[0] ?? capture), rate, seconds);
    waits.sort((a, b) => a - b);
    const wait = (share: number) => `${Math.round(waits[Math.floor(waits.length * share)])}`;
    print(
      `${rate} packets/s: ${(batches / seconds).toFixed(2)} batches/s, ${
        (segments / batches).toFixed(1)
      } segments and ` +
        `${(octets / batches).toFixed(0)} B each, ${
          (octets / segments).toFixed(0)
        } B a segment; end of a connection to ` +
        `its batch p50 ${wait(0.5)}, p99 ${wait(0.99)}, max ${wait(0.99999)} ms`,
    );
  }
}

const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

await main();
