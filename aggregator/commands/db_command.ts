/** `picket-aggregator db`: size, upkeep, archives and backups of the store, also while `serve` runs.
 *
 * Invariant: a verb that was stopped continues where it was when it is called again: days already archived or imported
 * are skipped. Progress goes to a terminal's standard error, the result to standard output. @module */

import { DamagedArchive, eachChunk, giveBack } from "../archive/give_back.ts";
import { backUp, BackupProblem, bringBack } from "../archive/database_file.ts";
import { keepDay } from "../archive/keep.ts";
import { dateOf, dayOf, type Manifest, problemOfFile } from "../archive/manifest.ts";
import { ArchivePlace, type Found } from "../archive/place.ts";
import { readVerb } from "../cli/admin_api.ts";
import { noSums } from "../model/archived.ts";
import { dayS, type StoredDay } from "../model/retention.ts";
import type { Store } from "../store/store.ts";
import { serveOptions } from "../options/serve_options.ts";
import { archivePlace } from "../serve/keeping.ts";
import { generalOptions, storeOf, storeOptions, storeUrl } from "../options/store_options.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
  onlyOperand,
} from "../../shared/command.ts";
import { escapeLine } from "../../shared/escape.ts";
import type { Options } from "../../shared/options.ts";

const options = {
  ...generalOptions,
  ...storeOptions,
  archive: serveOptions.archive,
  force: { kind: "flag", default: false, help: "restore: replace a store that is not empty" },
} as const;

type DbOptions = Options<typeof options>;

interface Work {
  store: Store;
  options: DbOptions;
  operands: string[];
  edges: Edges;
}

/** What a verb found or did: as JSON, and as lines for people. */
interface Result {
  json: Record<string, unknown>;
  lines: string[];
  /** Something is wrong. */
  isBad?: boolean;
}

const verbs: Record<string, (work: Work) => Promise<Result>> = {
  size,
  optimize,
  migrate,
  verify,
  archive,
  export: exportDays,
  import: importDays,
  backup,
  restore,
};

export const dbCommand: Command = command({
  name: "db",
  summary: "size, upkeep, archives and backups of the store",
  operands: "VERB [FILE | DIR | DAY...]",
  about: `size              octets by table, flows by day
optimize          lets the database learn how its rows are spread
migrate           brings the schema to the present version, as serve does when it starts
verify            whether every flow can be read, the books agree, and each archived file is what its manifest says
archive [DAY...]  writes the days that are over, or those named (2026-01-15), where --archive says
export DIR        writes every day of flows there, today's too
import DIR [DAY...] gives archived or exported days back to the store, where they live as long as days of today
backup FILE       the whole database in a new file: a copy for SQLite, what mariadb-dump writes for MariaDB
restore FILE      the database as that file has it; only into an empty store, or with --force. Stop serve before.

DIR is a folder, or s3://BUCKET/PREFIX: an S3-compatible store, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where it
is not Amazon's, AWS_ENDPOINT_URL in the environment.
All but restore may run while serve does. What was stopped goes on when it is called again. Exit code 1 when verify finds
something wrong.`,
  examples: [
    "db size",
    "db archive --archive /srv/picket-archive",
    "db import /srv/picket-archive 2026-01-15",
    "db verify --archive /srv/picket-archive --json",
    "db backup picket-backup.db",
  ],
  options,
  async run(options, operands, edges) {
    const { verb, rest } = readVerb(operands, Object.keys(verbs), null);
    const store = await storeOf(options, edges);
    await store.start();
    try {
      const result = await verbs[verb]({ store, options, operands: rest, edges });
      edges.progress?.("");
      if (options.json) edges.print(JSON.stringify(result.json));
      else for (const line of result.lines) edges.print(escapeLine(line));
      return result.isBad ? exitCodes.failed : exitCodes.ok;
    } catch (cause) {
      if (!(cause instanceof BackupProblem)) throw cause;
      throw new CommandError(exitCodes.failed, cause.message, { cause });
    } finally {
      await store.stop();
    }
  },
});

