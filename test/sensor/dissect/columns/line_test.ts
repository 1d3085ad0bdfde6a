/** Lines of the dissector to facts: every family, every bound. @module */

import { assert, assertEquals } from "@std/assert";
import { factLimits, type Facts } from "../../../../shared/facts.ts";
import { readProtocols } from "../../../../sensor/dissect/columns/app_protocol.ts";
import { readFacts, splitLine } from "../../../../sensor/dissect/columns/line.ts";
import { FactPool } from "../../../../sensor/dissect/facts/fact_pool.ts";
import { FactsJoin, segmentCharactersMax } from "../../../../sensor/dissect/join.ts";
import { columnFormat, slotCount, slotFields } from "../../../../sensor/dissect/columns/slots.ts";
import type { SlotName } from "../../../../sensor/dissect/columns/slots.ts";
import { splitCounted } from "../../../../sensor/dissect/columns/split.ts";
import { columnsOf, lineOf } from "../fixture.ts";
import { newFacts, takenFrom, written } from "../readings.ts";

/** Facts of one segment with these lines, and the application protocol of the last. */
function read(...lines: Partial<Record<SlotName, string>>[]): { app: string; facts: Facts } {
  const facts = newFacts(new FactPool(10_000_000));
  const apps = lines.map((values) => readFacts(columnsOf(values), facts));
  return { app: apps.at(-1)!, facts: written(facts) };
}

const tcp = "eth:ethertype:ip:tcp:";
const udp = "eth:ethertype:ip:udp:";

Deno.test("a DNS response gives question, rcode and the answer section in order", () => {
  const { app, facts } = read({
    protocols: udp + "dns",
    kind: "0x002a",
    status: "1",
    rcode: "0",
    questions: "1",
    answers: "2",
    name: "www.example.org",
    type: "1",
    responseType: "5,1,2,41",
    a: "192.0.2.7",
    cname: "host.example.org",
    ns: "ns.example.org",
  });
  assertEquals(app, "dns");
  assertEquals(facts.dns, [{
    name: "www.example.org",
    type: "A",
    rcode: "NOERROR",
    answers: ["host.example.org", "192.0.2.7"],
    unasked: true,
  }]);
});

Deno.test("two DNS messages in one packet are told apart, and their answers from the records of other sections", () => {
  const { facts } = read({
    protocols: tcp + "dns:dns",
    kind: "0x0001,0x0002",
    status: "1,1",
    rcode: "3,0",
    questions: "1,1",
    // Answers, authority, additional.
    answers: "0,1,1,0,1,1",
    name: "a.test,b.test",
    type: "28,2",
    responseType: "2,41,2,41",
    ns: "above.test,ns.b.test",
  });
  assertEquals(facts.dns, [
    { name: "a.test", type: "AAAA", rcode: "NXDOMAIN", unasked: true },
    { name: "b.test", type: "NS", rcode: "NOERROR", answers: ["ns.b.test"], unasked: true },
  ]);
});

Deno.test("a DNS update has no answers, whatever its counts count", () => {
  const { facts } = read({
    protocols: udp + "dns",
    kind: "0x0001",
    status: "1",
    rcode: "0",
    answers: "1",
    name: "a.test",
    type: "6",
    responseType: "1",
    a: "192.0.2.7",
  });
  assertEquals(facts.dns, [{ name: "a.test", type: "SOA", rcode: "NOERROR", unasked: true }]);
});

Deno.test("a DNS query has no rcode, in the words of both generations of tshark", () => {
  for (const flag of ["0", "False"]) {
    const values = {
      protocols: udp + "mdns",
      kind: "0x0000",
      status: flag,
      questions: "1",
      name: "x",
      type: "65400",
    };
    const { app, facts } = read(values);
    assertEquals(app, "mdns");
    assertEquals(facts.dns, [{ name: "x", type: "TYPE65400" }]);
  }
});

