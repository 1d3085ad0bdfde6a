/** The reader of TLS hellos: the same fingerprints for a hello that is new and for one that is known. @module */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import type { Facts, TlsFact } from "../../../../shared/facts.ts";
import { isGrease, ja4 } from "../../../../sensor/dissect/facts/ja4.ts";
import { RecentHellos, recentMax } from "../../../../sensor/dissect/plain/recent_hellos.ts";
import { readTlsHello, recentClients } from "../../../../sensor/dissect/plain/tls_hello.ts";
import { tlsVersionName } from "../../../../sensor/dissect/facts/tls_names.ts";
import { bytesOf } from "../fixture.ts";

type Extension = [type: number, body: number[]];

const words = (values: readonly number[]) => values.flatMap((value) => [value >> 8, value & 255]);
const vector = (octets: readonly number[]) => [...words([octets.length]), ...octets];
const short = (octets: readonly number[]) => [octets.length, ...octets];
const serverName = (name: string): Extension => [0, vector([0, ...vector([...bytesOf(name)])])];
const groups = (values: number[]): Extension => [10, vector(words(values))];
const formats = (values: number[]): Extension => [11, short(values)];
const algorithms = (values: number[]): Extension => [13, vector(words(values))];
const alpn = (names: string[]): Extension => [16, vector(names.flatMap((name) => short([...bytesOf(name)])))];
const versions = (values: number[]): Extension => [43, short(words(values))];

/** One record with one hello: `middle` is what stands between session id and extensions. */
function record(
  type: number,
  middle: number[],
  extensions: readonly Extension[],
  filler: number,
): Uint8Array {
  const list = extensions.flatMap(([type, body]) => [...words([type]), ...vector(body)]);
  const session = short(new Array<number>(filler % 33).fill(filler));
  const body = [3, 3, ...new Array<number>(32).fill(filler), ...session, ...middle, ...vector(list)];
  return Uint8Array.from([22, 3, 1, ...vector([type, 0, ...vector(body)])]);
}

/** `filler` decides random and session id. */
function clientHello(ciphers: readonly number[], extensions: readonly Extension[], filler = 7): Uint8Array {
  return record(1, [...vector(words(ciphers)), 1, 0], extensions, filler);
}

function serverHello(cipher: number, extensions: readonly Extension[], filler = 7): Uint8Array {
  return record(2, [...words([cipher]), 0], extensions, filler);
}

function read(hello: Uint8Array): TlsFact {
  const facts: Facts = {};
  assert(readTlsHello(hello, 0, hello.length, facts));
  return facts.tls!;
}

const md5 = (text: string) => createHash("md5").update(text).digest("hex");

