/** Reads DNS, mDNS and LLMNR messages out of the columns of one packet.
 *
 * In: the columns of one line. Out: the questions of each message, or its answers to them, in {@link SegmentFacts}.
 * Invariant: answers are those of the answer section, in the order of the packet;
 * a response without a question (mDNS) has an empty name.
 * Why counting: every list of tshark runs over the whole packet;
 * the counts in the headers say where a message or a section ends.
 * @module */

import { wireFlag, wireNumber } from "../facts/bounds.ts";
import { dnsTypeName, rcodeName } from "../facts/dns_names.ts";
import { DnsText } from "../facts/dns_text.ts";
import type { SegmentFacts } from "../facts/segment_facts.ts";
import { slot, type SlotName } from "./slots.ts";
import { splitCounted, splitPlain } from "./split.ts";

/** The column that holds the value of a resource record of each type. */
const valueSlots = new Map<number, SlotName>([
  [1, "a"],
  [28, "aaaa"],
  [5, "cname"],
  [2, "ns"],
  [12, "ptr"],
  [15, "mx"],
  [33, "srv"],
  [16, "text"],
  [64, "service"],
  [65, "service"],
  [10, "bytes"],
]);

const text = new DnsText();

/** Adds the messages of one packet to `facts`. */
export function readDns(columns: readonly string[], facts: SegmentFacts): void {
  const ids = splitPlain(columns[slot.kind]);
  if (ids.length === 0) return;
  const responses = splitPlain(columns[slot.status]);
  const rcodes = splitPlain(columns[slot.rcode]);
  const types = splitPlain(columns[slot.type]);
  const questions = splitPlain(columns[slot.questions]).map(wireNumber);
  const names = splitCounted(columns[slot.name], types.length);
  const counts = splitPlain(columns[slot.answers]).map(wireNumber);
  // An update counts other things than questions and answers.
  const hasAnswers = questions.length === ids.length;
  const take = recordReader(columns);
  let rcodeIndex = 0;
  let question = 0;
  for (let message = 0; message < ids.length; message++) {
    const isResponse = wireFlag(responses[message]);
    const rcode = isResponse ? rcodeName(wireNumber(rcodes[rcodeIndex++])) : null;
    const answers = take(hasAnswers ? counts[message] ?? 0 : 0);
    // The records of its other sections: the next message's begin behind them.
    take((counts[ids.length + message] ?? 0) + (counts[2 * ids.length + message] ?? 0));
    const id = wireNumber(ids[message]) & 0xffff;
    const end = ids.length === 1
      ? names.length
      : Math.min(question + (questions[message] ?? 0), names.length);
    if (question >= end && !isResponse) continue;
    text.begin();
    for (const answer of answers) text.answer(answer);
    for (; question < end; question++) {
      const type = types[question] === undefined ? "" : dnsTypeName(wireNumber(types[question]));
      text.question(names[question], type);
    }
    text.addTo(facts, id, rcode);
  }
}

/** Returns a function that takes the values of the next records. */
function recordReader(columns: readonly string[]): (count: number) => string[] {
  const types = splitPlain(columns[slot.responseType]).map(wireNumber);
  const totals = new Map<SlotName, number>();
  for (const type of types) {
    const name = valueSlots.get(type);
    if (name) totals.set(name, (totals.get(name) ?? 0) + 1);
  }
  const values = new Map<SlotName, readonly string[]>();
  for (const [name, total] of totals) values.set(name, splitCounted(columns[slot[name]], total));
  const used = new Map<SlotName, number>();
  let next = 0;
  const valueOf = (type: number): string => {
    const name = valueSlots.get(type);
    if (!name) return "";
    const index = used.get(name) ?? 0;
    used.set(name, index + 1);
    return values.get(name)?.[index] ?? "";
  };
  return (count) => {
    const taken: string[] = [];
    for (let i = 0; i < count && next < types.length; i++) {
      const value = valueOf(types[next++]);
      if (value !== "") taken.push(value);
    }
    return taken;
  };
}
