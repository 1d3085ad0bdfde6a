/** Taken-over hosts and tried accounts: sprays, protocol scans, spam, miners and spreading are found; servers that
 * serve many, mail servers, readers and file shares are not, or stay low. @module */

import { ftpBounce } from "../../../aggregator/detect/detectors/ftp_bounce.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { cryptomining } from "../../../aggregator/detect/detectors/cryptomining.ts";
import { exfiltration } from "../../../aggregator/detect/detectors/exfiltration.ts";
import { lateralMovement } from "../../../aggregator/detect/detectors/lateral_movement.ts";
import { passwordSpray } from "../../../aggregator/detect/detectors/password_spray.ts";
import { protocolScan } from "../../../aggregator/detect/detectors/protocol_scan.ts";
import { sipScan } from "../../../aggregator/detect/detectors/sip_scan.ts";
import { spam } from "../../../aggregator/detect/detectors/spam.ts";
import type { KerberosFact, LoginFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { lookUp, run, severity, times, unansweredDatagram, update } from "./updates.ts";

const kerberos = (atS: number, messages: KerberosFact[]) =>
  update(atS, { dst_ip: "10.0.0.1", dst_port: 88, app_protocol: "kerberos", facts: { kerberos: messages } });
const refusedUser = (i: number) =>
  kerberos(i * 5, [
    { message: "AS-REQ", client: `user${i}`, preauth: true },
    { message: "KRB-ERROR", error: "KDC_ERR_PREAUTH_FAILED" },
  ]);
const acceptedUser = (i: number) =>
  kerberos(i * 5, [{ message: "AS-REQ", client: `user${i}`, preauth: true }, { message: "AS-REP" }]);

Deno.test("10 accounts refused by Kerberos are a spray, 9 are not, and a server that is mostly let in is none", () => {
  const [finding] = run(passwordSpray, times(10, refusedUser));
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [["10.0.0.5"], ["10.0.0.1"], "medium"]);
  assertEquals(run(passwordSpray, times(9, refusedUser)), []);
  assertEquals(run(passwordSpray, [...times(40, acceptedUser), ...times(10, refusedUser)]), []);
  const lucky = run(passwordSpray, [...times(20, refusedUser), acceptedUser(21)])[0];
  assertStringIncludes(lucky.words.action, "1 log-in(s) of 10.0.0.5 were accepted");
});

Deno.test("names that a domain does not know, and one account refused by 10 hosts, are sprays; 60 tries on each are guessing", () => {
  const unknown = times(12, (i) =>
    kerberos(i, [{ message: "AS-REQ", client: `guess${i}` }, {
      message: "KRB-ERROR",
      error: "KDC_ERR_C_PRINCIPAL_UNKNOWN",
    }]));
  assertEquals(run(passwordSpray, unknown).map(severity), ["medium"]);
  const login = (
    count: number,
  ): LoginFact[] => [{ service: "pop3", user: "root", outcome: "refused", count }];
  const hosts = (count: number, tries = 1) =>
    run(
      passwordSpray,
      times(count, (i) => update(i, { dst_ip: `10.0.0.${i + 10}`, facts: { logins: login(tries) } })),
    );
  assertEquals([hosts(10).map(severity), hosts(9)], [["medium"], []]);
  assertEquals([hosts(10, 5).length, hosts(10, 6).length], [1, 0]);
});

Deno.test("8 IP protocols without an answer are a protocol scan, 7 are not", () => {
  const tried = (count: number, change: Partial<Segment> = {}) =>
    run(
      protocolScan,
      times(count, (i) =>
        update(i, { ...unansweredDatagram, protocol: `proto-${i + 60}`, dst_ip: "10.0.0.9", ...change })),
    );
  const [finding] = tried(8);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [["10.0.0.5"], ["10.0.0.9"], "medium"]);
  assertEquals(tried(7), []);
  assertEquals(tried(20, { bwd_packets: 1 }), []);
});