Deno.test("what the server chose replaces what the client offered", () => {
  const hello = {
    protocols: tcp + "tls",
    kind: "1",
    status: "0x0303",
    rcode: "0x9a9a,0x0304,0x0303",
    questions: "0x1301,0x1302",
    answers: "0,16,43,13",
    name: "example.org",
    type: "0x0403,0x0804",
    text: "4",
    srv: "h2,http/1.1",
    ptr: "abc",
  };
  const { facts: offered } = read(hello);
  assertEquals([offered.tls?.version, offered.tls?.alpn, offered.tls?.cipher], ["TLS 1.3", "h2", undefined]);
  const { facts } = read(hello, {
    protocols: tcp + "tls:tls",
    kind: "2,11",
    status: "0x0303",
    questions: "0xc02f",
    srv: "http/1.1",
    mx: "def",
    responseType: "2.5.4.6,2.5.4.10,2.5.4.3,2.5.4.6,2.5.4.3,2.5.4.3",
    a: "1,4,4,1",
    ns: "Certs, Inc.,other",
    cname: "Certs CA 1,example.org",
    aaaa: "2026-01-01 00:00:00 (UTC),2027-02-03 04:05:06 (UTC)",
    bytes: "2,3",
  });
  assertEquals({ ...facts.tls, ja4: undefined }, {
    sni: "example.org",
    version: "TLS 1.2",
    alpn: "http/1.1",
    cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ja3: "abc",
    ja3s: "def",
    ja4: undefined,
    certificate_subject: "example.org",
    certificate_issuer: "Certs CA 1",
    certificate_not_before: "2026-01-01T00:00:00Z",
    certificate_not_after: "2027-02-03T04:05:06Z",
  });
});

Deno.test("a certificate whose lists do not add up gives no names", () => {
  const { facts } = read({
    protocols: tcp + "tls",
    kind: "11",
    responseType: "2.5.4.3",
    a: "4,4",
    bytes: "2,3",
  });
  assertEquals(facts.tls, {});
});

Deno.test("a QUIC ClientHello fills quic, its fingerprint of the client tls", () => {
  const { app, facts } = read({
    protocols: udp + "quic:tls",
    kind: "1",
    status: "0x0303",
    rcode: "0x0304",
    questions: "0x1301",
    answers: "0,43",
    name: "q.example",
    responseType: "0x00000001",
    ptr: "j3",
  });
  assertEquals(app, "quic");
  assertEquals([facts.quic?.sni, facts.quic?.version, facts.quic?.ja4?.slice(0, 4)], [
    "q.example",
    "1",
    "q13d",
  ]);
  assertEquals([facts.tls?.sni, facts.tls?.ja3], [undefined, "j3"]);
});

Deno.test("one HTTP request keeps its commas, two are told apart", () => {
  const one = read({ protocols: tcp + "http", kind: "GET", name: "a", srv: "/x,y", text: "M (K, like G)" });
  assertEquals(one.facts.http, [{ method: "GET", host: "a", uri: "/x,y", user_agent: "M (K, like G)" }]);
  const two = read({ protocols: tcp + "http", kind: "GET,POST", name: "a,b", srv: "/1,/2" });
  assertEquals(two.facts.http?.map(({ host, uri }) => [host, uri]), [["a", "/1"], ["b", "/2"]]);
  const second = read({
    protocols: tcp + "http:http2",
    kind: "GET,GET",
    name: "a,b",
    srv: "/1,/2",
    status: "",
  });
  assertEquals([second.app, second.facts.http?.map(({ host }) => host)], ["http2", ["a", "b"]]);
  assertEquals(read({ protocols: tcp + "http2", status: "200" }).facts.http, [{ status: 200 }]);
  const response = read({ protocols: tcp + "http:media", status: "404", service: "text/html; charset=x" });
  assertEquals(response.facts.http, [{ status: 404, content_type: "text/html; charset=x" }]);
});

Deno.test("an FTP reply stands with its command", () => {
  const { facts } = read(
    { protocols: tcp + "ftp", status: "220" },
    { protocols: tcp + "ftp", kind: "USER", name: "root" },
    { protocols: tcp + "ftp", status: "331" },
  );
  assertEquals(facts.ftp, [
    { command: "", argument: "", reply: 220 },
    { command: "USER", argument: "root", reply: 331 },
  ]);
});

