/** The certificate authority of an aggregator: read from a file, or fetched once and known by its fingerprint.
 *
 * In: PEM text; or address and SHA-256 of the authority's certificate. Out: the certificate, as PEM.
 * Invariant: what was fetched is kept only when its fingerprint is the one that was given, and nothing else of that
 * connection is used: who stands in between can keep the sensor from enrolling, and no more.
 * Why checked here: the runtime takes any text for an authority, and then trusts nobody without saying why. @module */

import { X509Certificate } from "node:crypto";

/** Octets of the answer, and of an authority in a file. */
export const authorityBytesMax = 65_536;
/** Certificates in one file. */
const certificatesMax = 16;

/** Every certificate in the text. @throws {TypeError} when there is none, or one that cannot be read. */
export function checkAuthority(pem: string): X509Certificate[] {
  const parts = pem.slice(0, authorityBytesMax).match(
    /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g,
  );
  if (parts === null || parts.length > certificatesMax) {
    const found = parts === null
      ? /PRIVATE KEY/.test(pem) ? "a private key" : "no certificate"
      : `${parts.length} certificates`;
    throw new TypeError(
      `Cannot trust certificate authority as it must be 1 to ${certificatesMax} certificates in PEM: current value is ${found}`,
    );
  }
  try {
    return parts.map((part) => new X509Certificate(part));
  } catch (cause) {
    throw new TypeError("Cannot trust certificate authority as its certificate is damaged", { cause });
  }
}

/** 64 hexadecimal digits without colons, of a fingerprint in any usual form; null = it is none. */
export function readFingerprint(text: string): string | null {
  const digits = text.replaceAll(":", "").toLowerCase();
  return /^[0-9a-f]{64}$/.test(digits) ? digits : null;
}

/** SHA-256 of a certificate's DER, as {@link readFingerprint} gives it. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** Why an authority was not fetched. */
export const authorityProblems = ["unreachable", "none_offered", "other_fingerprint"] as const;

export type FetchedAuthority =
  | { ok: true; pem: string }
  | { ok: false; problem: typeof authorityProblems[number]; message: string };

/** Fetches `https://host:port/ca.pem` and keeps of it the certificate with this fingerprint. */
export async function fetchAuthority(
  { host, port, fingerprint }: { host: string; port: number; fingerprint: string },
  timeoutMs: number,
): Promise<FetchedAuthority> {
  const url = `https://${host}:${port}/ca.pem`;
  let answer: { status: number; text: string };
  try {
    answer = await getUnverified(url, timeoutMs);
  } catch (error) {
    const message = `${url} is not reachable: ${(error as Error).message}`;
    return { ok: false, problem: "unreachable", message };
  }
  if (answer.status !== 200) {
    const message =
      `${url} answers ${answer.status}: this aggregator offers no certificate authority of its own`;
    return { ok: false, problem: "none_offered", message };
  }
  let certificates: X509Certificate[];
  try {
    certificates = checkAuthority(answer.text);
  } catch (error) {
    return { ok: false, problem: "none_offered", message: `${url}: ${(error as Error).message}` };
  }
  const found = certificates.find((certificate) => fingerprintOf(certificate) === fingerprint);
  if (found) return { ok: true, pem: found.toString() };
  const message =
    `${url} offers the certificate authority ${fingerprintOf(certificates[0])}, not ${fingerprint}: ` +
    "this is another server, or somebody stands in between";
  return { ok: false, problem: "other_fingerprint", message };
}

/** One GET whose certificate is not verified: there is nothing yet to verify it with. */
async function getUnverified(url: string, timeoutMs: number): Promise<{ status: number; text: string }> {
  // Loaded only here: no sensor that is enrolled needs it.
  const { Agent, get } = await import("node:https");
  const signal = AbortSignal.timeout(timeoutMs);
  return await new Promise((resolve, reject) => {
    // Without "ca" the runtime reads the system's authorities first, which takes a permission of its own.
    const agent = new Agent({ rejectUnauthorized: false, ca: [] });
    const request = get(url, { agent, signal }, (response) => {
      const parts: Uint8Array[] = [];
      let bytes = 0;
      response.on("data", (part: Uint8Array) => {
        parts.push(part);
        bytes += part.length;
        if (bytes > authorityBytesMax) {
          request.destroy(new RangeError(`the answer is more than ${authorityBytesMax} octets`));
        }
      });
      response.on("error", reject);
      response.on("end", async () => {
        const text = await new Blob(parts as BlobPart[]).text();
        resolve({ status: response.statusCode ?? 0, text });
      });
    });
    request.on("error", (error) => {
      reject(signal.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error);
    });
  });
}
