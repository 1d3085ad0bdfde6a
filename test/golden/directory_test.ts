/** Kerberos and LDAP as tshark reads them of the same octets, and in our words.
 *
 * In: messages made here by RFC 4120 and RFC 4511, over UDP, and over TCP in several segments. @module */

import { assertEquals } from "@std/assert";
import type { KerberosFact, LdapFact } from "../../shared/facts.ts";
import { forgetProgram } from "./facts_yield.ts";
import { fieldOf, readTalks, type Talk, text } from "./talks.ts";

/** An element of BER; numbers are its content's octets. */
function der(tag: number, ...parts: (number | string | Uint8Array)[]): Uint8Array {
  const content = parts.flatMap((part) =>
    typeof part === "number" ? [part] : typeof part === "string" ? [...text(part)] : [...part]
  );
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Uint8Array.from([tag, ...size, ...content]);
}

const seq = (...parts: Uint8Array[]) => der(0x30, ...parts);
const int = (value: number) => der(2, ...(value > 127 ? [0, value] : [value]));
const at = (place: number, content: Uint8Array) => der(0xa0 + place, content);
const string = (value: string) => der(0x1b, value);
const name = (...parts: string[]) => seq(at(0, int(1)), at(1, seq(...parts.map(string))));
const sealed = (type: number, size: number) =>
  seq(at(0, int(type)), at(2, der(4, new Uint8Array(size).fill(0x55))));
const realm = "EXAMPLE.ORG";
const ticket = (type: number, size: number, ...service: string[]) =>
  der(0x61, seq(at(0, int(5)), at(1, string(realm)), at(2, name(...service)), at(3, sealed(type, size))));
const time = der(0x18, "20370913024805Z");

function kdcRequest(
  message: number,
  padata: Uint8Array[],
  types: number[],
  service: string[],
  client?: string,
) {
  const body = seq(
    at(0, der(3, 0, 0x40, 0x81, 0, 0x10)),
    ...client === undefined ? [] : [at(1, name(client))],
    at(2, string(realm)),
    at(3, name(...service)),
    at(5, time),
    at(7, int(77)),
    at(8, seq(...types.map(int))),
  );
  return der(0x60 + message, seq(at(1, int(5)), at(2, int(message)), at(3, seq(...padata)), at(4, body)));
}

const proof = (type: number, value: Uint8Array) => seq(at(1, int(type)), at(2, der(4, value)));
const apReq = der(
  0x6e,
  seq(
    at(0, int(5)),
    at(1, int(14)),
    at(2, der(3, 0, 0, 0, 0, 0)),
    at(3, ticket(18, 1_800, "krbtgt", realm)),
    at(4, sealed(18, 60)),
  ),
);
const reply = (message: number, type: number, client: string, ...service: string[]) =>
  der(
    0x60 + message,
    seq(
      at(0, int(5)),
      at(1, int(message)),
      at(3, string(realm)),
      at(4, name(client)),
      at(5, ticket(type, 300, ...service)),
      at(6, sealed(18, 200)),
    ),
  );
const refusal = (code: number) =>
  der(
    0x7e,
    seq(
      at(0, int(5)),
      at(1, int(30)),
      at(4, der(0x18, "20260101000000Z")),
      at(5, int(1)),
      at(6, int(code)),
      at(9, string(realm)),
      at(10, name("krbtgt", realm)),
    ),
  );

/** With its length in front, cut into segments. */
function segments(side: ">" | "<", message: Uint8Array): Talk["lines"] {
  const whole = Uint8Array.from([0, 0, message.length >> 8, message.length & 255, ...message]);
  const count = Math.ceil(whole.length / 1_400);
  return Array.from({ length: count }, (_, i) => [side, whole.subarray(1_400 * i, 1_400 * (i + 1))]);
}

Deno.test("Kerberos: who asks for what with which encryption, refused or not, proven or not", async () => {
  const talks: Talk[] = [
    {
      port: 88,
      isUdp: true,
      lines: [
        [">", kdcRequest(10, [], [18, 17, 23], ["krbtgt", realm], "alice")],
        ["<", refusal(25)],
        [">", kdcRequest(10, [proof(2, sealed(18, 50))], [18, 23], ["krbtgt", realm], "alice")],
        ["<", reply(11, 18, "alice", "krbtgt", realm)],
        [">", kdcRequest(10, [], [23], ["krbtgt", realm], "bob")],
        ["<", refusal(6)],
      ],
    },
    {
      port: 88,
      lines: [
        ...segments(">", kdcRequest(12, [proof(1, apReq)], [23], ["MSSQLSvc", "db.example.org"])),
        ...segments("<", reply(13, 23, "alice", "MSSQLSvc", "db.example.org")),
      ],
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    messages: await fieldOf(file, "kerberos.msg_type"),
    errors: await fieldOf(file, "kerberos.error_code"),
    clients: await fieldOf(file, "kerberos.CNameString"),
    asked: await fieldOf(file, "kerberos.ENCTYPE"),
  }));
  assertEquals(apps, ["kerberos", "kerberos"]);
  const aes256 = "aes256-cts-hmac-sha1-96", aes128 = "aes128-cts-hmac-sha1-96", rc4 = "rc4-hmac";
  const krbtgt = { service: `krbtgt/${realm}`, realm };
  const db = { service: "MSSQLSvc/db.example.org", realm };
  const first: KerberosFact[] = [
    { message: "AS-REQ", client: "alice", ...krbtgt, asked: [aes256, aes128, rc4] },
    { message: "KRB-ERROR", error: "KDC_ERR_PREAUTH_REQUIRED", ...krbtgt },
    { message: "AS-REQ", client: "alice", ...krbtgt, asked: [aes256, rc4], preauth: true },
    { message: "AS-REP", client: "alice", ...krbtgt, ticket: aes256 },
    { message: "AS-REQ", client: "bob", ...krbtgt, asked: [rc4] },
    { message: "KRB-ERROR", error: "KDC_ERR_C_PRINCIPAL_UNKNOWN", ...krbtgt },
  ];
  assertEquals(facts[0]?.kerberos, first);
  assertEquals(facts[1]?.kerberos, [
    { message: "TGS-REQ", ...db, asked: [rc4] },
    { message: "TGS-REP", client: "alice", ...db, ticket: rc4 },
  ]);
  assertEquals(answer, {
    // The ticket of the TGS-REQ comes in an AP-REQ of its own.
    messages: ["10", "30", "10", "11", "10", "30", "12", "14", "13"],
    errors: ["25", "6"],
    clients: ["alice", "alice", "alice", "bob", "alice"],
    asked: ["18", "17", "23", "18", "23", "23", "23"],
  });
});

