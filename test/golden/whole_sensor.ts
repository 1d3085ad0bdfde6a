/** The whole sensor in one process: reader, decoder, flow table, the real tshark, sealer,
 * and a receiver that trusts nothing.
 *
 * In: the octets of captures, as they are or damaged.
 * Out: what arrived, in signed batches that were packed, unpacked and verified.
 * Invariant: every packet read is in a verified batch or counted as left out;
 * {@link WholeSensor.close} checks nothing, it adds up.
 * Why not `replay` as a process:
 * hundreds of captures pass through one tshark, and its child can be killed at a chosen packet.
 * @module */

import { assert, assertEquals } from "@std/assert";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import type { CaptureError } from "../../sensor/capture/capture_error.ts";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import type { LaneOptions } from "../../sensor/dissect/lane_options.ts";
import type { DissectorProgram } from "../../sensor/dissect/child/tshark.ts";
import { Pipeline } from "../../sensor/pipeline.ts";
import { packBatch, unpackBatch, valueOf } from "../../sensor/ship/packed_batch.ts";
import { sealableOf } from "../sensor/ship/helpers.ts";
import { Sealer } from "../../sensor/ship/seal.ts";
import { type Batch, publicKeyFromRaw, verifyBatch } from "../../shared/batch.ts";
import { decodeValue } from "../shared/columns.ts";
import { systemClock } from "../../shared/clock.ts";
import { publicKey, signer, silentReporter } from "../sensor/ship/helpers.ts";

const verifyingKey = publicKeyFromRaw(publicKey);
const buckets = 4;

export class WholeSensor {
  readonly lane: DissectLane;
  readonly pipeline: Pipeline;
  readonly reporter;
  /** What was logged. */
  readonly lines: string[];
  /** Every dissector child there ever was, by process id. */
  readonly children = new Set<number>();
  /** Packets of outermost headers in verified batches. */
  packetsShipped = 0;
  rowsShipped = 0;
  /** Rows with anything that a dissector read in their payload;
   * the first octets of a flow that none knew are no such thing. */
  factsShipped = 0;
  #sealer: Sealer;

  constructor(options: { lane?: Partial<LaneOptions>; program: DissectorProgram }) {
    const { reporter, lines } = silentReporter();
    this.reporter = reporter;
    this.lines = lines;
    const chooser = new PacketChooser();
    this.lane = new DissectLane({ live: false, ...options.lane }, {
      program: options.program,
      clock: systemClock,
      reporter,
      chooser,
    });
    this.#sealer = new Sealer({ buckets, epoch: 1 }, signer);
    this.pipeline = new Pipeline({ flow: { flowsMax: 8_192 } }, {
      sink: { take: (page) => this.#receive(this.#sealer.add(sealableOf(page), 0)) },
      reporter,
      clock: systemClock,
      deepLane: this.lane,
      chooser,
    });
  }

  async start(): Promise<void> {
    await this.lane.start();
    this.#note();
  }

  /** Reads one capture in chunks; returns what was wrong with it. */
  async read(capture: Uint8Array, chunkBytes = 65_536): Promise<CaptureError | null> {
    const reader = new CaptureReader(this.pipeline);
    for (let at = 0; at < capture.length;) {
      const part = capture.subarray(at, at + Math.min(chunkBytes, reader.space().length));
      reader.space().set(part);
      reader.commit(part.length);
      at += part.length;
      await this.pipeline.turn();
      this.#note();
    }
    return reader.end();
  }

  /** Ends all flows, ships everything, ends the children. */
  async close(): Promise<void> {
    await this.pipeline.finish();
    this.#note();
    this.#receive(this.#sealer.seal(0, true));
    await this.lane.stop();
  }

  /** Packets in = packets in verified batches + packets left out; tickets = answers + given up; no child is left. */
  assertAccount(what: string): void {
    const { packets, in_flows, left_out } = this.pipeline.summary("");
    const leftOut = Object.values(left_out).reduce((sum, count) => sum + count, 0);
    assertEquals([packets, this.packetsShipped], [in_flows + leftOut, in_flows], what);
    const { offered, answered, given_up } = this.lane.health;
    assertEquals(offered, answered + given_up, what);
    for (const pid of this.children) assert(!isAlive(pid), `${what}: child ${pid} was left behind`);
  }

  #note(): void {
    for (const pid of this.lane.health.children) this.children.add(pid);
  }

  #receive(batches: readonly Batch[]): void {
    for (const sealed of batches) {
      const packed = unpackBatch(packBatch(sealed).bytes);
      assert(typeof packed !== "string", `a batch cannot be unpacked: ${packed}`);
      const batch = { header: packed.header, value: valueOf(packed) };
      assertEquals(verifyBatch(batch, verifyingKey), null);
      const table = decodeValue(batch.value, batch.header.flows);
      assert(typeof table !== "string", `a batch would be refused: ${table}`);
      for (let row = 0; row < batch.header.flows; row++) {
        this.rowsShipped++;
        const names = Object.keys(table.facts[row] ?? {});
        if (names.some((name) => name !== "first")) this.factsShipped++;
        if (table.ip_depth[row] !== 1) continue;
        this.packetsShipped += (table.fwd_packets[row] as number) + (table.bwd_packets[row] as number);
      }
    }
  }
}

/** A process that has ended but was not waited for is a child left behind, too. */
function isAlive(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trim() === "tshark";
  } catch {
    return false;
  }
}
