/** A simulated sensor: the real sealer, outbox, spool and shipper over a disk and a way that fail.
 *
 * In: a world, the way to the aggregators. Out: batches, noted by the oracle as they reach the spool.
 * Invariant: whatever is on the disk outlives a start; nothing else does. Only the sealing thread is replaced, by the
 * same sealer on the thread there is. @module */

import type { Reporter } from "../../shared/reporter.ts";
import type { Disk } from "../../sensor/disk.ts";
import { batchesIn } from "../../sensor/control/carry_over.ts";
import { raiseEpoch } from "../../sensor/control/identity.ts";
import { float } from "../../sensor/flow/layout.ts";
import { SegmentPage } from "../../sensor/flow/segment_page.ts";
import { Outbox } from "../../sensor/ship/outbox.ts";
import { type BatchFile, packBatch } from "../../sensor/ship/packed_batch.ts";
import { Sealer, type Signer } from "../../sensor/ship/seal.ts";
import { Shipper } from "../../sensor/ship/shipper.ts";
import { nameForm, Spool, type SpoolOptions } from "../../sensor/ship/spool.ts";
import type { Transport } from "../../sensor/ship/transport.ts";
import { keyId, keysFromSeed } from "../../shared/batch.ts";
import { flowWords, type RowOfPage } from "../sensor/flow/pages.ts";
import { FakeDisk } from "../sensor/ship/fake_disk.ts";
import { sealableOf, silentReporter } from "../sensor/ship/helpers.ts";
import { nameOf, type Oracle } from "./oracle.ts";
import { type Host, Process, type World } from "./world.ts";

export const buckets = 2;
/** A busy machine: ticks of the outbox come late. */
const lateMs = 600;
const openFlowsMax = 6;

export class SensorNode {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly disk: FakeDisk;
  readonly host: Host = { offsetMs: 0 };
  process: Process;
  /** No more traffic. */
  isQuiet = false;
  spool: Spool | null = null;
  readonly #signer: Signer;
  readonly #open: RowOfPage[] = [];
  #port = 1_024;

  constructor(
    readonly number: number,
    readonly deps: {
      world: World;
      oracle: Oracle;
      /** Whether flows go on in later segments. */
      hasParts: boolean;
      wayOf: (process: Process) => Transport;
      /** The highest epoch of a sensor that the answer to a check-in names. */
      epochKnown: (sensor: string) => Promise<number>;
    },
  ) {
    const keys = keysFromSeed(new Uint8Array(32).fill(number));
    this.id = `s-${number}`;
    this.publicKey = keys.publicKey;
    this.#signer = { sensor: this.id, key: keyId(keys.publicKey), privateKey: keys.privateKey };
    this.disk = new FakeDisk(deps.world.random);
    this.process = new Process(deps.world, this.id, this.host, lateMs);
  }

