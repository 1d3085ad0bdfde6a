/** JA4 against the example of its specification and FoxIO's expected results. @module */

import { assert, assertEquals } from "@std/assert";
import { isGrease, ja4 } from "../../../../sensor/dissect/facts/ja4.ts";

const hex = (text: string) => text.split(",").map((value) => parseInt(value, 16));
const chrome = {
  quic: false,
  version: 0x0304,
  sni: true,
  ciphers: hex("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"),
  extensions: hex("001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"),
  signatureAlgorithms: hex("0403,0804,0401,0503,0805,0501,0806,0601"),
  alpn: "h2",
};

Deno.test("JA4 equals the specification's example", () => {
  assertEquals(ja4(chrome), "t13d1516h2_8daaf6152771_e5627efa2ab1");
});

Deno.test("JA4 does not mind order or GREASE", () => {
  const shuffled = {
    ...chrome,
    ciphers: [0x3a3a, ...chrome.ciphers.toReversed()],
    extensions: [0xdada, ...chrome.extensions.toReversed(), 0x0a0a],
  };
  assertEquals(ja4(shuffled), ja4(chrome));
  assert(isGrease(0xfafa) && !isGrease(0xfa0a) && !isGrease(0x1301));
});

Deno.test("JA4 of a hello with nothing in it is well formed", () => {
  const bare = {
    quic: true,
    version: 0x0303,
    sni: false,
    ciphers: [],
    extensions: [],
    signatureAlgorithms: [],
    alpn: "",
  };
  assertEquals(ja4(bare), "q12i000000_000000000000_000000000000");
  assertEquals(ja4({ ...chrome, signatureAlgorithms: [] }).split("_")[1], "8daaf6152771");
  assertEquals(ja4({ ...chrome, alpn: "\xab" }).slice(8, 10), "cb");
});
