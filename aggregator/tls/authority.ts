/** The aggregator's own certificate authority, and the certificate it serves with.
 *
 * Files, in `tls/` of the state folder (0700):
 * `ca.pem`, `ca.key`, `server.pem` (with the authority's behind it), `server.key`, all 0600.
 * Invariant: the authority is made once, by `setup`, and never replaced here, as every sensor knows it by its
 * fingerprint; the server's certificate is made anew when it has less than {@link renewMs} left, when the machine has
 * other names or addresses, or when the files are damaged.
 * A file is whole or not there: each is written beside its place and renamed.
 * Why a day before now: a sensor's clock may be behind. @module */

import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { CommandError, exitCodes } from "../../shared/command.ts";
import { plain } from "../model/client_address.ts";
import {
  type Issuer,
  type KeyPair,
  makeAuthority,
  makeKeys,
  makeServerCertificate,
  privateKeyPem,
} from "./certificate.ts";

const dayMs = 86_400_000;
const authorityMs = 3_650 * dayMs;
const serverMs = 90 * dayMs;
const namesMax = 100;
/** A certificate with less than this is renewed. */
const renewMs = 30 * dayMs;

/** PEM of a certificate chain and its key. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface AuthorityDeps {
  nowMs: number;
  randomBytes(length: number): Uint8Array;
}

/** What others know the authority by. */
export interface Authority {
  pem: string;
  /** SHA-256 of the certificate's DER, 64 hexadecimal digits. */
  fingerprint: string;
}

/** The authority of a state folder; null = `setup` was never run there. @throws {CommandError} when it is damaged. */
export async function readAuthority(folder: string): Promise<Authority | null> {
  const pem = await readIfThere(`${folder}/tls/ca.pem`);
  if (pem === null) return null;
  try {
    const certificate = new X509Certificate(pem);
    return { pem, fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase() };
  } catch (cause) {
    throw damaged(folder, cause);
  }
}

/** The authority of a state folder, made when there is none. */
export async function ensureAuthority(folder: string, name: string, deps: AuthorityDeps): Promise<Authority> {
  const before = await readAuthority(folder);
  if (before) return before;
  const keys = makeKeys();
  const validity = { fromMs: deps.nowMs - dayMs, toMs: deps.nowMs + authorityMs };
  const pem = makeAuthority(
    { name: `Picket CA of ${name}`.slice(0, 64), keys },
    validity,
    deps.randomBytes(16),
  );
  await Deno.mkdir(`${folder}/tls`, { recursive: true, mode: 0o700 });
  await writeWhole(`${folder}/tls/ca.key`, privateKeyPem(keys));
  // Last, as it is what says that there is an authority.
  await writeWhole(`${folder}/tls/ca.pem`, pem);
  return (await readAuthority(folder))!;
}

/** The certificate to serve with, made anew when it has to be.
 * @throws {CommandError} when the authority is damaged or not there. */
export async function serverCertificate(
  folder: string,
  names: readonly string[],
  deps: AuthorityDeps,
): Promise<Certificate & { isNew: boolean }> {
  const authority = await readIfThere(`${folder}/tls/ca.pem`);
  if (authority === null) throw damaged(folder, new Error("there is no authority"));
  const cert = await readIfThere(`${folder}/tls/server.pem`);
  const key = await readIfThere(`${folder}/tls/server.key`);
  if (cert !== null && key !== null && isGood(cert, key, authority, names, deps.nowMs)) {
    return { cert, key, isNew: false };
  }
  const keys = makeKeys();
  const leaf = makeServerCertificate({
    // An address that cannot be seen now may still be how sensors come here.
    names: [...new Set([...names, ...namesIn(cert)])].slice(0, namesMax),
    key: keys.publicKey,
    issuer: await readIssuer(folder, authority),
    validity: { fromMs: deps.nowMs - dayMs, toMs: deps.nowMs + serverMs },
    serial: deps.randomBytes(16),
  });
  const made = { cert: leaf + authority, key: privateKeyPem(keys) };
  await writeWhole(`${folder}/tls/server.key`, made.key);
  await writeWhole(`${folder}/tls/server.pem`, made.cert);
  return { ...made, isNew: true };
}