const deliver = (servers: number, change: Partial<Segment> = {}) =>
  times(servers, (i) => update(i * 20, { dst_ip: `198.51.100.${i + 1}`, dst_port: 25, ...change }));

Deno.test("mail to 8 servers outside is spam unless the host receives mail", () => {
  const [finding] = run(spam, deliver(8));
  assertEquals([finding.src_ips, finding.dst_ips.length, severity(finding)], [["10.0.0.5"], 8, "medium"]);
  assertEquals(run(spam, deliver(7)), []);
  const inbound = update(0, { src_ip: "203.0.113.25", dst_ip: "10.0.0.5", dst_port: 25 });
  const relayed = update(0, { src_ip: "10.0.0.9", dst_ip: "10.0.0.5", dst_port: 587 });
  assertEquals([run(spam, [inbound, ...deliver(30)]), run(spam, [relayed, ...deliver(30)])], [[], []]);
  assertEquals(run(spam, deliver(30, { dst_port: 587 })), [], "a mail program");
  assertEquals(run(spam, deliver(30, { bwd_payload_bytes: 0 })), [], "nobody answers: a scan");
});

const subscribe = "7b226964223a312c226d6574686f6422"; // {"id":1,"method"
const answer = "7b226964223a312c2265727226f72223a";
const session = (change: Partial<Segment> = {}, longS = 10) =>
  update(0, {
    dst_port: 8_888,
    end: 1_700_000_000 + longS,
    facts: { first: { fwd: subscribe, bwd: answer } },
    ...change,
  });

Deno.test("a miner is told by the language of pools; a name or a port alone is low or nothing", () => {
  const [finding] = run(cryptomining, [session()]);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [
    ["10.0.0.5"],
    ["198.51.100.7"],
    "medium",
  ]);
  assertEquals(run(cryptomining, [session({ dst_ip: "10.0.0.9" })]), [], "inside");
  assertEquals(run(cryptomining, [session({ facts: { first: { fwd: subscribe, bwd: "485454502f" } } })]), []);
  assertEquals(run(cryptomining, [session({ dst_port: 50_002 })]), [], "a wallet");
  assertEquals(run(cryptomining, [session({ dst_port: 3_333, facts: null })]), [], "a port alone");
  const name = lookUp(0, "pool.supportxmr.com", "A");
  const asked = (count: number) =>
    run(cryptomining, times(count, (i) => lookUp(i, "pool.supportxmr.com", "A")));
  assertEquals([asked(5).map(severity), asked(4)], [["low"], []]);
  assertEquals(run(cryptomining, [lookUp(0, "supportxmr-news.example", "A")]), []);
  const long = (longS: number) => run(cryptomining, [name, session({ dst_port: 3_333, facts: null }, longS)]);
  assertEquals([long(301), long(299)].flat().map(severity), ["medium", "low"]);
});

const reach = (i: number, change: Partial<Segment> = {}) =>
  update(i * 60, { dst_ip: `10.0.0.${i + 20}`, dst_port: 445, ...change });

Deno.test("sessions with many hosts that nobody else uses are low at 8, medium at 30; servers do not count", () => {
  assertEquals(run(lateralMovement, times(7, (i) => reach(i))), []);
  assertEquals(run(lateralMovement, times(8, (i) => reach(i))).map(severity), ["low"]);
  const [wide] = run(lateralMovement, times(30, (i) => reach(i)));
  assertEquals([wide.src_ips, wide.dst_ips.length, severity(wide)], [["10.0.0.5"], 30, "medium"]);
  const busy = times(
    30,
    (i) => [reach(i, { src_ip: "10.0.0.6" }), reach(i, { src_ip: "10.0.0.7" }), reach(i)],
  ).flat();
  assertEquals(run(lateralMovement, busy), []);
  assertEquals(run(lateralMovement, times(30, (i) => reach(i, { bwd_payload_bytes: 0 }))), []);
});

