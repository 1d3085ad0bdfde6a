/** What the facts of one transaction say about names: which host has which name, and which domains were asked for.
 *
 * In: flows with the facts that are new to them, each once. Out: sums by key. Names are hostile text: lower-case, at
 * most {@link nameCharactersMax} characters, control characters and blanks replaced.
 * A name of a host comes from an answer of DNS or mDNS, a lease of DHCP, or a client that asked the host for it (SNI,
 * Host).
 * A domain is the registered part of a question of DNS (not of mDNS, LLMNR, NetBIOS), so names made up below one domain
 * are one row. The askers are a bitmap of 128 bits, one set per hash of an address; their number is estimated from it,
 * see {@link estimateAskers}. The same asker sets the same bit, whichever sensor or replay reports it.
 * Bound: {@link factsPerFlowMax} requests of HTTP and messages of DHCP per flow, {@link namesMax} names per write; the
 * rest is counted. @module */

import type { Facts } from "../../shared/facts.ts";
import { parseIp } from "../../shared/ip.ts";
import { readDomainName } from "../model/domain_name.ts";
import type { FlowRows } from "../model/flow_rows.ts";
import { SumTable } from "../model/sum_table.ts";
import { type HostSums, isHostAddress, lateMax } from "./host_sums.ts";
import type { Words } from "./words.ts";
import { type Answered, isSame, type WrittenNames } from "./written_names.ts";

export const nameSum = { last: 0, late: 1, sources: 2 } as const;
export const domainSum = { queries: 0, last: 1, late: 2, askers: 3 } as const;
/** In the order of their bits in `host_names.sources`. */
export const nameSources = ["dns", "mdns", "dhcp", "tls", "http"] as const;
const [dns, mdns, dhcp, tls, http] = nameSources.map((_, bit) => 1 << bit);
const askerBits = 128;
const nameCharactersMax = 253;
const factsPerFlowMax = 64;
const namesMax = 50_000;
const typesMax = 100;
const mdnsPort = 5_353;
/** NetBIOS and LLMNR: asked of everybody, and answered by anybody. */
const localPorts = [137, 5_355];

/** A question of the write, and what the flows say that were answered so. */
interface Question extends Answered {
  /** Row of the domain, -1 = none yet. */
  domain: number;
}

export class NameSums {
  /** By host and name. */
  readonly names = new SumTable(3);
  /** By network and name. */
  readonly domains = new SumTable(7);
  readonly texts: string[] = [];
  leftOut = 0;
  readonly #numbers = new Map<string, number>();
  /** By type and name: A and AAAA of one name are asked in turns. */
  readonly #questions = new Map<string, Map<string, Question>>();
  #made = 0;
  readonly #hosts: HostSums;
  readonly #words: Words;
  readonly #written: WrittenNames;
  // Of the flow at hand.
  #network = 0;
  #first = 0;
  #last = 0;

  constructor(hosts: HostSums, { words, written }: { words: Words; written: WrittenNames }) {
    this.#hosts = hosts;
    this.#words = words;
    this.#written = written;
  }

  /** The facts of a row of the write. */
  add(rows: FlowRows, i: number): void {
    const facts = rows.facts[i];
    if (facts === null) return;
    const c = rows.columns;
    this.#network = this.#words.numberOf(rows.network[i]);
    this.#first = c.isSuspect[i] === 1 ? c.idUs[i] : c.startUs[i];
    this.#last = c.isSuspect[i] === 1 ? c.idUs[i] : c.endUs[i];
    const { ends } = this.#hosts;
    if (facts.dns) this.#addDns(facts.dns, c.dstPort[i], ends[2 * i]);
    if (facts.dhcp) this.#addDhcp(facts.dhcp);
    const target = ends[2 * i + 1];
    const sni = facts.tls?.sni ?? facts.quic?.sni;
    if (sni !== undefined && c.bwdPackets[i] > 0) this.#addName(target, sni, tls);
    if (facts.http && c.bwdPackets[i] > 0) {
      this.leftOut += Math.max(0, facts.http.length - factsPerFlowMax);
      for (let k = 0; k < Math.min(facts.http.length, factsPerFlowMax); k++) {
        const { host } = facts.http[k];
        if (host !== undefined) this.#addName(target, withoutPort(host), http);
      }
    }
  }

