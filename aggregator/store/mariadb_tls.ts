/** TLS to MariaDB: options for the client, and what is wrong with a certificate.
 *
 * In: the server's address, the authorities trusted for it. Out: options of the client; a failed connection explained.
 * Invariant: certificate and name are always verified.
 * Why an authority must be named: without one, newer servers are trusted because of the password alone,
 * older ones not at all. @module */

import { isIP } from "node:net";
import { systemClock } from "../../shared/clock.ts";
import { askTlsFault } from "../../shared/tls_probe.ts";
import { StoreUnavailable } from "./store.ts";

export interface SecureServer {
  host: string;
  port: number;
  /** PEM. */
  ca: string;
}

/** The client's error number: TLS is asked for, and the server has none. */
const noTlsThere = 45_023;

/** The client hands over a socket that is open, so TLS must be told whom it was meant for. */
export function tlsOptions({ host, ca }: SecureServer) {
  return { ca, host, ...(isIP(host) ? {} : { servername: host }), minVersion: "TLSv1.2" } as const;
}

/** `where` begins the message. Null = the cause is not TLS. */
export async function explainTls(
  { host, port, ca }: SecureServer,
  where: string,
  cause: unknown,
): Promise<StoreUnavailable | null> {
  if ((cause as { errno?: unknown })?.errno === noTlsThere) {
    return new StoreUnavailable(`${where}: the server speaks no TLS, which --store-ca asks for`, { cause });
  }
  const target = { host, port, ca, before: askForTls };
  const fault = await askTlsFault((cause as Error).message, "--store-ca", [target], systemClock);
  if (fault === null) return null;
  return new StoreUnavailable(`${where}: it answers, but ${fault.cause}: ${fault.cure}`, { cause });
}

/** Reads the server's greeting, and sends the packet by which a client asks for TLS. */
async function askForTls(connection: Deno.TcpConn): Promise<void> {
  await connection.read(new Uint8Array(1_024));
  // 32 octets, number 1; protocol 4.1, TLS, secure connection; largest packet 1 MiB; utf8mb4.
  const flags = [0x00, 0x8a, 0x08, 0x00, 0x00, 0x00, 0x10, 0x00, 0x2d];
  const packet = new Uint8Array(36);
  packet.set([32, 0, 0, 1, ...flags]);
  await connection.write(packet);
}
