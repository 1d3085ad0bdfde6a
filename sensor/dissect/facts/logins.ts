/** Joins what a client sends to log in and what its server says of it.
 *
 * In: the two, in their order. Out: `facts.logins`: a try with its outcome is one entry, equal ones are counted.
 * Invariant: an answer belongs to the last try of its service in the segment that has none; without one it stands alone
 * only when it is an answer to nothing else. Bound: `countedMax` different entries. @module */

import type { Facts, LoginFact } from "../../../shared/facts.ts";
import { countEntry } from "./bounds.ts";

/** Adds what a client sends: a name, or a proof, which takes the place of the name just sent. */
export function noteLogin(facts: Facts, entry: LoginFact): void {
  const named = findOpen(facts, entry.service);
  if (named?.outcome !== "named" || entry.outcome !== "asked") {
    return countEntry(facts, facts.logins ??= [], entry);
  }
  Object.assign(named, entry);
}

/** Adds what a server says. `isSure`: it speaks of nothing but logging in. */
export function settleLogin(facts: Facts, answer: LoginFact, isSure: boolean): void {
  const open = findOpen(facts, answer.service);
  if (open === undefined) {
    if (isSure) countEntry(facts, facts.logins ??= [], answer);
    return;
  }
  if (answer.outcome === "challenged") {
    if (answer.method !== undefined) open.method = answer.method;
    return;
  }
  // Settled, it may be the same as one before.
  const list = facts.logins!;
  list.splice(list.indexOf(open), 1);
  countEntry(facts, list, { ...open, ...answer });
}

function findOpen(facts: Facts, service: LoginFact["service"]): LoginFact | undefined {
  return facts.logins?.findLast((one) =>
    one.service === service && (one.outcome === "asked" || one.outcome === "named") && one.count === undefined
  );
}
