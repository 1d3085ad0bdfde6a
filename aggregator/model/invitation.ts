/** The one line with which a sensor joins.
 *
 * In: where sensors reach this aggregator, a join token, its authority's fingerprint. Out:
 * `picket://HOST:PORT/TOKEN#FINGERPRINT` in a command to copy. Behind a path prefix, which that string cannot carry,
 * the command names the address instead. @module */

export interface Place {
  /** `https://host:port`, as sensors reach it. */
  url: string;
  /** Of the own authority, 64 hexadecimal digits; null = a certificate that is trusted anyway, or no TLS. */
  fingerprint: string | null;
}

/** `picket://...`; null = the address has a path or no TLS. */
export function invitation({ url, fingerprint }: Place, token: string): string | null {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (pathname !== "/" || protocol !== "https:") return null;
  return `picket://${hostname}:${port || "443"}/${token}${fingerprint === null ? "" : `#${fingerprint}`}`;
}

/** What to type on the sensor. */
export function joinCommand(place: Place, token: string): string {
  const text = invitation(place, token);
  return text === null
    ? `sudo picket-sensor enrol --aggregator ${place.url.replace(/\/+$/, "")} --token ${token}`
    : `sudo picket-sensor enrol '${text}'`;
}
