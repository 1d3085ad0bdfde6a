/** DNS transactions: a question and its answer as one entry of facts.
 *
 * In: the questions of the queries and responses of one segment, in the order they are read. Out: one {@link DnsFact} for a query and
 * the response of the same id, name and type; as in Zeek the response may come first, for answers of the dissector lag.
 * Invariant: from the entries every message can be rebuilt with what it said, see `dnsMessages`; so a query that carries answers of its
 * own (mDNS: those it knows already) takes no others.
 * Bound: a segment keeps `entriesMax` entries; a message that would be one more is counted in `cut`. The search for the other half
 * begins at the newest of those that miss one, at most as many: half a microsecond for a thousand, and mostly there is one.
 * Why responses are counted: a query seldom comes late, so it seldom has anything to look for. @module */

import { type DnsFact, factLimits, type Facts } from "../../shared/facts.ts";
import { boundText, pushEntry } from "./bounds.ts";

/** Entries of one segment that miss their query or their response. */
export interface DnsHalves {
  /** Of each the place in the list, and in the lower 16 bits the DNS id. null: there was none yet. */
  halves: number[] | null;
  /** How many of them are responses. */
  responses: number;
}

/** Cuts the answers of one message to their bounds. */
export function boundAnswers(facts: Facts, answers: string[]): void {
  if (answers.length > factLimits.answersMax) {
    facts.cut = (facts.cut ?? 0) + answers.length - factLimits.answersMax;
    answers.length = factLimits.answersMax;
  }
  for (let i = 0; i < answers.length; i++) answers[i] = boundText(facts, answers[i]);
}

/** Adds one question of a query to `facts`; `known` are the answers it carries. */
export function addDnsQuery(
  facts: Facts,
  halves: DnsHalves,
  id: number,
  name: string,
  type: string,
  known: string[],
): void {
  const list = facts.dns ??= [];
  if (known.length > 0) {
    pushEntry(facts, list, { name: boundText(facts, name), type, answers: known });
    return;
  }
  const place = halves.responses > 0 ? takeHalf(list, halves, id, name, type, true) : -1;
  if (place >= 0) {
    const { unasked: _, ...answered } = list[place];
    list[place] = answered;
    halves.responses--;
  } else if (pushEntry(facts, list, { name: boundText(facts, name), type })) {
    addHalf(halves, list.length - 1, id);
  }
}

/** Adds what a response says of one question to `facts`; `name` is "" when it says not of which. */
export function addDnsResponse(
  facts: Facts,
  halves: DnsHalves,
  id: number,
  name: string,
  type: string,
  rcode: string,
  answers: string[],
): void {
  const list = facts.dns ??= [];
  const place = takeHalf(list, halves, id, name, type, false);
  if (place >= 0) {
    const kept = list[place].name;
    list[place] = answers.length > 0 ? { name: kept, type, rcode, answers } : { name: kept, type, rcode };
    return;
  }
  const kept = boundText(facts, name);
  const entry: DnsFact = answers.length > 0
    ? { name: kept, type, rcode, answers, unasked: true }
    : { name: kept, type, rcode, unasked: true };
  if (!pushEntry(facts, list, entry) || name === "") return;
  addHalf(halves, list.length - 1, id);
  halves.responses++;
}

function addHalf(halves: DnsHalves, place: number, id: number): void {
  const half = place << 16 | id;
  if (halves.halves === null) halves.halves = [half];
  else halves.halves.push(half);
}

/** Place of the entry that is the response (`isResponse`) or the query of this id, name and type, and a half no more; -1 = there is none. */
function takeHalf(
  list: readonly DnsFact[],
  { halves }: DnsHalves,
  id: number,
  name: string,
  type: string,
  isResponse: boolean,
): number {
  if (halves === null) return -1;
  const { charactersMax } = factLimits;
  const kept = name.length <= charactersMax ? name : name.slice(0, charactersMax);
  for (let i = halves.length - 1; i >= 0; i--) {
    if ((halves[i] & 0xffff) !== id) continue;
    const place = halves[i] >>> 16;
    const entry = list[place];
    if (entry.name !== kept || entry.type !== type || (entry.unasked === true) !== isResponse) continue;
    // The last one goes where this one was: of several halves that would do it matters little which is taken.
    halves[i] = halves[halves.length - 1];
    halves.pop();
    return place;
  }
  return -1;
}
