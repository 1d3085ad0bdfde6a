/** What was spooled, by name, and what must have become of it:
 * the reference that neither sensors nor aggregators know of.
 *
 * In: every batch as it went to a spool, which of them the spool promised to keep, which of those a fault destroyed.
 * Out: what differs between that and the store, in words; nothing = each batch is stored once or listed as a gap, and
 * totals are those of the batches stored.
 * Invariant: only a batch that was never promised, or was destroyed by a fault on purpose, may be missing. @module */

import type { Store } from "../../aggregator/store/store.ts";
import { parseIp } from "../../shared/ip.ts";
import type { BatchFile } from "../../sensor/ship/packed_batch.ts";
import { unpackBatch, valueOf } from "../../sensor/ship/packed_batch.ts";
import { decodeValue } from "../shared/columns.ts";
import { counted } from "../aggregator/ingest/with_ingest.ts";

interface Batch {
  sensor: string;
  epoch: number;
  bucket: number;
  seq: number;
  packets: number;
  bytes: number;
  flows: string[];
}

const shownMax = 5;
const rotten = new Set([
  "sha256",
  "signature",
  "unknown_sensor",
  "unknown_key",
  "header_malformed",
  "flow_count",
]);

export class Oracle {
  readonly #batches = new Map<string, Batch>();
  readonly #twice: string[] = [];
  readonly #promised = new Set<string>();
  readonly #destroyed = new Set<string>();
  #isRotten = false;
  /** Records that are no batches. */
  garbage = 0;

  get batches(): number {
    return this.#batches.size;
  }
  get promised(): number {
    return this.#promised.size;
  }
  get destroyed(): number {
    return this.#destroyed.size;
  }

  /** Sealed, and on its way to a spool. */
  note(file: BatchFile): string {
    const { sensor, epoch, bucket, seq, flows } = file.header;
    const batch = unpackBatch(file.bytes);
    if (typeof batch === "string") throw new Error(`a sensor sealed a batch that is damaged: ${batch}`);
    const table = decodeValue(valueOf(batch), flows);
    if (typeof table === "string") throw new Error(`a sensor sealed a batch that does not decode: ${table}`);
    const sum = (...columns: unknown[][]) =>
      columns.flat().reduce((all: number, one) => all + Number(one), 0);
    const name = nameOf({ sensor, epoch, bucket, seq });
    if (this.#batches.has(name)) this.#twice.push(name);
    this.#batches.set(name, {
      sensor,
      epoch,
      bucket,
      seq,
      packets: sum(table.fwd_packets, table.bwd_packets),
      bytes: sum(table.fwd_bytes, table.bwd_bytes),
      flows: table.src_ip.map((ip, i) => `${parseIp(String(ip))} ${table.src_port[i]}`),
    });
    return name;
  }
  promise(names: Iterable<string>): void {
    for (const name of names) this.#promised.add(name);
  }
  destroy(name: string, how: "bit rot" | "topic made anew"): void {
    if (how === "bit rot") this.#isRotten = true;
    this.#destroyed.add(name);
  }

  /** The highest number sealed of each sequence, as check-ins tell it. */
  sealed(): { sensor: string; epoch: number; bucket: number; seq: number }[] {
    const highest = new Map<string, Batch>();
    for (const batch of this.#batches.values()) {
      const name = nameOf({ ...batch, seq: 0 });
      if ((highest.get(name)?.seq ?? 0) < batch.seq) highest.set(name, batch);
    }
    return [...highest.values()].map(({ sensor, epoch, bucket, seq }) => ({ sensor, epoch, bucket, seq }));
  }

  async differences(store: Store): Promise<string[]> {
    const missing = new Set<string>();
    for (const gap of await store.readGaps({ open: true }, 100_000)) {
      for (let seq = gap.from_seq; seq <= gap.to_seq; seq++) {
        missing.add(nameOf({ sensor: gap.sensor_id, epoch: gap.epoch, bucket: gap.bucket, seq }));
      }
    }
    const stored = [...this.#batches].filter(([name]) => !missing.has(name)).map(([, batch]) => batch);
    const said: string[] = [];
    const say = (what: string, names: string[]) => {
      if (names.length > 0) said.push(`${what}: ${names.length}, ${names.slice(0, shownMax).join(", ")}`);
    };
    say("numbers given to two batches", this.#twice);
    say("gaps of batches that never were", [...missing].filter((name) => !this.#batches.has(name)));
    say(
      "promised, and lost",
      [...missing].filter((name) => this.#promised.has(name) && !this.#destroyed.has(name)),
    );
    let taken = 0;
    for (const { sensor, epoch } of epochsOf(this.sealed())) {
      for (const { batches } of await store.readPositions(sensor, epoch)) taken += batches;
    }
    if (taken !== stored.length) said.push(`batches taken: ${taken} instead of ${stored.length}`);
    const sum = (of: (batch: Batch) => number) => stored.reduce((all, batch) => all + of(batch), 0);
    const rows = await counted(store), totals = await store.readTotals();
    const wanted = {
      flows: new Set(stored.flatMap(({ flows }) => flows)).size,
      packets: sum(({ packets }) => packets),
      bytes: sum(({ bytes }) => bytes),
    };
    for (const name of ["flows", "packets", "bytes"] as const) {
      if (rows[name] !== wanted[name]) said.push(`${name} in rows: ${rows[name]} instead of ${wanted[name]}`);
      if (totals[name] !== wanted[name]) {
        said.push(`${name} in totals: ${totals[name]} instead of ${wanted[name]}`);
      }
    }
    for (const { name, quarantine_reason } of await store.readSensors()) {
      if (quarantine_reason) said.push(`${name} was taken for a clone: ${quarantine_reason}`);
    }
    const letters = await store.readDeadLetters(1_000);
    if (letters.length < this.garbage) {
      said.push(`dead letters: ${letters.length} instead of ${this.garbage}`);
    }
    // A rotten header is read by no sensor: its signature tells the aggregator.
    const unwanted = letters.filter(({ reason }) =>
      reason !== "header_missing" && !(this.#isRotten && rotten.has(reason))
    );
    say("dead letters of batches", unwanted.map(({ reason, origin }) => `${reason} ${origin}`));
    return said;
  }
}

export function nameOf(
  { sensor, epoch, bucket, seq }: { sensor: string; epoch: number; bucket: number; seq: number },
): string {
  return `${sensor}/${epoch}-${bucket}-${seq}`;
}

function epochsOf(
  sequences: readonly { sensor: string; epoch: number }[],
): { sensor: string; epoch: number }[] {
  return [...new Map(sequences.map((one) => [`${one.sensor}/${one.epoch}`, one])).values()];
}
