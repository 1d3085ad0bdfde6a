/** A real Kafka that wants TLS, users and permission: one node with five listeners.
 *
 * Out: addresses by name. `plain` is the administrator's: whoever comes there may do everything. `scram` wants a user
 * of SCRAM-SHA-512 or SCRAM-SHA-256, `certificate` a client's certificate; `expired` and `named` are as `scram`, but
 * their certificates are expired, or for another name.
 * Permissions are StandardAuthorizer's: what is not allowed is forbidden. @module */

import type { Certificates } from "../sensor/certificates.ts";
import { freePort } from "./guarded_child.ts";
import { startKafka } from "./kafka.ts";

export interface SecureKafka {
  plain: string;
  scram: string;
  certificate: string;
  expired: string;
  named: string;
  stop(): Promise<void>;
}

const scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

/** `made` has an authority "ca" and lives as long as the broker. */
export async function startSecureKafka(
  made: Certificates,
  users: Record<string, string>,
): Promise<SecureKafka> {
  const certificates = {
    scram: await made.server("broker", "ca"),
    certificate: await made.server("broker2", "ca"),
    expired: await made.server("broker3", "ca", { to: "20250101000000Z" }),
    named: await made.server("broker4", "ca", { names: "DNS:broker.example" }),
  };
  const names = Object.keys(certificates) as (keyof typeof certificates)[];
  const ports = Object.fromEntries(names.map((name) => [name, freePort()])) as Record<
    keyof typeof certificates,
    number
  >;
  const { address, stop } = await startKafka((properties) => {
    const more = names.map((name) => `${name.toUpperCase()}://127.0.0.1:${ports[name]}`).join(",");
    for (const name of ["listeners", "advertised.listeners"]) properties[name] += `,${more}`;
    properties["listener.security.protocol.map"] +=
      ",SCRAM:SASL_SSL,EXPIRED:SASL_SSL,NAMED:SASL_SSL,CERTIFICATE:SSL";
    Object.assign(properties, {
      "inter.broker.listener.name": "PLAINTEXT",
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "super.users": "User:ANONYMOUS",
      "ssl.truststore.type": "PEM",
      "ssl.truststore.location": `${made.folder}/ca.pem`,
      "listener.name.certificate.ssl.client.auth": "required",
    });
    for (const name of names) {
      const { cert, key } = certificates[name];
      const path = `${made.folder}/${name}.store.pem`;
      Deno.writeTextFileSync(path, key + cert, { mode: 0o600 });
      const prefix = `listener.name.${name}`;
      properties[`${prefix}.ssl.keystore.type`] = "PEM";
      properties[`${prefix}.ssl.keystore.location`] = path;
      if (name === "certificate") continue;
      properties[`${prefix}.sasl.enabled.mechanisms`] = "SCRAM-SHA-512,SCRAM-SHA-256";
      properties[`${prefix}.scram-sha-512.sasl.jaas.config`] = scramModule;
      properties[`${prefix}.scram-sha-256.sasl.jaas.config`] = scramModule;
    }
  }, Object.entries(users).flatMap(([name, password]) => credentialsOf(name, password)));
  const at = (name: keyof typeof certificates) => `127.0.0.1:${ports[name]}`;
  return {
    plain: address,
    scram: at("scram"),
    certificate: at("certificate"),
    expired: at("expired"),
    named: at("named"),
    stop,
  };
}

function credentialsOf(name: string, password: string): string[] {
  return ["SCRAM-SHA-512", "SCRAM-SHA-256"].flatMap((mechanism) => [
    "--add-scram",
    `${mechanism}=[name=${name},password=${password}]`,
  ]);
}
