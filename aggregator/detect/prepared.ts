/** An update prepared once for all detectors: what several of them ask of it is worked out at the first question and
 * kept.
 *
 * In: a {@link FlowUpdate}. Out: its segment, its two ends (parsed; group, private, own), what came of the attempt it
 * begins, its DNS questions turned the right way, the name of the service it calls.
 * Invariant: nothing here changes after it was read; a detector may keep strings and numbers of it, but not the object.
 * Why lazily: most updates interest few detectors. @module */

import type { Segment } from "../../shared/segment.ts";
import type { FlowUpdate } from "../model/flow.ts";
import { Halves } from "../model/halves.ts";
import { noPlaces, type Places } from "../model/place.ts";
import { type KeyEnds, saltOf } from "./keys.ts";
import { type Address, AddressBook } from "./signs/address.ts";
import { CountryBook, type CountryView } from "./signs/countries.ts";
import { type DnsQuestions, readDnsQuestions } from "./signs/dns_questions.ts";
import { type ProbeOutcome, probeOutcome } from "./signs/probe.ts";
import { ServiceBook, type ServiceView } from "./signs/services.ts";

/** S7, Modbus, OPC UA, IEC 104, DNP3, EtherNet/IP, BACnet, Niagara Fox, FINS, CODESYS,
 * GE SRTP (IANA; CISA ICS advisories). */
export const industrialPorts: ReadonlySet<number> = new Set([
  102,
  502,
  789,
  1911,
  2404,
  2455,
  4840,
  9600,
  18245,
  20000,
  44818,
  47808,
]);

/** The fields of a segment that stay when the segment is gone. */
export type OriginSegment = Pick<
  Segment,
  | "protocol"
  | "dst_port"
  | "start"
  | "end"
  | "fwd_packets"
  | "fwd_bytes"
  | "fwd_payload_bytes"
  | "fwd_tcp_flags"
  | "fwd_syn_count"
  | "bwd_packets"
  | "bwd_payload_bytes"
  | "bwd_tcp_flags"
  | "src_port"
  | "src_mac"
  | "factor"
  | "app_protocol"
>;

/** What is known of an update as long as an episode that it opened lasts. */
export interface Opening extends KeyEnds {
  readonly src: Address;
  readonly dst: Address;
  readonly flowId: string;
  readonly sensors: readonly string[];
  readonly first: boolean;
  readonly begins: boolean;
  readonly probe: ProbeOutcome | null;
  readonly service: ServiceView | null;
  readonly serverName: string;
  readonly segment: OriginSegment;
}

/** What stays of an update that opened episodes; one for all of them. It is its own segment, which makes one object of
 * two: a scan opens millions. */
export class Origin implements Opening, OriginSegment {
  readonly network: string;
  readonly salt: number;
  readonly protocol: string;
  readonly src: Address;
  readonly dst: Address;
  readonly port: number;
  readonly flowId: string;
  readonly sensors: readonly string[];
  readonly first: boolean;
  readonly begins: boolean;
  readonly probe: ProbeOutcome | null;
  readonly service: ServiceView | null;
  readonly serverName: string;
  readonly start: number;
  readonly end: number;
  readonly fwd_packets: number;
  readonly fwd_bytes: number;
  readonly fwd_payload_bytes: number;
  readonly fwd_tcp_flags: number;
  readonly fwd_syn_count: number;
  readonly bwd_packets: number;
  readonly bwd_payload_bytes: number;
  readonly bwd_tcp_flags: number;
  readonly src_port: number;
  readonly src_mac: string;
  readonly factor: number;
  readonly app_protocol: string;

  constructor(update: PreparedUpdate) {
    const { segment } = update;
    this.network = update.network;
    this.salt = update.salt;
    this.protocol = update.protocol;
    this.src = update.src;
    this.dst = update.dst;
    this.port = update.port;
    this.flowId = update.flowId;
    this.sensors = update.sensors;
    this.first = update.first;
    this.begins = update.begins;
    this.probe = update.probe;
    this.service = update.service;
    this.serverName = update.serverName;
    this.start = segment.start;
    this.end = segment.end;
    this.fwd_packets = segment.fwd_packets;
    this.fwd_bytes = segment.fwd_bytes;
    this.fwd_payload_bytes = segment.fwd_payload_bytes;
    this.fwd_tcp_flags = segment.fwd_tcp_flags;
    this.fwd_syn_count = segment.fwd_syn_count;
    this.bwd_packets = segment.bwd_packets;
    this.bwd_payload_bytes = segment.bwd_payload_bytes;
    this.bwd_tcp_flags = segment.bwd_tcp_flags;
    this.src_port = segment.src_port;
    this.src_mac = segment.src_mac;
    this.factor = segment.factor;
    this.app_protocol = segment.app_protocol;
  }

  get origin(): this {
    return this;
  }

  get segment(): OriginSegment {
    return this;
  }

  get dst_port(): number {
    return this.port;
  }
}