Deno.test("SSH, DHCP, SMB, SIP and Kerberos names are read", () => {
  const { app, facts } = read(
    { protocols: tcp + "ssh", kind: "SSH-2.0-c", status: "0" },
    { protocols: tcp + "ssh", kind: "SSH-2.0-s", status: "1" },
    { protocols: tcp + "ssh", name: "0123", status: "0" },
    { protocols: udp + "dhcp", kind: "3", name: "pi", a: "192.0.2.9", text: "MSFT 5.0" },
    { protocols: tcp + "nbss:smb2:ntlmssp", kind: "1", status: "0xc000006d", aaaa: "bob" },
    { protocols: udp + "sip", kind: "INVITE", type: "sip:a@b" },
    { protocols: udp + "kerberos", ptr: "10", ns: "alice,admin", questions: "18,99", rcode: "2" },
  );
  assertEquals(app, "kerberos");
  assertEquals(facts, {
    ssh: { client: "SSH-2.0-c", server: "SSH-2.0-s", hassh: "0123" },
    dhcp: [{ message_type: "REQUEST", hostname: "pi", requested_ip: "192.0.2.9", vendor_class: "MSFT 5.0" }],
    smb: [{ command: "session_setup", account: "bob", status: "STATUS_LOGON_FAILURE" }],
    other: { "sip.Method": "INVITE", "sip.r-uri": "sip:a@b" },
    kerberos: [{
      message: "AS-REQ",
      client: "alice/admin",
      asked: ["aes256-cts-hmac-sha1-96", "99"],
      preauth: true,
    }],
  });
});

Deno.test("every list and string stays within its bound, and what is cut is counted", () => {
  const requests = factLimits.entriesMax + 36;
  const line = { protocols: tcp + "http", kind: "GET", srv: "/" + "x".repeat(factLimits.charactersMax) };
  const { facts: { http = [], cut } } = read(...new Array(requests).fill(line));
  assertEquals(http.length, factLimits.entriesMax);
  assert(http.every((entry) => entry.uri!.length === factLimits.charactersMax));
  assertEquals(cut, requests + 36);
  const many = Array.from({ length: 30 }, (_, i) => `192.0.2.${i}`);
  const { facts: dns } = read({
    protocols: udp + "dns",
    kind: "0x0001",
    status: "1",
    rcode: "0",
    questions: "1",
    answers: "30",
    name: "x",
    type: "1",
    responseType: many.map(() => "1").join(),
    a: many.join(),
  });
  assertEquals([dns.dns?.[0].answers?.length, dns.cut], [factLimits.answersMax, 14]);
});

Deno.test("a line with other columns or another frame number is told by its reason", () => {
  assertEquals(splitLine("1\tx", 1), { reason: "columns" });
  assertEquals(splitLine(lineOf(1).replace("\n", "\ta\tb"), 1), { reason: "columns" });
  assertEquals(splitLine(lineOf(2).replace("\n", ""), 1), { reason: "frame_number" });
  assert("columns" in splitLine(lineOf(2).replace("\n", ""), 2));
});

Deno.test("protocol names are stable words", () => {
  const names: [string, string][] = [
    [tcp + "nbss:smb2:data", "smb"],
    [tcp + "tls:x509sat", "tls"],
    [udp + "quic:tls", "quic"],
    ["eth:ethertype:ip:udp:teredo:ipv6:tcp:http:media", "http"],
    [tcp + "data", ""],
    [udp + "we!rd", ""],
    ["eth:ethertype:arp", ""],
    [tcp + "tpkt:cotp:rdp", "rdp"],
  ];
  for (const [text, app] of names) assertEquals(readProtocols(text).app, app, text);
});

Deno.test("a column is only cut where the count says so", () => {
  assertEquals(splitCounted("a,b", 1), ["a,b"]);
  assertEquals(splitCounted("a,b", 2), ["a", "b"]);
  assertEquals(splitCounted("A, Inc.,b", 2), ["A, Inc.", "b"]);
  assertEquals(splitCounted("a,b,c", 2), ["a,b,c"]);
  assertEquals(splitCounted("", 2), []);
});

