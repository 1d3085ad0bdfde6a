/** Reads HTTP requests and responses (SSDP's too, and those of HTTP/2) out of the columns of one packet.
 *
 * In: the columns of one line. Out: one entry a request and one a response, in the order of the packet.
 * Invariant: as many requests as methods and as many responses as status codes;
 * a header that cannot be told apart goes to the first.
 * @module */

import { wireNumber } from "../facts/bounds.ts";
import { FactText } from "../facts/fact_text.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";
import { slot } from "./slots.ts";
import { splitCounted, splitPlain } from "./split.ts";

const text = new FactText();

/** Adds the messages of one packet to `facts`. `hasKerberos`: what stands in the column of lengths is not theirs. */
export function readHttp(columns: readonly string[], facts: SegmentFacts, hasKerberos: boolean): void {
  const methods = splitPlain(columns[slot.kind]);
  const codes = splitPlain(columns[slot.status]);
  const total = methods.length + codes.length;
  if (total === 0) return;
  const hosts = splitCounted(columns[slot.name], methods.length);
  const uris = splitCounted(columns[slot.srv], methods.length);
  const agents = splitCounted(columns[slot.text], methods.length);
  const contentTypes = splitCounted(columns[slot.service], total);
  const referrers = splitCounted(columns[slot.cname], methods.length);
  const listed = hasKerberos ? [] : splitPlain(columns[slot.type]);
  const lengths = listed.length === total ? listed : [];
  for (let i = 0; i < methods.length; i++) {
    text.begin();
    text.words(`{"method":`);
    text.quoted(methods[i]);
    write(`,"uri":`, uris[i]);
    write(`,"host":`, hosts[i]);
    write(`,"user_agent":`, agents[i]);
    write(`,"content_type":`, contentTypes[i]);
    write(`,"referrer":`, referrers[i]);
    writeLength(lengths[i]);
    keep(facts);
  }
  for (let i = 0; i < codes.length; i++) {
    text.begin();
    text.words(`{"status":${wireNumber(codes[i])}`);
    write(`,"content_type":`, contentTypes[methods.length + i]);
    writeLength(lengths[methods.length + i]);
    keep(facts);
  }
}

function write(name: string, value: string | undefined): void {
  if (!value) return;
  text.words(name);
  text.quoted(value);
}

function writeLength(length: string | undefined): void {
  if (length !== undefined && /^\d{1,15}$/.test(length)) {
    text.words(`,"length":${wireNumber(length)}`);
  }
}

function keep(facts: SegmentFacts): void {
  facts.addHttp(text, 0, text.length);
  facts.cut(text.cut);
}
