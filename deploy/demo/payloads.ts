/** Payloads of application protocols, as small as real ones can be: DNS, TLS, SSH, HTTP, NTP.
 *
 * In: names and random bytes. Out: octets that tshark dissects without complaint. @module */

import { type Capture, concat, text, u16, u32 } from "./packets.ts";

const dnsTypes = { A: 1, TXT: 16, AAAA: 28, PTR: 12, NULL: 10 } as const;
export type DnsType = keyof typeof dnsTypes;

/** A DNS question. */
export function dnsQuery(id: number, name: string, type: DnsType): Uint8Array {
  return concat([
    u16(id),
    u16(0x0100),
    u16(1),
    u16(0),
    u16(0),
    u16(0),
    dnsName(name),
    u16(dnsTypes[type]),
    u16(1),
  ]);
}

/** The answer to it: one record with `data`, or NXDOMAIN when `data` is null. */
export function dnsAnswer(id: number, name: string, type: DnsType, data: Uint8Array | null): Uint8Array {
  const header = [u16(id), u16(data ? 0x8180 : 0x8183), u16(1), u16(data ? 1 : 0), u16(0), u16(0)];
  const question = [dnsName(name), u16(dnsTypes[type]), u16(1)];
  const record = data ? [u16(0xc00c), u16(dnsTypes[type]), u16(1), u32(300), u16(data.length), data] : [];
  return concat([...header, ...question, ...record]);
}

/** Data of a TXT record of one string. */
export function dnsText(value: string): Uint8Array {
  return concat([Uint8Array.of(value.length), text(value)]);
}

export function dnsName(name: string): Uint8Array {
  return concat([
    ...name.split(".").map((label) => concat([Uint8Array.of(label.length), text(label)])),
    Uint8Array.of(0),
  ]);
}

const block16 = (body: Uint8Array) => concat([u16(body.length), body]);
const extension = (type: number, body: Uint8Array) => concat([u16(type), block16(body)]);
const tlsRecord = (type: number, body: Uint8Array) => concat([Uint8Array.of(type, 3, 3), block16(body)]);
const handshake = (type: number, body: Uint8Array) =>
  tlsRecord(22, concat([Uint8Array.of(type, 0), block16(body)]));

/** A TLS 1.3 ClientHello; "" = without a server name. */
export function clientHello(capture: Capture, name: string): Uint8Array {
  const ciphers = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030];
  const extensions = concat([
    ...name === "" ? [] : [extension(0, block16(concat([Uint8Array.of(0), block16(text(name))])))],
    extension(10, block16(concat([u16(0x001d), u16(0x0017)]))),
    extension(11, Uint8Array.of(1, 0)),
    extension(16, block16(concat([Uint8Array.of(2), text("h2"), Uint8Array.of(8), text("http/1.1")]))),
    extension(13, block16(concat([u16(0x0403), u16(0x0804), u16(0x0401)]))),
    extension(43, Uint8Array.of(4, 3, 4, 3, 3)),
    extension(51, block16(concat([u16(0x001d), block16(capture.randomBytes(32))]))),
  ]);
  return handshake(
    1,
    concat([
      Uint8Array.of(3, 3),
      capture.randomBytes(32),
      Uint8Array.of(32),
      capture.randomBytes(32),
      block16(concat(ciphers.map(u16))),
      Uint8Array.of(1, 0),
      block16(extensions),
    ]),
  );
}

/** The ServerHello to it, the change of cipher, and `length` octets of encrypted handshake. */
export function serverHello(capture: Capture, length: number): Uint8Array {
  const extensions = concat([
    extension(43, Uint8Array.of(3, 4)),
    extension(51, concat([u16(0x001d), block16(capture.randomBytes(32))])),
  ]);
  const hello = handshake(
    2,
    concat([
      Uint8Array.of(3, 3),
      capture.randomBytes(32),
      Uint8Array.of(32),
      capture.randomBytes(32),
      u16(0x1301),
      Uint8Array.of(0),
      block16(extensions),
    ]),
  );
  return concat([hello, tlsRecord(20, Uint8Array.of(1)), tlsData(capture, length)]);
}

/** Encrypted TLS data of `length` octets. */
export function tlsData(capture: Capture, length: number): Uint8Array {
  return tlsRecord(23, capture.randomBytes(length));
}