const word = fc.oneof(fc.constantFrom(0x0a0a, 0x1301, 0x1302, 0xfafa, 10, 11, 29), fc.nat(0xffff));
const list = fc.array(word, { maxLength: 9 });
const text = fc.string({ minLength: 1, maxLength: 30 }).map((text) => text.replace(/[^!-+\--[\]-~]|"/g, "x"));
const unread = fc.tuple(fc.constantFrom(5, 23, 35, 45, 51, 0x1a1a, 0xff01), fc.array(fc.nat(255)));
const version = fc.constantFrom(0x0301, 0x0303, 0x0304, 0x7f1c, 0x3a3a, 0xbeef);

/** An extension, and what a client says with it. */
const offered: fc.Arbitrary<{ name: string; value: unknown; extension: Extension }> = fc.oneof(
  text.map((value) => ({ name: "sni", value, extension: serverName(value) })),
  list.map((value) => ({ name: "groups", value, extension: groups(value) })),
  fc.array(fc.nat(255)).map((value) => ({ name: "formats", value, extension: formats(value) })),
  list.map((value) => ({ name: "algorithms", value, extension: algorithms(value) })),
  text.map((value) => ({ name: "alpn", value, extension: alpn([value, "http/1.1"]) })),
  fc.array(version, { maxLength: 4 }).map((value) => ({
    name: "versions",
    value,
    extension: versions(value),
  })),
  unread.map((extension) => ({ name: "", value: null, extension })),
);

Deno.test("a ClientHello has the fingerprints of what it offers, when it is new and when it is known", () => {
  fc.assert(fc.property(list, fc.array(offered, { maxLength: 9 }), fc.nat(255), (ciphers, parts, filler) => {
    const last = <Value>(name: string, none: Value) =>
      parts.findLast((part) => part.name === name)?.value as Value ?? none;
    const meant = (values: readonly number[]) => values.filter((value) => !isGrease(value));
    const [sni, protocol] = [last("sni", ""), last("alpn", "")];
    const [highest = 0x0303] = meant(last("versions", [])).sort((a, b) => b - a);
    const extensions = parts.map(({ extension }) => extension[0]);
    const numbers = [ciphers, extensions, last("groups", [])].map((values) => meant(values).join("-"));
    const expected: TlsFact = {
      ...sni && { sni },
      version: tlsVersionName(highest),
      ja3: md5(`771,${numbers.join(",")},${last("formats", []).join("-")}`),
      ja4: ja4({
        quic: false,
        version: highest,
        sni: extensions.includes(0),
        ciphers,
        extensions,
        signatureAlgorithms: last("algorithms", []),
        alpn: protocol,
      }),
      ...protocol && { alpn: protocol },
    };
    for (const variant of [filler, filler ^ 1]) {
      const hello = clientHello(ciphers, parts.map(({ extension }) => extension), variant);
      assertEquals(read(hello), expected);
    }
  }));
});

Deno.test("a ServerHello has the fingerprint of what it chose, when it is new and when it is known", () => {
  const chosen = fc.oneof(
    version.map((value): Extension => [43, words([value])]),
    unread,
    text.map((name) => alpn([name])),
  );
  fc.assert(fc.property(word, fc.array(chosen, { maxLength: 5 }), (cipher, extensions) => {
    const { ja3s, alpn } = read(serverHello(cipher, extensions));
    // Also those that a client would not mean.
    assertEquals(ja3s, md5(`771,${cipher},${extensions.map(([type]) => type).join("-")}`));
    const protocol = extensions.findLast(([type]) => type === 16)?.[1].slice(3);
    assertEquals(alpn, protocol && String.fromCharCode(...protocol));
    assertEquals(read(serverHello(cipher, extensions, 8)), read(serverHello(cipher, extensions)));
  }));
  const { version: found } = read(serverHello(0x1301, [[43, words([0x0304])]]));
  assertEquals([found, read(serverHello(0x1301, [[43, []]])).version], ["TLS 1.3", "TLS 1.2"]);
});

Deno.test("GREASE, randoms, session ids, key shares, padding and server names do not make a hello another one", () => {
  const hello = (grease: number, filler: number, name: string) =>
    clientHello([grease, 0x1301, 0x1303], [
      [grease, [filler]],
      serverName(name),
      groups([grease ^ 0x5050, 29, 23]),
      algorithms([0x0403, grease]),
      versions([grease, 0x0304, 0x0303]),
      [51, new Array<number>(filler).fill(filler)],
      [21, new Array<number>(filler >> 1).fill(0)],
      [grease ^ 0xf0f0, []],
    ], filler);
  const first = read(hello(0x0a0a, 9, "a.example"));
  const before = recentClients.size;
  for (let i = 1; i < 16; i++) {
    const name = `${"b".repeat(i)}.example`;
    assertEquals(read(hello(0x0a0a + i * 0x1010, 9 + i, name)), { ...first, sni: name });
  }
  assertEquals(recentClients.size, before);
});

Deno.test("hellos that differ only in where their lists end have fingerprints of their own", () => {
  const client = (some: number[], others: number[]) =>
    read(clientHello([0x1301], [groups(some), formats(others), algorithms([])]));
  assertEquals(client([29], []).ja3, md5("771,4865,10-11-13,29,"));
  assertEquals(client([], [29]).ja3, md5("771,4865,10-11-13,,29"));
  const plain = read(serverHello(0x1301, [[43, []], [0x0304, []]]));
  const chosen = read(serverHello(0x1301, [[43, words([0x0304])]]));
  assertEquals([plain.version, plain.ja3s], ["TLS 1.2", md5("771,4865,43-772")]);
  assertEquals([chosen.version, chosen.ja3s], ["TLS 1.3", md5("771,4865,43")]);
});

Deno.test("hellos that are new each time are read all the same, and only so many are remembered", () => {
  const hello = clientHello([0, 0], [], 0);
  const ciphersAt = hello.length - 8;
  for (let i = 0; i < 100_000; i++) {
    hello.set(words([i >> 8, i & 255]), ciphersAt);
    const { ja3 } = read(hello);
    if (i % 1_000 === 0) assertEquals(ja3, md5(`771,${i >> 8}-${i & 255},,,`));
    assert(recentClients.size <= recentMax);
  }
});

Deno.test("a hello with more numbers than any program sends is not remembered", () => {
  const recent = new RecentHellos<number>();
  const sum = (length: number) => {
    recent.begin();
    recent.beginList();
    for (let i = 0; i < length; i++) recent.put(1);
    return recent.words(([values]) => values.length);
  };
  assertEquals([sum(80), sum(10_000), sum(80)], [80, 10_000, 80]);
  assertEquals(recent.size, 1);
});
