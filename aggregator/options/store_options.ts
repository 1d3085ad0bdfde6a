/** Options that several commands of the aggregator share, each defined once.
 *
 * Out: tables to spread into a command's own; the state folder, the store and the Kafka settings they mean. @module */

import {
  brokerAccess,
  brokerAccessOptions,
  readAuthorities,
  stateFolderOf,
} from "../../shared/common_options.ts";
import type { KafkaSettings } from "../../shared/kafka.ts";
import type { Options, OptionTable } from "../../shared/options.ts";
import { openStore } from "../store/open.ts";
import { noPlaces, type Places } from "../model/place.ts";
import type { Store } from "../store/store.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";

export const generalOptions = {
  config: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Read options from this JSON file; /etc/picket/aggregator.json when there is one",
  },
  json: { kind: "flag", default: false, help: "Print the result as JSON" },
  logJson: { kind: "flag", default: false, help: "Write log lines as JSON" },
} as const satisfies OptionTable;

export const storeOptions = {
  state: {
    kind: "text",
    default: "",
    value: "DIR",
    help:
      "Folder of the database and the admin key; else $STATE_DIRECTORY, /var/lib/picket-aggregator for root, ~/.local/state/picket-aggregator",
  },
  store: {
    kind: "text",
    default: "",
    value: "URL",
    help:
      "sqlite:PATH, or mariadb://user@host:port/database with the password in PICKET_STORE_PASSWORD; else SQLite in the state folder",
  },
  storePassword: { kind: "text", default: "", secret: true, help: "Password of the database user" },
  storeCa: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Use TLS to MariaDB, and trust this certificate authority (PEM) for it",
  },
} as const satisfies OptionTable;

export const remoteOptions = {
  url: {
    kind: "text",
    default: "",
    value: "URL",
    help: "Ask the aggregator at this address instead of its database",
  },
  keyFile: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "File that holds the API key; else admin.key in the state folder",
  },
  ca: {
    kind: "text",
    default: "",
    value: "FILE",
    help:
      "Trust this certificate authority (PEM) as well; else tls/ca.pem of the state folder, when there is one",
  },
} as const satisfies OptionTable;

/** Of commands that only a running aggregator can answer. */
export const runningOptions = {
  state: storeOptions.state,
  ...remoteOptions,
  url: {
    ...remoteOptions.url,
    help: "Address of the aggregator; else that of the last serve in this state folder",
  },
} as const satisfies OptionTable;

export const kafkaOptions = {
  kafkaBrokers: {
    kind: "list",
    default: [],
    value: "HOST:PORT,..",
    help: "Consume batches from these Kafka brokers as well",
  },
  sensorBrokers: {
    kind: "list",
    default: [],
    value: "HOST:PORT,..",
    help: "Brokers as sensors reach them, told at enrolment; else those of --kafka-brokers",
  },
  kafkaTopic: { kind: "text", default: "picket.batches.v1", help: "Topic of the batches" },
  kafkaGroup: { kind: "text", default: "", help: "Consumer group; else picket-aggregator.TOPIC" },
  kafkaReplication: {
    kind: "number",
    default: 1,
    min: 1,
    max: 10,
    help: "Replication factor of the topic, where it is made here",
  },
  publish: {
    kind: "list",
    default: [],
    value: "flows,threats",
    help: "Publish merged flows to picket.flows.v1, threats to picket.threats.v1; see shared/READERS.md",
  },
  ...brokerAccessOptions,
} as const satisfies OptionTable;

/** The state folder meant by `--state` and the environment. */
export function stateFolder(state: string, env: (name: string) => string | undefined): string {
  return stateFolderOf("picket-aggregator", state, env);
}

/** The store meant by the options, not started. Makes the state folder (0700) when the store is in it.
 * @throws {CommandError} when the URL is no store's or the folder cannot be made. */
export async function storeOf(
  options: Options<typeof storeOptions>,
  edges: Pick<Edges, "env" | "reporter" | "clock">,
  places: Places = noPlaces,
): Promise<Store> {
  await makeFolder(stateFolder(options.state, edges.env));
  const url = storeUrl(options, edges);
  await ownDatabaseFiles(url);
  // The option is secret, so it can only have come from the environment or stay empty.
  const env = (name: string) => name === "PICKET_STORE_PASSWORD" ? options.storePassword : edges.env(name);
  const ca = options.storeCa === "" ? null : await readAuthorities("--store-ca", options.storeCa);
  try {
    const { reporter, clock } = edges;
    return openStore(url, { reporter, clock, env, places, ...(ca === null ? {} : { ca }) });
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}

/** The URL of the store meant by the options. @throws {CommandError} when it holds a password. */
export function storeUrl(
  options: Pick<Options<typeof storeOptions>, "state" | "store">,
  edges: Pick<Edges, "env">,
): string {
  const url = options.store || `sqlite:${stateFolder(options.state, edges.env)}/picket.db`;
  refusePassword(url);
  return url;
}

/** An argument is visible to every user of the machine. @throws {CommandError} whose message does not repeat it. */
function refusePassword(url: string): void {
  const authority = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? "";
  const isHidden = /:/.test(authority.slice(0, authority.lastIndexOf("@") + 1)) || /[?&]pass/i.test(url);
  if (!isHidden) return;
  throw new CommandError(
    exitCodes.usage,
    'Cannot use "store" as it holds a password, which others could read: set PICKET_STORE_PASSWORD',
  );
}

/** Makes SQLite's files readable by their owner alone, wherever they are; those it adds later take after the first. */
async function ownDatabaseFiles(url: string): Promise<void> {
  const path = url.startsWith("sqlite:") ? url.slice("sqlite:".length) : ":memory:";
  if (path === ":memory:") return;
  try {
    (await Deno.open(path, { write: true, create: true, mode: 0o600 })).close();
  } catch {
    return; // A full or read-only disk: opening the database says what is wrong.
  }
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    await Deno.chmod(file, 0o600).catch(() => undefined); // Not there, or another user's.
  }
}

/** @throws {CommandError} */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CommandError(exitCodes.environment, `Cannot make state folder "${folder}": ${why}`, { cause });
  }
}

/** What `createKafka` needs; null = no brokers are given. */
export async function kafkaSettings(
  options: Options<typeof kafkaOptions>,
  edges: Pick<Edges, "reporter">,
): Promise<KafkaSettings | null> {
  if (options.kafkaBrokers.length === 0) return null;
  return {
    brokers: options.kafkaBrokers,
    clientId: "picket-aggregator",
    reporter: edges.reporter,
    ...await brokerAccess(options),
  };
}

/** What `--publish` names. @throws {CommandError} */
export function choosePublished(
  { publish, kafkaBrokers }: Pick<Options<typeof kafkaOptions>, "publish" | "kafkaBrokers">,
): ("flows" | "threats")[] {
  const names = [...new Set(publish)];
  const wrong = names.find((name) => name !== "flows" && name !== "threats");
  if (wrong !== undefined) {
    throw new CommandError(
      exitCodes.usage,
      `Cannot publish as "publish" must be flows, threats or both: current value is "${wrong.slice(0, 50)}"`,
    );
  }
  if (names.length > 0 && kafkaBrokers.length === 0) {
    throw new CommandError(
      exitCodes.usage,
      'Cannot publish as no broker is known: name one with "--kafka-brokers"',
    );
  }
  return names as ("flows" | "threats")[];
}
