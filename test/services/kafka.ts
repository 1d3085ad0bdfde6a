/** A real Apache Kafka for tests: one KRaft node on private ports and a private log folder.
 *
 * Out: `127.0.0.1:<port>`. Topics make themselves (one partition) when first named;
 * a test that wants more makes its own.
 * Why: the jars come from Maven Central by the pom beside this file and stay in `.cache/kafka`,
 * so that a second run needs no network.
 * Ready means that the broker names itself in its own metadata: an open port alone comes seconds too early. @module */

import { fileURLToPath } from "node:url";
import { findProgram, freePort, GuardedChild } from "./guarded_child.ts";
import type { Service, Start } from "./service.ts";

const version = "4.3.1";
const readyTimeoutMs = 90_000;
const fetchTriesMax = 3;
const answerTimeoutMs = 2_000;
const jarFolder = fileURLToPath(new URL(`../../.cache/kafka/${version}`, import.meta.url));
const pomPath = fileURLToPath(new URL("./kafka/pom.xml", import.meta.url));

export const kafka: Start = {
  name: "kafka",
  async missing() {
    if (!await findProgram("java")) return "java is not installed (apt: default-jre-headless)";
    return await fetchJars();
  },
  start: () => startKafka(),
};

/** Another one than the shared one: its properties changed, with arguments for StorageTool. */
export async function startKafka(
  change: (properties: Record<string, string>) => void = () => {},
  formatArgs: readonly string[] = [],
): Promise<Service> {
  const why = await fetchJars();
  if (why) throw new Error(`Cannot start kafka: ${why}`);
  const java = (await findProgram("java"))!;
  const folder = await Deno.makeTempDir({ prefix: "picket-kafka-" });
  const port = freePort();
  const propertiesPath = `${folder}/server.properties`;
  const properties = serverProperties(folder, port, freePort());
  change(properties);
  await Deno.writeTextFile(
    propertiesPath,
    Object.entries(properties).map(([name, value]) => `${name}=${value}\n`).join(""),
    { mode: 0o600 },
  );
  await formatStorage(java, folder, propertiesPath, formatArgs);
  const child = new GuardedChild({
    command: java,
    args: ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", `${jarFolder}/*`, "kafka.Kafka", propertiesPath],
    folder,
  });
  await child.waitUntilReady("kafka", () => isBrokerListed(port), readyTimeoutMs);
  return { address: `127.0.0.1:${port}`, stop: () => child.stop() };
}

/** A topic name no other test uses. */
export function newTopic(prefix = "picket-test"): string {
  return `${prefix}-${crypto.randomUUID().slice(0, 13)}`;
}

function serverProperties(folder: string, port: number, controllerPort: number): Record<string, string> {
  return {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "listeners": `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": `${folder}/logs`,
    "num.partitions": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "true",
    "message.max.bytes": "16777216",
  };
}

async function formatStorage(
  java: string,
  folder: string,
  propertiesPath: string,
  moreArgs: readonly string[],
): Promise<void> {
  // Sixteen octets; the first below 0xf8, since a leading "-" reads as an option.
  const octets = crypto.getRandomValues(new Uint8Array(16));
  octets[0] &= 0x7f;
  const clusterId = octets.toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
  const { success, stdout, stderr } = await new Deno.Command(java, {
    args: [
      "-cp",
      `${jarFolder}/*`,
      "kafka.tools.StorageTool",
      "format",
      "-t",
      clusterId,
      "-c",
      propertiesPath,
      ...moreArgs,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (success) return;
  await Deno.remove(folder, { recursive: true });
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  throw new Error(`Cannot format kafka log folder: StorageTool said\n${said}`);
}

/** Brings the jars into the cache unless they are there; the reason when that fails. */
async function fetchJars(): Promise<string | undefined> {
  if (await Deno.stat(jarFolder).then(() => true, () => false)) return undefined;
  const maven = await findProgram("mvn");
  if (!maven) return "mvn is not installed (apt: maven)";
  let said = "";
  for (let attempt = 1; attempt <= fetchTriesMax; attempt++) {
    const partFolder = `${jarFolder}.${crypto.randomUUID()}.part`;
    const { success, stdout, stderr } = await new Deno.Command(maven, {
      args: ["-q", "-B", "-f", pomPath, "dependency:copy-dependencies", `-DoutputDirectory=${partFolder}`],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (success) {
      // Two test files may fetch at once; the first rename wins and the second copy goes away.
      await Deno.rename(partFolder, jarFolder).catch(() => Deno.remove(partFolder, { recursive: true }));
      return undefined;
    }
    await Deno.remove(partFolder, { recursive: true }).catch(() => undefined);
    said = (new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr)).slice(-1_000);
    if (attempt < fetchTriesMax) await new Promise((resolve) => setTimeout(resolve, attempt * 5_000));
  }
  return `the jars of Kafka ${version} could not be fetched: ${said}`;
}

/** Sends Metadata version 1 for no topics, and reads the number of brokers in the answer. */
async function isBrokerListed(port: number): Promise<boolean> {
  let connection: Deno.TcpConn | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const opened = await Deno.connect({ hostname: "127.0.0.1", port });
    connection = opened;
    timer = setTimeout(() => opened.close(), answerTimeoutMs);
    // size 14, api 3, version 1, correlation 1, null client id, empty topic list
    await opened.write(new Uint8Array([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0]));
    const answer = new Uint8Array(12);
    for (let filled = 0; filled < answer.length;) {
      const read = await opened.read(answer.subarray(filled));
      if (read === null) return false;
      filled += read;
    }
    return new DataView(answer.buffer).getInt32(8) > 0;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
    try {
      connection?.close();
    } catch {
      // The timer closed it first.
    }
  }
}
