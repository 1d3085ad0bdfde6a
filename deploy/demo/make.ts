/** Makes `office-day.pcap`: 25 minutes of a small office's traffic with four attacks inside,
 * for the quickstart and the tests.
 *
 * Usage: deno run --allow-write=deploy/demo deploy/demo/make.ts [OUTPUT]
 * Invariant: the same bytes each time;
 * addresses and names only from ranges reserved for documentation (RFC 5737, RFC 2606) and RFC 1918.
 *
 * | minute | attacker        | what                                                          |
 * | ------ | --------------- | ------------------------------------------------------------- |
 * | 0-25   | 192.168.10.14   | beacon: HTTPS to 198.51.100.23 about every 60 s               |
 * | 5      | 192.168.10.66   | vertical scan: 300 ports of 192.168.10.5                      |
 * | 8      | 203.0.113.77    | password guessing: 40 SSH sessions to 192.168.10.8            |
 * | 12-16  | 192.168.10.15   | DNS tunnel: 120 TXT questions below example.org               |
 * @module */

import { Capture, type Host, tcpFlag } from "./packets.ts";
import {
  dnsAnswer,
  dnsQuery,
  dnsText,
  type DnsType,
  httpMessages,
  ntp,
  sshGuessMessages,
  tlsMessages,
} from "./payloads.ts";
import { parseIp } from "../../shared/ip.ts";

/** 2026-03-03 09:00:00 UTC. */
export const officeStartS = 1_772_528_400;
export const officeDurationS = 1_500;
const seed = 20_260_303;

const lan = (last: number): Host => ({ ip: `192.168.10.${last}`, mac: `02:00:5e:10:0a:${hex(last)}` });
/** Everything outside comes through the router. */
const outside = (ip: string): Host => ({ ip, mac: lan(1).mac, ttl: 52 });
const resolver = lan(2), fileServer = lan(5), sshServer = lan(8);
const mdnsGroup: Host = { ip: "224.0.0.251", mac: "" };

/** The whole scenario. */
export function makeOfficeDay(): Capture {
  const capture = new Capture(seed);
  for (const last of [11, 12, 14, 15]) addOfficeWorker(capture, lan(last));
  addBeacon(capture);
  addScan(capture);
  addSshGuessing(capture);
  addDnsTunnel(capture);
  return capture;
}

const sites = [
  { name: "www.example.com", ip: "198.51.100.10" },
  { name: "mail.example.com", ip: "198.51.100.11" },
  { name: "static.example.com", ip: "198.51.100.12" },
  { name: "news.example.net", ip: "203.0.113.20" },
  { name: "shop.example.net", ip: "203.0.113.21" },
  { name: "video.example.com", ip: "203.0.113.22" },
  { name: "docs.example.com", ip: "203.0.113.23" },
];

/** Browsing in visits with pauses, time, names, the printer's announcements. */
function addOfficeWorker(capture: Capture, host: Host): void {
  let nowS = officeStartS + capture.random() * 40;
  const endS = officeStartS + officeDurationS - 30;
  capture.arp(nowS, host, resolver, false);
  capture.arp(nowS + 0.0004, resolver, host, true);
  while (nowS < endS) {
    const visits = capture.between(1, 4);
    for (let i = 0; i < visits; i++) nowS = addVisit(capture, host, nowS) + capture.random() * 3;
    if (capture.random() < 0.3) addTimeCheck(capture, host, nowS);
    if (capture.random() < 0.2) addAnnouncement(capture, host, nowS);
    // People pause for very different times; that is what tells them from a beacon.
    nowS += 20 + capture.random() ** 2 * 320;
  }
}

function addVisit(capture: Capture, host: Host, timeS: number): number {
  const site = capture.pick(sites);
  lookUp(capture, host, timeS, site.name, "A", parseIp(site.ip)!);
  const server = outside(site.ip);
  const startS = timeS + 0.05;
  if (capture.random() < 0.15) {
    const body = "<html><body>" + "hello ".repeat(capture.between(10, 120)) + "</body></html>";
    const path = `/page-${capture.between(1, 40)}.html`;
    const messages = httpMessages(site.name, path, "200 OK", body);
    return capture.conversation(startS, host, port(capture), server, 80, messages);
  }
  const messages = tlsMessages(capture, site.name, capture.between(120, 600), capture.between(150, 1_300));
  return capture.conversation(startS, host, port(capture), server, 443, messages);
}