Deno.test("each field is read once, and unknown ones are left out of the format", () => {
  assertEquals(new Set(slotFields).size, slotFields.length);
  assert(!columnFormat((field) => field !== "smb.file").includes("smb.file "));
  assertEquals(columnFormat(() => false).split('","%Cus:').length - 1, slotCount);
});

const request = (name: string) => columnsOf({ protocols: tcp + "http", kind: "GET", name });
const taken = (join: FactsJoin, flowId: number, segment: number) =>
  takenFrom({ takeFacts: (...asked) => join.take(...asked) }, flowId, segment);
const hosts = (facts: Facts | null) => facts?.http?.map((message) => message.host);

Deno.test("the join gives facts once, the protocol always, and drops the flow added to longest ago when full", () => {
  const join = new FactsJoin(4);
  join.add(1, 0, request("a"));
  assertEquals(taken(join, 1, 0), { app_protocol: "http", facts: { http: [{ method: "GET", host: "a" }] } });
  assertEquals(taken(join, 1, 1), { app_protocol: "http", facts: null });
  assertEquals(taken(join, 99, 0), { app_protocol: "", facts: null });
  for (const flow of [2, 3, 4, 2, 5, 6]) join.add(flow, 0, request("b"));
  // Nothing of the first was unread.
  assertEquals([join.size, join.dropped], [4, 1]);
  assertEquals(taken(join, 3, 0), { app_protocol: "", facts: null });
  for (const [flow, count] of [[2, 2], [4, 1], [5, 1], [6, 1]]) {
    assertEquals(taken(join, flow, 0).facts?.http?.length, count);
  }
});

Deno.test("every flow has its place, as many as told, however large its number", () => {
  const join = new FactsJoin(1_024);
  const first = 2 ** 40;
  for (let flow = first; flow < first + 1_024; flow++) join.add(flow, 0, request(`${flow}`));
  assertEquals([join.size, join.dropped], [1_024, 0]);
  for (let flow = first; flow < first + 1_024; flow++) {
    assertEquals(hosts(taken(join, flow, 0).facts), [`${flow}`]);
  }
});

Deno.test("facts stand in the segment whose packets brought them, whenever the answers come", () => {
  const join = new FactsJoin(100);
  join.add(1, 2, request("c"));
  join.add(1, 0, request("a"));
  join.add(1, 2, request("d"));
  assertEquals(hosts(taken(join, 1, 0).facts), ["a"]);
  assertEquals(taken(join, 1, 1), { app_protocol: "http", facts: null });
  assertEquals(hosts(taken(join, 1, 2).facts), ["c", "d"]);
  assertEquals(taken(join, 1, 3).facts, null);
});

Deno.test("facts that come after their segment was reported stand in a later one", () => {
  const join = new FactsJoin(100);
  join.add(1, 0, request("a"));
  taken(join, 1, 0);
  join.add(1, 0, request("late"));
  join.add(1, 1, request("b"));
  assertEquals(hosts(taken(join, 1, 1).facts), ["late", "b"]);
});

Deno.test("a DNS answer stands with its question where both are of one segment", () => {
  const join = new FactsJoin(100);
  const message = (id: number, isResponse: boolean) =>
    columnsOf({
      protocols: udp + "dns",
      kind: `0x${id.toString(16)}`,
      status: isResponse ? "1" : "0",
      rcode: isResponse ? "0" : "",
      questions: "1",
      answers: "0",
      name: "a.test",
      type: "1",
    });
  join.add(1, 0, message(1, false));
  join.add(2, 0, message(1, true));
  join.add(1, 0, message(2, false));
  join.add(1, 1, message(2, true));
  join.add(1, 0, message(1, true));
  const question = { name: "a.test", type: "A" };
  const answered = { ...question, rcode: "NOERROR" };
  assertEquals(taken(join, 1, 0).facts?.dns, [answered, question]);
  assertEquals(taken(join, 1, 1).facts?.dns, [{ ...answered, unasked: true }]);
  assertEquals(taken(join, 2, 0).facts?.dns, [{ ...answered, unasked: true }]);
});

