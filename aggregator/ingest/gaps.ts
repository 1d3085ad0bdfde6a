/** Keeps the books of batch numbers: which are missing, and when they came after all.
 *
 * In: headers of new batches, and what a sensor says it sealed. Out: gap rows. Invariant: for each (sensor, epoch,
 * bucket) the numbers 1 to the highest known are those taken in plus those in open gaps; replays never get here. A gap
 * whose last batch came is closed with its stored bounds.
 * Bounds: {@link holesMax} gaps a sequence; beyond, neighbours become one gap that names some batches too many.
 * {@link sequencesMax} sequences in memory; the store has all of them. Memory is never older than {@link readAgainMs},
 * and never the reason for a gap: over HTTP several instances take batches of one sequence. @module */

import type { Gap, IngestWrite } from "../model/ledger.ts";
import type { Store } from "../store/store.ts";

const holesMax = 256;
const sequencesMax = 50_000;
const gapsReadMax = 100_000;
/** Another instance may have taken what seems to be the next batch.
 * The ledger says so, but forgets it long after this. */
const readAgainMs = 30_000;

export interface SequenceKey {
  sensor: string;
  epoch: number;
  bucket: number;
}

type SequenceNumber = SequenceKey & { seq: number };

interface Hole {
  from: number;
  to: number;
  foundMs: number;
}

interface Sequence {
  key: SequenceKey;
  highest: number;
  /** Taken in; whoever takes one changes it, so it tells whether another instance did. */
  batches: number;
  holes: Hole[];
}

export class GapBook {
  #store: Pick<Store, "readPositions" | "readGaps">;
  #sequences = new Map<string, Sequence>();
  /** When the sequences of an epoch were read. */
  #loaded = new Map<string, number>();
  #changed = new Map<string, Sequence>();

  constructor(deps: { store: Pick<Store, "readPositions" | "readGaps"> }) {
    this.#store = deps.store;
  }