  #addDns(list: NonNullable<Facts["dns"]>, port: number, asker: number): void {
    if (localPorts.includes(port)) return;
    const source = port === mdnsPort ? mdns : dns;
    for (let k = 0; k < list.length; k++) {
      const { name, type, answers, rcode, unasked } = list[k];
      if (name === "") continue;
      const question = this.#question(name, type, source);
      if (source === dns && unasked === undefined) this.#addQuery(question, asker);
      if (answers === undefined || (rcode === undefined && source === dns)) continue;
      if (!isSame(question.answers, answers)) {
        this.#flush(question);
        question.answers = answers;
      }
      if (this.#last > question.last) question.last = this.#last;
      if (this.#first < question.first) question.first = this.#first;
    }
  }

  /** What the write has of a question: most are asked again and again, and answered alike. */
  #question(name: string, type: string, source: number): Question {
    let ofType = this.#questions.get(type);
    if (ofType === undefined) this.#questions.set(type, ofType = new Map());
    const known = ofType.get(name);
    if (known !== undefined && known.network === this.#network && known.source === source) return known;
    const made = {
      name,
      type,
      network: this.#network,
      source,
      domain: -1,
      answers: [],
      first: lateMax,
      last: 0,
    };
    if (known !== undefined) this.#flush(known);
    if (++this.#made > namesMax) this.finish();
    ofType.set(name, made);
    return made;
  }

  #addQuery(question: Question, asker: number): void {
    if (question.domain < 0) question.domain = this.#domainRow(question.name);
    const row = question.domain;
    if (row < 0) return;
    this.domains.add(row, domainSum.queries, 1);
    this.domains.raise(row, domainSum.last, this.#last);
    this.domains.raise(row, domainSum.late, lateMax - this.#first);
    const bit = this.#askerBit(asker);
    this.domains.mark(row, domainSum.askers + (bit >>> 5), 1 << (bit & 31));
  }

  #domainRow(name: string): number {
    const number = this.#number(readDomainName(name).domain);
    return number < 0 ? -1 : this.domains.row(this.#network, number);
  }

  /** After the last row: what was gathered by question is in the sums. */
  finish(): void {
    for (const ofType of this.#questions.values()) {
      for (const question of ofType.values()) this.#flush(question);
      ofType.clear();
    }
    if (this.#questions.size > typesMax) this.#questions.clear();
    this.#made = 0;
  }

  /** Gives the names of the answers to their addresses, unless the store has them. */
  #flush(question: Question): void {
    const { name, network, source, answers, first, last } = question;
    if (last > 0 && this.#written.isNewAnswer(question)) {
      for (const text of answers) {
        const address = this.#answer(text);
        const row = address < 0 ? -1 : this.#nameRow(network, address, name, source);
        if (row >= 0) this.#raise(row, first, last);
      }
    }
    question.first = lateMax;
    question.last = 0;
  }

  #addDhcp(list: NonNullable<Facts["dhcp"]>): void {
    this.leftOut += Math.max(0, list.length - factsPerFlowMax);
    for (const { hostname, requested_ip, offered_ip, message_type } of list.slice(0, factsPerFlowMax)) {
      if (hostname === undefined || (message_type !== "REQUEST" && message_type !== "ACK")) continue;
      const address = this.#answer(message_type === "ACK" ? offered_ip ?? "" : requested_ip ?? "");
      if (address >= 0) this.#addName(address, hostname, dhcp);
    }
  }

  #addName(address: number, text: string, source: number): void {
    const row = this.#nameRow(this.#network, address, text, source);
    if (row >= 0) this.#raise(row, this.#first, this.#last);
  }

  /** -1 = no name, or no host's. */
  #nameRow(network: number, address: number, text: string, source: number): number {
    if (!this.#canBeHost(address)) return -1;
    const name = this.#number(text);
    if (name < 0) return -1;
    const row = this.names.row(this.#hosts.hosts.row(network, address), name);
    this.names.mark(row, nameSum.sources, source);
    return row;
  }

  #raise(row: number, first: number, last: number): void {
    this.names.raise(row, nameSum.last, last);
    this.names.raise(row, nameSum.late, lateMax - first);
  }

  /** Number of a text; -1 = none. */
  #number(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    if (this.#numbers.size >= namesMax) {
      this.leftOut++;
      return -1;
    }
    const clean = cleanName(text);
    let number = clean === "" || parseIp(clean) !== null ? -1 : this.#numbers.get(clean);
    if (number === undefined) this.#numbers.set(clean, number = this.texts.push(clean) - 1);
    this.#numbers.set(text, number);
    return number;
  }

  /** Number of an address in text; -1 = it is none. */
  #answer(text: string): number {
    const bytes = parseIp(text);
    return bytes === null ? -1 : this.#hosts.addresses.number(bytes, 0, bytes.length);
  }

  readonly #fit: boolean[] = [];
  #canBeHost(address: number): boolean {
    return this.#fit[address] ??= isHostAddress(this.#hosts.addresses.address(address));
  }

  readonly #bits: number[] = [];
  #askerBit(address: number): number {
    return this.#bits[address] ??= bitOf(this.#hosts.addresses.address(address));
  }
}

/** How many different askers set these bits, by linear counting; 128 bits that are all set stand for 620 and more. */
export function estimateAskers(words: readonly number[]): number {
  let set = 0;
  for (let word of words) for (; word !== 0; word = (word & word - 1) >>> 0) set++;
  const unset = Math.max(1, askerBits - set);
  return Math.round(askerBits * Math.log(askerBits / unset));
}

function bitOf(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193);
  value = Math.imul(value ^ value >>> 16, 0x85ebca6b);
  return (value ^ value >>> 13) & (askerBits - 1);
}

/** Lower-case, without the last dot; "" when nothing is left. */
function cleanName(text: string): string {
  return text.toWellFormed().slice(0, nameCharactersMax).toLowerCase().toWellFormed().replace(/\.+$/, "")
    // deno-lint-ignore no-control-regex
    .replace(/[\u0000-\u0020\u007f-\u00a0]/g, "_").slice(0, nameCharactersMax).toWellFormed();
}

function withoutPort(host: string): string {
  return host.replace(/:[0-9]{1,5}$/, "");
}
