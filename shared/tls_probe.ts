/** Connects to a server once more to learn why its certificate is refused.
 *
 * In: an address, the authorities trusted there, what has to be said before TLS begins. Out: the words of rustls, which
 * `tls_fault.ts` reads; null = the certificate is accepted, or nobody answers in time.
 * Invariant: nothing is sent after the handshake.
 * Why: `node:tls` says only "unable to verify" for an issuer, a date and a purpose alike,
 * and does not say for whom a certificate is. @module */

import type { Clock } from "./clock.ts";
import { type TlsFault, tlsFault } from "./tls_fault.ts";

export interface TlsTarget {
  host: string;
  port: number;
  /** PEM; absent = the system's authorities. */
  ca?: string | undefined;
  /** Speaks until the server expects TLS. */
  before?: (connection: Deno.TcpConn) => Promise<void>;
}

const probeTimeoutMs = 3_000;
const isVague = /unable to verify|self.signed certificate|altnames/;

/** What is wrong with the certificate of one of `targets`, given the words of a failed connection;
 * null = they speak of none. */
export async function askTlsFault(
  words: string,
  option: string,
  targets: readonly TlsTarget[],
  clock: Clock,
): Promise<TlsFault | null> {
  const fault = tlsFault(words, option);
  if (fault === null || !isVague.test(words)) return fault;
  for (const target of targets) {
    const precise = tlsFault(await refusalOf(target, clock) ?? "", option);
    if (precise !== null) return precise;
  }
  return fault;
}

async function refusalOf({ host, port, ca, before }: TlsTarget, clock: Clock): Promise<string | null> {
  const given = new AbortController();
  let connection: Deno.TcpConn | null = null;
  const asked = (async () => {
    const opened = connection = await Deno.connect({ hostname: host, port });
    await before?.(opened);
    const secure = await Deno.startTls(opened, { hostname: host, caCerts: ca === undefined ? [] : [ca] });
    connection = secure as unknown as Deno.TcpConn;
    await secure.handshake();
    return null;
  })().catch((error) => (error as Error).message);
  const said = await Promise.race([asked, clock.sleep(probeTimeoutMs, given.signal)]);
  given.abort();
  try {
    (connection as Deno.TcpConn | null)?.close();
  } catch {
    // A handshake that failed has closed it.
  }
  return said ?? null;
}
