/** Options that both programs have, each defined once, and what they mean.
 *
 * Out: tables to spread into a command's own;
 * state and cache folder, access to brokers, the text of a file an option names. @module */

import { CommandError, exitCodes } from "./command.ts";
import type { KafkaSettings } from "./kafka.ts";
import type { Options, OptionTable } from "./options.ts";

const saslMechanisms = ["plain", "scram-sha-256", "scram-sha-512"] as const;
export type SaslMechanism = typeof saslMechanisms[number];

export const brokerAccessOptions = {
  kafkaTls: { kind: "flag", default: false, help: "Use TLS to the brokers" },
  kafkaCa: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Trust this certificate authority (PEM) for the brokers; implies --kafka-tls",
  },
  kafkaCert: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Show the brokers this certificate (PEM), where they ask for one; needs --kafka-key",
  },
  kafkaKey: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Private key (PEM) of --kafka-cert; implies --kafka-tls",
  },
  kafkaUser: { kind: "text", default: "", help: "SASL user name at the brokers" },
  kafkaPassword: { kind: "text", default: "", secret: true, help: "SASL password at the brokers" },
  kafkaPasswordFile: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "File that holds the SASL password, such as a systemd credential; instead of the variable",
  },
  kafkaSasl: {
    kind: "text",
    default: "scram-sha-512",
    choices: saslMechanisms,
    help: "SASL mechanism, used when there is a user name",
  },
} as const satisfies OptionTable;

/** How to speak to the brokers. @throws {CommandError} when a file is not readable, or half of a pair is missing. */
export async function brokerAccess(
  options: Options<typeof brokerAccessOptions>,
): Promise<Pick<KafkaSettings, "tls" | "sasl">> {
  const { kafkaTls, kafkaCa, kafkaCert, kafkaKey, kafkaUser } = options;
  if ((kafkaCert === "") !== (kafkaKey === "")) {
    throw new CommandError(exitCodes.usage, 'Cannot use "--kafka-cert" without "--kafka-key": name both');
  }
  const access: Pick<KafkaSettings, "tls" | "sasl"> = {};
  if (kafkaTls || kafkaCa !== "" || kafkaCert !== "") {
    access.tls = {};
    if (kafkaCa !== "") access.tls.ca = await readAuthorities("--kafka-ca", kafkaCa);
    if (kafkaCert !== "") {
      access.tls.cert = await readOptionFile("--kafka-cert", kafkaCert);
      access.tls.key = await readOptionFile("--kafka-key", kafkaKey);
    }
  }
  const password = await passwordOf(options);
  if (kafkaUser !== "") {
    access.sasl = { mechanism: options.kafkaSasl as SaslMechanism, username: kafkaUser, password };
  }
  // PLAIN is the password itself: it must not cross a network that can be read.
  if (access.sasl?.mechanism === "plain" && !access.tls) {
    throw new CommandError(
      exitCodes.usage,
      'Cannot use "--kafka-sasl plain" without TLS as it sends the password itself: add "--kafka-tls"',
    );
  }
  return access;
}

async function passwordOf(options: Options<typeof brokerAccessOptions>): Promise<string> {
  const { kafkaUser, kafkaPassword, kafkaPasswordFile } = options;
  if (kafkaPassword !== "" && kafkaPasswordFile !== "") {
    throw new CommandError(
      exitCodes.usage,
      'Cannot use "--kafka-password-file" as PICKET_KAFKA_PASSWORD is set too: give one of them',
    );
  }
  const password = kafkaPasswordFile === ""
    ? kafkaPassword
    : (await readOptionFile("--kafka-password-file", kafkaPasswordFile)).replace(/\r?\n$/, "");
  if (kafkaUser !== "" && password === "") {
    throw new CommandError(
      exitCodes.usage,
      'Cannot use "--kafka-user" without a password: set PICKET_KAFKA_PASSWORD or name a "--kafka-password-file"',
    );
  }
  if (kafkaUser === "" && password !== "") {
    throw new CommandError(exitCodes.usage, 'Cannot use a password for Kafka without "--kafka-user"');
  }
  return password;
}

/** Certificates of authorities in a file that an option names. @throws {CommandError} */
export async function readAuthorities(flag: string, path: string): Promise<string> {
  const pem = await readOptionFile(flag, path);
  if (/-----BEGIN CERTIFICATE-----/.test(pem)) return pem;
  throw new CommandError(
    exitCodes.usage,
    `Cannot use "${flag}" as "${path}" must hold a certificate (PEM): there is none`,
  );
}

/** Text of a file that an option names. @throws {CommandError} */
export async function readOptionFile(flag: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CommandError(exitCodes.usage, `Cannot use "${flag}" as "${path}" is not readable: ${why}`, {
      cause,
    });
  }
}

/** The state folder of `program` meant by `--state`, systemd's `STATE_DIRECTORY`, or the user who runs it. */
export function stateFolderOf(
  program: string,
  state: string,
  env: (name: string) => string | undefined,
): string {
  const given = state || env("STATE_DIRECTORY")?.split(":")[0];
  if (given) return given.length > 1 ? given.replace(/\/+$/, "") : given;
  const home = env("HOME");
  return home === undefined || home === "/root" || home === "/"
    ? `/var/lib/${program}`
    : `${home}/.local/state/${program}`;
}

/** The cache folder of `program`: systemd's `CACHE_DIRECTORY`, or that of the user who runs it; null = there is none.
 * Why by user id, not by home as above:
 * under sudo the home may be a user's, who could not replace what root leaves there. */
export function cacheFolderOf(
  program: string,
  env: (name: string) => string | undefined,
  userId: number | null = Deno.uid(),
): string | null {
  const given = env("CACHE_DIRECTORY")?.split(":")[0];
  if (given) return given;
  if (userId === 0) return `/var/cache/${program}`;
  // The rules of XDG: a path that is not absolute is as none.
  const absolute = (path: string | undefined) => path?.startsWith("/") ? path : null;
  const home = absolute(env("HOME"));
  const caches = absolute(env("XDG_CACHE_HOME")) ?? (home && `${home}/.cache`);
  return caches && `${caches}/${program}`;
}
