/** `picket-aggregator export`: writes flows, threats or hosts of a running aggregator to a file.
 *
 * Invariant: a file gets its name once it is complete. What arrived before a download broke off stays beside it, as
 * NDJSON, and the next call with the same options continues from its last whole row. Hosts are read anew, as their
 * order changes with the traffic. @module */

import {
  flowShape,
  type Format,
  formats,
  hostShape,
  type RowWriter,
  rowWriter,
  threatShape,
} from "../archive/row_formats.ts";
import { writeAll } from "../archive/manifest.ts";
import { type ApiClient, openClient } from "../cli/api_client.ts";
import { readVerb } from "../cli/admin_api.ts";
import type { Flow } from "../model/flow.ts";
import type { Threat } from "../model/threat.ts";
import { readTime } from "../model/time_text.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
} from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import { generalOptions, runningOptions } from "../options/store_options.ts";

const verbs = ["flows", "threats", "hosts"] as const;
type Verb = typeof verbs[number];
const rowsPerWrite = 5_000;
/** More than a row can have. */
const lineOctetsMax = 64 * 1024 * 1024;
const requestsMax = 100_000;

export const exportCommand: Command = command({
  name: "export",
  summary: "write flows, threats or hosts into a file",
  operands: "flows | threats | hosts",
  about:
    `Asks a running aggregator for every flow, threat or host that fits, newest first, and writes --output as NDJSON, CSV or Parquet: as its
ending says, or --format. A CSV is safe to open in a spreadsheet. What was broken off stays in FILE.part, and the same call goes on
from there; hosts are read anew. Needs a key of the role analyst.`,
  examples: [
    "export flows --output flows.parquet --from 2026-01-15 --to 2026-01-16",
    "export flows --output dns.csv --filter app_protocol=dns --filter ip=10.0.0.5",
    "export hosts --output hosts.csv --filter network=lab",
    "export threats --output threats.ndjson --url https://picket.example:8600 --key-file key",
  ],
  options: {
    ...generalOptions,
    ...runningOptions,
    output: { kind: "text", default: "", value: "FILE", help: "File to write" },
    format: { kind: "text", default: "", help: "ndjson, csv or parquet; else as the file's name ends" },
    from: {
      kind: "text",
      default: "",
      value: "TIME",
      help: "Earliest start, like 2026-01-15 or 2026-01-15T08:00Z",
    },
    to: { kind: "text", default: "", value: "TIME", help: "Latest start" },
    filter: {
      kind: "list",
      default: [],
      value: "NAME=VALUE",
      help: "Further parameters of /api/v1/export, each as an option of its own",
    },
  },
  async run(options, operands, edges) {
    const { verb, rest } = readVerb(operands, verbs, null);
    noOperands(rest);
    const format = readFormat(options.format, options.output);
    const query = readQuery(options);
    const client = await openClient(options.url, options, edges);
    const part = `${options.output}.part`;
    const rows = await download(client, { verb, query, part }, edges);
    await convert(part, options.output, format, verb);
    await Deno.remove(`${part}.query`);
    edges.progress?.("");
    edges.print(
      options.json
        ? JSON.stringify({ file: options.output, rows })
        : escapeLine(`${options.output}  ${rows} ${verb}`),
    );
    return exitCodes.ok;
  },
});

/** @throws {CommandError} */
function readFormat(given: string, output: string): Format {
  if (output === "") throw new CommandError(exitCodes.usage, 'Cannot export as "output" must name a file');
  const wanted = given || output.slice(output.lastIndexOf(".") + 1);
  const format = formats.find((known) => known === wanted);
  if (format !== undefined) return format;
  throw new CommandError(
    exitCodes.usage,
    `Cannot export as the format must be one of ${formats.join(", ")}: current value is "${
      wanted.slice(0, 60)
    }"`,
  );
}

/** @throws {CommandError} */
function readQuery({ from, to, filter }: { from: string; to: string; filter: string[] }): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, text] of [["from", from], ["to", to]]) {
    if (text === "") continue;
    // No words like now-1h: the next call could not ask the same question.
    const seconds = /^[0-9]{4}-/.test(text) ? readTime(text, 0) : null;
    if (seconds === null) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot use "${name}" as it must be like 2026-01-15 or 2026-01-15T08:00Z: current value is "${
          text.slice(0, 60)
        }"`,
      );
    }
    query.set(name, String(seconds));
  }
  for (const one of filter) {
    const at = one.indexOf("=");
    if (at < 1 || ["format", "limit", "cursor"].includes(one.slice(0, at))) {
      throw new CommandError(
        exitCodes.usage,
        `Cannot use "filter" as it must be NAME=VALUE, and not format, limit or cursor: current value is "${
          one.slice(0, 60)
        }"`,
      );
    }
    query.set(one.slice(0, at), one.slice(at + 1));
  }
  return query;
}

