/** The forms in which threat intelligence comes: plain text, CSV, MISP events and STIX 2.1 bundles.
 *
 * In: the text of a list. Out: each indicator with what the list says about it, given to `add`;
 * what was skipped, counted by reason.
 * Invariant: a list that is not of its form is refused as a whole, by an error that says where;
 * a single odd line is skipped and counted.
 * Why by content and not only by the file's name: both MISP and STIX are `.json`, and many CSV lists are called `.txt`.
 * Sources: the STIX 2.1 patterning language (OASIS, section 9), as far as equality comparisons joined by OR; the MISP
 * core format (draft-dulaunoy-misp-core-format), attributes with `to_ids`. @module */

import { type Indicator, type IndicatorKind, readIndicator, type SkipReason } from "./indicator.ts";

export type AddIndicator = (indicator: Indicator, note: string) => void;
export type Skipped = Partial<Record<SkipReason, number>>;

const noteCharactersMax = 120;
const depthMax = 12;

/** Reads a list line by line; the lines may come in parts. Comments begin with `#`, `;` or `//`. */
export class LineReader {
  readonly skipped: Skipped = {};
  #add: AddIndicator;
  #columns: (ColumnUse | null)[] | null = null;
  #noteColumn = -1;

  constructor(add: AddIndicator) {
    this.#add = add;
  }

  read(line: string): void {
    const text = line.trim();
    if (text === "" || /^(?:#|;|\/\/)/.test(text)) {
      this.#readHeader(text.replace(/^[#;/\s]+/, ""));
      return;
    }
    const fields = text.includes(",") || text.startsWith('"') ? splitCsv(text) : null;
    if (fields && fields.length > 1) this.#readRow(fields);
    else this.#readWord(fields?.[0] ?? text);
  }

  /** "203.0.113.7 # note", "0.0.0.0 bad.example" as in a hosts file, or one word. */
  #readWord(text: string): void {
    const [words, comment = ""] = text.split(/\s+#\s*/, 2);
    const [first, second] = words.split(/\s+/, 2);
    const isHostsLine = second !== undefined && /^(?:0\.0\.0\.0|127\.0\.0\.1|::1?)$/.test(first);
    this.#take(readIndicator(isHostsLine ? second : first), comment);
  }

  /** Column names, in a comment or in the first row; a later one replaces them. */
  #readHeader(text: string): boolean {
    const names = splitCsv(text).map((name) => name.trim().toLowerCase());
    if (names.length < 2) return false;
    const columns = names.map(useOf);
    if (columns.every((use) => use === null)) return false;
    this.#columns = columns;
    this.#noteColumn = names.findIndex((name) => /malware|threat|family|reason|comment|descr|tag/.test(name));
    return true;
  }

  #readRow(fields: string[]): void {
    if (this.#readHeader(fields.join(","))) return;
    const note = this.#noteColumn >= 0 ? fields[this.#noteColumn] ?? "" : "";
    const columns = this.#columns;
    if (columns) {
      columns.forEach((use, i) => {
        const value = fields[i]?.trim();
        if (use && value) this.#take(use === "file" ? "file_hash" : readIndicator(value, use), note);
      });
      return;
    }
    // No header: the first field that is an indicator is the one the row is about.
    const found = fields.map((field) => readIndicator(field)).find((one) => typeof one !== "string");
    this.#take(found ?? "not_an_indicator", note);
  }

  #take(found: Indicator | SkipReason, note: string): void {
    if (typeof found === "string") this.skipped[found] = (this.skipped[found] ?? 0) + 1;
    else this.#add(found, cleanNote(note));
  }
}

type ColumnUse = IndicatorKind | "file";

function useOf(name: string): ColumnUse | null {
  if (/^(?:(?:dst|src|c2|ioc|indicator|host|remote)?[_ ]?ip(?:[_ ]?address|v4|v6)?|address)$/.test(name)) {
    return "ip";
  }
  if (/^(?:cidr|network|netblock|prefix|subnet)$/.test(name)) return "cidr";
  if (/^(?:(?:bad_?)?domain(?:[_ ]?name)?|fqdn|hostname|host)$/.test(name)) return "domain";
  if (/^url$/.test(name)) return "url";
  if (/^ja3s?(?:_md5|_hash|_fingerprint)?$/.test(name)) return "ja3";
  if (/^ja4(?:_fingerprint)?$/.test(name)) return "ja4";
  if (/^(?:cert(?:ificate)?_?)?sha-?(?:1|256)$|^certificate$/.test(name)) return "certificate";
  if (/^(?:file_?)?(?:md5|sha512)(?:_hash)?$/.test(name)) return "file";
  return null;
}

/** Fields of one line; doubled quotes stand for one. */
export function splitCsv(line: string): string[] {
  const fields: string[] = [];
  let field = "", isQuoted = false;
  for (let i = 0; i < line.length; i++) {
    const character = line[i];
    if (isQuoted && character === '"' && line[i + 1] === '"') field += line[++i];
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === "," && !isQuoted) {
      fields.push(field);
      field = "";
    } else field += character;
  }
  fields.push(field);
  return fields.map((one) => one.trim());
}