Deno.test("SSH to however many hosts is how they are administered, and low; SSH and something else is not", () => {
  const ssh = times(60, (i) => reach(i, { dst_port: 22 }));
  assertEquals(run(lateralMovement, ssh).map(severity), ["low"]);
  assertEquals(run(lateralMovement, [...ssh, reach(1)]).map(severity), ["medium"]);
  assertEquals(run(lateralMovement, times(60, (i) => reach(i, { dst_port: 5_985 }))).map(severity), [
    "medium",
  ]);
});

Deno.test("administrative shares of 3 hosts are lateral movement, of 2 and ordinary shares are not", () => {
  const share = (count: number, tree: string) =>
    run(
      lateralMovement,
      times(count, (i) => reach(i, { facts: { smb: [{ command: "tree_connect", tree }] } })),
    );
  const [finding] = share(3, "\\\\pc\\ADMIN$");
  assertEquals([severity(finding), finding.dst_ips], ["medium", ["10.0.0.20", "10.0.0.21", "10.0.0.22"]]);
  assertEquals([share(2, "\\\\pc\\C$"), share(5, "\\\\pc\\IPC$"), share(5, "\\\\pc\\public")], [[], [], []]);
  assert(finding.words.action.includes("10.0.0.20, 10.0.0.21, 10.0.0.22."));
});

Deno.test("a session between two controllers is found; its reports to servers are not", () => {
  const polled = (ip: string) => update(-9, { src_ip: "10.0.0.100", dst_ip: ip, dst_port: 502 });
  const move = (change: Partial<Segment> = {}) =>
    run(lateralMovement, [
      polled("10.0.0.101"),
      polled("10.0.0.103"),
      update(0, {
        src_ip: "10.0.0.101",
        dst_ip: "10.0.0.103",
        dst_port: 24_295,
        ...change,
      }),
    ]);
  const [finding] = move();
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [
    ["10.0.0.101"],
    ["10.0.0.103"],
    "medium",
  ]);
  assertStringIncludes(finding.words.action, "do not cut 10.0.0.101 off");
  assertStringIncludes(finding.words.summary, "10.0.0.101 had 1 working session");
  assertEquals(move({ segment: 1, fwd_tcp_flags: 24, bwd_tcp_flags: 24 }).length, 1, "seen from its middle");
  assertEquals(move({ dst_port: 502 }), [], "controllers exchange values");
  assertEquals(move({ dst_port: 443 }), []);
  assertEquals(move({ src_ip: "10.0.0.55" }), [], "no controller");
  assertEquals(move({ dst_ip: "10.0.0.55" }), [], "a server");
  assertEquals(move({ bwd_payload_bytes: 0 }), []);
});

const send = (atS: number, dst_ip: string, octets: number, change: Partial<Segment> = {}) =>
  update(atS, { dst_ip, fwd_payload_bytes: octets, bwd_payload_bytes: 20_000, ...change });
const past = [send(0, "198.51.100.1", 9_000_000), send(3_500, "198.51.100.2", 4_000_000)];

Deno.test("data leaving is told against the host's own past, from 100 million octets and ten times its most on", () => {
  const [finding] = run(exfiltration, [...past, send(3_700, "203.0.113.9", 101_000_000)]);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [
    ["10.0.0.5"],
    ["203.0.113.9"],
    "medium",
  ]);
  assertStringIncludes(finding.words.summary, "sent 101000000 octets to 203.0.113.9");
  assertEquals(run(exfiltration, [...past, send(3_700, "203.0.113.9", 99_000_000)]), []);
  const bigger = [send(0, "198.51.100.1", 11_000_000)];
  assertEquals(run(exfiltration, [...bigger, send(3_700, "203.0.113.9", 101_000_000)]).map(severity), [
    "low",
  ]);
  assertEquals(
    run(exfiltration, [send(0, "203.0.113.9", 101_000_000)]).map(severity),
    ["low"],
    "nothing is known of it",
  );
});