  start(): void {
    const { world } = this.deps;
    this.process = new Process(world, this.id, this.host, lateMs);
    world.spawn(this.process, this.#run(this.process));
  }

  /** `isPowerCut`: with what the disk had not synced yet. */
  kill(isPowerCut: boolean): void {
    this.process.kill();
    this.spool = null;
    if (isPowerCut) this.disk.crash();
  }

  /** Sets the wall clock; a flow that went on would be two. */
  jump(ms: number): void {
    this.host.offsetMs += ms;
    this.#open.length = 0;
  }

  /** Damages a spooled file, if there is one. */
  rot(): void {
    const { world, oracle } = this.deps;
    const paths = this.disk.paths("/spool/").filter((path) => nameForm.test(path.slice("/spool/".length)));
    if (paths.length === 0) return;
    const path = world.pick(paths);
    const [epoch, bucket, seq] = nameForm.exec(path.slice("/spool/".length))!.slice(1).map(Number);
    oracle.destroy(nameOf({ sensor: this.id, epoch, bucket, seq }), "bit rot");
    this.disk.damage(path, (bytes) => {
      const rotten = bytes.slice();
      rotten[Math.floor(world.random() * rotten.length)] ^= 1 << Math.floor(world.random() * 8);
      return rotten;
    });
  }

  async #run(process: Process): Promise<void> {
    const { world, oracle, wayOf } = this.deps;
    const { reporter } = silentReporter();
    const disk = slowDisk(this.disk, process);
    const epoch = await this.#riseOn(disk, process);
    const spool = new WatchedSpool({ folder: "/spool" }, { disk, reporter }, oracle);
    const transport = wayOf(process);
    const { random } = world;
    const shipper = new Shipper({}, {
      spool,
      transport,
      identity: this.#signer,
      clock: process,
      reporter,
      random,
    });
    const sealing = new SealHere(new Sealer({ buckets, epoch, batchFlowsMax: 20 }, this.#signer));
    const outbox = new Outbox({ live: true }, { sealing, spool, shipper, clock: process, reporter });
    await outbox.start();
    this.spool = spool;
    while (!this.isQuiet) {
      await process.sleep(world.between(200, 2_000));
      await outbox.take(this.#page(process));
    }
    await outbox.flush();
  }

  /** As session.ts: above what is in the spool, and above what the aggregator knows. */
  async #riseOn(disk: Disk, process: Process): Promise<number> {
    const { random } = this.deps.world;
    const spooled = batchesIn(await disk.list("/spool").catch(() => [])).at(-1)?.epoch ?? 0;
    const rise = (floor: number) => raiseEpoch(disk, "/state", { nowMs: process.nowMs(), random, floor });
    const { epoch, problem } = await rise(spooled);
    const known = await this.deps.epochKnown(this.id);
    return known > epoch - (problem === null ? 0 : 1) ? (await rise(known)).epoch : epoch;
  }

  /** Some segments, of new flows and of those that go on. */
  #page(process: Process): SegmentPage {
    const { world, hasParts } = this.deps;
    const page = new SegmentPage();
    const nowUs = process.nowMs() * 1e3;
    for (let rest = Math.ceil(world.between(0, 4)); rest > 0; rest--) {
      const goesOn = hasParts && this.#open.length > 0 && world.chance(0.4);
      const flow = goesOn ? world.pick(this.#open) : this.#begin(nowUs);
      const packets = [Math.ceil(world.between(0, 20)), Math.floor(world.between(0, 20))] as const;
      const words = flowWords({ ...flow, packets, start_us: nowUs });
      new Float64Array(words.buffer)[float.flowStartUs] = flow.start_us!;
      page.append(words, 0, "active");
    }
    return page;
  }

  #begin(start_us: number): RowOfPage {
    const src_ip = `10.0.${this.number}.${this.#port & 255}`, src_port = this.#port++;
    const flow = { protocol: "udp", src_ip, dst_ip: "192.0.2.1", src_port, dst_port: 53, start_us };
    this.#open.push(flow);
    if (this.#open.length > openFlowsMax) this.#open.shift();
    return flow;
  }
}

/** The sealing thread, without the thread. */
class SealHere {
  constructor(readonly sealer: Sealer) {}
  start(): void {}
  stop(): void {}
  add(page: SegmentPage, nowMs: number): Promise<BatchFile[]> {
    return Promise.resolve(this.sealer.add(sealableOf(page), nowMs).map(packBatch));
  }
  seal(nowMs: number, everything = false): Promise<BatchFile[]> {
    return Promise.resolve(this.sealer.seal(nowMs, everything).map(packBatch));
  }
  renew(): Promise<BatchFile[]> {
    throw new Error("no simulated sensor changes its key");
  }
}

/** Tells the oracle what it was given, and what it has promised to keep. */
class WatchedSpool extends Spool {
  #pending: string[] = [];
  constructor(options: SpoolOptions, deps: { disk: Disk; reporter: Reporter }, readonly oracle: Oracle) {
    super(options, deps);
  }
  override async put(files: readonly BatchFile[]): Promise<void> {
    this.#pending.push(...files.map((file) => this.oracle.note(file)));
    await super.put(files);
    if (this.unwritten > 0) return;
    this.oracle.promise(this.#pending);
    this.#pending = [];
  }
}

/** A disk whose every operation takes a moment, in which its process may be killed. */
function slowDisk(disk: FakeDisk, process: Process): Disk {
  const slow = <Result>(work: () => Promise<Result>) => process.moment().then(work);
  return {
    makeFolder: () => slow(() => disk.makeFolder()),
    list: (folder) => slow(() => disk.list(folder)),
    read: (path, bytesMax) => slow(() => disk.read(path, bytesMax)),
    write: (path, bytes) => slow(() => disk.write(path, bytes)),
    overwrite: (path, bytes) => slow(() => disk.overwrite(path, bytes)),
    sync: (path) => slow(() => disk.sync(path)),
    syncFolder: () => slow(() => disk.syncFolder()),
    rename: (from, to) => slow(() => disk.rename(from, to)),
    remove: (path) => slow(() => disk.remove(path)),
  };
}
