/** The traffic of two sites by day, made for benchmarks of full stores, as rows that the store's writer takes.
 *
 * In: a day, how many flows it has. Out: any part of them in order of time, and the key and the ends of each one.
 * Invariant: flow `n` of a day is the same whenever it is asked for, so that threats can name flows, and days differ.
 * The traffic: 1,500 machines at one site and 500 at the other, with the same private addresses, a few of which are far
 * busier than the rest; one resolver and a few servers; 20,000 outside servers of which few get most, and as many
 * strangers as there are flows that meet one; nights and days. Half of the flows have facts: names asked for, with
 * answers, names and fingerprints of TLS, and HTTP. A twelfth is IPv6, a tenth was seen by two sensors.
 * Traffic is summed up by the minute: what is finer has left by the time a store is so full.
 * What it lacks: Community IDs are any number, and no flow has two segments. @module */

import { FlowRows, putMac } from "../../aggregator/model/flow_rows.ts";
import { flowIdText } from "../../aggregator/model/flow_id.ts";
import { SightingRows } from "../../aggregator/model/sighting_rows.ts";
import type { TrafficRow } from "../../aggregator/model/traffic.ts";
import type { Facts } from "../../shared/facts.ts";
import { formatIp } from "../../shared/ip.ts";
import { connStates, endReasons } from "../../shared/segment.ts";

export const dayS = 86_400;
/** The resolver of the larger site. */
export const busiest = "10.0.0.1";
export const quiet = "10.3.0.77";
export const sites = ["lab", "plant"] as const;
const sensorsOf = [["s-lab-1", "s-lab-2", "s-lab-3"], ["s-plant-1", "s-plant-2"]] as const;
const machinesOf = [1_500, 500] as const;
const servers = 20_000;
/** Of each hour of a day, UTC. */
const weights = [3, 2, 2, 2, 2, 3, 4, 6, 9, 10, 10, 10, 9, 9, 10, 10, 9, 8, 7, 6, 6, 5, 4, 4];
const weightOfDay = weights.reduce((sum, weight) => sum + weight, 0);
const topLevels = ["com", "net", "org", "io", "example", "de", "co.uk"];
const ja4s = Array.from(
  { length: 40 },
  (_, i) =>
    `t13d${15 + i % 4}16h2_${(0x8daaf6152771 + i * 977).toString(16)}_${
      (0xb186095e22b6 - i * 991).toString(16)
    }`,
);
const ids = { SF: connStates.indexOf("SF"), S0: connStates.indexOf("S0"), REJ: connStates.indexOf("REJ") };
const fin = endReasons.indexOf("fin"), idle = endReasons.indexOf("idle"), rst = endReasons.indexOf("rst");

type Kind = "dns" | "tls" | "quic" | "http" | "inside" | "ntp" | "icmp" | "scan" | "visit" | "mdns";
/** Of each, cumulated. */
const shares: readonly (readonly [Kind, number])[] = [
  ["dns", 0.3],
  ["tls", 0.68],
  ["quic", 0.78],
  ["http", 0.83],
  ["inside", 0.88],
  ["ntp", 0.91],
  ["icmp", 0.93],
  ["scan", 0.97],
  ["visit", 0.99],
  ["mdns", 1],
];

/** Numbers from 0 to 1, always the same ones after one seed. */
class Chance {
  #state = 0;

  begin(seed: number): void {
    this.#state = Math.imul(seed ^ seed >>> 16, 0x45d9f3b) + 0x9e3779b9 | 0;
    this.next();
  }

  next(): number {
    this.#state = this.#state + 0x6d2b79f5 | 0;
    let t = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** The lower, the likelier. */
  rank(count: number, steepness: number): number {
    return Math.floor(this.next() ** steepness * count);
  }

  /** Many are small, few are huge. */
  size(middle: number): number {
    const about = this.next() + this.next() + this.next() + this.next() - 2;
    return Math.ceil(middle * Math.exp(2.4 * about));
  }
}

/** What is decided of a flow before its counts. */
interface Plan {
  kind: Kind;
  site: number;
  machine: number;
  /** Rank of an outside server, -1 = there is none. */
  server: number;
  isV6: boolean;
}

export class MadeDay {
  readonly #chance = new Chance();
  readonly #ends = { src: new Uint8Array(16), dst: new Uint8Array(16), srcLength: 4, dstLength: 4 };

  constructor(readonly day: number, readonly flows: number) {}

  startUs(n: number): number {
    let left = n / this.flows * weightOfDay, hour = 0;
    while (hour < 23 && left >= weights[hour]) left -= weights[hour++];
    return this.day * 1e6 + Math.floor((hour + left / weights[hour]) * 3_600e6);
  }

