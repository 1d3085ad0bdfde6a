/** Yield of the deep lane: what it reads of a capture, against what tshark reads when it dissects every packet.
 *
 * In: captures (arguments; default all of ../shared/data/pcap).
 * Out: a table file / facts / missed / extra, and the miss list.
 * Invariant: both sides are multisets of "kind value"; the chosen packets pass the real decoder, chooser and child. DNS
 * questions and answers are put together as in any flow, and taken apart again to be compared.
 * Why a flow for each packet, and a segment for few of DNS: facts of a segment are bounded; what is compared here is
 * what was read, not what was kept. @module */

import { dnsMessages, type Facts } from "../../shared/facts.ts";
import { systemClock } from "../../shared/clock.ts";
import { createReporter } from "../../shared/reporter.ts";
import { CaptureReader } from "../../sensor/capture/capture_reader.ts";
import { Decoder } from "../../sensor/decode/decoder.ts";
import type { Packet } from "../../sensor/decode/packet.ts";
import { PacketChooser } from "../../sensor/dissect/choose.ts";
import { DissectLane } from "../../sensor/dissect/lane.ts";
import { isDnsPort } from "../../sensor/dissect/signs.ts";
import { type DissectorProcess, type DissectorProgram, Tshark } from "../../sensor/dissect/child/tshark.ts";
import { takenFrom } from "../sensor/dissect/readings.ts";
import { dnsFields, readDnsFields } from "./dns_reference.ts";

export type Multiset = Map<string, number>;

export interface Yield {
  file: string;
  packets: number;
  chosen: number;
  facts: number;
  missed: Multiset;
  extra: Multiset;
}

const fields = [
  ...dnsFields,
  "tls.handshake.extensions_server_name",
  "tls.handshake.ja3",
  "tls.handshake.ja3s",
  "http.request.method",
  "http.host",
  "http.request.uri",
  "http.user_agent",
  "http.referer",
  "http.content_length_header",
  "http.response.code",
  "ssh.protocol",
  "dhcp.option.hostname",
  "gquic.tag.sni",
] as const;
const characters = 255;
/** DNS packets of a flow that share a segment. */
const segmentPackets = 16;

/** What tshark reads with its standard settings, one line of fields a packet. */
export async function readWhole(file: string): Promise<Multiset> {
  const found: Multiset = new Map();
  for (const columns of await readFields(file, fields)) {
    const at = (field: typeof fields[number]) => {
      const text = columns[fields.indexOf(field)];
      return text === "" ? [] : text.split("\x1f");
    };
    const { names, types, rcodes, answers } = readDnsFields(at);
    addAll(found, "dns name", names);
    addAll(found, "dns type", types);
    addAll(found, "dns rcode", rcodes);
    addAll(found, "dns answer", answers);
    addAll(found, "sni", [...at("tls.handshake.extensions_server_name"), ...at("gquic.tag.sni")]);
    addAll(found, "ja3", at("tls.handshake.ja3"));
    addAll(found, "ja3s", at("tls.handshake.ja3s"));
    addAll(found, "http method", at("http.request.method"));
    addAll(found, "http host", at("http.host"));
    addAll(found, "http uri", at("http.request.uri"));
    addAll(found, "http user agent", at("http.user_agent"));
    addAll(found, "http referrer", at("http.referer"));
    addAll(found, "http length", at("http.content_length_header"));
    addAll(found, "http status", at("http.response.code"));
    addAll(found, "ssh banner", at("ssh.protocol"));
    addAll(found, "dhcp host name", at("dhcp.option.hostname"));
  }
  return found;
}

/** Columns of each packet that `filter` lets pass; the occurrences of one field are joined by octet 31. */
export async function readFields(
  file: string,
  fields: readonly string[],
  filter = "frame",
): Promise<string[][]> {
  const args = [
    "-Q",
    "-n",
    "-r",
    file,
    "-Y",
    filter,
    "-T",
    "fields",
    "-E",
    "separator=/t",
    "-E",
    "aggregator=\x1f",
  ];
  const command = new Deno.Command("tshark", {
    args: [...args, ...fields.flatMap((field) => ["-e", field])],
    stderr: "null",
  });
  const lines = new TextDecoder().decode((await command.output()).stdout).split("\n");
  return lines.map((line) => line.split("\t")).filter((columns) => columns.length === fields.length);
}

