/** Simulation of the shipping side: sensors over faulty disks, a faulty network and stepping clocks, from a seed.
 *
 * Goal: everything a sensor promised to keep is stored once, whatever happens in between. Method: production spool and
 * shipper, a ledger in place of the aggregator; the seed picks all faults. `SEED=n` runs that one. @module */

import { assert, assertEquals } from "@std/assert";
import { Shipper } from "../../../sensor/ship/shipper.ts";
import { Spool, type SpoolEntry } from "../../../sensor/ship/spool.ts";
import type { PackedBatch } from "../../../sensor/ship/packed_batch.ts";
import type { SendResult, Transport } from "../../../sensor/ship/transport.ts";
import { FakeClock, fileOf, prng, signer, silentReporter } from "./helpers.ts";
import { FakeDisk } from "./fake_disk.ts";

/** The other side: knows what it stored, and that a replay is one. */
class Ledger {
  stored = new Set<string>();
  replays = 0;
  store(name: string): void {
    if (this.stored.has(name)) this.replays++;
    this.stored.add(name);
  }
}

class FaultyTransport implements Transport {
  readonly kind = "http";
  constructor(
    readonly ledger: Ledger,
    readonly sensor: number,
    readonly random: () => number,
    readonly faultRatio: number,
  ) {}
  send(batches: PackedBatch[]): Promise<SendResult> {
    const result: SendResult = { taken: [], refused: [], problem: null };
    for (const batch of batches) {
      const name = `${this.sensor}/${batch.header.epoch}-${batch.header.bucket}-${batch.header.seq}`;
      if (this.random() < this.faultRatio) {
        result.problem = { code: "unreachable", message: "lost on the way" };
        break;
      }
      this.ledger.store(name);
      if (this.random() < this.faultRatio) {
        result.problem = { code: "timeout", message: "answer lost" };
        break;
      }
      result.taken.push(batch);
    }
    return Promise.resolve(result);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The mutant: acknowledges before it sends. */
class EagerSpool extends Spool {
  override async read(entry: SpoolEntry, identity: { sensor: string; key: string }) {
    const batch = await super.read(entry, identity);
    if (batch) await super.acknowledge(entry);
    return batch;
  }
  override acknowledge(): Promise<void> {
    return Promise.resolve();
  }
}

interface World {
  promised: Set<string>;
  attempted: Set<string>;
  ledger: Ledger;
  faults: number;
  spooledAtEnd: number;
}

async function simulate(seed: number, SpoolClass: typeof Spool = Spool): Promise<World> {
  const random = prng(seed);
  const clock = new FakeClock();
  const faultRatio = random() * 0.4, crashRatio = random() * 0.15, diskFaultRatio = random() * 0.02;
  const world: World = {
    promised: new Set(),
    attempted: new Set(),
    ledger: new Ledger(),
    faults: 0,
    spooledAtEnd: 0,
  };
  for (let sensor = 0; sensor < 3; sensor++) {
    const disk = new FakeDisk(random);
    const { reporter } = silentReporter();
    const open = async () => {
      const spool = new SpoolClass({ folder: "/spool" }, { disk, reporter });
      disk.failRatio = 0;
      await spool.start();
      disk.failRatio = diskFaultRatio;
      const transport = new FaultyTransport(world.ledger, sensor, random, faultRatio);
      const shipper = new Shipper({}, { spool, transport, identity: signer, clock, reporter, random });
      return { spool, shipper };
    };
    let { spool, shipper } = await open();
    let epoch = 1;
    for (let seq = 1, made = 0; made < 20; made++, seq++) {
      const name = `${sensor}/${epoch}-${made % 2}-${seq}`;
      world.attempted.add(name);
      const isCrashing = random() < crashRatio;
      if (isCrashing) disk.cutAt = disk.operations + 1 + Math.floor(random() * 8);
      await spool.put([fileOf(epoch, made % 2, seq)]);
      if (spool.unwritten === 0) world.promised.add(name);
      if (random() < 0.7) await shipper.turn();
      if (random() < 0.1) clock.step((random() - 0.5) * 1e11);
      if (isCrashing) {
        disk.crash();
        epoch++;
        seq = 0;
        world.faults++;
        ({ spool, shipper } = await open());
      }
    }
    await finish(spool, shipper, disk, clock);
    world.spooledAtEnd += spool.batches;
  }
  world.faults += world.ledger.replays;
  return world;
}

async function finish(spool: Spool, shipper: Shipper, disk: FakeDisk, clock: FakeClock): Promise<void> {
  disk.failRatio = 0;
  await spool.put([]);
  shipper.start();
  for (let i = 0; i < 500 && spool.batches > 0; i++) await clock.advance(30_000);
  const stopped = shipper.stop();
  await clock.advance(30_000);
  await stopped;
}

function missing(world: World): string[] {
  return [...world.promised].filter((name) => !world.ledger.stored.has(name));
}

const given = Number(Deno.env.get("SEED") ?? 0);
const seeds = given > 0 ? [given] : Array.from({ length: 200 }, (_, i) => i + 1);

Deno.test("what sensors promised is stored, and nothing else, over 200 seeds of faults", async () => {
  let faults = 0;
  for (const seed of seeds) {
    const world = await simulate(seed);
    assertEquals(missing(world), [], `replay with SEED=${seed}`);
    assertEquals(world.spooledAtEnd, 0, `replay with SEED=${seed}`);
    for (const name of world.ledger.stored) {
      assert(world.attempted.has(name), `${name}: replay with SEED=${seed}`);
    }
    faults += world.faults;
  }
  assert(given > 0 || faults > 1_000, `too few faults to mean anything: ${faults}`);
});

Deno.test("a shipper that acknowledges before it sends loses batches, so the test above can fail", async () => {
  let losses = 0;
  for (let seed = 1; seed <= 20; seed++) losses += missing(await simulate(seed, EagerSpool)).length;
  assert(losses > 0);
});
