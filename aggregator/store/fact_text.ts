/** Facts as stored: JSON in which frequent parts are one control character each.
 *
 * In: facts. Out: text, and back. Invariant: with each character of {@link parts} replaced by its part the text is the
 * JSON of the facts; JSON itself contains no control characters, so both directions are exact, and names are in the
 * text unchanged, to be searched by SQL.
 * Why: three of five octets of such JSON are keys and punctuation.
 * NUL, tab, newline and carriage return are not used: tools trip over them.
 * @module */

import type { DnsFact, Facts } from "../../shared/facts.ts";
import { notesOf } from "../model/shared_facts.ts";

/** From U+0001 on, those left out excepted. A released line is never changed or moved; new ones follow. */
const parts = [
  '{"dns":[{"name":"',
  '","type":"A"',
  '","type":"AAAA"',
  '","type":"',
  ',"rcode":"NOERROR"',
  ',"rcode":"NXDOMAIN"',
  ',"rcode":"',
  ',"answers":["',
  '"]},{"name":"',
  '"]}]}',
  '},{"name":"',
  "}]}",
  '{"tls":{"',
  'sni":"',
  '","version":"TLS 1.3"',
  '","version":"TLS 1.2"',
  ',"ja3":"',
  '","ja3s":"',
  '","ja4":"',
  '","alpn":"h2"',
  '","cipher":"',
  '{"http":[{"method":"GET"',
  ',"host":"',
  '","uri":"',
  '","user_agent":"',
  '","content_type":"',
  '{"status":200',
] as const;
const codes = Array.from({ length: 31 }, (_, i) => i + 1).filter((code) =>
  code !== 9 && code !== 10 && code !== 13
);
const partOf = new Map(parts.map((part, i) => [String.fromCharCode(codes[i]), part as string]));
const codeOf = new Map<string, string>([...partOf].map(([code, part]) => [part, code]));
const c = (part: typeof parts[number]) => codeOf.get(part)!;
// Longest first, so that a part is not taken for its own beginning.
const anyPart = new RegExp(
  parts.toSorted((a, b) => b.length - a.length).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
    .join("|"),
  "g",
);
// deno-lint-ignore no-control-regex
const anyCode = /[\u0001-\u001f]/g;
// deno-lint-ignore no-control-regex
const special = /["\\\u0000-\u001f\ud800-\udfff]/;

const dns = c('{"dns":[{"name":"'), typeA = c('","type":"A"'), typeAaaa = c('","type":"AAAA"');
const type = c('","type":"'), noError = c(',"rcode":"NOERROR"'), nxDomain = c(',"rcode":"NXDOMAIN"');
const rcode = c(',"rcode":"'), answers = c(',"answers":["'), nextAfterList = c('"]},{"name":"');
const endAfterList = c('"]}]}'), next = c('},{"name":"'), end = c("}]}");

export function writeFacts(facts: Facts): string {
  const notes = notesOf(facts);
  if (notes === undefined) return textOf(facts);
  return notes.stored ??= textOf(facts);
}

function textOf(facts: Facts): string {
  return writeDns(facts) ?? JSON.stringify(facts).replace(anyPart, (part) => codeOf.get(part)!);
}

/** @throws {SyntaxError} when the text is damaged. */
export function readFacts(text: string): Facts {
  return JSON.parse(text.replace(anyCode, (code) => partOf.get(code) ?? code));
}

/** The most frequent form, written at once; null = it is another. */
function writeDns(facts: Facts): string | null {
  const list = facts.dns;
  if (list === undefined || list.length === 0) return null;
  for (const name in facts) if (name !== "dns") return null;
  let text = dns;
  let hasList = false;
  for (let i = 0; i < list.length; i++) {
    const entry = list[i];
    if (i > 0) text += hasList ? nextAfterList : next;
    const body = writeEntry(entry);
    if (body === null) return null;
    text += body;
    hasList = entry.answers !== undefined;
  }
  return text + (hasList ? endAfterList : end);
}

function writeEntry(entry: DnsFact): string | null {
  if (entry.unasked || special.test(entry.name) || special.test(entry.type)) return null;
  for (const key in entry) if (!(key in known)) return null;
  let text = entry.name +
    (entry.type === "A" ? typeA : entry.type === "AAAA" ? typeAaaa : type + entry.type + '"');
  if (entry.rcode === "NOERROR") text += noError;
  else if (entry.rcode === "NXDOMAIN") text += nxDomain;
  else if (entry.rcode !== undefined) {
    if (special.test(entry.rcode)) return null;
    text += rcode + entry.rcode + '"';
  }
  if (entry.answers === undefined) return text;
  if (entry.answers.length === 0) return null;
  text += answers;
  for (let i = 0; i < entry.answers.length; i++) {
    if (special.test(entry.answers[i])) return null;
    text += (i > 0 ? '","' : "") + entry.answers[i];
  }
  return text;
}

const known = { name: 1, type: 1, rcode: 1, answers: 1 };