/** Messages of one TLS conversation. */
export function tlsMessages(capture: Capture, name: string, requestBytes: number, answerBytes: number) {
  return [
    { fromClient: true, payload: clientHello(capture, name) },
    { fromClient: false, payload: serverHello(capture, 420) },
    { fromClient: true, payload: concat([tlsRecord(20, Uint8Array.of(1)), tlsData(capture, 53)]) },
    { fromClient: true, payload: tlsData(capture, requestBytes) },
    { fromClient: false, payload: tlsData(capture, answerBytes) },
  ];
}

export const sshClientBanner = text("SSH-2.0-libssh2_1.11.0\r\n");
export const sshServerBanner = text("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");

/** An SSH packet that is not yet encrypted (RFC 4253, section 6). */
function sshPacket(body: Uint8Array): Uint8Array {
  const missing = 8 - (body.length + 5) % 8;
  const padding = missing < 4 ? missing + 8 : missing;
  return concat([u32(body.length + 1 + padding), Uint8Array.of(padding), body, new Uint8Array(padding)]);
}

/** The offer of algorithms. */
export function sshKeyExchangeInit(capture: Capture): Uint8Array {
  const lists = [
    "curve25519-sha256,ecdh-sha2-nistp256",
    "ssh-ed25519,rsa-sha2-512",
    "aes256-ctr,aes128-ctr",
    "aes256-ctr,aes128-ctr",
    "hmac-sha2-256,hmac-sha2-512",
    "hmac-sha2-256,hmac-sha2-512",
    "none",
    "none",
    "",
    "",
  ].map((list) => concat([u32(list.length), text(list)]));
  return sshPacket(
    concat([Uint8Array.of(20), capture.randomBytes(16), ...lists, Uint8Array.of(0), u32(0)]),
  );
}

const sshBytes = (bytes: Uint8Array) => concat([u32(bytes.length), bytes]);

/** One session in which `tries` passwords are refused. */
export function sshGuessMessages(capture: Capture, tries: number) {
  const key = concat([sshBytes(text("ssh-ed25519")), sshBytes(capture.randomBytes(32))]);
  const signature = concat([sshBytes(text("ssh-ed25519")), sshBytes(capture.randomBytes(64))]);
  const newKeys = sshPacket(Uint8Array.of(21));
  const reply = sshPacket(
    concat([Uint8Array.of(31), sshBytes(key), sshBytes(capture.randomBytes(32)), sshBytes(signature)]),
  );
  const messages = [
    { fromClient: true, payload: sshClientBanner },
    { fromClient: false, payload: sshServerBanner },
    { fromClient: true, payload: sshKeyExchangeInit(capture) },
    { fromClient: false, payload: sshKeyExchangeInit(capture) },
    { fromClient: true, payload: sshPacket(concat([Uint8Array.of(30), sshBytes(capture.randomBytes(32))])) },
    { fromClient: false, payload: concat([reply, newKeys]) },
    { fromClient: true, payload: newKeys },
    { fromClient: true, payload: capture.randomBytes(64) },
    { fromClient: false, payload: capture.randomBytes(64) },
  ];
  for (let i = 0; i < tries; i++) {
    messages.push({ fromClient: true, payload: capture.randomBytes(144) });
    messages.push({ fromClient: false, payload: capture.randomBytes(80) });
  }
  return messages;
}

/** Messages of one HTTP request and its answer. */
export function httpMessages(host: string, path: string, status: string, body: string) {
  const request =
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Mozilla/5.0 (demo)\r\nAccept: */*\r\n\r\n`;
  const answer =
    `HTTP/1.1 ${status}\r\nServer: demo\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  return [{ fromClient: true, payload: text(request) }, { fromClient: false, payload: text(answer) }];
}

/** NTP version 4, client (mode 3) or server (mode 4); `seconds` since the epoch. */
export function ntp(mode: 3 | 4, seconds: number): Uint8Array {
  const since1900 = Math.floor(seconds) + 2_208_988_800;
  const stamp = concat([u32(since1900 >>> 0), u32(0x8000_0000)]);
  const head = Uint8Array.of(4 << 3 | mode, mode === 4 ? 2 : 0, 6, 0xec);
  const answered = mode === 4 ? stamp : new Uint8Array(8);
  return concat([head, u32(0), u32(0), u32(0), answered, answered, answered, stamp]);
}