async function size({ store, operands }: Work): Promise<Result> {
  noOperands(operands);
  const [octets, tables, days] = [
    await store.readSize(),
    await store.readTableSizes(),
    await store.readDays(),
  ];
  const shown = days.map(({ day, flows, gone }) => ({ day: dateOf(day), flows, gone }));
  return {
    json: { octets, tables, days: shown },
    lines: [
      `${megabytes(octets)}  in all`,
      ...tables.map((table) => `${megabytes(table.octets)}  ${table.name}`),
      ...shown.map(({ day, flows, gone }) =>
        `${day}  ${flows} flows${gone.length > 0 ? `, dropped: ${gone.join(" ")}` : ""}`
      ),
    ],
  };
}

function megabytes(octets: number): string {
  return `${(octets / 1e6).toFixed(1).padStart(10)} MB`;
}

async function optimize({ store, operands }: Work): Promise<Result> {
  noOperands(operands);
  await store.optimize();
  return { json: { optimized: true }, lines: ["optimized"] };
}

async function migrate({ store, operands }: Work): Promise<Result> {
  noOperands(operands);
  // Opening it brought it there.
  const version = await store.readVersion();
  return { json: { version }, lines: [`schema version ${version}`] };
}

async function verify({ store, options, operands, edges }: Work): Promise<Result> {
  noOperands(operands);
  const days = await store.readDays();
  const problems = await store.findProblems(days);
  let flows = 0;
  for (const { day } of days.filter(({ gone }) => !gone.includes("flows"))) {
    let unreadable = 0;
    for (let after: string | null = null;;) {
      edges.signal.throwIfAborted();
      const chunk: Awaited<ReturnType<Store["readDay"]>> = await store.readDay(day, after, 2_000);
      unreadable += chunk.unreadable;
      flows += chunk.flows.length;
      edges.progress?.(`${dateOf(day)}: ${flows} flows read`);
      if (chunk.last === null) break;
      after = chunk.last;
    }
    if (unreadable > 0) problems.push(`${dateOf(day)}: ${unreadable} flows cannot be read`);
  }
  let files = 0;
  if (options.archive !== "") {
    const { place, found } = await openPlace(options.archive, options, edges);
    problems.push(...found.problems.map(({ file, reason }) => `${file}: ${reason}`));
    for (const manifest of found.manifests) {
      edges.signal.throwIfAborted();
      edges.progress?.(`${manifest.file}: reading`);
      const problem = await problemOfArchive(place, manifest);
      if (problem !== null) problems.push(`${manifest.file}: ${problem}`);
      files++;
    }
  }
  const said = `${flows} flows of ${days.length} days and ${files} archived files`;
  return {
    json: { flows, days: days.length, files, problems },
    lines: problems.length === 0 ? [`sound: ${said}`] : problems,
    isBad: problems.length > 0,
  };
}

async function problemOfArchive(place: ArchivePlace, manifest: Manifest): Promise<string | null> {
  const problem = await place.problemOf(manifest);
  if (problem !== null) return problem;
  return await place.withFile(manifest, async (folder) => {
    const damage = await problemOfFile(folder, manifest);
    if (damage !== null) return damage;
    return await eachChunk(folder, manifest, () => {}).then(() => null, (error: Error) => error.message);
  });
}

async function archive(work: Work): Promise<Result> {
  const { options, operands, store, edges } = work;
  if (options.archive === "") {
    throw new CommandError(exitCodes.usage, 'Cannot archive as "archive" must name a folder: none is given');
  }
  const wanted = new Set(readDays(operands));
  const today = Math.floor(edges.clock.nowMs() / 1e3 / dayS) * dayS;
  const days = (await store.readDays()).filter(({ day }) => wanted.size > 0 ? wanted.has(day) : day < today);
  const missing = [...wanted].find((day) => !days.some((one) => one.day === day));
  if (missing !== undefined) {
    throw new CommandError(exitCodes.failed, `Cannot archive ${dateOf(missing)} as nothing is stored of it`);
  }
  return await keepAll(work, options.archive, days);
}

async function exportDays(work: Work): Promise<Result> {
  const folder = onlyOperand(work.operands, "folder");
  return await keepAll(work, folder, await work.store.readDays());
}

