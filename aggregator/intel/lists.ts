/** The threat-intelligence lists of a folder, read again when they change.
 *
 * In: a folder of `.txt`, `.csv`, `.list`, `.netset`, `.ioc` and `.json` files.
 * Out: look-ups over all lists; what became of each file.
 * Invariant: a list that is broken, empty, or half as long as the one it replaces is refused, said and counted, and the
 * one before it stays in force: a feed that failed half-way must not look like peace. A list that is taken away is
 * forgotten; put back, it is taken as it is. Nothing is downloaded. Bounds: {@link listsMax} files,
 * {@link listBytesMax} octets each, {@link entriesMax} entries in all. @module */

import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { LineReader, readJson, type Skipped } from "./formats.ts";
import type { FreshList } from "./fresh_entries.ts";
import { type HashKey, IndicatorTable } from "./table.ts";

export const listsMax = 64;
export const listBytesMax = 256 * 1024 * 1024;
/** JSON is parsed whole, which takes several times its size. */
export const jsonBytesMax = 64 * 1024 * 1024;
export const entriesMax = 4_000_000;
const entriesOfNoteMin = 10;
const namePattern = /^[^.].*\.(?:txt|csv|list|netset|ipset|ioc|json)$/;

/** What became of a file. The label set of `intel_reloads_total`. */
export type ListOutcome = "loaded" | "refused" | "removed";

/** A list in force, and what is wrong with the file it came from. */
export interface ListState {
  name: string;
  entries: number;
  loaded_ms: number;
  skipped: Skipped;
  /** Why the file that lies there now is not in force; null = it is. */
  problem: string | null;
}

/** An indicator that was found. */
export interface IntelHit {
  list: string;
  /** What the list says of it; "" = nothing. */
  note: string;
}

interface Loaded {
  table: IndicatorTable;
  state: ListState;
}

export interface IntelListsOptions {
  folder: string;
  /** @default 10000 */
  pollMs?: number;
}

export interface IntelListsDeps {
  clock: Clock;
  reporter: Reporter;
  randomBytes: (length: number) => Uint8Array;
}

export class IntelLists {
  readonly #options: Required<IntelListsOptions>;
  readonly #deps: IntelListsDeps;
  readonly #key: HashKey;
  #lists = new Map<string, Loaded>();
  /** Size, time and inode of each file when it was last looked at. */
  #seen = new Map<string, string>();
  #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #onFresh: ((fresh: FreshList) => void) | null = null;

  constructor(options: IntelListsOptions, deps: IntelListsDeps) {
    this.#options = { pollMs: 10_000, ...options };
    this.#deps = deps;
    const random = new DataView(deps.randomBytes(8).buffer as ArrayBuffer);
    this.#key = [random.getUint32(0), random.getUint32(4)];
  }

  /** Reads all lists, then looks for changes until stopped. @throws when the folder cannot be listed. */
  async start(): Promise<void> {
    await this.refresh();
    this.#running = this.#poll();
  }

