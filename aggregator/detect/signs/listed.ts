/** What in an update is on a threat-intelligence list, and how far the contact went.
 *
 * In: a prepared update, the lists in force.
 * Out: each listed address, name, URL and fingerprint once, with the host it is about.
 * Invariant: names and URLs that a stranger sends to an own host are not looked up: whoever sends packets could
 * otherwise accuse that host. An answer that only says "blocked" (0.0.0.0, a private address) is no answer.
 * Certificate hashes are not looked up, as the facts hold none: a hash needs the whole certificate, of which a sensor
 * reads the first of about three segments; reading all would triple the packets chosen of each TLS handshake, tshark
 * tells no hash, and TLS 1.3 shows no certificate. JA3, JA4 and the certificate's names are looked up. @module */

import { isPrivate, parseIp } from "../../../shared/ip.ts";
import type { HttpFact } from "../../../shared/facts.ts";
import { canonicalUrl } from "../../intel/indicator.ts";
import type { PreparedUpdate } from "../prepared.ts";
import type { Address } from "./address.ts";
import type { DnsQuestion } from "./dns_questions.ts";

/** An indicator that was found. */
export interface Listing {
  list: string;
  /** What the list says of it; "" = nothing. Written by others. */
  note: string;
}

/** The lists in force; they may change between two look-ups. */
export interface Indicators {
  /** Over all lists; 0 = nothing can be found. */
  readonly entries: number;
  findAddress(bytes: Uint8Array): Listing | null;
  findDomain(name: string): Listing | null;
  findUrl(host: string, path: string): Listing | null;
  findText(kind: "ja3" | "ja4", value: string): Listing | null;
}

export type ListedKind = "address" | "domain" | "URL" | "JA3 fingerprint" | "JA4 fingerprint";

/** How far it went. `probed`: a listed stranger called, and got nothing or next to nothing. `let_in`: it got an answer.
 * `asked`: a host asked DNS, in vain. `resolved`: DNS answered. `called`: a host called, in vain.
 * `talked`: the other end answered. */
export type ListedWay = "probed" | "let_in" | "asked" | "resolved" | "called" | "talked";

export interface Listed {
  kind: ListedKind;
  /** The listed domain where a name below it was seen; else what was seen. */
  value: string;
  listing: Listing;
  way: ListedWay;
  /** Who is concerned: the host that called, asked, or was called. */
  host: Address;
  /** The other end of the flow. */
  peer: Address;
}

export function listedIn(update: PreparedUpdate, lists: Indicators): Listed[] {
  if (lists.entries === 0) return [];
  const found = new Map<string, Listed>();
  const add = (one: Listed) => {
    const key = `${one.kind}|${one.value}`;
    // Of several questions for one name the one that was answered tells more.
    if (!found.has(key) || one.way === "resolved") found.set(key, one);
  };
  addAddresses(update, lists, add);
  if (update.segment.facts !== null) {
    addQuestions(update, lists, add);
    addNames(update, lists, add);
    addFingerprints(update, lists, add);
  }
  return found.size === 0 ? [] : [...found.values()];
}

type Add = (one: Listed) => void;

function addAddresses(update: PreparedUpdate, lists: Indicators, add: Add): void {
  const { src, dst } = update;
  for (const [peer, host] of [[dst, src], [src, dst]]) {
    const bytes = peer.isPrivate ? null : peer.bytes;
    const listing = bytes && lists.findAddress(bytes);
    if (listing) add({ kind: "address", value: peer.ip, listing, way: wayOf(update, host), host, peer });
  }
}

/** Who asks a resolver from outside asks about names of its own choice. */
function addQuestions(update: PreparedUpdate, lists: Indicators, add: Add): void {
  const { dns, src, dst } = update;
  if (dns === null) return;
  const [host, peer] = dns.client === src.ip ? [src, dst] : [dst, src];
  if (!host.isOwn && peer.isOwn) return;
  for (const question of dns.questions) {
    const listed = findName(question.name, lists);
    if (listed) {
      add({ kind: "domain", ...listed, way: isAnswered(question) ? "resolved" : "asked", host, peer });
    }
  }
}

