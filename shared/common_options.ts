/** Options that both programs have, each defined once, and what they mean.
 *
 * Out: tables to spread into a command's own; state and cache folder, access to brokers, the text of a file an option names. @module */

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
  kafkaUser: { kind: "text", default: "", help: "SASL user name at the brokers" },
  kafkaPassword: { kind: "text", default: "", secret: true, help: "SASL password at the brokers" },
  kafkaSasl: {
    kind: "text",
    default: "scram-sha-512",
    choices: saslMechanisms,
    help: "SASL mechanism, used when there is a user name",
  },
} as const satisfies OptionTable;

/** How to speak to the brokers. @throws {CommandError} when the certificate file is not readable. */
export async function brokerAccess(
  options: Options<typeof brokerAccessOptions>,
): Promise<Pick<KafkaSettings, "tls" | "sasl">> {
  const access: Pick<KafkaSettings, "tls" | "sasl"> = {};
  if (options.kafkaCa !== "") access.tls = { ca: await readOptionFile("--kafka-ca", options.kafkaCa) };
  else if (options.kafkaTls) access.tls = {};
  if (options.kafkaUser !== "") {
    access.sasl = {
      mechanism: options.kafkaSasl as SaslMechanism,
      username: options.kafkaUser,
      password: options.kafkaPassword,
    };
  }
  return access;
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
 * Why by user id, not by home as above: under sudo the home may be a user's, who could not replace what root leaves there. */
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
