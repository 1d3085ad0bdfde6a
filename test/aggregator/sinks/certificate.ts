/** A certificate for 127.0.0.1, with the authority that signed it. @module */

import {
  makeAuthority,
  makeKeys,
  makeServerCertificate,
  privateKeyPem,
} from "../../../aggregator/tls/certificate.ts";

export function testCertificate(): { ca: string; cert: string; key: string } {
  const issuer = { name: "Test authority", keys: makeKeys() }, own = makeKeys();
  const validity = { fromMs: Date.now() - 60_000, toMs: Date.now() + 3_600_000 };
  const serial = () => crypto.getRandomValues(new Uint8Array(16));
  return {
    ca: makeAuthority(issuer, validity, serial()),
    cert: makeServerCertificate({
      names: ["127.0.0.1", "localhost"],
      key: own.publicKey,
      issuer,
      validity,
      serial: serial(),
    }),
    key: privateKeyPem(own),
  };
}
