/** Orders to a language model in what a sender writes: names, paths, agents, bodies.
 *
 * In: a string from the wire. Out: what it would have a model do, or "" where it is none. Invariant: a bounded part of
 * a string is read in linear time. An order needs its verb and its object (ignore ... instructions), in one of a dozen
 * languages, or the markup of a chat; single words stand in honest pages too.
 * Undone first: percent-encoding, base64 and hexadecimal, full-width and tag characters, characters nobody sees,
 * letters of other scripts that look alike, digits for letters, text written backwards, separators in place of spaces.
 * Sources: OWASP Top 10 for LLM applications (LLM01), MITRE ATLAS AML.T0051, Unicode TR 36 and TR 39. @module */

import { Buffer } from "node:buffer";
import { Halves } from "../../model/halves.ts";

const textMax = 2_048;
const codedMax = 4;

/** What such a string is after, in the order in which they are looked for. */
const orders: readonly (readonly [string, RegExp])[] = [
  [
    "set aside its instructions",
    /\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|prompts?|rules|schema|guidelines|directives|previous messages?)\b/,
  ],
  [
    "set aside its instructions",
    /\bignorier\w{0,3}\b.{0,40}\b(?:regeln|anweisungen|instruktionen|vorgaben)\b/,
  ],
  ["set aside its instructions", /\bignore[sz]?\b.{0,40}\b(?:consignes|regles)\b/],
  [
    "set aside its instructions",
    /\bignora\w{0,2}\b.{0,40}\b(?:instrucciones|istruzioni|instrucoes|reglas|regole)\b/,
  ],
  ["set aside its instructions", /\bignoruj\w{0,2}\b.{0,40}\b(?:polecenia|instrukcje|zasady)\b/],
  ["set aside its instructions", /игнориру[йи].{0,40}(?:инструкции|правила|указания)/],
  ["set aside its instructions", /忽略.{0,20}(?:指令|指示|规则|規則)|指示.{0,12}無視|지시.{0,12}무시/],
  ["set aside its instructions", /تجاهل.{0,30}التعليمات|התעלם.{0,30}ההוראות|निर्देशों.{0,20}अनदेखा/],
  [
    "change its role",
    /\byou are now\b.{0,30}\b(?:mode|assistant|admin|developer|unrestricted)\b|\b(?:developer|maintenance|jailbreak) mode\b|\bsystem prompt\b/,
  ],
  [
    "close or play down a threat",
    /\b(?:close|dismiss|suppress|resolve|hide|whitelist)\b.{0,20}\b(?:threats?|alerts?|incidents?|alarms?|findings?)\b/,
  ],
  [
    "close or play down a threat",
    /\b(?:lower|set|answer|respond|report|change|reduce)\b.{0,40}\bseverity\b|"severity"\s?:\s?"(?:info|none|low)"/,
  ],
  [
    "close or play down a threat",
    /\b(?:analyst|security team|administrator)\b.{0,30}\b(?:approved|confirmed|cleared)\b|\bapproved by the\b.{0,20}\b(?:analyst|security)\b/,
  ],
  ["close or play down a threat", /\bschlie(?:ss|ß)e?\b.{0,20}\bbedrohung\b|\bchiudi\b.{0,20}\bminaccia\b/],
  [
    "tell what it knows",
    /\b(?:repeat|reveal|print|send|list|output)\b.{0,40}\b(?:addresses of|all hosts|api keys?|secrets|everything you know|system prompt)\b/,
  ],
  [
    "pass for a message of the system",
    /<\|(?:im_start|im_end|system|user|endoftext)\|>|\[\/?inst\]|<<\/?sys>>|(?:^|[\n\r}\]])\s{0,4}(?:system|assistant|user)\s?:\s/,
  ],
];

/** Latin letters by the Cyrillic and Greek ones that look alike. */
const twins = new Map([..."аеорсхуіјѕԁոαορν"].map((letter, i) => [letter, "aeopcxyijsdnaopv"[i]]));
const digits = new Map([..."430157@$"].map((digit, i) => [digit, "aeoistas"[i]]));