/** SSH banners on ports where tshark does not look for SSH, out of the octets it shows. */
async function readBanners(file: string): Promise<string[]> {
  const filter = "tcp.payload[0:4] == 53:53:48:2d && !ssh && !tcp.analysis.retransmission";
  const columns = await readFields(file, ["tcp.payload"], filter);
  return columns.filter(([hex]) => hex !== "").map(([hex]) =>
    new TextDecoder("latin1").decode(Uint8Array.fromHex(hex)).split("\n")[0].trimEnd()
  );
}

/** One tshark, prepared once for all captures.
 * Its folder goes when the process that uses this does not want it any more. */
class SharedProgram implements DissectorProgram {
  readonly #tshark = new Tshark();
  #prepared: Promise<void> | null = null;
  get version(): string {
    return this.#tshark.version;
  }
  get walls(): DissectorProgram["walls"] {
    return this.#tshark.walls;
  }
  prepare(): Promise<void> {
    return this.#prepared ??= this.#tshark.prepare();
  }
  spawn(): DissectorProcess {
    return this.#tshark.spawn();
  }
  dispose(): Promise<void> {
    return Promise.resolve();
  }
  async remove(): Promise<void> {
    this.#prepared = null;
    await this.#tshark.dispose();
  }
}
export const program = new SharedProgram();

/** Removes what the readings shared. */
export function forgetProgram(): Promise<void> {
  return program.remove();
}

/** What the deep lane reads of the packets the chooser picks. */
export async function readChosen(
  file: string,
): Promise<{ found: Multiset; packets: number; chosen: number; ja4: Multiset }> {
  const reporter = createReporter({ component: "yield", quiet: true });
  const chooser = new PacketChooser();
  const lane = new DissectLane({ live: false, flowsMax: 2_000_000 }, {
    program,
    clock: systemClock,
    reporter,
    chooser,
  });
  await lane.start();
  const decoder = new Decoder();
  const memories = new Map<string, { memory: number; payloads: number }>();
  const dnsFlows = new Map<string, { flow: number; packets: number }>();
  let packets = 0;
  let chosen = 0;
  const reader = new CaptureReader({
    packet(buffer, offset, captured, wire, timeUs, linkType) {
      packets++;
      if (decoder.decode(buffer, offset, captured, wire, linkType) !== 0) return;
      const packet = decoder.layers[decoder.layerCount - 1];
      const key = flowKey(packet);
      const known = memories.get(key) ?? { memory: 0, payloads: 0 };
      if (packet.tcpFlags & 2) known.memory = known.payloads = 0;
      known.memory = chooser.choose(packet, buffer, known.payloads, known.memory);
      if (packet.payloadLength > 0) known.payloads++;
      memories.set(key, known);
      if ((known.memory & 1) === 0) return;
      chosen++;
      let flow = packets;
      let segment = 0;
      if (isDnsPort(packet.srcPort) || isDnsPort(packet.dstPort)) {
        const ends = endsKey(packet);
        const dns = dnsFlows.get(ends) ?? { flow: -2 - dnsFlows.size, packets: 0 };
        dnsFlows.set(ends, dns);
        flow = dns.flow;
        segment = Math.floor(dns.packets++ / segmentPackets);
      }
      const before = packet.ipOffset - offset;
      lane.offer(buffer, packet.ipOffset, captured - before, wire - before, timeUs, flow, segment);
    },
  });
  using source = await Deno.open(file);
  for (;;) {
    const count = await source.read(reader.space());
    if (count === null) break;
    reader.commit(count);
    await lane.turn();
  }
  reader.end();
  await lane.drain();
  const found: Multiset = new Map();
  const ja4: Multiset = new Map();
  for (let flow = 1; flow <= packets; flow++) addFacts(found, ja4, takenFrom(lane, flow).facts);
  for (const { flow, packets } of dnsFlows.values()) {
    for (let segment = 0; segment * segmentPackets < packets; segment++) {
      addFacts(found, ja4, takenFrom(lane, flow, segment).facts);
    }
  }
  await lane.stop();
  return { found, packets, chosen, ja4 };
}

function flowKey(packet: Packet): string {
  const { src0, src1, src2, src3, dst0, dst1, dst2, dst3, srcPort, dstPort, protocol, vlan, depth } = packet;
  return [src0, src1, src2, src3, dst0, dst1, dst2, dst3, srcPort, dstPort, protocol, vlan, depth].join();
}

