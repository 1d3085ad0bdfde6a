/** HTTP/2 joined in its middle, and behind an answer of HTTP/1 that hands the connection over.
 *
 * Method: connections whose beginning is left out, or whose header blocks have holes; what the table of entries before
 * held must never be made up. @module */

import { assert, assertEquals } from "@std/assert";
import { HpackDecoder } from "../../../../sensor/dissect/plain/hpack.ts";
import { Http2Reader } from "../../../../sensor/dissect/plain/http2_message.ts";
import { plainKind } from "../../../../sensor/dissect/plain/plain_kind.ts";
import { bytes, u32 } from "../../frames.ts";
import { prng } from "../../ship/helpers.ts";
import { bytesOf } from "../fixture.ts";
import { newFacts, written } from "../readings.ts";

const { http2, http2More, http2Middle, http2Upgrade } = plainKind;

function frame(type: number, flags: number, payload: Uint8Array): Uint8Array {
  return bytes(u32(payload.length).slice(1), type, flags, u32(type === 4 ? 0 : 1), payload);
}

/** A field that the table keeps. */
function kept(name: string, value: string): Uint8Array {
  return bytes(0x40, name.length, bytesOf(name), value.length, bytesOf(value));
}

const headers = (...block: (number | Uint8Array)[]) => frame(1, 4, bytes(...block));

/** One direction of a flow, whose payloads come in their order. */
class Direction {
  readonly reader = new Http2Reader();
  #seq = 0x7ffffff0;

