/** The reader of certificates: a real one, made ones, and ones that are not plain. @module */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import type { Facts } from "../../../../shared/facts.ts";
import { readCertificateNames } from "../../../../sensor/dissect/plain/certificate.ts";
import { readTlsHello } from "../../../../sensor/dissect/plain/tls_hello.ts";
import { bytesOf } from "../fixture.ts";

/** Made with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650
 * -subj "/C=XX/O=Example, Inc./OU=Unit/CN=www.example.org" -set_serial 0x0123456789abcdef0123 */
const real = Buffer.from(
  "MIIB6DCCAY2gAwIBAgIKASNFZ4mrze8BIzAKBggqhkjOPQQDAjBOMQswCQYDVQQGEwJYWDEWMBQGA1UECgwNRXhhbXBsZSwgSW5jLjENMAsG" +
    "A1UECwwEVW5pdDEYMBYGA1UEAwwPd3d3LmV4YW1wbGUub3JnMB4XDTI2MTEyNTE3NDIyMFoXDTM2MTEyMjE3NDIyMFowTjELMAkGA1UEBhMC" +
    "WFgxFjAUBgNVBAoMDUV4YW1wbGUsIEluYy4xDTALBgNVBAsMBFVuaXQxGDAWBgNVBAMMD3d3dy5leGFtcGxlLm9yZzBZMBMGByqGSM49AgEG" +
    "CCqGSM49AwEHA0IABHwbQUBJ3xPXv2VAB7P5pxcd0WW0ftrwayIPPELY9yVdm8pNMniIlYeVcherh4xwiAKzsk4jTN8AgQsgkaoBLmCjUzBR" +
    "MB0GA1UdDgQWBBR1V+YdwxI0Y0iEPRiwswN7FvwnBDAfBgNVHSMEGDAWgBR1V+YdwxI0Y0iEPRiwswN7FvwnBDAPBgNVHRMBAf8EBTADAQH/" +
    "MAoGCCqGSM49BAMCA0kAMEYCIQCEjCGId6NbUQ+GY72+bgV+mtJfycWmahksnn7gInfnagIhAL5QRPulgxNgsiF5HRISySCzwcToYYj3tQRi" +
    "oe1cp+ry",
  "base64",
);

function element(tag: number, ...content: number[][]): number[] {
  const octets = content.flat();
  const { length } = octets;
  if (length < 0x80) return [tag, length, ...octets];
  return length < 0x100 ? [tag, 0x81, length, ...octets] : [tag, 0x82, length >> 8, length & 255, ...octets];
}

const kinds = { utf8: 0x0c, printable: 0x13, teletex: 0x14, ia5: 0x16, bmp: 0x1e } as const;
type Kind = keyof typeof kinds;

const attribute = (type: number, text: string, kind: Kind = "utf8") =>
  element(0x30, element(0x06, [0x55, 0x04, type]), element(kinds[kind], [...bytesOf(text)]));
const name = (...attributes: number[][]) => element(0x30, ...attributes.map((one) => element(0x31, one)));
const date = (text: string, tag = 0x17) => element(tag, [...bytesOf(text)]);
const validity = (to = date("270203040506Z")) => element(0x30, date("260101000000Z"), to);
const issuer = name(
  attribute(6, "XX", "printable"),
  attribute(10, "Certs, Inc."),
  attribute(3, "Certs CA 1"),
);

interface Parts {
  version?: number[];
  issuer?: number[];
  validity?: number[];
  subject?: number[];
}

/** A certificate with these parts; key and signature are only as long as real ones.
 * `size` is that up to the end of the subject. */
function certificate(parts: Parts): { octets: Uint8Array; size: number } {
  const { version = element(0xa0, element(0x02, [2])) } = parts;
  const until = [
    ...version,
    ...element(0x02, [1, 2, 3]),
    ...element(0x30, element(0x06, [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]), [5, 0]),
    ...(parts.issuer ?? issuer),
    ...(parts.validity ?? validity()),
    ...(parts.subject ?? name(attribute(3, "www.example.org"))),
  ];
  const key = new Array<number>(294).fill(9);
  const octets = element(0x30, element(0x30, until, key), new Array<number>(270).fill(8));
  // Two long lengths stand before it.
  return { octets: Uint8Array.from(octets), size: until.length + 8 };
}

const read = ({ octets }: { octets: Uint8Array }, limit = octets.length) =>
  readCertificateNames(octets, 0, limit);

Deno.test("a real certificate says what another reader says", () => {
  const { subject, issuer, validFrom, validTo } = new X509Certificate(real);
  const iso = (text: string) => new Date(text).toISOString().replace(".000", "");
  const common = (text: string) => /CN=(.*)/.exec(text)![1];
  assertEquals(readCertificateNames(real, 0, real.length), {
    issuer: common(issuer),
    subject: common(subject),
    notBefore: iso(validFrom),
    notAfter: iso(validTo),
    isSelfIssued: true,
  });
});

Deno.test("the common name stands for a name, else the organisation, the last of several", () => {
  const of = (...attributes: number[][]) => read(certificate({ subject: name(...attributes) }))?.subject;
  assertEquals(of(attribute(3, "a", "printable"), attribute(10, "b"), attribute(3, "c", "teletex")), "c");
  assertEquals(of(attribute(10, "b"), attribute(11, "unit")), "b");
  assertEquals(of(attribute(6, "XX", "printable")), "");
  assertEquals(read(certificate({}))?.issuer, "Certs CA 1");
});

