/** Certificates for tests, made by openssl: an authority, and servers of it with one fault each. @module */

import { sha256Hex } from "../../shared/batch.ts";

export interface Certificate {
  cert: string;
  key: string;
}

export const hasOpenssl = await new Deno.Command("openssl", { args: ["version"] }).output().then(
  ({ success }) => success,
  () => false,
);

/** In a folder that is removed again. */
export class Certificates {
  readonly folder = Deno.makeTempDirSync({ prefix: "picket-tls-" });

  /** A certificate authority: signs itself. */
  authority(name: string): Promise<Certificate> {
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
    return this.#make(name, ["req", "-x509", ...newKey, ...subject, "-days", "30"]);
  }

  /** A server's certificate, signed by the authority of that name. */
  async server(
    name: string,
    issuer: string,
    { names = "IP:127.0.0.1", from = "20200101000000Z", to = "20491231000000Z", usage = "serverAuth" } = {},
  ): Promise<Certificate> {
    const path = (of: string, end: string) => `${this.folder}/${of}.${end}`;
    const request = [...newKey, "-keyout", path(name, "key"), "-out", path(name, "csr")];
    await openssl(["req", "-new", ...request, "-subj", `/CN=${name}`]);
    const about =
      `[a]\nsubjectAltName=${names}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=${usage}\n`;
    Deno.writeTextFileSync(path("index", "txt"), "");
    const rules =
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${path("index", "txt")}\nnew_certs_dir=${this.folder}\n` +
      `default_md=sha256\npolicy=p\nrand_serial=yes\nunique_subject=no\n[p]\ncommonName=supplied\n${about}`;
    Deno.writeTextFileSync(path(name, "cnf"), rules);
    await openssl([
      ...["ca", "-batch", "-notext", "-config", path(name, "cnf"), "-extensions", "a"],
      ...["-cert", path(issuer, "pem"), "-keyfile", path(issuer, "key")],
      ...["-startdate", from, "-enddate", to, "-in", path(name, "csr"), "-out", path(name, "pem")],
    ]);
    return this.#read(name);
  }

  async #make(name: string, args: string[]): Promise<Certificate> {
    await openssl([...args, "-keyout", `${this.folder}/${name}.key`, "-out", `${this.folder}/${name}.pem`]);
    return this.#read(name);
  }

  #read(name: string): Certificate {
    const read = (end: string) => Deno.readTextFileSync(`${this.folder}/${name}.${end}`);
    return { cert: read("pem"), key: read("key") };
  }

  remove(): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function openssl(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

/** SHA-256 of the DER inside a PEM. */
export function fingerprintOfPem(pem: string): string {
  const body = pem.replace(/-----[A-Z ]+-----|\s/g, "");
  return sha256Hex(Uint8Array.from(atob(body), (character) => character.charCodeAt(0)));
}
