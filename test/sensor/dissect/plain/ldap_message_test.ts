/** LDAP messages that are hostile: cut, nested, wide; and NTLM's user name in a bind. @module */

import { assert, assertEquals } from "@std/assert";
import type { Facts } from "../../../../shared/facts.ts";
import { isLdap, readLdap } from "../../../../sensor/dissect/plain/ldap_message.ts";

function der(tag: number, ...parts: (number | string | Uint8Array)[]): Uint8Array {
  const content = parts.flatMap((part) =>
    typeof part === "number"
      ? [part]
      : typeof part === "string"
      ? [...new TextEncoder().encode(part)]
      : [...part]
  );
  return Uint8Array.from([tag, 0x82, content.length >> 8, content.length & 255, ...content]);
}

const search = (filter: Uint8Array) =>
  der(
    0x30,
    der(2, 1),
    der(0x63, der(4, "DC=a"), der(10, 2), der(10, 0), der(2, 0), der(2, 0), der(1, 0), filter, der(0x30)),
  );

function read(payload: Uint8Array): Facts {
  const facts: Facts = {};
  // What stands behind it looks like more.
  const buffer = new Uint8Array(payload.length + 32).fill(0x30);
  buffer.set(payload);
  readLdap(buffer, 0, payload.length, facts);
  return facts;
}

const filterOf = (filter: Uint8Array) => read(search(filter)).ldap?.[0].filter;

Deno.test("a filter eight deep is read, one that is deeper is not", () => {
  const nested = (depth: number) => {
    let filter = der(0x87, "a");
    for (let i = 0; i < depth; i++) filter = der(0xa2, filter);
    return filter;
  };
  assertEquals(filterOf(nested(8)), `${"(!".repeat(8)}(a=*)${")".repeat(8)}`);
  assertEquals(filterOf(nested(9)), undefined);
  assertEquals(read(search(nested(400))).ldap, [{ operation: "search", name: "DC=a", scope: "subtree" }]);
});

Deno.test("a filter of many terms is cut at 255 characters, and that is counted", () => {
  const { ldap, cut } = read(
    search(der(0xa1, ...Array.from({ length: 40 }, () => der(0x87, "x".repeat(20))))),
  );
  assertEquals(ldap?.[0].filter?.length, 255);
  assert(cut! > 0);
});

Deno.test("octets in a filter are written so that they change nothing", () => {
  assertEquals(filterOf(der(0xa3, der(4, "cn"), der(4, "*)(uid=*"))), "(cn=\\2a\\29\\28uid=\\2a)");
  assertEquals(filterOf(der(0xa3, der(4, "cn"), der(4, 0, 255))), "(cn=\\00\\ff)");
});

Deno.test("a message cut anywhere says nothing that the whole one does not", () => {
  const whole = search(der(0xa0, der(0x87, "a"), der(0xa3, der(4, "b"), der(4, "c"))));
  const { ldap } = read(whole);
  assertEquals(ldap, [{ operation: "search", name: "DC=a", scope: "subtree", filter: "(&(a=*)(b=c))" }]);
  for (let length = 8; length < whole.length; length++) {
    for (const [name, value] of Object.entries(read(whole.slice(0, length)).ldap?.[0] ?? {})) {
      assertEquals(value, ldap![0][name as "filter"], `${length} octets`);
    }
  }
});

Deno.test("NTLM's last message in a bind names the user; a length beyond the message names nobody", () => {
  const user = Uint8Array.from([..."alice"].flatMap((letter) => [letter.charCodeAt(0), 0]));
  const ntlm = new Uint8Array(64 + user.length);
  ntlm.set(new TextEncoder().encode("NTLMSSP"));
  ntlm.set([3, 0, 0, 0], 8);
  ntlm.set([user.length, 0, user.length, 0, 64, 0, 0, 0], 36);
  ntlm[60] = 1;
  ntlm.set(user, 64);
  const bind = (token: Uint8Array) =>
    der(0x30, der(2, 1), der(0x60, der(2, 3), der(4), der(0xa3, der(4, "NTLM"), der(4, token))));
  assertEquals(read(bind(ntlm)).ldap, [{ operation: "bind", method: "NTLM", name: "alice" }]);
  ntlm[36] = 200;
  assertEquals(read(bind(ntlm)).ldap, [{ operation: "bind", method: "NTLM" }]);
});

Deno.test("entries that were found, and what only begins like a message, are left alone", () => {
  const entry = der(0x30, der(2, 1), der(0x64, der(4, "cn=a"), der(0x30)));
  assertEquals([isLdap(entry, 0, entry.length), read(entry)], [false, {}]);
  const other = Uint8Array.from([0x30, 0x82, 0xff, 0xff, 2, 9, 1, 1, 1, 1, 1, 1]);
  assertEquals([isLdap(other, 0, other.length), read(other)], [false, {}]);
});
