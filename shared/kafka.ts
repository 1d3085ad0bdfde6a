/** The Kafka client, in one place: who connects, how sockets are set, how records are packed and read.
 *
 * In: brokers, TLS and SASL settings. Out: a `Kafka` from which a program makes its producer, consumer or admin.
 * Invariant: every connection has Nagle's algorithm off (kafkajs over TLS stalls 44 ms a request with it on). Fetched
 * record sets are read by kafka_records.ts and never by kafkajs,
 * whose reader ends the consumer at the first set it cannot read.
 * Why the answer's decoder is replaced inside the package: it is the one place that knows topic, partition and octets.
 * The version of kafkajs is pinned,
 * and {@link createKafka} fails at once if a package without that place were installed.
 * Brokers must be of Kafka 2.3 (2019) or later, the first whose fetch answers have this form.
 * Why no idempotent producer and no transactions: the aggregator's ledger drops what arrives twice. @module */

import { Buffer } from "node:buffer";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import process from "node:process";
import { constants, zstdCompressSync } from "node:zlib";
import kafkajs from "kafkajs";
import fetchRequests from "kafkajs/src/protocol/requests/fetch/index.js";
import fetchAnswer from "kafkajs/src/protocol/requests/fetch/v11/response.js";
import type { Admin, Consumer, EachBatchPayload, Kafka, KafkaConfig, Producer, SASLOptions } from "kafkajs";
import { type Clock, systemClock } from "./clock.ts";
import type { SaslMechanism } from "./common_options.ts";
import { decodeFetch } from "./kafka_fetch.ts";
import type { Reporter } from "./reporter.ts";
import type { TlsFault } from "./tls_fault.ts";
import { askTlsFault } from "./tls_probe.ts";

export type { Admin, Consumer, EachBatchPayload, Kafka, Producer };

export interface KafkaSettings {
  /** `host:port` of at least one broker. */
  brokers: string[];
  clientId: string;
  /** Present: TLS, with an own certificate authority where the system's ones do not do, and a certificate of ours where
   * brokers want one. All are PEM. */
  tls?: { ca?: string; cert?: string; key?: string };
  sasl?: { mechanism: SaslMechanism; username: string; password: string };
  reporter: Reporter;
  /** Tries of kafkajs itself after the first;
   * a group on a new broker needs several, a caller with an own loop few. @default 8 */
  retriesMax?: number;
  /** @default 5000 */
  connectTimeoutMs?: number;
  /** @default 10000 */
  requestTimeoutMs?: number;
}

/** Compression of everything we produce; readable by every Kafka tool. */
export const zstdCompression = kafkajs.CompressionTypes.ZSTD;

/** Makes a client; nothing is opened before its producer, consumer or admin connects.
 * @throws {RangeError} when a broker is not `host:port`. */
export function createKafka(settings: KafkaSettings): Kafka {
  const { brokers, clientId, tls, sasl, retriesMax = 8 } = settings;
  const { connectTimeoutMs = 5_000, requestTimeoutMs = 10_000 } = settings;
  if (brokers.length === 0) {
    throw new RangeError(`Cannot use Kafka as "brokers" must name one: list is empty`);
  }
  const wrong = brokers.find((broker) => !/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$/.test(broker));
  if (wrong !== undefined) {
    throw new RangeError(`Cannot use Kafka as "brokers" must be host:port: current value is "${wrong}"`);
  }
  kafkajs.CompressionCodecs[zstdCompression] = () => zstdCodec;
  replaceReader();
  silenceTimerWarning();
  const config: KafkaConfig = {
    brokers,
    clientId,
    connectionTimeout: connectTimeoutMs,
    authenticationTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    // The callers have their own outer loop; kafkajs gives up for good after its last retry anyway.
    retry: { retries: retriesMax, initialRetryTime: 200, maxRetryTime: 2_000 },
    socketFactory: ({ host, port, ssl, onConnect }) => openSocket(host, port, ssl, onConnect),
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => logTo(settings.reporter),
  };
  if (tls) {
    const { ca, cert, key } = tls;
    config.ssl = { ...(ca ? { ca: [ca] } : {}), ...(cert && key ? { cert, key } : {}) };
  }
  if (sasl) config.sasl = sasl as SASLOptions;
  return new kafkajs.Kafka(config);
}

