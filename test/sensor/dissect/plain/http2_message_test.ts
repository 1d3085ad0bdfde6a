/** HTTP/2 without TLS, read from segments that cut it anywhere.
 *
 * Method: header blocks of RFC 7541, appendix C, and such as are made here; a connection is cut into segments of every
 * size, and what is read must not depend on it. @module */

import { assert, assertEquals } from "@std/assert";
import { HpackDecoder } from "../../../../sensor/dissect/plain/hpack.ts";
import { Http2Reader } from "../../../../sensor/dissect/plain/http2_message.ts";
import { plainKind } from "../../../../sensor/dissect/plain/plain_kind.ts";
import { bytes, u32 } from "../../frames.ts";
import { prng } from "../../ship/helpers.ts";
import { bytesOf } from "../fixture.ts";
import { newFacts, written } from "../readings.ts";

const preface = bytesOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const headers = 1, data = 0, settings = 4, push = 5, continuation = 9;
const endHeaders = 4, padded = 8, priority = 0x20;

function frame(type: number, flags: number, payload: Uint8Array): Uint8Array {
  return bytes(u32(payload.length).slice(1), type, flags, u32(1), payload);
}

function hex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/[0-9a-f]{2}/g)!, (pair) => parseInt(pair, 16));
}

/** A text as it is, of any length. */
function plain(text: string): Uint8Array {
  const octets: number[] = [];
  let rest = text.length - 127;
  if (rest >= 0) { for (; rest >= 128; rest = rest >> 7) octets.push(rest & 127 | 128); }
  return bytes(...(text.length < 127 ? [text.length] : [127, ...octets, rest]), bytesOf(text));
}

/** A field that the table keeps, or not. */
function field(name: string, value: string, isKept = true): Uint8Array {
  return bytes(isKept ? 0x40 : 0, plain(name), plain(value));
}

/** Reads `stream` in segments of `size`, as one direction of flow `flowId`. */
function read(stream: Uint8Array, size = stream.length, reader = new Http2Reader(), flowId = 1) {
  const facts = newFacts();
  for (let at = 0; at < stream.length; at += size) send(reader, stream, at, at + size, facts, flowId);
  return written(facts);
}

function send(
  reader: Http2Reader,
  stream: Uint8Array,
  from: number,
  to: number,
  facts = newFacts(),
  flowId = 1,
): void {
  const payload = stream.subarray(from, to);
  // Numbers that pass 2^31 on the way.
  const plainSeq = (0x7fffff00 + from) | 0;
  const kind = from === 0 ? plainKind.http2 : plainKind.http2More;
  const where = {
    plainKind: kind,
    plainOffset: 3,
    plainLength: payload.length,
    plainSeq,
    isFromServer: false,
  };
  reader.read(where, bytes(9, 9, 9, payload, 9), facts, flowId);
}

function decode(decoder: HpackDecoder, digits: string): string[] | null {
  const fields: string[] = [];
  const block = hex(digits);
  return decoder.decode(block, block.length, (name, value) => fields.push(`${name}: ${value}`))
    ? fields
    : null;
}

const request = bytes(
  field(":method", "GET", false),
  field(":path", "/a", false),
  field("x-filler", "f".repeat(20_000), false),
  field(":authority", "www.example"),
  field("user-agent", "agent/1"),
);
const second = frame(headers, endHeaders, bytes(0x83, 0x84, 0xbf, 0xbe));
const asked = [
  { method: "GET", uri: "/a", host: "www.example", user_agent: "agent/1" },
  { method: "POST", uri: "/", host: "www.example", user_agent: "agent/1" },
];

