/** Flows, threats and hosts as files: NDJSON, CSV, Parquet, streamed while they are read.
 *
 * In: the filters of the lists. Out: a stream, newest first, that says at its end whether it is whole.
 * Invariant: a page is read only once the caller has consumed the one before, so memory holds one page whatever is
 * asked for, and other queries run between two pages. A caller that disconnects ends the reading; one that stops
 * reading is disconnected by the front door.
 * A failure on the way aborts the stream, so that half a file is never mistaken for a whole one.
 * Bound: {@link rowsMax} rows, {@link pagesMax} pages, {@link emptyPagesMax} pages in succession without a row, and as
 * many exports at once as the limit allows. @module */

import {
  type End,
  flowShape,
  type Format,
  formats,
  hostShape,
  mediaTypes,
  type RowWriter,
  rowWriter,
  threatShape,
} from "../../archive/row_formats.ts";
import type { Page, PageRequest } from "../../model/page.ts";
import { z } from "../../../shared/schema.ts";
import type { Capabilities } from "../capabilities.ts";
import { flowTable } from "../../filter/flow_table.ts";
import { threatTable } from "../../filter/threat_table.ts";
import { ApiError } from "../errors.ts";
import { filterQuery, readFilter } from "../filter/filter.ts";
import { checkRange, flowQuery, isBounded } from "../flows/flows.ts";
import { hostFilters, hostQuery, withInside } from "../hosts/hosts.ts";
import { flowWithPlaces, hostWithPlace, threatWithPlaces } from "../places.ts";
import { type Answer, resource } from "../route.ts";
import { flowFilters } from "../schemas.ts";
import { withStamps } from "../stamps.ts";
import { threatFilters, threatQuery } from "../threats/threats.ts";

const rowsMax = 1_000_000;
const pageRows = 500;
/** A filter that finds little gives pages that hold little. */
const pagesMax = 20_000;
/** Each may take 2 s in which nothing is sent: the front door and the caller would take longer silence for the end. */
const emptyPagesMax = 10;

const exportQuery = {
  format: z.enum(formats).default("ndjson"),
  limit: z.int().min(1).max(rowsMax).default(rowsMax).describe("Rows of the file"),
  cursor: z.string().min(1).max(200).optional().describe("What a file that was cut gave as next_cursor"),
};
const answerTypes = Object.values(mediaTypes);
type Needs = Pick<Capabilities, "exportLimit" | "queryLimit" | "reporter">;

export const exportFlows = resource({
  summary: "Flows that fit every filter given, as a file, newest first",
  query: z.strictObject({ ...exportQuery, ...flowFilters, ...filterQuery }),
  errors: ["busy"],
  answerTypes,
  needs: ["flowStore", "directory", "places", "exportLimit", "queryLimit", "reporter"],
  async handle({ query, nowMs }, { flowStore, ...has }) {
    const { format, limit, cursor, filter: text, ...rest } = query;
    const filter = flowQuery(rest);
    if (text !== undefined) filter.filter = await readFilter(text, flowTable, nowMs, has);
    if (filter.filter !== undefined && !isBounded(filter, filter.filter)) {
      throw new ApiError(
        "bad_parameter",
        'Parameter "from" must be given as the filter names neither a time nor one address',
        { field: "from" },
      );
    }
    return await stream(has, {
      name: `flows.${format}`,
      type: mediaTypes[format],
      limit,
      cursor,
      writer: rowWriter(format, flowShape),
      read: async (page) =>
        withRows(
          await flowStore.readFlows(filter, page),
          (row) => stamped(format, flowWithPlaces(row, has.places)),
        ),
    });
  },
});

export const exportThreats = resource({
  summary: "Threats that fit every filter given, as a file, newest first",
  query: z.strictObject({ ...exportQuery, ...threatFilters, ...filterQuery }),
  errors: ["busy"],
  answerTypes,
  needs: ["threatStore", "directory", "places", "exportLimit", "queryLimit", "reporter"],
  async handle({ query, nowMs }, { threatStore, ...has }) {
    checkRange(query);
    const { format, limit, cursor, filter: text, ...rest } = query;
    const filter = threatQuery(rest);
    if (text !== undefined) filter.filter = await readFilter(text, threatTable, nowMs, has);
    return await stream(has, {
      name: `threats.${format}`,
      type: mediaTypes[format],
      limit,
      cursor,
      writer: rowWriter(format, threatShape),
      read: async (page) =>
        withRows(
          await threatStore.readThreats(filter, page),
          (row) => stamped(format, threatWithPlaces(row, has.places)),
        ),
    });
  },
});

