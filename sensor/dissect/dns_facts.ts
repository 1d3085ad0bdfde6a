/** Reads DNS, mDNS and LLMNR messages out of the columns of one packet.
 *
 * In: the columns of one line. Out: one {@link DnsFact} for each question of each message, the answers with the first question.
 * Invariant: answers are those of the answer section, in the order of the packet; a response without a question (mDNS) has an empty name.
 * Why counting: every list of tshark runs over the whole packet; the counts in the headers say where a message or a section ends.
 * @module */

import { factLimits, type Facts } from "../../shared/facts.ts";
import { boundText, pushEntry, wireFlag, wireNumber } from "./bounds.ts";
import { dnsTypeName, rcodeName } from "./dns_names.ts";
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
const optType = 41;

/** Adds the messages of one packet to `facts`. */
export function readDns(columns: readonly string[], facts: Facts): void {
  const ids = splitPlain(columns[slot.kind]);
  if (ids.length === 0) return;
  const responses = splitPlain(columns[slot.status]);
  const rcodes = splitPlain(columns[slot.rcode]);
  const answerCounts = splitPlain(columns[slot.answers]).map(wireNumber);
  const types = splitPlain(columns[slot.type]);
  const questions = splitPlain(columns[slot.questions]).map(wireNumber);
  const names = splitCounted(columns[slot.name], types.length);
  const walk = recordWalker(columns, answerCounts, ids.length);
  let rcodeIndex = 0;
  let question = 0;
  for (let message = 0; message < ids.length; message++) {
    const isResponse = wireFlag(responses[message]);
    const rcode = isResponse ? rcodeName(wireNumber(rcodes[rcodeIndex++])) : null;
    const answers = walk(answerCounts[message] ?? 0).map((answer) => boundText(facts, answer));
    if (answers.length > factLimits.answersMax) {
      facts.cut = (facts.cut ?? 0) + answers.length - factLimits.answersMax;
      answers.length = factLimits.answersMax;
    }
    const id = wireNumber(ids[message]);
    const end = ids.length === 1
      ? names.length
      : Math.min(question + (questions[message] ?? 0), names.length);
    if (question >= end && !isResponse) continue;
    const list = facts.dns ??= [];
    if (question >= end && isResponse) pushEntry(facts, list, { id, name: "", type: "", rcode, answers });
    for (let first = true; question < end; question++, first = false) {
      const type = types[question] === undefined ? "" : dnsTypeName(wireNumber(types[question]));
      const name = boundText(facts, names[question]);
      pushEntry(facts, list, { id, name, type, rcode, answers: first ? answers : [] });
    }
  }
}

/** Returns a function that takes the values of the next message's answer section. */
function recordWalker(columns: readonly string[], answerCounts: readonly number[], messages: number) {
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
  const answersOnly = answerCounts.reduce((sum, count) => sum + count, 0) +
      types.filter((type) => type === optType).length === types.length;
  return (count: number): string[] => {
    const taken: string[] = [];
    for (let i = 0; i < count && next < types.length; i++) {
      const value = valueOf(types[next++]);
      if (value !== "") taken.push(value);
    }
    // Between two messages of one segment only OPT records can be told apart without the other sections' counts.
    if (messages > 1 && answersOnly) { while (types[next] === optType) next++; }
    return taken;
  };
}