Deno.test("the characters of a segment are bounded, and each packet beyond them is counted", () => {
  const join = new FactsJoin(100);
  const long = "x".repeat(factLimits.charactersMax);
  const cost = JSON.stringify({ method: "GET", host: long }).length - 1;
  const room = Math.ceil(segmentCharactersMax / cost);
  for (let i = 0; i < room + 7; i++) join.add(1, 0, request(long));
  const { facts } = taken(join, 1, 0);
  assertEquals([facts?.http?.length, facts?.cut], [room, 7]);
});

Deno.test("the characters of all flows are bounded", () => {
  const join = new FactsJoin(1_000, 2_000);
  const fill = (segment: number) => {
    for (let flow = 1; flow <= 40; flow++) join.add(flow, segment, request("x".repeat(100)));
    const all = Array.from({ length: 40 }, (_, i) => taken(join, i + 1, segment).facts);
    const kept = all.filter((facts) => facts?.http).length;
    assertEquals(kept + all.reduce((sum, facts) => sum + (facts?.cut ?? 0), 0), 40);
    assert(kept > 10 && kept < 20, `${kept} kept`);
  };
  fill(0);
  // What was taken leaves its room to others.
  fill(1);
});

Deno.test("a certificate in an OCSP answer is no login", () => {
  const { facts } = read({ protocols: tcp + "http:ocsp:x509sat", status: "200", aaaa: "20-01-01", ns: "US" });
  assertEquals(facts, { http: [{ status: 200 }] });
});

Deno.test("SMB tells the dialect chosen, a log-in that ended, and the first command of a chain", () => {
  const two = tcp + "nbss:smb2", one = tcp + "nbss:smb";
  const { facts } = read(
    { protocols: two, kind: "0", type: "0x0202,0x0311" },
    { protocols: two, kind: "0", status: "0x00000000", type: "0x0311" },
    { protocols: two + ":ntlmssp", kind: "1", aaaa: "eve", a: "KALI" },
    { protocols: two, kind: "1", status: "0x00000000" },
    { protocols: two, kind: "3", name: "\\\\h\\ADMIN$" },
    { protocols: two, kind: "5", status: "0x00000000", name: "\\\\h\\ADMIN$" },
    { protocols: one, kind: "0x72", status: "0x00000000", type: "65535" },
    { protocols: one, kind: "0x72", status: "0x00000000", type: "5" },
    { protocols: one, kind: "0xff,0x73", status: "0xc000006d" },
  );
  assertEquals(facts.smb, [
    { command: "negotiate", dialect: "3.1.1" },
    { command: "session_setup", account: "eve", host: "KALI" },
    { command: "session_setup", status: "STATUS_SUCCESS" },
    { command: "tree_connect", tree: "\\\\h\\ADMIN$" },
    { command: "negotiate", dialect: "1" },
    { command: "session_setup", status: "STATUS_LOGON_FAILURE" },
  ]);
});

Deno.test("DHCP messages of many clients in one flow are told apart, equal ones counted", () => {
  const discover = (mac: string) => ({
    protocols: udp + "dhcp",
    kind: "1",
    mx: mac,
    srv: "0.0.0.0",
    type: "1,3,6",
  });
  const { facts } = read(
    discover("02:00:00:00:00:01"),
    discover("02:00:00:00:00:02"),
    discover("02:00:00:00:00:01"),
    {
      protocols: udp + "dhcp",
      kind: "2",
      mx: "02:00:00:00:00:01",
      srv: "192.0.2.50",
      ns: "192.0.2.1",
      cname: "192.0.2.254",
      aaaa: "192.0.2.53,192.0.2.54",
    },
  );
  const asked = { message_type: "DISCOVER", fingerprint: "1,3,6" };
  assertEquals(facts.dhcp, [
    { ...asked, mac: "02:00:00:00:00:01", count: 2 },
    { ...asked, mac: "02:00:00:00:00:02" },
    {
      message_type: "OFFER",
      mac: "02:00:00:00:00:01",
      server: "192.0.2.1",
      offered_ip: "192.0.2.50",
      routers: ["192.0.2.254"],
      dns_servers: ["192.0.2.53", "192.0.2.54"],
    },
  ]);
});
