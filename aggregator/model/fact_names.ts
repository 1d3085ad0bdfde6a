/** The names in facts.
 *
 * In: facts. Out: one bounded lower-case line of all names in them, for searching. @module */

import type { Facts } from "../../shared/facts.ts";
import { lowerAscii } from "./filter.ts";

const namesCharactersMax = 1_000;

/** DNS names, SNI, hosts and the like, lower-case, each once, between spaces. */
export function namesOf(facts: Facts): string {
  const found = new Set<string>();
  const add = (name: string | undefined) => {
    // A control character helps nobody to search, and SQLite ends text at the first NUL.
    // deno-lint-ignore no-control-regex
    if (name) found.add(lowerAscii(name.toWellFormed()).replace(/[\u0000-\u0020]/g, "_"));
  };
  for (const { name } of facts.dns ?? []) add(name);
  add(facts.tls?.sni);
  add(facts.quic?.sni);
  for (const { host } of facts.http ?? []) add(host);
  for (const { hostname } of facts.dhcp ?? []) add(hostname);
  add(facts.tls?.certificate_subject);
  let line = "";
  for (const name of found) {
    if (line.length + name.length + 1 > namesCharactersMax) break;
    line += ` ${name}`;
  }
  return line.slice(1);
}