  says(kind: number, payload: Uint8Array, missing = 0) {
    const facts = newFacts();
    const plainSeq = (this.#seq + missing) | 0;
    this.#seq = (plainSeq + payload.length) | 0;
    const where = {
      plainKind: kind,
      plainOffset: 2,
      plainLength: payload.length,
      plainSeq,
      isFromServer: false,
    };
    this.reader.read(where, bytes(0, 0, payload, 9), facts, 1);
    return written(facts);
  }
}

function decode(decoder: HpackDecoder, ...block: (number | Uint8Array)[]): string[] | null {
  const octets = bytes(...block), fields: string[] = [];
  const isRead = decoder.decode(octets, octets.length, (name, value) => fields.push(`${name}: ${value}`));
  return isRead ? [...fields, ...(decoder.isLacking ? ["?"] : [])] : null;
}

Deno.test("a decoder that joins in the middle knows what is added from there on, and guesses nothing", () => {
  const decoder = new HpackDecoder(true);
  assertEquals(decode(decoder, 0x83, 0xbe, 0xff, 0x00), [":method: POST", "?"]);
  assertEquals(decode(decoder, kept("a", "1"), kept("b", "2")), ["a: 1", "b: 2"]);
  assertEquals(decode(decoder, 0xbe, 0xbf), ["b: 2", "a: 1"]);
  assertEquals(decode(decoder, 0xc0), ["?"]);
  // A new value under a name that was not seen takes a place of its own.
  assertEquals(decode(decoder, 0x7f, 0x02, 1, bytesOf("x")), ["?"]);
  assertEquals(decode(decoder, 0xbe, 0xbf, 0xc0), ["b: 2", "a: 1", "?"]);
  // The last place that a table of 65,536 octets has, and one behind it.
  assertEquals(decode(decoder, 0xff, 0xbe, 0x0f), ["?"]);
  assertEquals(decode(decoder, 0xff, 0xbf, 0x0f), null);
});

Deno.test("a decoder that joined knows all again once the sender has emptied its table", () => {
  for (const [change, expected] of [[0x20, null], [0x21, ["?"]]] as const) {
    const decoder = new HpackDecoder(true);
    assertEquals(decode(decoder, kept("a", "1"), change, 0x3f, 0xe1, 0x1f), ["a: 1"]);
    assertEquals<readonly string[] | null>(decode(decoder, 0xbe), expected);
  }
  assertEquals(decode(new HpackDecoder(), 0xbe), null);
});

Deno.test("a direction joined in its middle says what is known of each message, and counts what lacks", () => {
  const direction = new Direction();
  const ping = frame(8, 0, bytes(u32(5)));
  assertEquals(direction.says(http2Middle, bytes(ping, headers(0x83, 0x86, 0xc5, 0xc4))), {
    http: [{ method: "POST" }],
    cut: 1,
  });
  const block = headers(0x82, kept(":authority", "www.example"), kept(":path", "/a"));
  assertEquals(direction.says(http2More, block.subarray(0, 20)), {});
  assertEquals(direction.says(http2More, block.subarray(20)), {
    http: [{ method: "GET", uri: "/a", host: "www.example" }],
  });
  assertEquals(direction.says(http2More, headers(0x82, 0xbe, 0xbf, 0xc8)), {
    http: [{ method: "GET", uri: "/a", host: "www.example" }],
    cut: 1,
  });
  // What is known of an answer may be its type alone.
  assertEquals(direction.says(http2More, headers(0xd0, 0x88)), { http: [{ status: 200 }], cut: 1 });
  assertEquals(direction.says(http2More, headers(0xd0)), { cut: 1 });
});

Deno.test("a direction with a hole in a header, or nonsense, is joined again where a payload begins with frames", () => {
  const first = headers(0x82, kept(":path", "/a"));
  for (const [payload, missing] of [[first.subarray(0, 12), 3], [bytes(first, headers(0xff)), 0]] as const) {
    const direction = new Direction();
    direction.says(http2, bytes(frame(4, 0, bytes()), payload));
    const middle = headers(0x82, 0xbe);
    const expected = missing > 0 ? 2 : 1;
    assertEquals(direction.says(http2More, middle, missing), { http: [{ method: "GET" }], cut: expected });
    assertEquals(direction.says(http2More, first), { http: [{ method: "GET", uri: "/a" }] });
    assertEquals(direction.says(http2More, middle), { http: [{ method: "GET", uri: "/a" }] });
  }
});

Deno.test("behind an answer that hands the connection over, the server's side is read from its beginning", () => {
  const answer = bytesOf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  const settings = frame(4, 0, bytes(0, 3, u32(100)));
  const reply = headers(0x88, kept("content-type", "text/html"));
  const told = { status: 200, content_type: "text/html" };
  const one = new Direction();
  assertEquals(one.says(http2Upgrade, bytes(answer, settings, reply)), { http: [{ status: 101 }, told] });
  assertEquals(one.says(http2More, headers(0x88, 0xbe)), { http: [told] });
  // An entry that nobody added breaks the rules where all was seen.
  assertEquals(one.says(http2More, headers(0x88, 0xc0)), { cut: 1 });
  const two = new Direction();
  assertEquals(two.says(http2Upgrade, answer), { http: [{ status: 101 }] });
  assertEquals(two.says(http2More, bytes(settings, reply)), { http: [told] });
});

Deno.test("no octets in the middle make the reader throw, remember more than it may, or say what was not sent", () => {
  const random = prng(11), reader = new Http2Reader();
  const stream = bytes(
    headers(0x82, 0x86, 0xc5, kept(":path", "/known")),
    frame(0, 0, bytesOf("body")),
    headers(0x88, 0xbe, 0xd1),
  );
  for (let round = 0; round < 3_000; round++) {
    const odd = stream.slice();
    for (let i = 0; i < 3; i++) odd[Math.floor(random() * odd.length)] = Math.floor(random() * 256);
    const size = 1 + Math.floor(random() * odd.length);
    let cuts = 0;
    for (let at = 0; at < odd.length; at += size) {
      const facts = newFacts();
      const plainLength = Math.min(size, odd.length - at);
      const where = {
        plainKind: http2Middle,
        plainOffset: at,
        plainLength,
        plainSeq: at,
        isFromServer: true,
      };
      reader.read(where, odd, facts, round);
      const { http = [], cut = 0 } = written(facts);
      assert(http.length <= 4);
      cuts += cut;
    }
    assert(cuts <= 40 && reader.size <= 512);
  }
});