interface Wanted {
  verb: Verb;
  query: URLSearchParams;
  part: string;
}

/** Brings `part` to all rows there are. Returns how many. */
async function download(client: ApiClient, { verb, query, part }: Wanted, edges: Edges): Promise<number> {
  const question = `${client.url} ${verb} ${query}`;
  const isSame = await Deno.readTextFile(`${part}.query`).then((text) => text === question, () => false);
  if (!isSame || verb === "hosts") await Deno.remove(part).catch(() => undefined); // Most often there is none.
  await Deno.writeTextFile(`${part}.query`, question, { mode: 0o600 });
  const begun = await wholeRows(part);
  let { rows } = begun;
  let cursor = begun.last === null ? null : cursorOf(verb, JSON.parse(begun.last));
  const file = await Deno.open(part, { write: true, create: true, mode: 0o600 });
  try {
    await file.truncate(begun.octets);
    await file.seek(begun.octets, Deno.SeekMode.Start);
    for (let requests = 0; requests < requestsMax; requests++) {
      const asked = new URLSearchParams(query);
      if (cursor !== null) asked.set("cursor", cursor);
      let end: string | null = null;
      for await (const lines of linesOf(client.download(`/export/${verb}?${asked}`, edges.signal))) {
        if (lines.at(-1)?.startsWith('{"picket_export":')) end = lines.pop()!;
        if (lines.length === 0) continue;
        await writeAll(file, new TextEncoder().encode(`${lines.join("\n")}\n`));
        rows += lines.length;
        edges.progress?.(`${rows} ${verb}`);
      }
      if (end === null) {
        throw new CommandError(
          exitCodes.environment,
          `Cannot export as the answer of ${client.url} ended too early: the same call goes on`,
        );
      }
      const { complete, next_cursor } = JSON.parse(end).picket_export;
      if (complete) {
        await file.sync();
        return rows;
      }
      // Not that of the last row: a part may have none.
      cursor = next_cursor;
    }
  } finally {
    file.close();
  }
  throw new CommandError(exitCodes.failed, `Cannot export as there must be <= ${requestsMax} parts of it`);
}

/** Where the list goes on after a row. */
function cursorOf(verb: Verb, row: Flow | Threat): string {
  return verb === "flows"
    ? (row as Flow).flow_id
    : `${Math.round((row as Threat).last_seen * 1e6)}-${(row as Threat).id}`;
}

function writerOf(verb: Verb, format: Format): RowWriter<unknown> {
  if (verb === "hosts") return rowWriter(format, hostShape) as RowWriter<unknown>;
  return (verb === "flows" ? rowWriter(format, flowShape) : rowWriter(format, threatShape)) as RowWriter<
    unknown
  >;
}

/** The lines that are whole in a file that may end within one. */
async function wholeRows(path: string): Promise<{ rows: number; octets: number; last: string | null }> {
  const found = { rows: 0, octets: 0, last: null as string | null };
  const file = await Deno.open(path, { read: true }).catch(() => null);
  if (file === null) return found;
  for await (const lines of linesOf(file.readable)) {
    for (const line of lines) found.octets += new TextEncoder().encode(line).length + 1;
    found.rows += lines.length;
    found.last = lines.at(-1) ?? found.last;
  }
  return found;
}

/** Whole lines as they come; what follows the last line end is left out. */
async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    if (rest.length > lineOctetsMax) throw new RangeError("Cannot read a row as it has no end");
    yield lines;
  }
}

/** Makes the file from its rows, and gives it its name. */
async function convert(part: string, output: string, format: Format, verb: Verb): Promise<void> {
  if (format !== "ndjson") {
    const writer = writerOf(verb, format);
    const made = `${part}.${format}`;
    const file = await Deno.open(made, { write: true, create: true, truncate: true, mode: 0o600 });
    try {
      await writeAll(file, writer.start());
      let rows: unknown[] = [], count = 0;
      const flush = async () => {
        await writeAll(file, writer.rows(rows));
        count += rows.length;
        rows = [];
      };
      const source = await Deno.open(part, { read: true });
      for await (const lines of linesOf(source.readable)) {
        for (const line of lines) rows.push(JSON.parse(line));
        if (rows.length >= rowsPerWrite) await flush();
      }
      await flush();
      // Of a CSV the name says that it is whole; a last line would be one more row to whoever reads it.
      if (format === "parquet") {
        await writeAll(file, writer.end({ rows: count, complete: true, next_cursor: null }));
      }
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(made, output);
    await Deno.remove(part);
  } else await Deno.rename(part, output);
}
