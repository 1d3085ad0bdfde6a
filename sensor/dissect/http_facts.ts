/** Reads HTTP requests and responses (SSDP's too) out of the columns of one packet.
 *
 * In: the columns of one line. Out: {@link HttpFact}, one a request and one a response, in the order of the packet.
 * Invariant: as many requests as methods and as many responses as status codes; a header that cannot be told apart goes to the first.
 * @module */

import type { Facts, HttpFact } from "../../shared/facts.ts";
import { boundText, pushEntry, wireNumber } from "./bounds.ts";
import { slot } from "./slots.ts";
import { splitCounted, splitPlain } from "./split.ts";

/** Adds the messages of one packet to `facts`. */
export function readHttp(columns: readonly string[], facts: Facts): void {
  const methods = splitPlain(columns[slot.kind]);
  const codes = splitPlain(columns[slot.status]);
  const total = methods.length + codes.length;
  if (total === 0) return;
  const hosts = splitCounted(columns[slot.name], methods.length);
  const uris = splitCounted(columns[slot.srv], methods.length);
  const agents = splitCounted(columns[slot.text], methods.length);
  const contentTypes = splitCounted(columns[slot.service], total);
  const list = facts.http ??= [];
  for (let i = 0; i < methods.length; i++) {
    const fact: HttpFact = { method: boundText(facts, methods[i]) };
    if (hosts[i]) fact.host = boundText(facts, hosts[i]);
    if (uris[i]) fact.uri = boundText(facts, uris[i]);
    if (agents[i]) fact.user_agent = boundText(facts, agents[i]);
    if (contentTypes[i]) fact.content_type = boundText(facts, contentTypes[i]);
    pushEntry(facts, list, fact);
  }
  for (let i = 0; i < codes.length; i++) {
    const fact: HttpFact = { status: wireNumber(codes[i]) };
    const contentType = contentTypes[methods.length + i];
    if (contentType) fact.content_type = boundText(facts, contentType);
    pushEntry(facts, list, fact);
  }
}
