/** Damaged captures through the whole sensor, with the real tshark:
 * no crash, no hang, every packet accounted for, no child left.
 *
 * Method: the captures of own_captures.ts, the demo capture in pieces and, where they are, the beginnings of those in
 * ../shared/data/pcap, damaged by a seeded generator, many through one sensor.
 * `MUTANTS=n` raises their number, `SEED=n` replays a failure. @module */

import { assert } from "@std/assert";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { Tshark } from "../../sensor/dissect/child/tshark.ts";
import { systemClock } from "../../shared/clock.ts";
import {
  bytes,
  type CapturedPacket,
  enhancedPacket,
  interfaceBlock,
  pcap,
  sectionHeader,
} from "../sensor/frames.ts";
import { generator, mutate, mutateFrames, type Random } from "./mutate.ts";
import { type OwnCapture, ownCaptures } from "./own_captures.ts";
import { WholeSensor } from "./whole_sensor.ts";

const mutants = Number(Deno.env.get("MUTANTS") ?? 600);
const seed = Number(Deno.env.get("SEED") ?? 20_261_121);
const mutantsASensor = 150;
/** Packets taken of each real capture, and of each piece of the demo. */
const packetsMax = 60;
const bytesRead = 300_000;
const demo = new URL("../../deploy/demo/office-day.pcap", import.meta.url).pathname;
/** A hang would be noticed by the lane after 3 s; a sensor full of mutants takes about one. */
const sensorMsMax = 60_000;

const folder = new URL("../../../shared/data/pcap/", import.meta.url).pathname;

/** The first packets of a capture; of several link types only the first. */
async function beginningOf(path: string, countMax = packetsMax): Promise<OwnCapture> {
  const packets: CapturedPacket[] = [];
  let linkType = -1;
  const reader = new CaptureReader({
    packet(b, offset, captured, wireLength, timeUs, type) {
      if (linkType < 0) linkType = type;
      if (packets.length >= countMax || type !== linkType || timeUs < 0) return;
      packets.push({ timeUs, frame: b.slice(offset, offset + captured), wireLength });
    },
  });
  using file = await Deno.open(path);
  for (let left = bytesRead; left > 0;) {
    const count = await file.read(reader.space().subarray(0, left));
    if (count === null) break;
    reader.commit(count);
    left -= count;
  }
  return { name: path, linkType, packets };
}

/** The demo capture in pieces: what is in it can be read, in every checkout. */
async function piecesOfDemo(): Promise<OwnCapture[]> {
  const { name, linkType, packets } = await beginningOf(demo, Infinity);
  const count = Math.ceil(packets.length / packetsMax);
  return Array.from({ length: count }, (_, piece) => ({
    name: `${name} ${piece}`,
    linkType,
    packets: packets.slice(piece * packetsMax, (piece + 1) * packetsMax),
  }));
}

async function originals(): Promise<OwnCapture[]> {
  const captures = [...ownCaptures(), ...await piecesOfDemo()];
  try {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    for (const name of names.filter((name) => /\.pcap(ng)?$/.test(name))) {
      captures.push(await beginningOf(folder + name));
    }
  } catch (error) {
    // Without the shared captures the others are damaged more often.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return captures.filter(({ packets }) => packets.length > 0);
}

function asFile({ linkType }: OwnCapture, packets: readonly CapturedPacket[], random: Random): Uint8Array {
  if (random(2) === 0) return pcap(packets, { linkType, nano: random(4) === 0 });
  const blocks = packets.map(({ timeUs, frame, wireLength }) =>
    enhancedPacket(0, BigInt(timeUs), frame, false, wireLength)
  );
  return bytes(sectionHeader(), interfaceBlock(linkType), ...blocks);
}

Deno.test("hundreds of damaged captures pass the whole sensor, and every packet is accounted for", async () => {
  const random = generator(seed);
  const pool = await originals();
  const program = new Tshark();
  await program.prepare();
  // One profile folder for all sensors: its making takes longer than a sensor's work.
  const shared = {
    version: program.version,
    walls: program.walls,
    prepare: () => Promise.resolve(),
    spawn: () => program.spawn(),
    dispose: () => Promise.resolve(),
  };
  let packets = 0, facts = 0;
  for (let first = 0; first < mutants; first += mutantsASensor) {
    const what = `SEED=${seed} MUTANTS=${mutants}, from mutant ${first}`;
    const startMs = systemClock.monotonicMs();
    const sensor = new WholeSensor({ program: shared });
    await sensor.start();
    for (let index = first; index < Math.min(mutants, first + mutantsASensor); index++) {
      const original = pool[index % pool.length];
      const file = asFile(original, mutateFrames(original.packets, random), random);
      await sensor.read(random(4) === 0 ? mutate(file, random) : file);
    }
    await sensor.close();
    sensor.assertAccount(what);
    assert(systemClock.monotonicMs() - startMs < sensorMsMax, `${what}: took too long`);
    packets += sensor.pipeline.packets;
    facts += sensor.factsShipped;
  }
  await program.dispose();
  assert(
    packets > mutants * 5 && facts > mutants / 2,
    `only ${packets} packets and ${facts} segments with facts`,
  );
});
