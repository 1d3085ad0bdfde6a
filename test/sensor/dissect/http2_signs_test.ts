/** By which octets HTTP/2 without TLS is known, at its beginning and in its middle. @module */

import { assertEquals } from "@std/assert";
import { http2Kind, isHttp2Middle, upgradeOctets } from "../../../sensor/dissect/http2_signs.ts";
import { plainKind } from "../../../sensor/dissect/plain/plain_kind.ts";
import { bytes, u32 } from "../frames.ts";
import { prng } from "../ship/helpers.ts";
import { bytesOf } from "./fixture.ts";

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  return bytes(u32(payload.length).slice(1), type, flags, u32(stream), payload);
}

const isMiddle = (payload: Uint8Array) => isHttp2Middle(bytes(7, payload, 7, 7), 1, payload.length);
const block = bytes(0x83, 0x86, 0xc5);
const headers = frame(1, 4, 9, block);
const update = frame(8, 0, 0, bytes(u32(1_000)));

Deno.test("the middle of HTTP/2 is known by a whole frame whose flags, stream and length are its type's", () => {
  const middles = {
    "a request": headers,
    "an answer with padding and priority": frame(1, 0x2d, 9, bytes(1, u32(3), 200, 0x88, 0)),
    "a path in full": frame(1, 4, 9, bytes(0x44, 2, bytesOf("/a"))),
    "a window": update,
    "a window of a stream, then data that goes on": bytes(
      update,
      frame(0, 0, 3, new Uint8Array(900)).slice(0, 300),
    ),
    "data, then trailers": bytes(frame(0, 0, 1, bytesOf("hello")), frame(1, 5, 1, bytes(0xbe))),
    "a ping": frame(6, 1, 0, new Uint8Array(8)),
    "settings taken": frame(4, 1, 0, bytes()),
    "a reset": frame(3, 0, 5, bytes(u32(8))),
    "a window, then a part of a header": bytes(update, 0, 0),
    "a goodbye": frame(7, 0, 0, bytes(u32(7), u32(0))),
  };
  for (const [what, payload] of Object.entries(middles)) assertEquals(isMiddle(payload), true, what);
});

Deno.test("what only begins like a frame is none", () => {
  const others = {
    "data alone": frame(0, 0, 1, bytesOf("hello")),
    "a request that is cut": headers.slice(0, 11),
    "a request of stream 0": frame(1, 4, 0, block),
    "a flag that requests do not have": frame(1, 0x44, 9, block),
    "a block that begins with index 0": frame(1, 4, 9, bytes(0x80)),
    "a header without a block": frame(1, 4, 9, bytes()),
    "a type that few speak": frame(10, 0, 0, bytes()),
    "a frame of 16,385 octets": bytes(0, 0x40, 1, 1, 4, u32(9), block),
    "a window without octets": frame(8, 0, 1, bytes(u32(0))),
    "a ping of seven octets": frame(6, 0, 0, new Uint8Array(7)),
    "settings that nobody has": frame(4, 0, 0, bytes(0, 99, u32(1))),
    "a reserved bit": frame(1, 4, 0x80000009, block),
    "nonsense behind a window": bytes(update, 0, 0, 1, 0, 0x10, 9, 9, 9, 9, 9),
    "a request of Kafka": bytes(u32(0x104), 0, 3, 0, 9, u32(5), new Uint8Array(252)),
    "a session of NetBIOS": bytes(0, 0, 0, 0x54, 0xff, bytesOf("SMB"), 0x72, new Uint8Array(79)),
    "a connect of TNS": bytes(0, 0x3a, 0, 0, 1, 0, 0, 0, 1, 0x36, 1, 0x2c, 0, 0, 8, 0, new Uint8Array(42)),
    "zeros": new Uint8Array(60),
    "eight octets": update.slice(0, 8),
  };
  for (const [what, payload] of Object.entries(others)) assertEquals(isMiddle(payload), false, what);
  assertEquals(
    isMiddle(bytes(0, 0x40, 0, 1, 4, u32(9), block, new Uint8Array(16_381))),
    true,
    "16,384 octets",
  );
  const random = prng(3);
  let seen = 0;
  for (let round = 0; round < 200_000; round++) {
    const payload = Uint8Array.from({ length: 40 }, () => Math.floor(random() * 256));
    payload[0] = payload[1] = 0;
    if (isMiddle(payload)) seen++;
  }
  assertEquals(seen <= 4, true, `${seen} of 200,000 payloads that begin with two zeros`);
});

Deno.test("a direction begins with preface, settings, or an answer that hands over to h2c; else it is joined", () => {
  const { none, http2, http2Middle, http2Upgrade } = plainKind;
  const settings = frame(4, 0, 0, bytes(0, 3, u32(100)));
  const answer = (status: number, upgrade: string) =>
    bytesOf(`HTTP/1.1 ${status} Switching Protocols\r\nServer: a\r\nUPGRADE:${upgrade}\r\n\r\n`);
  const cases: [string, Uint8Array, number, number][] = [
    ["preface", bytesOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 3, http2],
    ["no preface", bytesOf("PRI * FTP/2.0\r\n\r\nSM\r\n\r\n"), 0, none],
    ["settings first", settings, 0, http2],
    ["settings later", settings, 1, http2Middle],
    ["headers first", headers, 0, http2Middle],
    ["an answer", answer(101, " h2c"), 0, http2Upgrade],
    ["an answer in capitals", answer(101, "H2C"), 0, http2Upgrade],
    ["an answer with frames", bytes(answer(101, " h2c"), settings), 0, http2Upgrade],
    ["a web socket", answer(101, " websocket"), 0, none],
    ["a token that only begins like it", answer(101, " h2c2"), 0, none],
    ["another answer", answer(200, " h2c"), 0, none],
    ["an answer that goes on elsewhere", answer(101, " h2c").slice(0, -2), 0, none],
  ];
  for (const [what, payload, index, kind] of cases) {
    assertEquals(http2Kind(bytes(1, payload, 1), 1, payload.length, index), kind, what);
  }
  const { length } = answer(101, " h2c");
  assertEquals(upgradeOctets(answer(101, " h2c"), 0, length), length);
  assertEquals(upgradeOctets(bytes(answer(101, " h2c"), settings), 0, length + 15), length);
});