  idOf(n: number): string {
    return flowIdText(this.startUs(n), n % 2_048);
  }

  /** Addresses of flow `n`, and its site. */
  endsOf(n: number): { src: string; dst: string; site: string } {
    const plan = this.#plan(n), { src, dst, srcLength, dstLength } = this.#ends;
    return { src: formatIp(src, 0, srcLength), dst: formatIp(dst, 0, dstLength), site: sites[plan.site] };
  }

  /** Flows `from` on. */
  write(from: number, count: number) {
    const flows = new FlowRows(count), sightings = new SightingRows();
    const traffic = new Map<string, TrafficRow>();
    let newSightings = 0;
    for (let n = from; n < from + count; n++) {
      const i = this.#put(flows, n);
      newSightings += n % 10 === 0 ? 2 : 1;
      if (n % 10 === 0) putSightings(sightings, flows, i);
      addTraffic(traffic, flows, i);
    }
    return { flows, sightings, newSightings, traffic: [...traffic.values()] };
  }

  #plan(n: number): Plan {
    const chance = this.#chance, ends = this.#ends;
    chance.begin(this.day / dayS % 1_000 * 20_000_003 + n);
    const share = chance.next();
    const kind = shares.find(([, below]) => share < below)![0];
    const site = chance.next() < 0.75 ? 0 : 1;
    const machine = n % 9_973 === 1 && site === 0 ? -1 : chance.rank(machinesOf[site], 2.5);
    const isOutside = kind === "tls" || kind === "quic" || kind === "http" || kind === "ntp";
    const server = isOutside || kind === "dns" ? chance.rank(servers, 4) : -1;
    const isV6 = isOutside && chance.next() < 0.15;
    ends.srcLength = ends.dstLength = isV6 ? 16 : 4;
    putMachine(ends.src, machine, isV6);
    if (kind === "dns") putV4(ends.dst, 10, 0, 0, 1);
    else if (kind === "mdns") putV4(ends.dst, 224, 0, 0, 251);
    else if (isOutside) {
      putServer(ends.dst, chance.next() < 0.9 ? server : servers + chance.below(2 ** 23), isV6);
    } else putMachine(ends.dst, 1 + chance.rank(60, 2), false);
    if (kind === "scan" || kind === "visit") putServer(ends.src, servers + chance.below(2 ** 22), false);
    if (kind === "visit") putV4(ends.dst, 10, 0, 0, 80);
    if (kind === "scan") putMachine(ends.dst, chance.below(machinesOf[site]), false);
    return { kind, site, machine, server, isV6 };
  }

  #put(rows: FlowRows, n: number): number {
    const plan = this.#plan(n), chance = this.#chance, i = rows.append(), c = rows.columns;
    const us = this.startUs(n), { kind, site } = plan;
    c.isNew[i] = 1;
    c.idUs[i] = c.startUs[i] = us;
    c.slot[i] = n % 2_048;
    c.community[i] = Math.floor(chance.next() * 2 ** 32) || 1;
    rows.ips.set(this.#ends.src, 32 * i);
    rows.ips.set(this.#ends.dst, 32 * i + 16);
    c.srcLength[i] = this.#ends.srcLength;
    c.dstLength[i] = this.#ends.dstLength;
    c.macs[i] = 3;
    putMac(rows.macs, 12 * i, macOf(kind === "scan" || kind === "visit" ? -2 : plan.machine));
    putMac(rows.macs, 12 * i + 6, macOf(kind === "dns" ? 0 : -2));
    c.ipDepth[i] = 1;
    c.vlan[i] = site === 0 ? 0 : 12;
    c.vlanInner[i] = 0;
    c.factor[i] = 1;
    c.isSuspect[i] = 0;
    c.storedMs[i] = c.updatedMs[i] = Math.floor(us / 1e3) + 700;
    c.segments[i] = 1;
    c.offsetUs[i] = -437 + site * 1_900;
    this.#putPorts(rows, i, plan);
    this.#putCounts(rows, i, plan);
    const sensors = sensorsOf[site], sensor = sensors[plan.machine % sensors.length] ?? sensors[0];
    rows.network[i] = sites[site];
    rows.tunnel[i] = "";
    rows.fwdSensor[i] = sensor;
    rows.bwdSensor[i] = c.bwdPackets[i] > 0 ? sensor : "";
    rows.facts[i] = this.#facts(plan);
    return i;
  }

  #putPorts(rows: FlowRows, i: number, { kind }: Plan): void {
    const chance = this.#chance, c = rows.columns;
    const [protocol, port, app] = {
      dns: ["udp", 53, "dns"] as const,
      tls: ["tcp", 443, "tls"] as const,
      quic: ["udp", 443, "quic"] as const,
      http: ["tcp", 80, "http"] as const,
      inside:
        ([["tcp", 445, "smb"], ["tcp", 22, "ssh"], ["tcp", 5_432, ""], ["tcp", 88, "kerberos"]] as const)[
          chance.rank(4, 1.5)
        ],
      ntp: ["udp", 123, "ntp"] as const,
      icmp: ["icmp", 0, ""] as const,
      scan: ["tcp", ([23, 22, 445, 3_389, 80, 8_080] as const)[chance.rank(6, 2)], ""] as const,
      visit: ["tcp", 443, "tls"] as const,
      mdns: ["udp", 5_353, "mdns"] as const,
    }[kind];
    rows.protocol[i] = protocol;
    rows.app[i] = app;
    c.dstPort[i] = kind === "scan" && chance.next() < 0.3 ? chance.below(65_536) : port;
    c.srcPort[i] = protocol === "icmp" ? 8 : kind === "mdns" ? 5_353 : 32_768 + chance.below(28_000);
  }

