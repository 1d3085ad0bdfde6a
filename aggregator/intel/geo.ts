/** Where an address is and whose network it is in, out of MaxMind-format files (GeoLite2 Country or City, and ASN).
 *
 * In: `*.mmdb` files; an address as text.
 * Out: country, city and autonomous system, as far as the files know them.
 * Invariant: the only file that knows the MaxMind library. A file that is broken, or breaks on one address, is set
 * aside and counted; the aggregator goes on without it. Nothing is downloaded.
 * Bounds: {@link filesMax} files of {@link fileBytesMax} octets, held in memory; {@link answersMax} remembered answers.
 * @module */

import { Buffer } from "node:buffer";
import { Reader, type Response } from "mmdb-lib";
import type { Reporter } from "../../shared/reporter.ts";
import { isPrivateIp } from "../../shared/ip.ts";
import type { Place, Places } from "../model/place.ts";

export const filesMax = 8;
export const fileBytesMax = 256 * 1024 * 1024;
const answersMax = 50_000;
const textMax = 100;

interface Database {
  file: string;
  reader: Reader<Response>;
}

export class Geo implements Places {
  #databases: Database[] = [];
  #answers = new Map<string, Place | null>();
  #reporter: Reporter;

  constructor(deps: { reporter: Reporter }) {
    this.#reporter = deps.reporter;
  }

  /** The files in use. */
  get files(): string[] {
    return this.#databases.map(({ file }) => file);
  }

  get isKnown(): boolean {
    return this.#databases.length > 0;
  }

  /** Reads the files anew. Of one that cannot be used now, what was read of it before stays in use. */
  async load(files: readonly string[]): Promise<void> {
    const databases: Database[] = [];
    for (const file of files) {
      if (databases.length >= filesMax) {
        this.#refuse(file, `files must be <= ${filesMax}`);
        continue;
      }
      try {
        databases.push({ file, reader: await open(file) });
      } catch (error) {
        this.#refuse(file, (error as Error).message);
        databases.push(...this.#databases.filter((before) => before.file === file));
      }
    }
    this.#databases = databases;
    this.#answers.clear();
    this.#reporter.info("geo databases loaded", { files: this.files });
  }

  /** Null for private addresses and for those that no file knows. */
  find(ip: string): Place | null {
    if (this.#databases.length === 0 || isPrivateIp(ip)) return null;
    const known = this.#answers.get(ip);
    if (known !== undefined) return known;
    const place: Place = {};
    for (const database of [...this.#databases]) this.#ask(database, ip, place);
    const answer = Object.keys(place).length === 0 ? null : place;
    if (this.#answers.size >= answersMax) this.#answers.delete(this.#answers.keys().next().value!);
    this.#answers.set(ip, answer);
    return answer;
  }

  #ask(database: Database, ip: string, place: Place): void {
    try {
      const found = database.reader.get(ip) as Record<string, unknown> | null;
      if (found !== null) addPlace(place, found);
    } catch (error) {
      // A pointer that leads nowhere: what else the file says is not to be trusted either.
      this.#databases = this.#databases.filter((one) => one !== database);
      this.#refuse(database.file, (error as Error).message);
    }
  }

  #refuse(file: string, why: string): void {
    this.#reporter.count("geo_files_refused_total");
    this.#reporter.error("cannot use a geo database", { file, why });
  }
}

async function open(path: string): Promise<Reader<Response>> {
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw new TypeError("it is no plain file");
  if (size > fileBytesMax) {
    throw new RangeError(`it must have <= ${fileBytesMax} octets: current size is ${size}`);
  }
  const reader = new Reader(Buffer.from(await Deno.readFile(path)));
  // Both trees are walked once, so that a file whose tree leads out of it is found now.
  for (const probe of ["1.1.1.1", "255.255.255.255", "2001:db8::1"]) {
    if (probe.includes(":") && reader.metadata.ipVersion !== 6) continue;
    reader.get(probe);
  }
  return reader;
}

function addPlace(place: Place, found: Record<string, unknown>): void {
  const country = (found.country ?? found.registered_country) as Record<string, unknown> | undefined;
  const code = textOf(country?.iso_code);
  if (code !== null && /^[A-Z]{2}$/.test(code)) place.country ??= code;
  const countryName = nameOf(country), city = nameOf(found.city as Record<string, unknown> | undefined);
  if (countryName !== null) place.country_name ??= countryName;
  if (city !== null) place.city ??= city;
  const { autonomous_system_number: asn } = found;
  if (typeof asn === "number" && Number.isInteger(asn) && asn > 0) place.asn ??= asn;
  const organisation = textOf(found.autonomous_system_organization);
  if (organisation !== null) place.as_org ??= organisation;
}

function nameOf(part: Record<string, unknown> | undefined): string | null {
  return textOf((part?.names as Record<string, unknown> | undefined)?.en);
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value.slice(0, textMax).toWellFormed() : null;
}