Deno.test("header blocks of RFC 7541 are decoded, with Huffman's code and the table of those before", () => {
  const requests = new HpackDecoder();
  const first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
  assertEquals(decode(requests, "828684418cf1e3c2e5f23a6ba0ab90f4ff"), first);
  assertEquals(decode(requests, "828684be5886a8eb10649cbf"), [...first, "cache-control: no-cache"]);
  assertEquals(decode(requests, "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"), [
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
  ]);
  assertEquals(requests.octets, 164);
  // A table of 256 octets, which the second block makes forget.
  const responses = new HpackDecoder();
  const date = "date: Mon, 21 Oct 2013 20:13:21 GMT", location = "location: https://www.example.com";
  assertEquals(
    decode(
      responses,
      "3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff" +
        "6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    ),
    [":status: 302", "cache-control: private", date, location],
  );
  assertEquals(responses.octets, 222);
  assertEquals(decode(responses, "4883640effc1c0bf"), [
    ":status: 307",
    "cache-control: private",
    date,
    location,
  ]);
  assertEquals(responses.octets, 222);
});

Deno.test("a header block that breaks a rule is none", () => {
  const broken = {
    "an index of nobody's": "be",
    "index 0": "80",
    "a number that is cut": "ff",
    "a number beyond all bounds": "ffffffffffffffff7f",
    "a text that is cut": "400a61",
    "a value that is missing": "4001 61",
    "a code filled up with zeros": "40 81 18 00",
    "a code filled up with a whole octet": "40 82 1fff 00",
    "the end mark": "40 84 ffffffff 00",
    "a table of 65,537 octets": "3fe2ff03",
  };
  for (const [what, digits] of Object.entries(broken)) {
    assertEquals(decode(new HpackDecoder(), digits), null, what);
  }
  assertEquals(decode(new HpackDecoder(), "3fe1ff03"), [], "a table of 65,536 octets");
  assertEquals(decode(new HpackDecoder(), "82".repeat(512))?.length, 512);
  assertEquals(decode(new HpackDecoder(), "82".repeat(513)), null);
});

Deno.test("a request over many segments is read whatever the segments, in one frame or in several", () => {
  const parts = [];
  for (let at = 0; at < request.length; at += 7_000) {
    const isLast = at + 7_000 >= request.length;
    const part = request.subarray(at, at + 7_000);
    parts.push(frame(at === 0 ? headers : continuation, isLast ? endHeaders : 0, part));
  }
  assertEquals(parts.length, 3);
  for (const block of [frame(headers, endHeaders, request), bytes(...parts)]) {
    const stream = bytes(
      preface,
      frame(settings, 0, bytes()),
      block,
      frame(data, 1, bytesOf("body")),
      second,
    );
    for (const size of [1, 2, 5, 23, 24, 33, 700, 1_448, 7_000, 30_000]) {
      assertEquals(read(stream, size), { http: asked }, `segments of ${size}`);
    }
  }
});

Deno.test("a header that tells of an attack is kept, of requests alone", () => {
  const of = (...fields: Uint8Array[]) =>
    read(bytes(preface, frame(settings, 0, bytes()), frame(headers, endHeaders, bytes(...fields)))).http;
  const api = field("x-api", "1 ${jndi:ldap://x/a}"), cookie = field("cookie", 'a={"b":1}; c=() { x');
  assertEquals(of(bytes(0x82, 0x84), api, cookie), [
    { method: "GET", uri: "/", header: "x-api: 1 ${jndi:ldap://x/a}" },
  ]);
  assertEquals(of(bytes(0x82, 0x84), cookie), [{
    method: "GET",
    uri: "/",
    header: 'cookie: a={"b":1}; c=() { x',
  }]);
  assertEquals(of(bytes(0x82, 0x84), field("cookie", 'a={"b":{"c":1}}; d=O\'Neil')), [{
    method: "GET",
    uri: "/",
  }]);
  assertEquals(of(bytes(0x88), api), [{ status: 200 }]);
});

Deno.test("what stands around a block is left out: padding, priority, the number of a pushed stream", () => {
  const asks = bytes(0x82, 0x84);
  const around = [
    frame(headers, endHeaders | padded, bytes(3, asks, 0, 0, 0)),
    frame(headers, endHeaders | priority, bytes(u32(7), 200, asks)),
    frame(headers, endHeaders | priority | padded, bytes(1, u32(7), 200, asks, 0)),
    frame(push, endHeaders, bytes(u32(8), asks)),
    frame(push, endHeaders | padded, bytes(1, u32(8), asks, 0)),
    bytes(frame(headers, padded, bytes(2, asks, 0, 0)), frame(continuation, endHeaders, bytes())),
  ];
  for (const block of around) {
    assertEquals(read(bytes(frame(settings, 0, bytes()), block)), { http: [{ method: "GET", uri: "/" }] });
  }
  // Trailers say nothing, and an answer says its status and type.
  const trailers = frame(headers, endHeaders, field("grpc-status", "0"));
  const answer = frame(headers, endHeaders, bytes(0x8d, field("content-type", 'a/"b\n')));
  assertEquals(read(bytes(preface, answer, trailers)), { http: [{ status: 404, content_type: 'a/"b.' }] });
});

Deno.test("a hole in a body does no harm; one in a header, or nonsense, ends the reading of that direction", () => {
  const body = frame(data, 0, new Uint8Array(5_000));
  const stream = bytes(preface, frame(headers, endHeaders, request), body, second);
  const bodyAt = stream.length - second.length - 4_000;
  const reader = new Http2Reader(), facts = newFacts();
  send(reader, stream, 0, bodyAt, facts);
  send(reader, stream, bodyAt + 2_500, stream.length, facts);
  assertEquals(written(facts), { http: asked });
  for (const [hole, behind] of [[30, 40], [24, 40], [bodyAt, stream.length - 3]]) {
    const reader = new Http2Reader(), facts = newFacts();
    send(reader, stream, 0, hole, facts);
    send(reader, stream, behind, stream.length, facts);
    assertEquals([written(facts).cut, reader.size], [1, 0], `a hole from ${hole} to ${behind}`);
  }
  // Without the octet that is missing it would be a request as well.
  const whole = bytes(preface, frame(headers, endHeaders, bytes(0x82, 0x86, 0x84)));
  const missing = new Http2Reader(), others = newFacts();
  send(missing, whole, 0, whole.length - 2, others);
  send(missing, whole, whole.length - 1, whole.length, others);
  assertEquals([written(others), missing.size], [{ cut: 1 }, 0]);
  const nonsense = [
    frame(continuation, endHeaders, bytes(0x82)),
    bytes(frame(headers, 0, bytes(0x82)), frame(data, 0, bytes())),
    bytes(frame(headers, 0, bytes(0x82)), frame(headers, endHeaders, bytes(0x84))),
    frame(headers, endHeaders | padded, bytes(9, 0x82)),
    frame(headers, endHeaders | padded, bytes()),
    frame(headers, endHeaders, bytes(0xff)),
  ];
  for (const block of nonsense) {
    const reader = new Http2Reader();
    assertEquals(read(bytes(preface, block, second), undefined, reader), { cut: 1 });
    assertEquals(reader.size, 0);
  }
});

Deno.test("a header block of 65,536 octets is read, one of 65,537 is not", () => {
  const blockOf = (octets: number) =>
    bytes(0x82, 0x84, field("x", "f".repeat(octets - 2 - 1 - 2 - 4), false));
  assertEquals(blockOf(65_536).length, 65_536);
  const streamOf = (octets: number) => bytes(preface, frame(headers, endHeaders, blockOf(octets)));
  assertEquals(read(streamOf(65_536), 1_448), { http: [{ method: "GET", uri: "/" }] });
  assertEquals(read(streamOf(65_537), 1_448), { cut: 1 });
});

Deno.test("512 directions are remembered, and 8 MiB of all; the one that was silent longest goes first", () => {
  const begins = bytes(preface, frame(headers, endHeaders, bytes(0x82, 0x84)));
  const reader = new Http2Reader();
  for (let flow = 1; flow <= 512; flow++) read(begins, undefined, reader, flow);
  const facts = newFacts();
  send(reader, bytes(begins, second.subarray(0, 5)), begins.length, begins.length + 5, facts, 1);
  assertEquals([reader.size, read(begins, undefined, reader, 513).cut], [512, 1]);
  send(reader, bytes(begins, bytes(0, 0, 1)), begins.length, begins.length + 3, facts, 2);
  assertEquals([reader.size, written(facts)], [512, {}], "flow 2 was forgotten and stays so");
  // 139 times 60,000 octets are less than 8 MiB, 140 times more.
  const waits = bytes(preface, frame(headers, 0, new Uint8Array(60_000)));
  const large = new Http2Reader();
  for (let flow = 1; flow <= 139; flow++) assertEquals(read(waits, undefined, large, flow).cut, undefined);
  assertEquals([large.size, read(waits, undefined, large, 140).cut, large.size], [139, 1, 139]);
});

Deno.test("no octets make the reader throw or remember more than it may", () => {
  const stream = bytes(preface, frame(headers, endHeaders, request.subarray(0, 400)), second, second);
  const reader = new Http2Reader(), random = prng(7);
  for (let round = 0; round < 3_000; round++) {
    const odd = stream.slice();
    for (let i = 0; i < 4; i++) odd[24 + Math.floor(random() * 60)] = Math.floor(random() * 256);
    const { http = [], cut = 0 } = read(odd, 1 + Math.floor(random() * 200), reader, round);
    assert(http.length <= 4 && cut < 400 && reader.size <= 512);
  }
});