const octets = (value: string) => der(4, value);
const message = (number: number, ...parts: Uint8Array[]) => seq(int(number), ...parts);
const equal = (attribute: string, value: string) => der(0xa3, octets(attribute), octets(value));
const search = (base: string, scope: number, filter: Uint8Array, ...attributes: string[]) =>
  der(
    0x63,
    octets(base),
    der(10, scope),
    der(10, 0),
    int(0),
    int(0),
    der(1, 0),
    filter,
    seq(...attributes.map(octets)),
  );

Deno.test("LDAP: binds and their answers, searches with base, scope and the whole filter", async () => {
  const base = "DC=example,DC=org";
  const matched = der(
    0xa9,
    der(0x81, "1.2.840.113556.1.4.803"),
    der(0x82, "userAccountControl"),
    der(0x83, "4194304"),
  );
  const kerberoast = der(
    0xa0,
    equal("objectClass", "user"),
    der(0x87, "servicePrincipalName"),
    der(0xa2, matched),
  );
  const parts = der(0xa4, octets("cn"), seq(der(0x80, "a"), der(0x81, "b"), der(0x82, "(c")));
  const talks: Talk[] = [
    {
      port: 389,
      lines: [
        [">", message(1, der(0x60, int(3), octets("cn=reader,DC=example,DC=org"), der(0x80, "secret")))],
        ["<", message(1, der(0x61, der(10, 49), octets(""), octets("")))],
        [">", message(2, der(0x60, int(3), octets(""), der(0xa3, octets("GSS-SPNEGO"), octets("token"))))],
        ["<", message(2, der(0x61, der(10, 0), octets(""), octets("")))],
        // Two in one segment.
        [
          ">",
          Uint8Array.from([
            ...message(3, search(base, 2, kerberoast, "sAMAccountName", "servicePrincipalName")),
            ...message(4, search("", 0, der(0x87, "objectClass"))),
          ]),
        ],
        // An entry that was found.
        ["<", message(3, der(0x64, octets("cn=a"), seq()))],
        [">", message(5, search(base, 1, der(0xa1, parts, der(0xa5, octets("n"), octets("5")))))],
        [">", message(6, der(0x4a, "cn=gone"))],
        [">", message(7, der(0x66, octets("cn=changed"), seq()))],
      ],
    },
    {
      port: 389,
      isUdp: true,
      lines: [[">", message(1, search("", 0, equal("DnsDomain", "example.org"), "Netlogon"))]],
    },
  ];
  const { facts, apps, answer } = await readTalks(talks, async (file) => ({
    operations: await fieldOf(file, "ldap.protocolOp"),
    bases: await fieldOf(file, "ldap.baseObject"),
    scopes: await fieldOf(file, "ldap.scope"),
    results: await fieldOf(file, "ldap.resultCode"),
  }));
  assertEquals(apps, ["ldap", "cldap"]);
  const expected: LdapFact[] = [
    { operation: "bind", name: "cn=reader,DC=example,DC=org", method: "simple" },
    { operation: "bind_response", result: 49 },
    { operation: "bind", method: "GSS-SPNEGO" },
    { operation: "bind_response", result: 0 },
    {
      operation: "search",
      name: base,
      scope: "subtree",
      filter:
        "(&(objectClass=user)(servicePrincipalName=*)(!(userAccountControl:1.2.840.113556.1.4.803:=4194304)))",
      attributes: ["sAMAccountName", "servicePrincipalName"],
    },
    { operation: "search", scope: "base", filter: "(objectClass=*)" },
    { operation: "search", name: base, scope: "one", filter: "(|(cn=a*b*\\28c)(n>=5))" },
    { operation: "delete", name: "cn=gone" },
    { operation: "modify", name: "cn=changed" },
  ];
  assertEquals(facts[0]?.ldap, expected);
  assertEquals(facts[1]?.ldap, [
    { operation: "search", scope: "base", filter: "(DnsDomain=example.org)", attributes: ["Netlogon"] },
  ]);
  assertEquals(answer, {
    operations: ["0", "1", "0", "1", "3", "3", "4", "3", "10", "6", "3"],
    bases: [base, base],
    scopes: ["2", "0", "1", "0"],
    results: ["49", "0"],
  });
});

Deno.test("what the readings shared is removed", forgetProgram);