  /** From now on `take` is told of the entries that a list brings when it changes or is new. Returns at once. */
  onFresh(take: (fresh: FreshList) => void): void {
    this.#onFresh = take;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** In force, over all lists. */
  get entries(): number {
    let sum = 0;
    for (const { state } of this.#lists.values()) sum += state.entries;
    return sum;
  }

  get states(): ListState[] {
    return [...this.#lists.values()].map(({ state }) => state);
  }

  /** `bytes` are the 4 or 16 octets of an address. */
  findAddress(bytes: Uint8Array): IntelHit | null {
    return this.#first((table) => table.findAddress(bytes));
  }

  findDomain(name: string): IntelHit | null {
    return this.#first((table) => table.findDomain(name));
  }

  findUrl(host: string, path: string): IntelHit | null {
    return this.#first((table) => table.findUrl(host, path));
  }

  findText(kind: "ja3" | "ja4" | "certificate", value: string): IntelHit | null {
    return this.#first((table) => table.findText(kind, value));
  }

  /** Looks at the folder once. */
  async refresh(): Promise<void> {
    const names = await this.#listNames();
    for (const name of names) {
      const stamp = await this.#stampOf(name);
      if (stamp === null || stamp === this.#seen.get(name)) continue;
      this.#seen.set(name, stamp);
      await this.#load(name);
    }
    for (const name of [...this.#seen.keys()].filter((name) => !names.includes(name))) {
      this.#seen.delete(name);
      if (this.#lists.delete(name)) this.#tell("removed", name, "list removed", {});
    }
    this.#deps.reporter.gauge("intel_entries", this.entries);
  }

  #first(look: (table: IndicatorTable) => number): IntelHit | null {
    for (const [list, { table }] of this.#lists) {
      const note = look(table);
      if (note >= 0) return { list, note: table.notes[note] ?? "" };
    }
    return null;
  }

  async #poll(): Promise<void> {
    const { clock, reporter } = this.#deps;
    for (;;) {
      await clock.sleep(this.#options.pollMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      try {
        await this.refresh();
      } catch (error) {
        reporter.count("intel_polls_failed_total");
        reporter.warn("cannot list intelligence folder, the lists in force stay", { error });
      }
    }
  }

  async #listNames(): Promise<string[]> {
    const names: string[] = [];
    for await (const entry of Deno.readDir(this.#options.folder)) {
      if (namePattern.test(entry.name)) names.push(entry.name);
    }
    names.sort();
    if (names.length > listsMax) {
      this.#deps.reporter.count("intel_lists_left_out_total", undefined, names.length - listsMax);
      this.#deps.reporter.error("too many intelligence lists, the last by name are left out", {
        found: names.length,
        max: listsMax,
      });
    }
    return names.slice(0, listsMax);
  }

  /** Null when it is no plain file, or gone. */
  async #stampOf(name: string): Promise<string | null> {
    const info = await Deno.stat(`${this.#options.folder}/${name}`).catch(() => null);
    return info?.isFile ? `${info.size} ${info.mtime?.getTime()} ${info.ino}` : null;
  }

  async #load(name: string): Promise<void> {
    const before = this.#lists.get(name);
    const table = new IndicatorTable(this.#key);
    let skipped: Skipped = {};
    let problem: string | null;
    try {
      skipped = await this.#read(name, table, this.entries - (before?.state.entries ?? 0));
      problem = problemOf(table.size, before?.state.entries ?? 0);
    } catch (error) {
      problem = (error as Error).message;
    }
    if (problem !== null) {
      if (before) before.state.problem = problem;
      else this.#lists.set(name, { table: new IndicatorTable(this.#key), state: emptyState(name, problem) });
      this.#tell("refused", name, "intelligence list refused", {
        problem,
        in_force: before?.state.entries ?? 0,
      });
      return;
    }
    const loaded_ms = this.#deps.clock.nowMs();
    const state: ListState = { name, entries: table.size, loaded_ms, skipped, problem: null };
    this.#lists.set(name, { table, state });
    for (const [reason, count] of Object.entries(skipped)) {
      this.#deps.reporter.count("intel_entries_skipped_total", { reason }, count);
    }
    this.#tell("loaded", name, "intelligence list loaded", { entries: table.size, skipped });
    if (this.#onFresh === null) return;
    const fresh = before ? table.without(before.table) : table;
    if (fresh.size > 0) this.#onFresh({ list: name, table: fresh });
  }

  /** @throws {RangeError | SyntaxError} */
  async #read(name: string, table: IndicatorTable, others: number): Promise<Skipped> {
    const add: ConstructorParameters<typeof LineReader>[0] = (indicator, note) => {
      if (others + table.size >= entriesMax) {
        throw new RangeError(`entries of all lists must be <= ${entriesMax}`);
      }
      table.add(indicator, note);
    };
    using file = await Deno.open(`${this.#options.folder}/${name}`);
    const isJson = name.endsWith(".json");
    const { size } = await file.stat();
    const bytesMax = isJson ? jsonBytesMax : listBytesMax;
    if (size > bytesMax) throw new RangeError(`it must have <= ${bytesMax} octets: current size is ${size}`);
    if (isJson) {
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size;) {
        const read = await file.read(bytes.subarray(at));
        if (read === null) break;
        at += read;
      }
      return readJson(new TextDecoder().decode(bytes), add);
    }
    const reader = new LineReader(add);
    await readLines(file, bytesMax, (line) => reader.read(line));
    return reader.skipped;
  }

  #tell(outcome: ListOutcome, list: string, message: string, more: Record<string, unknown>): void {
    this.#deps.reporter.count("intel_reloads_total", { outcome });
    const tell = outcome === "refused" ? "error" : "info";
    this.#deps.reporter[tell](message, { list, ...more });
  }
}

/** Why a list of `entries` must not replace one of `before`; null = it may. */
function problemOf(entries: number, before: number): string | null {
  if (entries === 0) return "it holds no indicator that can be used";
  if (before >= entriesOfNoteMin && entries < before / 2) {
    return `it has ${entries} entries where the one in force has ${before}: take the file away and put it back if that is meant`;
  }
  return null;
}

function emptyState(name: string, problem: string): ListState {
  return { name, entries: 0, loaded_ms: 0, skipped: {}, problem };
}

const lineCharactersMax = 65_536;

/** Gives each line to `take`, a piece of the file at a time, so that others run in between. */
async function readLines(file: Deno.FsFile, bytesMax: number, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let rest = "", bytes = 0;
  for (;;) {
    const read = await file.read(buffer);
    if (read === null) break;
    bytes += read;
    // The file may grow while it is read.
    if (bytes > bytesMax) throw new RangeError(`it must have <= ${bytesMax} octets`);
    const lines = (rest + decoder.decode(buffer.subarray(0, read), { stream: true })).split(/\r?\n/);
    rest = lines.pop()!;
    if (rest.length > lineCharactersMax) {
      throw new RangeError(`a line must have <= ${lineCharactersMax} characters`);
    }
    for (const line of lines) take(line);
  }
  rest += decoder.decode();
  if (rest !== "") take(rest);
}