/** The same for both directions. */
function endsKey(packet: Packet): string {
  const { src0, src1, src2, src3, dst0, dst1, dst2, dst3, srcPort, dstPort, protocol, vlan, depth } = packet;
  const ends = [[src0, src1, src2, src3, srcPort].join(), [dst0, dst1, dst2, dst3, dstPort].join()];
  return [...ends.sort(), protocol, vlan, depth].join();
}

function addFacts(found: Multiset, ja4: Multiset, facts: Facts | null): void {
  if (!facts) return;
  const add = (kind: string, value: string | number | undefined | null) => {
    if (value !== undefined && value !== null && value !== "") addAll(found, kind, [String(value)]);
  };
  for (const { name, type, rcode, answers = [] } of dnsMessages(facts.dns ?? [])) {
    // NetBIOS, which the reference does not ask for: see calls_test.ts.
    if (type === "NB" || type === "NBSTAT") continue;
    add("dns name", name);
    add("dns type", type);
    add("dns rcode", rcode);
    for (const answer of answers) add("dns answer", answer);
  }
  add("sni", facts.tls?.sni);
  add("sni", facts.quic?.sni);
  add("ja3", facts.tls?.ja3);
  add("ja3s", facts.tls?.ja3s);
  for (const value of [facts.tls?.ja4, facts.quic?.ja4]) if (value) addAll(ja4, "ja4", [value]);
  for (const message of facts.http ?? []) {
    add("http method", message.method);
    add("http host", message.host);
    add("http uri", message.uri);
    add("http user agent", message.user_agent);
    add("http referrer", message.referrer);
    add("http length", message.length);
    add("http status", message.status);
  }
  add("ssh banner", facts.ssh?.client);
  add("ssh banner", facts.ssh?.server);
  for (const { hostname } of facts.dhcp ?? []) add("dhcp host name", hostname);
}

function addAll(found: Multiset, kind: string, values: readonly string[]): void {
  for (const value of values) {
    const key = `${kind} ${value.slice(0, characters)}`;
    found.set(key, (found.get(key) ?? 0) + 1);
  }
}

/** Entries of `left` that `right` has fewer of. */
export function minus(left: Multiset, right: Multiset): Multiset {
  const result: Multiset = new Map();
  for (const [key, count] of left) {
    const more = count - (right.get(key) ?? 0);
    if (more > 0) result.set(key, more);
  }
  return result;
}

export function total(set: Multiset): number {
  let sum = 0;
  for (const count of set.values()) sum += count;
  return sum;
}

/** Both readings of one capture, compared. */
export async function yieldOf(file: string): Promise<Yield> {
  const [whole, { found, packets, chosen }] = await Promise.all([readWhole(file), readChosen(file)]);
  const isBanner = (fact: string) => fact.startsWith("ssh banner ");
  if ([...minus(found, whole).keys()].some(isBanner)) addAll(whole, "ssh banner", await readBanners(file));
  return {
    file: file.slice(file.lastIndexOf("/") + 1),
    packets,
    chosen,
    facts: total(whole),
    missed: minus(whole, found),
    extra: minus(found, whole),
  };
}

if (import.meta.main) {
  const folder = new URL("../../../shared/data/pcap", import.meta.url).pathname;
  const files = Deno.args.length > 0
    ? Deno.args
    : [...Deno.readDirSync(folder)].map((entry) => `${folder}/${entry.name}`)
      .filter((name) => /\.pcap(ng)?$/.test(name)).sort();
  const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
  let facts = 0;
  let missed = 0;
  let extra = 0;
  let packets = 0;
  let chosen = 0;
  print("file\tpackets\tchosen\tfacts\tmissed\textra");
  for (const file of files) {
    const one = await yieldOf(file);
    print([one.file, one.packets, one.chosen, one.facts, total(one.missed), total(one.extra)].join("\t"));
    for (const [key, count] of [...one.missed].slice(0, 12)) {
      print(`  missed ${count} x ${JSON.stringify(key)}`);
    }
    for (const [key, count] of [...one.extra].slice(0, 6)) print(`  extra ${count} x ${JSON.stringify(key)}`);
    facts += one.facts;
    missed += total(one.missed);
    extra += total(one.extra);
    packets += one.packets;
    chosen += one.chosen;
  }
  await forgetProgram();
  print(`all\t${packets}\t${chosen}\t${facts}\t${missed}\t${extra}`);
}
