/** Kinds of payloads that may be read where they arrive: what the chooser tells plain.ts by a number. @module */

/** What a payload seems to be. `tls` and `gnutella` need no reading: only the name is wanted. `http2` begins a
 * direction, `http2More` goes on with it; `http2Middle` joins it; `http2Upgrade` begins it behind an answer of HTTP/1.
 * `laterHello` stands behind something else (CONNECT, STARTTLS, SOCKS): it is read, and dissected too, as the dissector
 * alone can name what went before. */
export const plainKind = {
  none: 0,
  dns: 1,
  http: 2,
  ssdp: 3,
  hello: 4,
  ssh: 5,
  tls: 6,
  nbns: 7,
  gnutella: 8,
  rpc: 9,
  pipe: 10,
  ics: 11,
  ldap: 12,
  cldap: 13,
  login: 14,
  requestBody: 15,
  responseBody: 16,
  http2: 17,
  snmp: 18,
  http2More: 19,
  exploit: 20,
  http2Middle: 21,
  http2Upgrade: 22,
  sshAnswer: 23,
  laterHello: 24,
} as const;
