/** Parquet files, written and read a row group at a time. The one file that imports the Parquet libraries.
 *
 * In: rows as plain objects, a table of columns. Out: octets of a file as they are made; rows again.
 * Invariant: memory holds one row group and the index of those before, whatever the size of the file. Every value is of
 * its column's kind, so that files of different days can be read together.
 * Why the runtime's zstd: every current reader knows it, and it needs no further package. @module */

import { parquetMetadataAsync, parquetReadObjects, type SchemaElement } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** What a column holds. `small` is an integer below 2^31; `time` is epoch seconds to the microsecond;
 * `json` is text or null. */
export type Kind = "text" | "json" | "small" | "integer" | "integer or null" | "real" | "flag" | "time";
export type Cell = string | number | boolean | null;
export type Table = Readonly<Record<string, Kind>>;
export type Cells = Record<string, Cell>;

type Element = Omit<SchemaElement, "name">;
const text = { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } } as const;
const elements: Record<Kind, Element> = {
  text: { ...text, repetition_type: "REQUIRED" },
  json: { ...text, repetition_type: "OPTIONAL" },
  small: { type: "INT32", repetition_type: "REQUIRED" },
  integer: { type: "INT64", repetition_type: "REQUIRED" },
  "integer or null": { type: "INT64", repetition_type: "OPTIONAL" },
  real: { type: "DOUBLE", repetition_type: "REQUIRED" },
  flag: { type: "BOOLEAN", repetition_type: "REQUIRED" },
  time: {
    type: "INT64",
    converted_type: "TIMESTAMP_MICROS",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" },
    repetition_type: "REQUIRED",
  },
};

/** Level 3 packs a tenth better than 1 at nearly its speed. */
const compressed = (octets: Uint8Array) => new Uint8Array(zstdCompressSync(octets));

export class ParquetEncoder {
  readonly #table: Table;
  readonly #writer = new ByteWriter(1 << 20);
  readonly #parquet: ParquetWriter;

  /** `notes` go into the file's own metadata. */
  constructor(table: Table, notes: Readonly<Record<string, string>> = {}) {
    this.#table = table;
    const columns = Object.entries(table).map(([name, kind]) => ({ name, ...elements[kind] }));
    this.#parquet = new ParquetWriter({
      writer: this.#writer,
      schema: [{ name: "root", num_children: columns.length }, ...columns],
      codec: "ZSTD",
      compressors: { ZSTD: compressed },
      kvMetadata: keyed(notes),
      createdBy: "picket",
    });
  }

  /** One row group. The octets belong to the caller. */
  rows(rows: readonly Cells[]): Uint8Array {
    if (rows.length > 0) {
      const columnData = Object.entries(this.#table).map(([name, kind]) => ({
        name,
        data: rows.map((row) => encoded(row[name], kind)),
        offsetIndex: false,
      }));
      this.#parquet.write({ columnData, rowGroupSize: rows.length });
    }
    return this.#take();
  }

  /** `notes` go into the file's own metadata, beside those of the beginning. */
  end(notes: Readonly<Record<string, string>> = {}): Uint8Array {
    this.#parquet.kvMetadata = [...this.#parquet.kvMetadata ?? [], ...keyed(notes)];
    this.#parquet.finish();
    return this.#take();
  }

  #take(): Uint8Array {
    const octets = this.#writer.getBytes().slice();
    this.#writer.index = 0;
    return octets;
  }
}

function keyed(notes: Readonly<Record<string, string>>) {
  return Object.entries(notes).map(([key, value]) => ({ key, value }));
}

function encoded(cell: Cell, kind: Kind): unknown {
  if (cell === null) return undefined;
  if (kind === "integer" || kind === "integer or null") return BigInt(cell as number);
  if (kind === "time") return BigInt(Math.round((cell as number) * 1e6));
  return cell;
}

/** A group is unpacked as a whole. */
const groupRowsMax = 200_000;

/** Rows of a file, at most `rowsMax` at a time.
 * @throws {RangeError} when the file is no Parquet, is damaged, or has other columns. */
export async function* readParquet(path: string, table: Table, rowsMax: number): AsyncGenerator<Cells[]> {
  const file = await Deno.open(path, { read: true });
  try {
    const octets = { byteLength: (await file.stat()).size, slice: sliceOf(file) };
    const metadata = await parquetMetadataAsync(octets);
    const present = new Set(metadata.schema.slice(1).map(({ name }) => name));
    const missing = Object.keys(table).find((name) => !present.has(name));
    if (missing !== undefined) throw new RangeError(`it has no column "${missing}"`);
    const options = { file: octets, metadata, compressors: { ZSTD: decompressed }, parsers };
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      if (rowEnd - rowStart > groupRowsMax) {
        throw new RangeError(`a group must have <= ${groupRowsMax} rows: one has ${rowEnd - rowStart}`);
      }
      const rows = await parquetReadObjects({ ...options, columns: Object.keys(table), rowStart, rowEnd });
      for (let at = 0; at < rows.length; at += rowsMax) {
        yield rows.slice(at, at + rowsMax).map((row) => decoded(row, table));
      }
      rowStart = rowEnd;
    }
  } catch (cause) {
    throw new RangeError(`Cannot read "${path}" as Parquet: ${(cause as Error).message}`, { cause });
  } finally {
    file.close();
  }
}

function sliceOf(file: Deno.FsFile): (from: number, to?: number) => Promise<ArrayBuffer> {
  // One seek and read after another: calls overlap, and the file has one position.
  let last: Promise<unknown> = Promise.resolve();
  return (from, to) => {
    const done = last.then(async () => {
      const end = to ?? (await file.stat()).size;
      await file.seek(from, Deno.SeekMode.Start);
      const octets = new Uint8Array(end - from);
      for (let at = 0; at < octets.length;) {
        const count = await file.read(octets.subarray(at));
        if (count === null) throw new RangeError("it ends too early");
        at += count;
      }
      return octets.buffer;
    });
    last = done.catch(() => undefined);
    return done;
  };
}

function decompressed(octets: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(zstdDecompressSync(octets, { maxOutputLength: Math.max(1, length) }));
}

// A text may begin with what another decoder takes for a mark of byte order.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const parsers = {
  timestampFromMicroseconds: (us: bigint) => Number(us) / 1e6,
  stringFromBytes: (octets: Uint8Array | undefined) => octets && decoder.decode(octets),
};

function decoded(row: Record<string, unknown>, table: Table): Cells {
  const cells: Cells = {};
  for (const [name, kind] of Object.entries(table)) {
    const value = row[name];
    cells[name] = value === undefined || value === null
      ? null
      : typeof value === "bigint"
      ? Number(value)
      : value as Cell;
    if (cells[name] === null && elements[kind].repetition_type === "REQUIRED") {
      throw new RangeError(`a value of "${name}" is missing`);
    }
  }
  return cells;
}
