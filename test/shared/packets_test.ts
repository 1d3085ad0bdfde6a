/** The header of uploaded packets: what it holds comes back, and what does not fit its form is not read. @module */

import { assert, assertEquals } from "@std/assert";
import { keysFromSeed, publicKeyFromRaw, sha256Hex, verifyText } from "../../shared/batch.ts";
import {
  packetsHeaderWords,
  packetsText,
  readPacketsHeader,
  signPackets,
  writePacketsHeader,
} from "../../shared/packets.ts";

const keys = keysFromSeed(new Uint8Array(32).fill(3));
const body = new Uint8Array([1, 2, 3]);
const fields = {
  sensor: "s_1",
  request: "00112233445566aa",
  outcome: "found" as const,
  packets: 12,
  left_out: 3,
  oldest: 1_700_000_000_123,
};
const header = signPackets(fields, body, keys.privateKey);
const written = writePacketsHeader(header);
const read = (change: Record<string, string | undefined> = {}) =>
  readPacketsHeader((name) => ({ ...written, ...change })[name]);

Deno.test("a header that was written is read as it was, and signs every field and the body", () => {
  assertEquals(read(), header);
  assertEquals(header.sha256, sha256Hex(body));
  assertEquals(Object.keys(packetsHeaderWords).sort(), Object.keys(written).sort());
  const publicKey = publicKeyFromRaw(keys.publicKey);
  assert(verifyText(packetsText(header), header.signature, publicKey));
  const others = {
    sensor: "s_2",
    request: "00112233445566ab",
    outcome: "absent" as const,
    packets: 13,
    left_out: 4,
    oldest: 0,
    sha256: "0".repeat(64),
  };
  for (const [name, value] of Object.entries(others)) {
    assert(!verifyText(packetsText({ ...header, [name]: value }), header.signature, publicKey), name);
  }
});

Deno.test("a header with a field that is missing, of another form or too long is not read", () => {
  for (const name of Object.keys(written)) {
    for (const value of [undefined, "", "x y", "+1", "9".repeat(400), "../..", `${written[name]}\n`]) {
      assertEquals(read({ [name]: value }), null, `${name}: ${JSON.stringify(value)}`);
    }
  }
});