/** Reads a MISP event (or several) or a STIX bundle. @throws {SyntaxError} when the text is neither. */
export function readJson(text: string, add: AddIndicator): Skipped {
  const value: unknown = JSON.parse(text);
  const skipped: Skipped = {};
  const take = (found: Indicator | SkipReason, note: string) => {
    if (typeof found === "string") skipped[found] = (skipped[found] ?? 0) + 1;
    else add(found, cleanNote(note));
  };
  const root = value as Record<string, unknown>;
  if (typeof value === "object" && value !== null && root.type === "bundle" && Array.isArray(root.objects)) {
    for (const object of root.objects) readStixObject(object, take);
  } else if (!readMisp(value, "", take, 0)) {
    throw new SyntaxError("neither a STIX bundle nor a MISP event");
  }
  return skipped;
}

type Take = (found: Indicator | SkipReason, note: string) => void;

/** Comparisons `object:property = 'value'`;
 * others (NOT, LIKE, AND of several objects) say less than equality and are left out. */
const stixComparison = /([a-z0-9-]+):([A-Za-z0-9_.'-]+)\s*=\s*'((?:[^'\\]|\\.)*)'/g;

function readStixObject(object: unknown, take: Take): void {
  const { type, pattern, name, revoked, valid_until } = object as Record<string, unknown>;
  if (type !== "indicator" || typeof pattern !== "string" || revoked === true) return;
  const note = typeof name === "string" ? name : "";
  if (typeof valid_until === "string" && valid_until < "2000") return;
  // Of parts that must all be true no single one is an indicator.
  if (/\b(?:AND|FOLLOWEDBY|NOT)\b/.test(pattern.replace(/'(?:[^'\\]|\\.)*'/g, ""))) {
    take("not_an_indicator", note);
    return;
  }
  let count = 0;
  for (const [, kind, property, value] of pattern.matchAll(stixComparison)) {
    count++;
    take(stixIndicator(kind, property, value.replace(/\\(.)/g, "$1")), note);
  }
  if (count === 0) take("not_an_indicator", note);
}

function stixIndicator(kind: string, property: string, value: string): Indicator | SkipReason {
  if (kind === "file") return "file_hash";
  if (/^ipv[46]-addr$/.test(kind) && property === "value") return readIndicator(value, "ip");
  if (kind === "domain-name" && property === "value") return readIndicator(value, "domain");
  if (kind === "url" && property === "value") return readIndicator(value, "url");
  if (kind === "x509-certificate" && property.startsWith("hashes.")) {
    return readIndicator(value, "certificate");
  }
  return "not_an_indicator";
}

const mispKinds: Readonly<Record<string, IndicatorKind | "file">> = {
  "ip-src": "ip",
  "ip-dst": "ip",
  "ip-dst|port": "ip",
  "ip-src|port": "ip",
  "domain": "domain",
  "domain|ip": "domain",
  "hostname": "domain",
  "hostname|port": "domain",
  "url": "url",
  "uri": "url",
  "ja3-fingerprint-md5": "ja3",
  "x509-fingerprint-sha1": "certificate",
  "x509-fingerprint-sha256": "certificate",
  "md5": "file",
  "sha1": "file",
  "sha256": "file",
};

/** Attributes wherever they stand: in the event, in its objects, in a list of events.
 * False when there is no event at all. */
function readMisp(value: unknown, info: string, take: Take, depth: number): boolean {
  if (typeof value !== "object" || value === null || depth > depthMax) return false;
  if (Array.isArray(value)) {
    return value.map((one) => readMisp(one, info, take, depth + 1)).some((isOne) => isOne);
  }
  const { Event, response, Attribute, Object: objects } = value as Record<string, unknown>;
  if (Event !== undefined || response !== undefined) {
    return readMisp(Event ?? response, info, take, depth + 1);
  }
  if (!Array.isArray(Attribute) && !Array.isArray(objects)) return false;
  const note = String((value as { info?: unknown }).info ?? info);
  for (const attribute of Array.isArray(Attribute) ? Attribute : []) readMispAttribute(attribute, note, take);
  for (const object of Array.isArray(objects) ? objects : []) readMisp(object, note, take, depth + 1);
  return true;
}

function readMispAttribute(attribute: unknown, info: string, take: Take): void {
  const { type, value, to_ids, comment } = attribute as Record<string, unknown>;
  // What its author did not mean for detection is context: links, mail subjects, file names.
  if (typeof type !== "string" || typeof value !== "string" || to_ids !== true) return;
  const kind = mispKinds[type];
  const note = typeof comment === "string" && comment !== "" ? comment : info;
  if (kind === undefined) take("not_an_indicator", note);
  else if (kind === "file") take("file_hash", note);
  else take(readIndicator(value.split("|")[0], kind), note);
}

/** Notes are shown to people: one line, no control characters. */
function cleanNote(note: string): string {
  // deno-lint-ignore no-control-regex
  return note.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim().slice(0, noteCharactersMax)
    .toWellFormed();
}