/** Networks say the same names, paths and agents all day. */
const known = new Halves<string, string>(16_384);

/** What the string would have a model do; "" = nothing. */
export function promptInjectionIn(text: string): string {
  return text.length < 12 ? "" : known.get(text.slice(0, textMax), readOrder);
}

function readOrder(raw: string): string {
  const forms = isWorthReading(raw) ? formsOf(raw) : codedForms(raw);
  for (const form of forms) {
    const found = orders.find(([, pattern]) => pattern.test(form));
    if (found) return found[0];
  }
  return "";
}

/** Parts of the words without which a plain string is no order, forwards and backwards. */
const stems =
  /ignor|disreg|forget|overrid|bypass|you.are.now|mode|prompt|threat|alert|incident|alarm|finding|severity|analyst|approved|hosts|secret|api.key|im_start|inst\]|sys>|assistant|system|bedrohung|minaccia|rongi|snoitcurts|taerht|tnedicni|mrala|ytireves|tsylana|stsoh|wonk/i;

/** Most strings are short work: plain letters, none of the words. What is not plain is read in every way. */
function isWorthReading(text: string): boolean {
  return /[^\x20-\x7e]|%[0-9a-f]{2}/i.test(text) || stems.test(text) ||
    (text.match(/[a-z][430157@$][a-z]/gi)?.length ?? 0) >= 3;
}

/** The string in every reading, plain first. */
function* formsOf(text: string): Generator<string> {
  const plain = plainOf(text);
  yield plain;
  const spaced = spacedOf(plain);
  yield spaced;
  const latin = replaceBy(spaced, twins);
  if (latin !== spaced) yield latin;
  if (/[430157@$]/.test(latin)) yield replaceBy(latin, digits);
  yield [...spaced].reverse().join("");
  yield* codedForms(text);
}

function* codedForms(text: string): Generator<string> {
  for (const decoded of decodedParts(text)) {
    yield plainOf(decoded);
    yield spacedOf(plainOf(decoded));
  }
}

/** Lower case, percent-decoded, in plain letters, without what nobody sees. */
function plainOf(text: string): string {
  let decoded = text;
  for (let i = 0; i < 2 && /%[0-9a-f]{2}/i.test(decoded); i++) decoded = percentDecoded(decoded);
  decoded = decoded.replace(/\p{Cc}\[[0-9;]{0,12}[A-Za-z]/gu, " ");
  // Tag characters stand for ASCII and are shown by nothing.
  decoded = decoded.replace(
    /[\u{e0020}-\u{e007e}]/gu,
    (tag) => String.fromCharCode(tag.codePointAt(0)! - 0xe0000),
  );
  const visible = decoded.normalize("NFKC").replace(/\p{Cf}/gu, "");
  return visible.normalize("NFD").replace(/[\u0300-\u036f]/g, "").normalize("NFC").toLowerCase();
}

function spacedOf(text: string): string {
  return text.replace(/[-_.+/\\,;"'\s]+/g, " ");
}

function replaceBy(text: string, table: ReadonlyMap<string, string>): string {
  return [...text].map((letter) => table.get(letter) ?? letter).join("");
}

function percentDecoded(text: string): string {
  const octets = text.replace(
    /(?:%[0-9a-f]{2})+/gi,
    (run) => Buffer.from(run.replaceAll("%", ""), "hex").toString("utf8"),
  );
  return octets;
}

/** Readable text in base64 or hexadecimal. */
function decodedParts(text: string): string[] {
  const coded = text.match(/[A-Za-z0-9+/_-]{24,}/g)?.slice(0, codedMax) ?? [];
  return coded.flatMap((part) => [
    Buffer.from(part, "base64").toString("utf8"),
    ...(/^[0-9a-f]+$/i.test(part) ? [Buffer.from(part, "hex").toString("utf8")] : []),
  ]).filter((decoded) => decoded.length >= 12 && !/[\p{Cc}\ufffd]/u.test(decoded));
}