/** Server names, names in certificates, and requests. */
function addNames(update: PreparedUpdate, lists: Indicators, add: Add): void {
  const { src: host, dst: peer, segment: { facts, dst_port } } = update;
  if (!host.isOwn && peer.isOwn) return;
  const way = wayOf(update, host);
  const addName = (name: string | undefined) => {
    const listed = name === undefined ? null : findName(name, lists);
    if (listed) add({ kind: "domain", ...listed, way, host, peer });
  };
  addName(facts?.tls?.sni);
  addName(facts?.tls?.certificate_subject);
  addName(facts?.quic?.sni);
  for (const request of facts?.http ?? []) {
    const url = urlOf(request, peer.ip, dst_port);
    if (url === null) continue;
    addName(url.host.replace(/:\d+$/, ""));
    const listing = lists.findUrl(url.host, url.path);
    if (listing) add({ kind: "URL", value: url.host + url.path, listing, way, host, peer });
  }
}

/** Of the client alone: it is its program that they tell.
 * A server that says nothing to a stranger's program is in no danger from it. */
function addFingerprints(update: PreparedUpdate, lists: Indicators, add: Add): void {
  const { src, dst, segment: { facts } } = update;
  const [host, peer] = !src.isOwn && dst.isOwn ? [dst, src] : [src, dst];
  const way = wayOf(update, host);
  if (way === "probed") return;
  const ja4 = facts?.tls?.ja4 ?? facts?.quic?.ja4, ja3 = facts?.tls?.ja3;
  const byJa3 = ja3 ? lists.findText("ja3", ja3) : null;
  const byJa4 = ja4 ? lists.findText("ja4", ja4) : null;
  if (byJa3) add({ kind: "JA3 fingerprint", value: ja3!, listing: byJa3, way, host, peer });
  if (byJa4) add({ kind: "JA4 fingerprint", value: ja4!, listing: byJa4, way, host, peer });
}

function wayOf({ src, segment }: PreparedUpdate, host: Address): ListedWay {
  const { protocol, fwd_payload_bytes, bwd_payload_bytes, bwd_packets } = segment;
  if (host === src) {
    return (protocol === "tcp" ? bwd_payload_bytes > 0 : bwd_packets > 0) ? "talked" : "called";
  }
  // A banner that was grabbed and a ping that was answered are still a scan.
  if (protocol === "tcp") return fwd_payload_bytes > 0 && bwd_payload_bytes > 0 ? "let_in" : "probed";
  return protocol === "udp" && bwd_packets > 0 ? "let_in" : "probed";
}

/** The listed domain that `name` is or stands below, the broadest one: names below it are one matter, however many. */
function findName(name: string, lists: Indicators): Pick<Listed, "value" | "listing"> | null {
  let rest = name.toLowerCase().replace(/\.+$/, "");
  let listing = lists.findDomain(rest);
  if (!listing) return null;
  for (let dot = rest.indexOf("."); dot >= 0; dot = rest.indexOf(".")) {
    const parent = rest.slice(dot + 1), found = lists.findDomain(parent);
    if (!found) break;
    rest = parent;
    listing = found;
  }
  return { value: rest, listing };
}

function isAnswered({ type, rcode, answers = [] }: DnsQuestion): boolean {
  if (rcode !== "NOERROR") return false;
  if (type !== "A" && type !== "AAAA") return answers.length > 0;
  return answers.some((answer) => {
    const bytes = parseIp(answer);
    return bytes !== null && !isPrivate(bytes);
  });
}

/** Null: not a request, or one that names no URL. */
function urlOf(request: HttpFact, ip: string, port: number): { host: string; path: string } | null {
  const { method, uri = "/", host } = request;
  if (method === undefined) return null;
  if (/^https?:\/\//i.test(uri)) return canonicalUrl(uri);
  const where = host ?? `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
  return uri.startsWith("/") ? canonicalUrl(`http://${where}${uri}`) : canonicalUrl(`http://${where}`);
}