export class PreparedUpdate implements Opening {
  readonly flowId: string;
  readonly network: string;
  readonly salt: number;
  /** The first update of its flow. */
  readonly first: boolean;
  /** The first update of its flow, and the flow's beginning: what attempts and calls are counted by. */
  readonly begins: boolean;
  readonly segment: Segment;
  readonly protocol: string;
  /** The other end's. */
  readonly port: number;
  readonly sensors: readonly string[];
  /** The initiator's address, and the other end's. */
  readonly src: Address;
  readonly dst: Address;
  /** Who calls the service that this flow calls;
   * null for all but the beginnings of own hosts' TCP and UDP flows to one host. */
  readonly service: ServiceView | null;
  /** The country that an own host calls outside, of flows that begin and are answered; null = not known. */
  readonly country: CountryView | null;
  #origin: Origin | undefined;
  #pair: string | undefined;
  #probe: ProbeOutcome | null | undefined;
  #dns: DnsQuestions | null | undefined;
  #serverName: string | undefined;

  constructor(update: FlowUpdate, books: PrepareBooks) {
    const { flow_id, network, first, segment, sensors } = update;
    this.flowId = flow_id;
    this.network = network;
    this.first = first;
    this.begins = first && segment.segment === 0 && segment.fwd_packets > 0;
    this.segment = segment;
    this.protocol = segment.protocol;
    this.port = segment.dst_port;
    this.sensors = sensors;
    const addresses = books.addressesOf(network);
    this.salt = addresses.salt;
    this.src = addresses.of(segment.src_ip);
    this.dst = addresses.of(segment.dst_ip);
    if (segment.fwd_packets > 0) this.src.spokeS = segment.end;
    if (segment.bwd_packets > 0) this.dst.spokeS = segment.end;
    if (segment.bwd_payload_bytes > 0 && industrialPorts.has(segment.dst_port)) this.dst.isPlant = true;
    if (segment.dst_port === 53) {
      if (segment.bwd_payload_bytes > 0 && this.src.isOwn) this.dst.isResolver = true;
    } else if (segment.src_port === 53 && segment.fwd_payload_bytes > 0 && this.dst.isOwn) {
      this.src.isResolver = true;
    }
    this.service = this.#readService(books.services);
    this.country = this.service !== null && !this.dst.isPrivate && segment.bwd_payload_bytes > 0
      ? books.countries.call(network, segment.dst_ip, segment.start)
      : null;
  }

  get origin(): Origin {
    return this.#origin ??= new Origin(this);
  }

  /** "src|dst"; for keys `by.pair` is faster. */
  get pair(): string {
    return this.#pair ??= `${this.src.ip}|${this.dst.ip}`;
  }

  /** Outcome of the attempt that this update begins, null when it begins none. */
  get probe(): ProbeOutcome | null {
    if (this.#probe === undefined) {
      this.#probe = this.begins ? probeOutcome(this.segment, this.dst.isGroup, this.dst.isOwn) : null;
    }
    return this.#probe;
  }

  /** DNS questions and answers with client and resolver the right way round;
   * null when there are none (mDNS and LLMNR are none). */
  get dns(): DnsQuestions | null {
    if (this.#dns === undefined) this.#dns = readDnsQuestions(this.segment, this.src.ip, this.dst.ip);
    return this.#dns;
  }

  /** Name of the service called: TLS or QUIC server name, else the HTTP host; "" when none was read.
   * Chosen by the sender. */
  get serverName(): string {
    if (this.#serverName === undefined) {
      const { facts } = this.segment;
      this.#serverName = facts === null
        ? ""
        : facts.tls?.sni ?? facts.quic?.sni ?? facts.http?.find((entry) => entry.host)?.host ?? "";
    }
    return this.#serverName;
  }

  /** At once, not when somebody asks: every call counts. */
  #readService(services: ServiceBook): ServiceView | null {
    const { protocol } = this;
    if (!this.begins || !this.src.isOwn || this.dst.isGroup) return null;
    if (protocol !== "tcp" && protocol !== "udp") return null;
    return services.call(this, this.serverName, this.segment.start);
  }
}

/** What preparing remembers from update to update; one for each engine. */
export class PrepareBooks {
  readonly services = new ServiceBook();
  readonly countries: CountryBook;
  readonly #addresses = new Halves<string, AddressBook>(networksMax);

  constructor(places: Places = noPlaces) {
    this.countries = new CountryBook(places);
  }

  /** The same private address is another host in another network. */
  addressesOf(network: string): AddressBook {
    return this.#addresses.get(network, makeAddressBook);
  }
}

const networksMax = 256;
const makeAddressBook = (network: string) => new AddressBook(saltOf(network));

/** Prepares a batch. */
export function prepare(updates: readonly FlowUpdate[], books: PrepareBooks): PreparedUpdate[] {
  return updates.map((update) => new PreparedUpdate(update, books));
}