/** Names and addresses under which this machine can be reached, and `others`. */
export function machineNames(others: readonly string[]): string[] {
  const addresses = interfaces().map(({ address }) => address).filter((address) => !/^fe80:/i.test(address));
  const host = Deno.hostname().toLowerCase();
  const names = [
    "localhost",
    ...(/^[a-z0-9.-]{1,253}$/.test(host) ? [host, ...local(host)] : []),
    ...addresses,
  ];
  return [...new Set([...names, ...others].map((name) => plain(name.toLowerCase())))].sort();
}

/** The address that others on the network most likely reach: the first that is not this machine's own. */
export function reachableAddress(): string {
  const found = interfaces().filter(({ name, address }) =>
    !/^(127\.|169\.254\.|::1$|fe80:)/i.test(address) && !/^(docker|br-|veth|virbr|lo$)/.test(name)
  );
  const best = found.find(({ family }) => family === "IPv4") ?? found[0];
  if (!best) return Deno.hostname();
  return best.family === "IPv6" ? `[${best.address}]` : best.address;
}

/** A service that is walled in may not ask for them. */
function interfaces(): Deno.NetworkInterfaceInfo[] {
  try {
    return Deno.networkInterfaces();
  } catch {
    return [];
  }
}

/** The name by which mDNS knows a host. */
function local(host: string): string[] {
  return host.includes(".") ? [] : [`${host}.local`];
}

function isGood(
  pem: string,
  key: string,
  authority: string,
  names: readonly string[],
  nowMs: number,
): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const held = namesIn(pem);
    const fromMs = Date.parse(certificate.validFrom), toMs = Date.parse(certificate.validTo);
    return nowMs >= fromMs && toMs - nowMs > renewMs &&
      names.every((name) => held.includes(name)) &&
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      certificate.verify(new X509Certificate(authority).publicKey);
  } catch {
    return false; // Whatever is wrong with it: a new one is made.
  }
}

/** Names in a certificate; none when it cannot be read. */
function namesIn(pem: string | null): string[] {
  try {
    const names = new X509Certificate(pem ?? "").subjectAltName ?? "";
    return names.split(", ").map((name) => plain(name.replace(/^(?:DNS|IP Address):/, "").toLowerCase()))
      .filter(Boolean);
  } catch {
    return [];
  }
}

async function readIssuer(folder: string, authority: string): Promise<Issuer> {
  try {
    const privateKey = createPrivateKey(await Deno.readTextFile(`${folder}/tls/ca.key`));
    const keys: KeyPair = { privateKey, publicKey: createPublicKey(privateKey) };
    const name = /CN=(.*)/.exec(new X509Certificate(authority).subject)?.[1];
    if (name === undefined) throw new TypeError("its certificate has no name");
    return { name, keys };
  } catch (cause) {
    throw damaged(folder, cause);
  }
}

function damaged(folder: string, cause: unknown): CommandError {
  return new CommandError(
    exitCodes.environment,
    `Cannot use the certificate authority in "${folder}/tls": ${
      (cause as Error).message
    }; restore ca.pem and ca.key from a backup, ` +
      "or remove the folder, run setup again and enrol every sensor anew",
    { cause },
  );
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw new CommandError(exitCodes.environment, `Cannot read "${path}": ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const beside = `${path}.new`;
  try {
    await Deno.remove(beside).catch(() => undefined);
    const file = await Deno.open(beside, { write: true, createNew: true, mode: 0o600 });
    try {
      await file.write(new TextEncoder().encode(text));
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(beside, path);
  } catch (cause) {
    throw new CommandError(exitCodes.environment, `Cannot write "${path}": ${(cause as Error).message}`, {
      cause,
    });
  }
}