Deno.test("calls both ways, downloads, what three hosts call, and the nightly backup are not medium", () => {
  const later = (change: Partial<Segment>, before = past) =>
    run(exfiltration, [...before, send(90_000, "203.0.113.9", 150_000_000, change)]).map(severity);
  assertEquals(later({}), ["medium"]);
  assertEquals(later({ bwd_payload_bytes: 140_000_000 }), []);
  const nightly = [...past, send(3_600, "203.0.113.9", 140_000_000)];
  assertEquals(later({}, nightly), ["medium", "low"], "the first night, and the second");
  const others = ["10.0.0.6", "10.0.0.7"].map((src_ip) => send(80_000, "203.0.113.9", 5_000, { src_ip }));
  assertEquals(later({}, [...past, ...others]), ["low"]);
});

Deno.test("FTP bounce: whoever sends PORT for another machine is the attacker; scans and service ports weigh more", () => {
  const ports = (places: string[], change: Partial<Segment> = {}) =>
    run(ftpBounce, [
      update(0, {
        dst_ip: "10.0.0.21",
        dst_port: 21,
        facts: { ftp: places.map((argument) => ({ command: "PORT", argument, reply: 200 })) },
        ...change,
      }),
    ]).map((finding) => [finding.src_ips, severity(finding)]);
  assertEquals(ports(["10,0,9,99,19,137"]), [[["10.0.0.5"], "medium"]]);
  assertEquals(ports(["10,0,0,99,19,137"]), [[["10.0.0.5"], "low"]], "a neighbour, perhaps itself");
  assertEquals(ports(times(10, (i) => `10,0,0,99,0,${20 + i}`)), [[["10.0.0.5"], "high"]]);
  assertEquals(ports(times(9, (i) => `10,0,9,99,19,${20 + i}`)), [[["10.0.0.5"], "medium"]]);
  assertEquals(ports(["10,0,0,5,19,137"]), [], "itself");
  const translated = { src_ip: "203.0.113.7" };
  assertEquals(
    ports(["192,168,1,9,19,137", "192,168,1,9,19,138"], translated),
    [],
    "behind address translation",
  );
  assertEquals(
    ports(["10,0,0,99,0,22"], translated).map(([, one]) => one),
    ["medium"],
    "a port of a service",
  );
  assertEquals(ports(["300,0,0,99,0,22", "PASV"]), []);
});

Deno.test("FTP bounce is read from EPRT as well", () => {
  const eprt = (argument: string, change: Partial<Segment> = {}) =>
    run(ftpBounce, [update(0, { dst_port: 21, facts: { ftp: [{ command: "EPRT", argument }] }, ...change })])
      .length;
  assertEquals([eprt("|1|10.0.0.99|5001|"), eprt("|1|10.0.0.5|5001|"), eprt("|9|x|1|")], [1, 0, 0]);
  const own = { src_ip: "2001:db8::5", dst_ip: "2001:db8::21" };
  assertEquals(eprt("|2|2001:DB8:0:0:0:0:0:5|5001|", own), 0, "its own address, spelt another way");
  assertEquals([eprt("|2|2001:db8::99|5001|", own), eprt("|2|2001:db8::99|70000|", own)], [1, 0]);
});

Deno.test("a SIP scanner is known by its name; a telephone is none, however many it calls", () => {
  const asks = (agent: string, hosts: number) =>
    run(
      sipScan,
      times(hosts, (i) =>
        update(i, {
          protocol: "udp",
          src_ip: "203.0.113.9",
          dst_ip: `10.0.0.${i + 1}`,
          dst_port: 5_060,
          facts: { other: { "sip.Method": "OPTIONS", "sip.User-Agent": agent } },
        })),
    ).map((finding) => [finding.src_ips, severity(finding)]);
  assertEquals(asks("friendly-scanner", 1), [[["203.0.113.9"], "medium"]]);
  assertEquals(asks("sipcli/v1.8", 200), [[["203.0.113.9"], "medium"]]);
  assertEquals(asks("smap 0.6.0", 1).length, 1);
  assertEquals([asks("Linphone/3.6", 200), asks("Bigsmap 2", 200)], [[], []]);
});
