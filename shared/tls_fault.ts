/** Faults of a TLS connection, called what they are.
 *
 * In: the words of a TLS library: rustls, as Deno's `fetch` and `node:tls` have it. Out: a fault from a closed list,
 * its cause and its cure, both half sentences; null = the words speak of something else.
 * Why by words: the errors carry no code.
 * Words that are not known still give `certificate`, as long as they speak of one. @module */

export const tlsFaults = [
  "unknown_issuer",
  "ca_as_server",
  "wrong_name",
  "expired",
  "not_yet_valid",
  "wrong_purpose",
  "revoked",
  "certificate",
  "no_tls",
  "tls_only",
  "no_common_version",
] as const;

export interface TlsFault {
  fault: typeof tlsFaults[number];
  /** What is wrong, to follow "ADDRESS cannot be trusted as ". */
  cause: string;
  /** What to do about it. */
  cure: string;
}

type Explain = (words: string, option: string) => Omit<TlsFault, "fault">;

const said = (cause: string, cure: string): Explain => (_words, option) => ({
  cause,
  cure: cure.replace("OPTION", option),
});

/** In order: the first whose words are found. */
const faults: readonly (readonly [TlsFault["fault"], RegExp, Explain])[] = [
  [
    "ca_as_server",
    /CaUsedAsEndEntity/,
    said(
      "it shows the certificate of a certificate authority as its own",
      'give the server a certificate that a CA signed and that says "CA:FALSE", and the sensor the CA with OPTION',
    ),
  ],
  [
    "unknown_issuer",
    /UnknownIssuer|unable to get|self.signed certificate|BadSignature|bad signature/i,
    said(
      "its certificate is from an issuer that is not trusted here",
      "name the certificate authority that signed it with OPTION, or check that this is the right server",
    ),
  ],
  ["wrong_name", /not valid for (?:any )?name|NotValidForName|altnames/i, (words) => {
    const names = [...words.matchAll(/(?:DnsName|IpAddress)\("?([^")]{1,100})"?\)/g)].map(([, name]) => name);
    return {
      cause: names.length > 0
        ? `its certificate is for ${names.slice(0, 5).join(", ")}, not for this address`
        : "its certificate is not for this address",
      cure: "use an address that the certificate names, or add this one to the certificate (subjectAltName)",
    };
  }],
  ["expired", /certificate expired|\bExpired|has expired/, (words) => ({
    cause: `its certificate expired${stampAfter(words, "not valid after")}${clockOf(words)}`,
    cure: "renew the certificate, or set this machine's clock if that is wrong",
  })],
  ["not_yet_valid", /not valid yet|NotValidYet|not yet valid/, (words) => ({
    cause: `its certificate is not valid yet, but${stampAfter(words, "not valid before") || " later"}${
      clockOf(words)
    }`,
    cure: "set this machine's clock, or the clock of the machine that made the certificate",
  })],
  [
    "wrong_purpose",
    /extended key usage|InvalidPurpose|unsuitable certificate purpose/,
    said("its certificate is not made for servers", 'give it one with extended key usage "serverAuth"'),
  ],
  [
    "revoked",
    /Revoked/,
    said("its certificate was revoked", "give the server a new certificate"),
  ],
  [
    "certificate",
    /unable to verify/,
    said(
      "its certificate cannot be verified: unknown issuer, expired, or not valid yet",
      "name the certificate authority that signed it with OPTION, and look at its dates and at the clock here",
    ),
  ],
  [
    "certificate",
    /invalid peer certificate|\bcertificate\b/i,
    (words) => ({
      cause: `its certificate is refused (${words.slice(0, 120)})`,
      cure: "look at the server's certificate, for example with `openssl s_client -showcerts`",
    }),
  ],
  [
    "no_tls",
    /InvalidContentType|wrong version number/,
    said("it does not speak TLS on this port", 'write "http://" instead of "https://", or name the TLS port'),
  ],
  [
    "tls_only",
    /invalid HTTP version parsed|Client sent an HTTP request to an HTTPS server/,
    said("it does not speak HTTP without TLS on this port", 'write "https://" instead of "http://"'),
  ],
  [
    "no_common_version",
    /ProtocolVersion|HandshakeFailure|PeerIncompatible|peer is incompatible/,
    said("it speaks no version of TLS that is safe", "let it speak TLS 1.2 or 1.3"),
  ],
];

/** What is wrong, for a client that can be told another authority by `option`. */
export function tlsFault(words: string, option: string): TlsFault | null {
  for (const [fault, form, explain] of faults) {
    if (form.test(words)) return { fault, ...explain(words, option) };
  }
  return null;
}

/** " on 2025-01-01 00:00 UTC", from seconds since the epoch behind `before`. */
function stampAfter(words: string, before: string): string {
  const seconds = new RegExp(`${before} (\\d{1,12})\\b`).exec(words)?.[1];
  return seconds === undefined ? "" : ` on ${stamp(Number(seconds))}`;
}

function clockOf(words: string): string {
  const seconds = /verification time (\d{1,12})\b/.exec(words)?.[1];
  return seconds === undefined ? "" : `; the clock here says ${stamp(Number(seconds))}`;
}

function stamp(seconds: number): string {
  return `${new Date(seconds * 1_000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
