/** DNS messages as tshark's fields tell them, for comparing with what the sensor reads.
 *
 * In: every occurrence of {@link dnsFields} in one packet.
 * Out: names, types, response codes and values of the answer section.
 * Invariant: nothing here is shared with the sensor but the words for types and codes; sections are told apart by the
 * counts of the headers, the strings of a text record by their lengths, which the sensor does not have. @module */

import { dnsTypeName, rcodeName } from "../../sensor/dissect/facts/dns_names.ts";

export const dnsFields = [
  "dns.flags.response",
  "dns.flags.rcode",
  "dns.qry.name",
  "dns.qry.type",
  "dns.count.queries",
  "dns.count.answers",
  "dns.count.auth_rr",
  "dns.count.add_rr",
  "dns.resp.type",
  "dns.resp.len",
  "dns.a",
  "dns.aaaa",
  "dns.cname",
  "dns.ns",
  "dns.ptr.domain_name",
  "dns.mx.mail_exchange",
  "dns.srv.target",
  "dns.txt",
  "dns.txt.length",
  "dns.null",
  "dns.svcb.targetname",
] as const;

/** Field with the value of a record of each type; of texts there may be several. */
const valueFields: Readonly<Record<number, typeof dnsFields[number]>> = {
  1: "dns.a",
  2: "dns.ns",
  5: "dns.cname",
  10: "dns.null",
  12: "dns.ptr.domain_name",
  15: "dns.mx.mail_exchange",
  16: "dns.txt",
  28: "dns.aaaa",
  33: "dns.srv.target",
  64: "dns.svcb.targetname",
  65: "dns.svcb.targetname",
};
const answersMax = 16;
/** Octets of a NULL record that a column shows. */
const nullOctetsMax = 36;

export interface DnsReading {
  names: string[];
  types: string[];
  /** One for each question of a response, and one for a response without questions. */
  rcodes: string[];
  answers: string[];
}

/** Reads one packet; `at` gives every occurrence of a field. */
export function readDnsFields(at: (field: typeof dnsFields[number]) => string[]): DnsReading {
  const rcodes = at("dns.flags.rcode").map((rcode) => rcodeName(Number(rcode)));
  const flags = at("dns.flags.response");
  const questions = at("dns.count.queries").map(Number);
  const answerCounts = at("dns.count.answers").map(Number);
  const otherCounts = at("dns.count.auth_rr").map((count, i) =>
    Number(count) + Number(at("dns.count.add_rr")[i])
  );
  const take = recordReader(at);
  const reading: DnsReading = {
    names: at("dns.qry.name"),
    types: at("dns.qry.type").map((type) => dnsTypeName(Number(type))),
    rcodes: [],
    answers: [],
  };
  let left = reading.names.length;
  for (const [message, flag] of flags.entries()) {
    const isResponse = flag === "1" || flag === "True";
    // A damaged header may promise more questions than there are.
    const asked = flags.length === 1 ? left : Math.min(left, questions[message] ?? 0);
    left -= asked;
    const rcode = isResponse ? rcodes.shift() : undefined;
    for (let i = 0; rcode !== undefined && i < Math.max(1, asked); i++) reading.rcodes.push(rcode);
    reading.answers.push(...take(answerCounts[message] ?? 0).slice(0, answersMax));
    take(otherCounts[message] ?? 0);
  }
  return reading;
}

/** Returns a function that takes the values of the next `count` records. */
function recordReader(at: (field: typeof dnsFields[number]) => string[]): (count: number) => string[] {
  const types = at("dns.resp.type").map(Number);
  const lengths = at("dns.resp.len").map(Number);
  const left = new Map(Object.values(valueFields).map((field) => [field, at(field)]));
  const textLengths = at("dns.txt.length").map(Number);
  const readText = (length: number): string => {
    const strings: string[] = [];
    for (let read = 0; read < length && textLengths.length > 0;) {
      read += 1 + textLengths.shift()!;
      strings.push(left.get("dns.txt")!.shift() ?? "");
    }
    return strings.join();
  };
  return (count) => {
    const values: string[] = [];
    for (let i = 0; i < count && types.length > 0; i++) {
      const type = types.shift()!;
      const length = lengths.shift() ?? 0;
      const field = valueFields[type];
      if (field === undefined) continue;
      const value = field === "dns.txt" ? readText(length) : left.get(field)!.shift() ?? "";
      if (value === "") continue;
      const isLong = field === "dns.null" && value.length > 2 * nullOctetsMax;
      values.push(isLong ? value.slice(0, 2 * nullOctetsMax) + "\u2026" : value);
    }
    return values;
  };
}
