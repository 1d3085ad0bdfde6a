/** `picket-aggregator doctor`: is everything there that `serve` needs, and what to do if not. @module */

import { brokerFault, createKafka, disconnect } from "../../shared/kafka.ts";
import { escapeLine } from "../../shared/escape.ts";
import {
  type Command,
  command,
  CommandError,
  type Edges,
  exitCodes,
  noOperands,
} from "../../shared/command.ts";
import { readAuthority } from "../tls/authority.ts";
import { listenTextOf } from "../options/served_address.ts";
import { kafkaSettings, stateFolder, storeOf } from "../options/store_options.ts";
import {
  bracketed,
  checkExposure,
  listenAddress,
  type ServeOptions,
  serveOptions,
} from "../options/serve_options.ts";
import { readModel } from "../options/triage_options.ts";

interface Finding {
  check: string;
  result: "ok" | "warn" | "fail";
  text: string;
}

/** Before this the clock cannot be right: the program was written later. */
const earliestMs = Date.UTC(2026, 0, 1);
const probeTimeoutMs = 3_000;
const modelTimeoutMs = 30_000;

export const doctorCommand: Command = command({
  name: "doctor",
  summary: "check what serve needs",
  operands: "",
  about:
    `Checks clock, state folder, admin key, database, Kafka brokers, address and model key with the options of serve, and says what
to do about each that is wrong. Changes nothing, but makes the state folder and the database when they are not there.
Exit code 0 when nothing failed, else 1.`,
  examples: [
    "doctor",
    "doctor --store mariadb://picket@db.example/picket --kafka-brokers kafka.example:9092 --json",
  ],
  options: serveOptions,
  async run(options, operands, edges) {
    noOperands(operands);
    const findings: Finding[] = [];
    const checks = { clock, store, key, kafka, address, model };
    for (const [check, run] of Object.entries(checks)) {
      try {
        findings.push({ check, ...await run(options, edges) });
      } catch (error) {
        findings.push({ check, result: "fail", text: (error as Error).message });
      }
    }
    if (options.json) edges.print(JSON.stringify({ findings }));
    else {for (const { check, result, text } of findings) {
        edges.print(escapeLine(`${result.padEnd(4)}  ${check}: ${text}`));
      }}
    return findings.some(({ result }) => result === "fail") ? exitCodes.failed : exitCodes.ok;
  },
});

type Outcome = Omit<Finding, "check">;

function clock(_options: ServeOptions, edges: Edges): Outcome {
  const now = new Date(edges.clock.nowMs()).toISOString();
  if (edges.clock.nowMs() >= earliestMs) return { result: "ok", text: now };
  return { result: "fail", text: `${now} cannot be: set the clock, or start a time service` };
}

async function store(options: ServeOptions, edges: Edges): Promise<Outcome> {
  const opened = await storeOf(options, edges);
  await opened.start();
  try {
    const { flows, threats } = await opened.readTotals();
    return { result: "ok", text: `answers; ${flows} flows and ${threats} threats are stored` };
  } finally {
    await opened.stop();
  }
}

async function key(options: ServeOptions, edges: Edges): Promise<Outcome> {
  const path = `${stateFolder(options.state, edges.env)}/admin.key`;
  const info = await Deno.stat(path).catch(() => null);
  if (!info) return { result: "warn", text: `${path} is not there yet: the first start of serve writes it` };
  if (((info.mode ?? 0) & 0o077) === 0) return { result: "ok", text: path };
  return { result: "fail", text: `${path} can be read by others: chmod 600 ${path}` };
}

async function kafka(options: ServeOptions, edges: Edges): Promise<Outcome> {
  const settings = await kafkaSettings(options, edges);
  if (!settings) return { result: "ok", text: "not used: no --kafka-brokers" };
  const admin = createKafka(settings).admin();
  try {
    await admin.connect();
    const topics = await admin.listTopics();
    const has = topics.includes(options.kafkaTopic) ? "is there" : "will be made by serve";
    return {
      result: "ok",
      text: `${settings.brokers.join(", ")} answer; topic ${options.kafkaTopic} ${has}`,
    };
  } catch (cause) {
    const why = (cause as Error).message;
    const fault = await brokerFault(why, settings);
    if (fault) {
      const said = `${settings.brokers.join(", ")} answer, but ${fault.cause}: ${fault.cure}`;
      throw new CommandError(exitCodes.environment, said, { cause });
    }
    throw new CommandError(exitCodes.environment, `${settings.brokers.join(", ")} do not answer: ${why}`, {
      cause,
    });
  } finally {
    await disconnect(admin);
  }
}

async function address(options: ServeOptions, edges: Edges): Promise<Outcome> {
  const folder = stateFolder(options.state, edges.env);
  const listen = await listenTextOf(options.listen, folder);
  const at = listenAddress(listen);
  const authority = await readAuthority(folder);
  checkExposure(at, options, authority !== null);
  try {
    Deno.listen({ hostname: at.hostname, port: at.port }).close();
    return { result: "ok", text: `${listen} is free` };
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
  }
  const isSecure = options.tlsCert !== "" || (authority !== null && !at.isLoopback && !options.insecureHttp);
  const url = `${isSecure ? "https" : "http"}://${bracketed(at.hostname)}:${at.port}/healthz`;
  const client = Deno.createHttpClient(authority === null ? {} : { caCerts: [authority.pem] });
  const answer = await fetch(url, { client, signal: AbortSignal.timeout(probeTimeoutMs) })
    .then((response) => response.json()).catch(() => null);
  client.close();
  if (answer?.status === "ok") {
    return { result: "ok", text: `an aggregator serves on ${listen} and is well` };
  }
  if (answer?.title) {
    return { result: "warn", text: `an aggregator serves on ${listen}: ${answer.detail ?? answer.title}` };
  }
  return {
    result: "fail",
    text: `another program listens on ${listen}: end it, or choose another --listen`,
  };
}

/** One real call, as small as can be. */
async function model(options: ServeOptions, edges: Edges): Promise<Outcome> {
  const asked = readModel(options, edges);
  if (asked === null) return { result: "ok", text: "not used: threats are explained by rules" };
  const question = {
    instruction: "This is a test of the connection. Answer with one small JSON object.",
    content: "{}",
    answerTokensMax: 500,
    thinkingTokensMax: 512,
  };
  const answer = await asked.ask(question, AbortSignal.timeout(modelTimeoutMs));
  if (answer.ok) {
    return { result: "ok", text: `${asked.name} answers; addresses and names leave as labels only` };
  }
  return { result: "fail", text: `${asked.name} gave no answer: ${answer.reason.replaceAll("_", " ")}` };
}