  /** Reads what the store knows of the epochs of these batches, and again where they are not the next ones: before a
   * gap is opened or closed it is asked whether another instance took what seems to be missing. */
  async load(
    batches: readonly SequenceNumber[],
    expected: readonly SequenceNumber[],
    nowMs: number,
  ): Promise<void> {
    if (this.#sequences.size > sequencesMax) this.clear();
    const isKnown = (batch: SequenceNumber) => this.isTaken(batch, batch.seq);
    const nameOfEpoch = ({ sensor, epoch }: SequenceKey) => `${sensor}|${epoch}`;
    const waited = new Set(expected.filter((batch) => !isKnown(batch)).map(nameOfEpoch));
    const epochs = Map.groupBy([...batches, ...expected], nameOfEpoch);
    for (const [name, some] of epochs) {
      const isFresh = Math.abs(nowMs - (this.#loaded.get(name) ?? -Infinity)) < readAgainMs;
      if (isFresh && !waited.has(name) && this.#areNext(some)) continue;
      const { sensor, epoch } = some[0];
      const positions = await this.#store.readPositions(sensor, epoch);
      const gaps = await this.#store.readGaps({ sensor_id: sensor, open: true }, gapsReadMax);
      const highest = new Map(positions.map(({ bucket, seq_max }) => [bucket, seq_max]));
      const taken = new Map(positions.map(({ bucket, batches }) => [bucket, batches]));
      // What was expected may lie beyond all that came, and nothing may have come at all.
      for (const gap of gaps) {
        if (gap.epoch === epoch) highest.set(gap.bucket, Math.max(highest.get(gap.bucket) ?? 0, gap.to_seq));
      }
      for (const [bucket, seq] of highest) {
        const holes = gaps.filter((gap) => gap.epoch === epoch && gap.bucket === bucket)
          .map((gap) => ({ from: gap.from_seq, to: gap.to_seq, foundMs: gap.found_ms }))
          .sort((a, b) => a.from - b.from);
        const key = { sensor, epoch, bucket };
        this.#sequences.set(nameOf(key), { key, highest: seq, batches: taken.get(bucket) ?? 0, holes });
      }
      this.#loaded.set(name, nowMs);
    }
  }

  /** Whether these neither leave numbers out nor lie in a gap. */
  #areNext(batches: readonly SequenceNumber[]): boolean {
    const highest = new Map<string, number>();
    for (const batch of batches.toSorted((a, b) => a.seq - b.seq)) {
      if (this.isTaken(batch, batch.seq)) continue;
      const name = nameOf(batch);
      const before = highest.get(name) ?? this.#sequences.get(name)?.highest ?? 0;
      if (batch.seq !== before && batch.seq !== before + 1) return false;
      highest.set(name, batch.seq);
    }
    return true;
  }

  /** Whether a number was taken in, by what was stored before: it is not above the highest, and in no gap. Its row in
   * the ledger may be gone by then. */
  isTaken(key: SequenceKey, seq: number): boolean {
    const sequence = this.#sequences.get(nameOf(key));
    return sequence !== undefined && seq <= sequence.highest &&
      !sequence.holes.some(({ from, to }) => from <= seq && seq <= to);
  }

  note(key: SequenceKey, seq: number, nowMs: number): void {
    const name = nameOf(key);
    const before = this.#before(name, key);
    const batches = before.batches + 1;
    const holes = before.holes.flatMap((hole) => without(hole, seq));
    if (seq > before.highest + 1) holes.push({ from: before.highest + 1, to: seq - 1, foundMs: nowMs });
    while (holes.length > holesMax) holes.splice(0, 2, { ...holes[0], to: holes[1].to });
    this.#changed.set(name, { key, highest: Math.max(before.highest, seq), batches, holes });
  }

  /** Batches up to `seq` were sealed; those that did not come are missing. */
  expect(key: SequenceKey, seq: number, nowMs: number): void {
    const name = nameOf(key);
    const before = this.#before(name, key);
    if (seq <= before.highest) return;
    const holes = [...before.holes, { from: before.highest + 1, to: seq, foundMs: nowMs }];
    this.#changed.set(name, { ...before, highest: seq, holes });
  }

  #before(name: string, key: SequenceKey): Sequence {
    return this.#changed.get(name) ?? this.#sequences.get(name) ?? { key, highest: 0, batches: 0, holes: [] };
  }

  /** What the notes since the last commit change in the store. */
  changes(nowMs: number): Pick<IngestWrite, "gaps" | "gapsReplaced" | "sequences"> {
    const gaps: Gap[] = [];
    const sequences: IngestWrite["sequences"] = [];
    const gapsReplaced: IngestWrite["gapsReplaced"] = [];
    for (const [name, { key, batches, holes }] of this.#changed) {
      const stored = this.#sequences.get(name)?.holes ?? [];
      const row = { sensor_id: key.sensor, epoch: key.epoch, bucket: key.bucket };
      if (isSame(stored, holes)) continue;
      sequences.push({ ...row, batches });
      if (stored.length > 0) gapsReplaced.push(row);
      const gap = ({ from, to, foundMs }: Hole, closed_ms: number | null): Gap => ({
        ...row,
        from_seq: from,
        to_seq: to,
        found_ms: foundMs,
        closed_ms,
      });
      for (const hole of stored) {
        const isFilled = !holes.some(({ from, to }) => from <= hole.to && to >= hole.from);
        if (isFilled) gaps.push(gap(hole, nowMs));
      }
      gaps.push(...holes.map((hole) => gap(hole, null)));
    }
    return { gaps, gapsReplaced, sequences };
  }

  commit(): void {
    for (const [name, sequence] of this.#changed) this.#sequences.set(name, sequence);
    this.#changed.clear();
  }

  rollback(): void {
    this.#changed.clear();
  }

  /** Forgets what it read: another instance may have written since. */
  clear(): void {
    this.#sequences.clear();
    this.#loaded.clear();
    this.#changed.clear();
  }
}

function nameOf({ sensor, epoch, bucket }: SequenceKey): string {
  return `${sensor}|${epoch}|${bucket}`;
}

function without(hole: Hole, seq: number): Hole[] {
  if (seq < hole.from || seq > hole.to) return [hole];
  return [{ ...hole, to: seq - 1 }, { ...hole, from: seq + 1 }].filter(({ from, to }) => from <= to);
}

function isSame(a: readonly Hole[], b: readonly Hole[]): boolean {
  return a.length === b.length && a.every(({ from, to }, i) => from === b[i].from && to === b[i].to);
}