Deno.test("a certificate is its own issuer's only when both names are equal to the last octet", () => {
  const own = (subject: number[]) => read(certificate({ subject }))?.isSelfIssued;
  assertEquals(own(issuer), true);
  assertEquals(own(name(attribute(3, "Certs CA 1"))), false);
  assertEquals(
    own(name(attribute(6, "XY", "printable"), attribute(10, "Certs, Inc."), attribute(3, "Certs CA 1"))),
    false,
  );
});

Deno.test("dates are of this century up to 2049, of the last from 1950", () => {
  const until = (text: string) => read(certificate({ validity: validity(date(text)) }))?.notAfter;
  assertEquals(until("491231235959Z"), "2049-12-31T23:59:59Z");
  assertEquals(until("500101000000Z"), "1950-01-01T00:00:00Z");
});

Deno.test("what is not plain is left to the dissector", () => {
  const two = element(0x30, element(0x31, attribute(3, "a"), attribute(10, "b")));
  const odd: Record<string, Parts> = {
    "two attributes in one part": { subject: two },
    "letters beyond ASCII": { subject: name(attribute(3, "caf\u00e9")) },
    "a control character": { subject: name(attribute(3, "a\u0007b")) },
    "a backslash": { subject: name(attribute(3, "a\\b")) },
    "two octets a letter": { subject: name(attribute(3, "ab", "bmp")) },
    "another kind of string": { issuer: name(attribute(10, "ab", "ia5")) },
    "a date after 2049": { validity: validity(date("20500101000000Z", 0x18)) },
    "no date": { validity: validity(date("tomorrow, noon")) },
    "too many parts": { subject: name(...new Array<number[]>(33).fill(attribute(3, "a"))) },
    "another beginning": { version: element(0x30, [1]) },
  };
  for (const [what, parts] of Object.entries(odd)) assertEquals(read(certificate(parts)), null, what);
  assert(read(certificate({ version: [] })), "version 1 says nothing of its version");
});

Deno.test("the key is not needed, everything before it is", () => {
  const made = certificate({});
  for (let limit = 0; limit < made.size; limit++) assertEquals(read(made, limit), null, `${limit} octets`);
  assert(read(made, made.size));
});

Deno.test("no change of octets makes the reader fail or read beyond the packet", () => {
  const { octets, size } = certificate({});
  fc.assert(fc.property(fc.nat(size - 1), fc.nat(255), fc.nat(size), (at, value, limit) => {
    const changed = octets.slice();
    changed[at] = value;
    // What lies behind the packet in the buffer is another packet.
    const other = changed.slice();
    other.fill(0x41, limit);
    assertEquals(read({ octets: changed }, limit), read({ octets: other }, limit));
  }));
});

/** Handshake message with its header. */
const message = (type: number, body: number[]) => [type, 0, body.length >> 8, body.length & 255, ...body];
const record = (body: number[]) => [22, 3, 3, body.length >> 8, body.length & 255, ...body];
const hello = message(2, [3, 3, ...new Array<number>(32).fill(7), 0, 0xc0, 0x2f, 0]);
const three = (length: number) => [0, length >> 8, length & 255];

function chain(): number[] {
  const octets = [...certificate({}).octets];
  const second = new Array<number>(900).fill(5);
  const list = [...three(octets.length), ...octets, ...three(second.length), ...second];
  return message(11, [...three(list.length), ...list]);
}

function readFlight(octets: readonly number[], size: number): Facts | null {
  const facts: Facts = {};
  const packet = Uint8Array.from(octets).subarray(0, size);
  return readTlsHello(packet, 0, packet.length, facts) ? facts : (assertEquals(facts, {}), null);
}

Deno.test("a ServerHello is read with the certificate behind it, in its record or in the next", () => {
  const names = {
    version: "TLS 1.2",
    cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    certificate_issuer: "Certs CA 1",
    certificate_subject: "www.example.org",
    certificate_not_before: "2026-01-01T00:00:00Z",
    certificate_not_after: "2027-02-03T04:05:06Z",
  };
  for (const flight of [record([...hello, ...chain()]), [...record(hello), ...record(chain())]]) {
    const { ja3s, ...facts } = readFlight(flight, 1_200)!.tls!;
    assertEquals(facts as Record<string, string>, names);
    assert(/^[0-9a-f]{32}$/.test(ja3s!));
  }
});

Deno.test("a flight whose certificate is not named in its first segment is left alone", () => {
  const flight = [...record(hello), ...record(chain())];
  const named = record(hello).length + 5 + 4 + 6 + certificate({}).size;
  for (let size = record(hello).length + 1; size < named; size += 3) {
    assertEquals(readFlight(flight, size), null, `${size}`);
  }
  assert(readFlight(flight, named));
  assertEquals(
    readFlight([...record(hello), ...record(message(22, [1, 2, 3]))], 1_200),
    null,
    "no certificate",
  );
  const cut = record([...hello, ...chain()]);
  cut[3] = 0;
  cut[4] = hello.length + 100;
  assertEquals(readFlight(cut, 1_200), null, "a certificate in two records");
});
