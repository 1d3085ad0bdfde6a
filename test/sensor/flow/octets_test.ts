/** Text written piece by piece is the text of its pieces. @module */

import { assertEquals } from "@std/assert";
import { Octets } from "../../../sensor/flow/octets.ts";

Deno.test("octets grow by what is added, whatever it is", () => {
  const out = new Octets(1);
  out.utf8("é🙂\ud800");
  out.ensure(2);
  out.put(0x41);
  out.put(0x42);
  out.append(new TextEncoder().encode("xyz"), 1, 3);
  out.ensure(40);
  out.ascii("-");
  out.ipv4(0xc0000201 | 0);
  out.ascii("-");
  out.ipv4(0xffffffff | 0);
  assertEquals(out.toString(), "é🙂\ufffdAByz-192.0.2.1-255.255.255.255");
  out.clear();
  assertEquals([out.toString(), out.length], ["", 0]);
});

Deno.test("integers are written digit by digit as they are", () => {
  const values = [
    0,
    9,
    10,
    99_999,
    1e8,
    999_999_999,
    1e9,
    1e9 + 1,
    2 ** 32,
    1e15 + 7,
    Number.MAX_SAFE_INTEGER,
  ];
  for (const value of values) {
    const out = new Octets();
    out.integer(value);
    assertEquals(out.toString(), String(value));
  }
});

Deno.test("cleared octets keep no more memory than told", () => {
  const out = new Octets(8);
  out.utf8("x".repeat(100_000));
  out.clear(1_024);
  assertEquals(out.bytes.length, 1_024);
  out.utf8("y");
  assertEquals(out.toString(), "y");
});
