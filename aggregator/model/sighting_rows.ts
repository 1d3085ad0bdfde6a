/** Sightings as columns of numbers, for flows that more than one vantage saw.
 *
 * In: what a vantage adds to its view of a flow. Out: rows that the store encodes. Invariant: a row with `isNew` is the
 * whole of what that vantage has seen so far; any other is an increment. Of a flow that one vantage alone saw there is
 * no row: its counts are the flow's. @module */

const spec = {
  isNew: Uint8Array,
  idUs: Float64Array,
  slot: Uint16Array,
  vlan: Uint16Array,
  ipDepth: Uint8Array,
  /** By the sensor's own clock. */
  startUs: Float64Array,
  endUs: Float64Array,
  fwdPackets: Float64Array,
  fwdBytes: Float64Array,
  bwdPackets: Float64Array,
  bwdBytes: Float64Array,
  segments: Float64Array,
  offsetUs: Float64Array,
} as const;

type Columns = { [name in keyof typeof spec]: InstanceType<(typeof spec)[name]> };
const names = Object.keys(spec) as (keyof typeof spec)[];
const firstRows = 64;

export class SightingRows {
  columns: Columns = allocate(firstRows);
  readonly sensor: string[] = [];
  size = 0;
  #capacity = firstRows;

  /** A row at the end; the caller sets all of its values. */
  append(sensorId: string): number {
    if (this.size === this.#capacity) this.#grow();
    this.sensor[this.size] = sensorId;
    return this.size++;
  }

  clear(): void {
    this.size = 0;
  }

  #grow(): void {
    this.#capacity *= 2;
    const grown = allocate(this.#capacity);
    for (const name of names) (grown[name] as Float64Array).set(this.columns[name]);
    this.columns = grown;
  }
}

function allocate(rows: number): Columns {
  return Object.fromEntries(names.map((name) => [name, new spec[name](rows)])) as Columns;
}