  #putCounts(rows: FlowRows, i: number, { kind, isV6 }: Plan): void {
    const chance = this.#chance, c = rows.columns;
    const isTcp = rows.protocol[i] === "tcp", isAnswered = kind !== "mdns" && kind !== "scan";
    const isRefused = kind === "scan" && chance.next() < 0.3, header = isV6 ? 40 : 20;
    const middle = { tls: 14, quic: 18, http: 8, inside: 24, visit: 10 }[kind as "tls"] ?? 1;
    const fwd = kind === "scan" ? 1 : chance.size(middle) + (isTcp ? 4 : 0);
    const bwd = isRefused ? 1 : isAnswered ? Math.ceil(fwd * (0.6 + chance.next())) : 0;
    c.fwdPackets[i] = fwd;
    c.bwdPackets[i] = bwd;
    c.fwdPayload[i] = kind === "scan" ? 0 : Math.ceil(fwd * (30 + 200 * chance.next()));
    c.bwdPayload[i] = isAnswered ? Math.ceil(bwd * (60 + 1_100 * chance.next())) : 0;
    const perPacket = header + (isTcp ? 32 : 8);
    c.fwdBytes[i] = c.fwdPayload[i] + fwd * perPacket;
    c.bwdBytes[i] = c.bwdPayload[i] + bwd * perPacket;
    const state = !isTcp
      ? (isAnswered ? ids.SF : ids.S0)
      : isAnswered
      ? ids.SF
      : isRefused
      ? ids.REJ
      : ids.S0;
    c.connState[i] = state;
    c.endReason[i] = isTcp && isAnswered ? fin : isRefused ? rst : idle;
    c.fwdFlags[i] = isTcp ? (isAnswered ? 27 : 2) : 0;
    c.bwdFlags[i] = isTcp && bwd > 0 ? (isAnswered ? 27 : 20) : 0;
    c.fwdSyn[i] = isTcp ? 1 : 0;
    c.bwdSyn[i] = c.fwdFin[i] = c.bwdFin[i] = isTcp && isAnswered ? 1 : 0;
    c.fwdRst[i] = 0;
    c.bwdRst[i] = isRefused ? 1 : 0;
    c.fwdTtl[i] = kind === "scan" || kind === "visit"
      ? 40 + chance.below(14)
      : chance.next() < 0.6
      ? 64
      : 128;
    c.bwdTtl[i] = bwd === 0 ? 0 : kind === "dns" ? 64 : 40 + chance.below(20);
    const rttUs = isTcp && isAnswered ? chance.size(14_000) : 0;
    c.rttUs[i] = rttUs;
    c.isn[i] = isTcp ? Math.floor(chance.next() * 2 ** 32) : -1;
    const packets = fwd + bwd, durationUs = packets < 2 ? 0 : chance.size(kind === "dns" ? 18_000 : 900_000);
    c.endUs[i] = c.startUs[i] + durationUs;
    const mean = (c.fwdBytes[i] + c.bwdBytes[i]) / packets,
      gap = packets > 1 ? durationUs / (packets - 1) : 0;
    c.lengthMin[i] = perPacket;
    c.lengthMax[i] = Math.min(1_500, Math.ceil(mean * 2));
    c.lengthSquare[i] = mean ** 2 * 1.7;
    c.gapMin[i] = Math.floor(gap / 20);
    c.gapMax[i] = Math.floor(gap * 4);
    c.gapSquare[i] = gap ** 2 * 2.3;
  }

  #facts({ kind, server, isV6 }: Plan): Facts | null {
    const chance = this.#chance, name = nameOf(server, chance);
    if (kind === "dns") {
      if (chance.next() < 0.04) return { dns: [{ name: `x${name}`, type: "A", rcode: "NXDOMAIN" }] };
      const type = chance.next() < 0.3 ? "AAAA" : "A", answer = new Uint8Array(16);
      putServer(answer, server, type === "AAAA");
      const answers = [formatIp(answer, 0, type === "A" ? 4 : 16)];
      return { dns: [{ name, type, rcode: "NOERROR", answers }] };
    }
    if (kind === "tls" || kind === "visit") {
      const sni = kind === "visit" ? "www.plant-lab.example" : name;
      const version = chance.next() < 0.85 ? "TLS 1.3" : "TLS 1.2";
      return { tls: { sni, version, ja4: ja4s[chance.rank(40, 3)], alpn: "h2" } };
    }
    if (kind !== "http") return null;
    const uri = `/assets/${chance.below(9_999)}/${isV6 ? "index" : "list"}.json`;
    const [method, status] = chance.next() < 0.8 ? ["GET", 200] : ["POST", 204];
    const user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    return { http: [{ method, host: name, uri, user_agent }, { status, content_type: "application/json" }] };
  }
}