async function keepAll({ store, options, edges }: Work, where: string, days: StoredDay[]): Promise<Result> {
  const kept: { day: string; file: string; rows: number; octets: number; was_there: boolean }[] = [];
  const place = archivePlace(where, options.state, edges.env);
  for (const day of days.filter(({ gone }) => !gone.includes("flows"))) {
    const { manifest, wasThere } = await keepDay(store, {
      ...place,
      day,
      isFinal: false,
      signal: edges.signal,
      onProgress: (flows) => edges.progress?.(`${dateOf(day.day)}: ${flows} of ${day.flows} flows`),
    });
    const { file, rows, octets } = manifest;
    kept.push({ day: manifest.day, file, rows, octets, was_there: wasThere });
  }
  return {
    json: { days: kept },
    lines: kept.map(({ file, rows, octets, was_there }) =>
      `${file}  ${rows} flows  ${octets} octets${was_there ? ", was there" : ""}`
    ),
  };
}

async function importDays({ store, options, operands, edges }: Work): Promise<Result> {
  const [where, ...dates] = operands;
  onlyOperand(where === undefined ? [] : [where], "folder");
  const wanted = new Set(readDays(dates).map(dateOf));
  const { place, found: { manifests, problems } } = await openPlace(where, options, edges);
  const refused = problems.map(({ file, reason }) => ({ file, problem: reason }));
  const given: { file: string; flows: number; inserted: number; was_there: boolean }[] = [];
  for (const manifest of manifests.filter(({ day }) => wanted.size === 0 || wanted.has(day))) {
    const { file, rows } = manifest;
    if (await isGivenBack(store, manifests.filter(({ day }) => day === manifest.day))) {
      given.push({ file, flows: rows, inserted: 0, was_there: true });
      continue;
    }
    try {
      const done = await place.withFile(manifest, (folder) =>
        giveBack(store, folder, manifest, {
          nowMs: edges.clock.nowMs(),
          signal: edges.signal,
          onProgress: (flows) => edges.progress?.(`${file}: ${flows} of ${rows} flows`),
        }));
      given.push({ file, ...done, was_there: false });
    } catch (error) {
      // A damaged file keeps no other one out.
      if (!(error instanceof DamagedArchive)) throw error;
      refused.push({ file, problem: error.message });
    }
  }
  return {
    json: { files: given, problems: refused },
    lines: [
      ...given.map((one) =>
        `${one.file}  ${one.flows} flows, ${one.was_there ? "were there" : `${one.inserted} given back`}`
      ),
      ...refused.map(({ file, problem }) => `${file}: ${problem}`),
    ],
    isBad: refused.length > 0,
  };
}

/** All parts of a day together are what the store has of it. */
async function isGivenBack(store: Store, parts: readonly Manifest[]): Promise<boolean> {
  const sums = noSums();
  for (const part of parts) {
    sums.flows += part.sums.flows;
    sums.packets += part.sums.packets;
    sums.bytes += part.sums.bytes;
  }
  const stored = await store.sumDay(dayOf(parts[0].day)!);
  return stored.flows === sums.flows && stored.packets === sums.packets && stored.bytes === sums.bytes;
}

async function backup({ options, operands, edges }: Work): Promise<Result> {
  const path = onlyOperand(operands, "file");
  edges.progress?.(`${path}: writing`);
  const octets = await backUp(targetOf(options, edges), path);
  return { json: { file: path, octets }, lines: [`${path}  ${octets} octets`] };
}

async function restore({ store, options, operands, edges }: Work): Promise<Result> {
  const path = onlyOperand(operands, "file");
  edges.progress?.(`${path}: reading`);
  await bringBack(store, targetOf(options, edges), path, options.force);
  return { json: { restored: path }, lines: [`restored from ${path}`] };
}

function targetOf(options: DbOptions, edges: Edges) {
  return {
    url: storeUrl(options, edges),
    password: options.storePassword,
    caFile: options.storeCa,
    reporter: edges.reporter,
  };
}

async function openPlace(
  where: string,
  { state }: DbOptions,
  { env }: Edges,
): Promise<{ place: ArchivePlace; found: Found }> {
  const place = new ArchivePlace(archivePlace(where, state, env));
  try {
    return { place, found: await place.manifests() };
  } catch (cause) {
    throw new CommandError(
      exitCodes.environment,
      `Cannot read archive "${where}": ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** @throws {CommandError} */
function readDays(dates: readonly string[]): number[] {
  return dates.map((date) => {
    const day = dayOf(date);
    if (day !== null) return day;
    throw new CommandError(
      exitCodes.usage,
      `Cannot go on as a day must be like 2026-01-15: current value is "${date.slice(0, 60)}"`,
    );
  });
}
