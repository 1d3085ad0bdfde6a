/** Where an address is and whose network it is in, out of MaxMind-format files (GeoLite2 Country or City, and ASN).
 *
 * In: `*.mmdb` files of a folder; an address as text.
 * Out: country, city and autonomous system, as far as the files know them.
 * Invariant: the only file that knows the MaxMind library. A file that is broken, or breaks on one address, is set
 * aside and counted; the aggregator goes on without it. Nothing is downloaded.
 * Bounds: {@link filesMax} files of {@link fileBytesMax} octets, held in memory; {@link answersMax} remembered answers.
 * @module */

import { Buffer } from "node:buffer";
import { Reader, type Response } from "mmdb-lib";
import type { Reporter } from "../../shared/reporter.ts";
import { isPrivateIp } from "../../shared/ip.ts";

export const filesMax = 8;
export const fileBytesMax = 256 * 1024 * 1024;
const answersMax = 50_000;
const textMax = 100;

/** Fields that no file knows are absent. */
export interface Place {
  /** ISO 3166-1 alpha-2: "DE". */
  country?: string;
  country_name?: string;
  city?: string;
  /** Autonomous system number and the organisation that runs it. */
  asn?: number;
  as_org?: string;
}

interface Database {
  name: string;
  reader: Reader<Response>;
}

export class Geo {
  #databases: Database[] = [];
  #answers = new Map<string, Place | null>();
  #reporter: Reporter;

  constructor(deps: { reporter: Reporter }) {
    this.#reporter = deps.reporter;
  }

  /** Names of the files in use. */
  get files(): string[] {
    return this.#databases.map(({ name }) => name);
  }

  /** Reads the folder's files anew. @throws when it cannot be listed. */
  async load(folder: string): Promise<void> {
    const names: string[] = [];
    for await (const entry of Deno.readDir(folder)) {
      if (/^[^.].*\.mmdb$/.test(entry.name)) names.push(entry.name);
    }
    const databases: Database[] = [];
    for (const name of names.sort()) {
      if (databases.length >= filesMax) {
        this.#refuse(name, `files must be <= ${filesMax}`);
        continue;
      }
      try {
        databases.push({ name, reader: await open(`${folder}/${name}`) });
      } catch (error) {
        this.#refuse(name, (error as Error).message);
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
      this.#refuse(database.name, (error as Error).message);
    }
  }

  #refuse(file: string, why: string): void {
    this.#reporter.count("geo_files_refused_total");
    this.#reporter.error("geo database set aside", { file, why });
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

/** "United States, AS15169 Example Inc."; "" when nothing is known. */
export function placeText(place: Place | null): string {
  if (place === null) return "";
  const where = [place.city, place.country_name ?? place.country].filter(Boolean).join(", ");
  const network = place.asn === undefined ? "" : `AS${place.asn}${place.as_org ? ` ${place.as_org}` : ""}`;
  return [where, network].filter(Boolean).join("; ");
}