function addTimeCheck(capture: Capture, host: Host, timeS: number): void {
  const server = outside("203.0.113.123");
  const from = port(capture);
  capture.udp(timeS, host, from, server, 123, ntp(3, timeS));
  capture.udp(timeS + 0.02, server, 123, host, from, ntp(4, timeS));
}

function addAnnouncement(capture: Capture, host: Host, timeS: number): void {
  capture.udp(timeS, host, 5353, mdnsGroup, 5353, dnsQuery(0, "_ipp._tcp.local", "PTR"));
}

function lookUp(
  capture: Capture,
  host: Host,
  timeS: number,
  name: string,
  type: DnsType,
  data: Uint8Array,
): void {
  const from = port(capture), id = capture.between(1, 65_536);
  capture.udp(timeS, host, from, resolver, 53, dnsQuery(id, name, type));
  capture.udp(
    timeS + 0.01 + capture.random() * 0.02,
    resolver,
    53,
    host,
    from,
    dnsAnswer(id, name, type, data),
  );
}

/** Every 60 s with 10 % jitter, always the same small request, and no server name in it,
 * as implants do that call an address. */
function addBeacon(capture: Capture): void {
  const host = lan(14), name = "sync.example.net", ip = "198.51.100.23";
  lookUp(capture, host, officeStartS + 3, name, "A", parseIp(ip)!);
  for (let nowS = officeStartS + 4; nowS < officeStartS + officeDurationS - 5;) {
    const messages = tlsMessages(capture, "", 212, 180);
    capture.conversation(nowS, host, port(capture), outside(ip), 443, messages);
    nowS += 60 * (0.95 + capture.random() * 0.1);
  }
}

/** SYN to 300 ports in 12 s; three are open. */
function addScan(capture: Capture): void {
  const scanner = lan(66), open = new Set([22, 139, 445]);
  const known = [
    21,
    22,
    23,
    25,
    53,
    80,
    110,
    139,
    143,
    443,
    445,
    993,
    1433,
    3306,
    3389,
    5432,
    5900,
    8080,
    8443,
  ];
  const others = Array.from({ length: 300 - known.length }, (_, i) => 1_000 + i * 7);
  const startS = officeStartS + 300, from = port(capture);
  [...known, ...others].forEach((to, i) => {
    const atS = startS + i * 0.04 + capture.random() * 0.01;
    const seq = capture.between(1, 0x7fff_ffff);
    capture.tcp(atS, scanner, from, fileServer, to, { flags: tcpFlag.syn, seq, ack: 0 });
    const isOpen = open.has(to);
    const flags = isOpen ? tcpFlag.syn | tcpFlag.ack : tcpFlag.rst | tcpFlag.ack;
    capture.tcp(atS + 0.0005, fileServer, to, scanner, from, {
      flags,
      seq: isOpen ? 7_000 + i : 0,
      ack: seq + 1,
    });
    if (isOpen) {
      capture.tcp(atS + 0.001, scanner, from, fileServer, to, { flags: tcpFlag.rst, seq: seq + 1, ack: 0 });
    }
  });
}

/** 40 sessions, each with two passwords refused. */
function addSshGuessing(capture: Capture): void {
  const attacker = outside("203.0.113.77");
  let nowS = officeStartS + 480;
  for (let i = 0; i < 40; i++) {
    const messages = sshGuessMessages(capture, 2);
    capture.conversation(nowS, attacker, port(capture), sshServer, 22, messages);
    nowS += 1.2 + capture.random();
  }
}

/** 120 questions for names that carry 60 hexadecimal digits each. */
function addDnsTunnel(capture: Capture): void {
  const host = lan(15);
  let nowS = officeStartS + 720;
  for (let i = 0; i < 120; i++) {
    const data = Array.from(capture.randomBytes(30), hex).join("");
    const name = `${data.slice(0, 30)}.${data.slice(30)}.t.example.org`;
    const answer = Array.from(capture.randomBytes(40), hex).join("");
    lookUp(capture, host, nowS, name, "TXT", dnsText(answer));
    nowS += 0.5 + capture.random() * 3;
  }
}

function port(capture: Capture): number {
  return capture.between(49_152, 65_536);
}

function hex(value: number): string {
  return value.toString(16).padStart(2, "0");
}

if (import.meta.main) {
  const output = Deno.args[0] ?? new URL("office-day.pcap", import.meta.url).pathname;
  Deno.writeFileSync(output, makeOfficeDay().toPcap());
}