/** Makes a topic unless it is there; true = it was made. */
export async function ensureTopic(
  kafka: Kafka,
  { topic, partitions, replicationFactor }: { topic: string; partitions: number; replicationFactor: number },
  clock: Clock = systemClock,
): Promise<boolean> {
  const admin = kafka.admin({ retry: { retries: 2 } });
  try {
    await admin.connect();
    if ((await admin.listTopics()).includes(topic)) return false;
    await admin.createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor }],
      waitForLeaders: true,
    });
    return true;
  } finally {
    await disconnect(admin, clock);
  }
}

/** What is wrong with the certificate of a broker, given the words of a failed connection;
 * null = they speak of none. */
export function brokerFault(
  words: string,
  { brokers, tls }: Pick<KafkaSettings, "brokers" | "tls">,
  clock: Clock = systemClock,
): Promise<TlsFault | null> {
  const targets = brokers.slice(0, brokersAskedMax).map((broker) => {
    const colon = broker.lastIndexOf(":");
    return {
      host: broker.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(broker.slice(colon + 1)),
      ca: tls?.ca,
    };
  });
  return askTlsFault(words, "--kafka-ca", targets, clock);
}
const brokersAskedMax = 3;

/** Disconnects, but not for longer than 5 s: kafkajs waits for ever when requests are in flight on a dead socket. */
export async function disconnect(
  client: { disconnect(): Promise<void> },
  clock: Clock = systemClock,
): Promise<void> {
  const given = new AbortController();
  const ended = client.disconnect().catch(() => undefined); // What cannot be closed is gone already.
  await Promise.race([ended, clock.sleep(disconnectTimeoutMs, given.signal)]);
  given.abort();
}
const disconnectTimeoutMs = 5_000;

/** Whether trying again later can help. kafkajs calls its own give-up "not retriable", so the cause decides. */
export function isRetriable(error: unknown): boolean {
  const type = (error as { type?: string })?.type ?? (error as { cause?: { type?: string } })?.cause?.type;
  return type === undefined || !permanentTypes.has(type);
}
const permanentTypes = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
  "UNSUPPORTED_FOR_MESSAGE_FORMAT",
]);

function openSocket(
  host: string,
  port: number,
  ssl: ConnectionOptions | undefined,
  done: () => void,
): Socket {
  const named = isIP(host) ? {} : { servername: host };
  const socket = ssl
    ? connectTls({ host, port, ...named, ...ssl }, done) as unknown as Socket
    : connectPlain({ host, port }, done);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  return socket;
}

const zstdCodec = {
  compress(encoder: { buffer: Buffer }): Promise<Buffer> {
    const params = { [constants.ZSTD_c_compressionLevel]: 3 };
    return Promise.resolve(Buffer.from(zstdCompressSync(encoder.buffer, { params })));
  },
  decompress(): Promise<Buffer> {
    return Promise.reject(new Error("Cannot unpack here: fetched records are read by kafka_records.ts"));
  },
};

/** @throws {Error} when the installed kafkajs is not the one this was written for. */
function replaceReader(): void {
  const answer = fetchAnswer as { decode?: unknown };
  const requests = fetchRequests as { versions?: string[] };
  if (typeof answer.decode !== "function" || !Array.isArray(requests.versions)) {
    throw new Error(
      "Cannot use Kafka as kafkajs must be version 2.2.4: its fetch answer is not where it was",
    );
  }
  answer.decode = (bytes: Buffer) => Promise.resolve(decodeFetch(bytes));
  // Older forms would go past our reader: a broker that knows only those is refused when it is connected.
  requests.versions = ["11"];
}

/** kafkajs' log lines as ours; its errors are warnings here,
 * since a retry follows and the caller says what was lost. */
function logTo(reporter: Reporter) {
  return ({ log }: { log: { message: string; [extra: string]: unknown } }) => {
    reporter.count("kafka_client_messages_total");
    const { message, error, broker } = log;
    reporter.warn(`Kafka client: ${message}`, {
      ...(broker === undefined ? {} : { broker }),
      ...(error === undefined ? {} : { error }),
    });
  };
}

let isSilenced = false;

/** kafkajs 2.2.4 asks for timers in the past (tulios/kafkajs#1751);
 * they fire at once, the warning says nothing more. */
function silenceTimerWarning(): void {
  if (isSilenced) return;
  isSilenced = true;
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = ((warning: unknown, ...rest: unknown[]) => {
    const name = typeof rest[0] === "string" ? rest[0] : (warning as Error)?.name;
    if (name !== "TimeoutNegativeWarning") emit(warning, ...rest);
  }) as typeof process.emitWarning;
}