/** The more popular a server, the more names it has. */
function nameOf(server: number, chance: Chance): string {
  const front = ["www", "cdn", "api", "static", "img-17", "mail", "telemetry.eu-west-1"][chance.rank(7, 2)];
  return `${front}.${server % 3 === 0 ? "media" : "cloud-service"}-${server}.${
    topLevels[server % topLevels.length]
  }`;
}

/** -1 = the quiet one. */
function putMachine(at: Uint8Array, machine: number, isV6: boolean): void {
  const third = machine < 0 ? 0 : machine >> 8, last = machine < 0 ? 77 : machine & 0xff;
  at.fill(0);
  if (isV6) at.set([0xfd, 0x12, 0x34, 0x56, 0, 1], 0);
  else putV4(at, 10, machine < 0 ? 3 : 0, third, last === 0 ? 250 : last);
  if (isV6) at.set([third, last], 14);
}

function putServer(at: Uint8Array, server: number, isV6: boolean): void {
  const mixed = Math.imul(server, 0x9e3779b1) >>> 0;
  at.fill(0);
  if (isV6) {
    at.set([0x2a, 0, 0x14, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, mixed >>> 24, mixed >>> 16, mixed >>> 8, mixed]);
  } else putV4(at, 23 + (mixed >>> 24) % 80, mixed >>> 16, mixed >>> 8, mixed);
}

function putV4(at: Uint8Array, a: number, b: number, c: number, d: number): void {
  at.fill(0);
  at[0] = a;
  at[1] = b;
  at[2] = c;
  at[3] = d;
}

/** -2 = the router. */
function macOf(machine: number): string {
  return `02:00:00:00:${(machine >> 8 & 0xff).toString(16).padStart(2, "0")}:${
    (machine & 0xff).toString(16).padStart(2, "0")
  }`;
}

function addTraffic(traffic: Map<string, TrafficRow>, rows: FlowRows, i: number): void {
  const c = rows.columns, second = Math.floor(c.idUs[i] / 60e6) * 60;
  const sensor_id = rows.fwdSensor[i],
    protocol = rows.protocol[i],
    key = `${second}|${sensor_id}|${protocol}`;
  const sum = traffic.get(key) ?? { second, sensor_id, protocol, flows: 0, packets: 0, bytes: 0 };
  sum.flows++;
  sum.packets += c.fwdPackets[i] + c.bwdPackets[i];
  sum.bytes += c.fwdBytes[i] + c.bwdBytes[i];
  traffic.set(key, sum);
}

/** The sensor whose counts the flow has, and the next one of its site. */
function putSightings(sightings: SightingRows, rows: FlowRows, i: number): void {
  const f = rows.columns;
  const site = sites.indexOf(rows.network[i] as "lab"), sensors: readonly string[] = sensorsOf[site];
  const first = sensors.indexOf(rows.fwdSensor[i]);
  for (const place of [first, (first + 1) % sensors.length]) {
    const at = sightings.append(sensors[place]), c = sightings.columns;
    c.isNew[at] = 1;
    c.idUs[at] = f.idUs[i];
    c.slot[at] = f.slot[i];
    c.vlan[at] = f.vlan[i];
    c.ipDepth[at] = 1;
    c.startUs[at] = f.startUs[i] + 300 * place;
    c.endUs[at] = f.endUs[i] + 300 * place;
    c.fwdPackets[at] = f.fwdPackets[i];
    c.fwdBytes[at] = f.fwdBytes[i];
    c.bwdPackets[at] = f.bwdPackets[i];
    c.bwdBytes[at] = f.bwdBytes[i];
    c.segments[at] = 1;
    c.offsetUs[at] = -300 * place;
  }
}
