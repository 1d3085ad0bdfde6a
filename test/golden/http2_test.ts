/** HTTP/2 without TLS, through the whole program: with authority, method, path and status, on any port.
 *
 * Method: a connection made here, octet by octet (RFC 9113, RFC 7541), through the program.
 * Skipped loudly without tshark. @module */

import { assertEquals } from "@std/assert";
import { bytes, u32 } from "../sensor/frames.ts";
import { connection, needsTshark, replay as replayed } from "./talk.ts";

const { ignore } = await needsTshark("HTTP/2 facts");

const text = (words: string) => new TextEncoder().encode(words);
const preface = text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const frame = (type: number, flags: number, stream: number, payload: Uint8Array) =>
  bytes(u32(payload.length).slice(1), type, flags, u32(stream), payload);
const literal = (index: number, value: string) => bytes(0x40 | index, value.length, text(value));
const settings = frame(4, 0, 0, bytes());
/** GET, "http", authority, path; indices of the static table. */
const headers = (stream: number, path: string, rest: Uint8Array) =>
  frame(1, 5, stream, bytes(0x82, 0x86, literal(4, path), rest));

/** A cookie of so many octets, which is not kept in the table. */
const filler = (octets: number) =>
  bytes(
    0x0f,
    17,
    127,
    (octets - 127) & 127 | 128,
    (octets - 127) >> 7 & 127 | 128,
    octets - 127 >> 14,
    new Uint8Array(octets).fill(65),
  );

async function replay(capture: Uint8Array) {
  const { app_protocol, facts } = await replayed(capture);
  return [app_protocol, facts?.http ?? null];
}

const authority = literal(1, "www.example");
const request = { method: "GET", host: "www.example" };

Deno.test({
  name: "HTTP/2 with prior knowledge is named, with its requests and their answers",
  ignore,
  async fn() {
    for (const port of [80, 8_080, 3_128, 50_051]) {
      const capture = connection(port, [
        [true, bytes(preface, settings)],
        [false, settings],
        [true, headers(1, "/first", authority)],
        [false, frame(1, 4, 1, bytes(0x88))],
        [false, frame(0, 1, 1, text("hello"))],
        // Authority and path of the request before, by their places in the table that both sides keep.
        [true, frame(1, 5, 3, bytes(0x82, 0x86, 0xbf, 0xbe))],
        [false, frame(1, 5, 3, bytes(0x8d))],
      ]);
      assertEquals(await replay(capture), ["http2", [
        { ...request, uri: "/first" },
        { status: 200 },
        { ...request, uri: "/first" },
        { status: 404 },
      ]], `port ${port}`);
    }
  },
});

Deno.test({
  name: "HTTP/2 whose first headers stand beside its preface is read too",
  ignore,
  async fn() {
    const asked = headers(1, "/long/path", authority);
    const one = connection(8_088, [[true, bytes(preface, settings, asked, headers(3, "/b", bytes(0xbf)))]]);
    assertEquals(await replay(one), ["http2", [
      { ...request, uri: "/long/path" },
      { ...request, uri: "/b" },
    ]]);
  },
});

Deno.test({
  name: "HTTP/2 whose header block goes over frames and packets is read whole",
  ignore,
  async fn() {
    const block = bytes(0x82, 0x86, literal(4, "/long"), filler(20_000), authority);
    const stream = bytes(
      preface,
      settings,
      frame(1, 0, 1, block.slice(0, 16_384)),
      frame(9, 5, 1, block.slice(16_384)),
    );
    const packets: [boolean, Uint8Array][] = [];
    for (let at = 0; at < stream.length; at += 1_448) packets.push([true, stream.slice(at, at + 1_448)]);
    const answer = bytes(settings, frame(1, 4, 1, bytes(0x88, filler(3_000))));
    packets.push([false, answer.slice(0, 1_448)], [false, answer.slice(1_448)]);
    const expected = ["http2", [{ ...request, uri: "/long" }, { status: 200 }]];
    for (const port of [80, 50_051]) assertEquals(await replay(connection(port, packets)), expected);
  },
});

Deno.test({
  name: "HTTP/2 joined in its middle is named, and what a table unseen does not hide is read",
  ignore,
  async fn() {
    const payloads: [boolean, Uint8Array][] = [
      [true, bytes(preface, settings, headers(1, "/first", authority))],
      [false, bytes(settings, frame(1, 5, 1, bytes(0x88)))],
      // Authority and path by their places in the table, whose beginning is not seen.
      [true, frame(1, 5, 3, bytes(0x82, 0x86, 0xbf, 0xbe))],
      [false, bytes(frame(1, 4, 3, bytes(0x8d)), frame(0, 1, 3, text("hello")))],
      [true, headers(5, "/second", bytes(0xbf))],
      [false, frame(1, 5, 5, bytes(0x88, literal(31, "text/html")))],
      [true, frame(1, 5, 7, bytes(0x82, 0x86, 0xbe))],
    ];
    for (const port of [8_080, 50_051]) {
      assertEquals(await replay(connection(port, payloads, 2)), ["http2", [
        { method: "GET" },
        { status: 404 },
        { method: "GET", uri: "/second" },
        { status: 200, content_type: "text/html" },
        { method: "GET", uri: "/second" },
      ]], `port ${port}`);
    }
  },
});

Deno.test({
  name: "the server's side is read behind 101 Switching Protocols, whether frames share its packet or not",
  ignore,
  async fn() {
    const lines = [
      "Host: www.example",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABk",
    ];
    const get = text(`GET /first HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    const answer = text("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    const frames = bytes(settings, frame(1, 4, 1, bytes(0x88, literal(31, "text/html"))));
    for (const parts of [[bytes(answer, frames)], [answer, frames]]) {
      const [app, facts] = await replay(connection(8_098, [
        [true, get],
        ...parts.map((part): [boolean, Uint8Array] => [false, part]),
        [true, bytes(preface, settings, headers(3, "/b", authority))],
        [false, frame(1, 5, 3, bytes(0x8d, 0xbe))],
      ]));
      // What the dissector reads of the first request may stand behind what is read here.
      const sorted = (facts as object[]).map((fact) => JSON.stringify(fact)).sort();
      assertEquals([app, sorted], ["http2", [
        '{"method":"GET","uri":"/b","host":"www.example"}',
        '{"method":"GET","uri":"/first","host":"www.example"}',
        '{"status":101}',
        '{"status":200,"content_type":"text/html"}',
        '{"status":404,"content_type":"text/html"}',
      ]]);
    }
  },
});