export const exportHosts = resource({
  summary:
    "Hosts that fit every filter given, as a file, last seen first; one that is seen again meanwhile may be left out",
  query: z.strictObject({ ...exportQuery, ...hostFilters }),
  errors: ["busy"],
  answerTypes,
  needs: ["hostStore", "directory", "places", "exportLimit", "queryLimit", "reporter"],
  async handle({ query, nowMs }, { hostStore, ...has }) {
    const { format, limit, cursor, ...rest } = query;
    const asked = await hostQuery(rest, nowMs, has);
    return await stream(has, {
      name: `hosts.${format}`,
      type: mediaTypes[format],
      limit,
      cursor,
      writer: rowWriter(format, hostShape),
      read: async (page) =>
        withRows(
          await hostStore.readHosts({ ...asked, sort: "last_seen" }, page),
          (row) => stamped(format, hostWithPlace(withInside(row), has.places)),
        ),
    });
  },
});

/** NDJSON has the rows of the list, with their stamps; the columns of the others say what they are. */
function stamped<Row>(format: Format, row: Row): Row {
  return format === "ndjson" ? withStamps(row) as Row : row;
}

function withRows<Row, Shown>(page: Page<Row>, shownOf: (row: Row) => Shown): Page<Shown> {
  return { ...page, rows: page.rows.map(shownOf) };
}

interface Export<Row> {
  name: string;
  type: string;
  limit: number;
  cursor: string | undefined;
  writer: RowWriter<Row>;
  read(page: PageRequest): Promise<Page<Row>>;
}

/** Reads the first page before it answers: what is wrong with the question, or the store, is an answer of its own. */
async function stream<Row>(has: Needs, asked: Export<Row>): Promise<Answer> {
  const leave = await enter(has.exportLimit);
  try {
    const gone = new AbortController();
    const reading = new Reading(has, asked, gone.signal);
    const first = await reading.next();
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        for (const octets of [asked.writer.start(), first]) send(controller, octets);
        if (reading.isOver) controller.close();
      },
      async pull(controller) {
        try {
          const octets = await reading.next();
          if (gone.signal.aborted) return;
          send(controller, octets);
          if (!reading.isOver) return;
          controller.close();
          leave();
        } catch (error) {
          if (gone.signal.aborted) return;
          has.reporter.count("exports_broken_off_total");
          has.reporter.warn("an export is broken off", { name: asked.name, error });
          controller.error(error);
          leave();
        }
      },
      cancel() {
        gone.abort();
        has.reporter.count("exports_cancelled_total");
        leave();
      },
    }, { highWaterMark: 1 });
    if (reading.isOver) leave();
    return { stream: { body, type: asked.type, name: asked.name } };
  } catch (error) {
    leave();
    throw error;
  }
}

/** A pull that enqueues nothing is not called again. */
function send(
  controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>,
  octets: Uint8Array,
): void {
  if (octets.length > 0) controller.enqueue(octets as Uint8Array<ArrayBuffer>);
}

class Reading<Row> {
  readonly #has: Needs;
  readonly #asked: Export<Row>;
  readonly #gone: AbortSignal;
  #cursor: string | undefined;
  #rows = 0;
  #pages = 0;
  /** Since the last one with a row. */
  #emptyPages = 0;
  isOver = false;

  /** `gone`: nobody takes what is read any more. */
  constructor(has: Needs, asked: Export<Row>, gone: AbortSignal) {
    this.#has = has;
    this.#asked = asked;
    this.#gone = gone;
    this.#cursor = asked.cursor;
  }

  /** The octets of the next page that has any, with the end behind the last one. */
  async next(): Promise<Uint8Array> {
    for (;;) {
      const octets = await this.#page();
      if (this.isOver || this.#gone.aborted || octets.length > 0) return octets;
    }
  }

  async #page(): Promise<Uint8Array> {
    const { read, limit, writer } = this.#asked;
    const cursor = this.#cursor;
    const wanted = Math.min(pageRows, limit - this.#rows);
    const page = await this.#has.queryLimit.run(
      () => read({ limit: wanted, signal: this.#gone, ...(cursor === undefined ? {} : { cursor }) }),
      "export",
    );
    this.#rows += page.rows.length;
    this.#cursor = page.next_cursor;
    const octets = writer.rows(page.rows);
    this.#emptyPages = page.rows.length > 0 ? 0 : this.#emptyPages + 1;
    const isCut = this.#rows >= limit || ++this.#pages >= pagesMax || this.#emptyPages >= emptyPagesMax;
    if (page.next_cursor !== undefined && !isCut) return octets;
    this.isOver = true;
    const end: End = {
      rows: this.#rows,
      complete: page.next_cursor === undefined,
      next_cursor: page.next_cursor ?? null,
    };
    this.#has.reporter.count("exports_total", { complete: String(end.complete) });
    this.#has.reporter.count("export_rows_total", undefined, end.rows);
    return joined(octets, writer.end(end));
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const octets = new Uint8Array(a.length + b.length);
  octets.set(a);
  octets.set(b, a.length);
  return octets;
}

/** Takes a place that lasts until the function it gives is called. @throws {ApiError} `busy` */
async function enter(limit: Needs["exportLimit"]): Promise<() => void> {
  const entered = Promise.withResolvers<void>(), left = Promise.withResolvers<void>();
  limit.run(() => {
    entered.resolve();
    return left.promise;
  }).catch(entered.reject);
  await entered.promise;
  return left.resolve;
}
