/** The doctor's probes: what it asks the machine, the aggregator and the brokers.
 *
 * In: options and stages. Out: one `Check` each, see `sensor/doctor.ts`. @module */

import { statfs } from "node:fs/promises";
import { batchTopic } from "../../shared/batch.ts";
import { cardDrops } from "../../shared/control_messages.ts";
import type { Facts } from "../../shared/facts.ts";
import type { Options } from "../../shared/options.ts";
import { version } from "../../shared/version.ts";
import type { Enrolment } from "../control/identity.ts";
import { canaryText, type Status } from "../control/status_file.ts";
import { isDiskFull } from "../disk.ts";
import { canaryPacket, type Check, checkClockOffset, fail, ok, warn } from "../doctor.ts";
import type { Edges } from "../../shared/command.ts";
import { Octets } from "../flow/octets.ts";
import { kafkaSettings, openAggregator, type shipOptions } from "./common_options.ts";
import type { LiveOptions, Stages } from "./stages.ts";

const freeBytesMin = 512 * 1024 * 1024;
const captureCheckMs = 2_000;
const flowOfCanary = 1;

/** Machine: architecture and page size, which decide whether a binary runs at all. */
export function machineCheck(): Check {
  return async () => {
    const { os, arch } = Deno.build;
    const pageText = await output("getconf", ["PAGESIZE"]).catch(() => null);
    const page = pageText === null ? "page size unknown" : `pages of ${pageText.trim()} octets`;
    return os === "linux"
      ? ok(`picket-sensor ${version}, Deno ${Deno.version.deno}, ${os} ${arch}, ${page}`)
      : warn(`${os} ${arch}`, "Picket's sensor is made for Linux; capture may not work here");
  };
}

/** A tool is there and says its version. */
export function toolCheck(path: string, whatFor: string, isNeeded: boolean): Check {
  return async () => {
    try {
      const text = await output(path, ["--version"]);
      return ok(/(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? text.split("\n")[0].slice(0, 80));
    } catch (error) {
      const advice = `install it (Debian: apt install tshark), it is needed ${whatFor}`;
      return (isNeeded ? fail : warn)(`${path} does not run: ${(error as Error).message}`, advice);
    }
  };
}

/** A capture of two seconds: the permission is there, packets come by, and neither kernel nor card drops them. */
export function captureCheck(stages: Stages, live: Omit<LiveOptions, "exclude">, edges: Edges): Check {
  return async () => {
    const { clock, reporter } = edges;
    const interfaces = live.interfaces.length > 0
      ? live.interfaces
      : (await stages.interfaces(live.dumpcapPath)).filter((one) => one.isUp && !one.isLoopback).slice(0, 1)
        .map((one) => one.name);
    if (interfaces.length === 0) {
      return fail("no interface is up", "name one with --interface, see `picket-sensor interfaces`");
    }
    let packets = 0;
    const source = stages.liveSource({ ...live, interfaces, exclude: [] }, { clock, reporter });
    source.attach({ packet: () => void packets++ });
    try {
      await source.start();
      const given = new AbortController();
      const ended = clock.sleep(captureCheckMs, given.signal).then(() => source.stop());
      while (await source.next());
      given.abort();
      await ended;
    } finally {
      await source.close();
    }
    if (source.problem) return fail(source.problem.message, captureAdvice);
    const failing = source.links?.find(({ error }) => error !== null);
    if (failing) {
      return warn(`${failing.name}: ${failing.error}`, "the other interfaces are captured meanwhile");
    }
    const where = interfaces.join(", ");
    const span = `on ${where} in ${captureCheckMs / 1_000} s`;
    const { dropped: kernel, interfaces: counters } = source;
    if (packets === 0 && kernel === 0) {
      return warn(`no packet ${span}`, "is it the right interface, and is the mirror port on?");
    }
    const card = counters?.length ? cardDrops(counters) : null;
    const text = `${packets} packets ${span}, ${kernel} dropped by the kernel, ${
      card ?? "an unknown number"
    } by the card`;
    if (kernel > 0) {
      return warn(text, "raise --buffer-mb, narrow --filter, or give the sensor a faster machine");
    }
    if (card) {
      return warn(text, `give the card more room (ethtool -G ${interfaces[0]} rx N), or more processors`);
    }
    return card === null ? ok(`${text} (its counters are not to be had)`) : ok(text);
  };
}

export const captureAdvice =
  "run as root, use the systemd unit, or: setcap cap_net_raw,cap_net_admin+eip $(command -v dumpcap)";

/** The state folder can be written and has room. */
export function stateCheck(folder: string): Check {
  return async () => {
    const probe = `${folder}/doctor.part`;
    const advice = "name another folder with --state, or make this one writable";
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      await Deno.writeTextFile(probe, "doctor\n");
      await Deno.remove(probe);
    } catch (error) {
      if (isDiskFull(error)) {
        const advice = "make room: until then batches that cannot be sent are in memory only";
        return fail(`the disk of ${folder} is full`, advice);
      }
      return fail(`${folder} is not writable: ${(error as Error).message}`, advice);
    }
    const { bavail, bsize } = await statfs(folder);
    const free = Number(bavail) * Number(bsize);
    const text = `${folder}, ${Math.round(free / 1024 / 1024)} MiB free`;
    return free >= freeBytesMin ? ok(text) : warn(text, "make room, or lower --spool-mb");
  };
}

/** The aggregator answers; says how the clocks differ. */
export function aggregatorCheck(url: string, ca: string | null, edges: Edges): Check {
  return async () => {
    if (url === "") {
      return warn("none is known", "enrol this sensor, or name one with --aggregator");
    }
    const client = openAggregator(url, ca, 4_000);
    const answer = await client.get("/healthz");
    client.close();
    if (!answer.ok) {
      return fail(
        answer.message,
        answer.cure ??
          "is it running, is the address right, does a firewall stand between? The sensor spools meanwhile",
      );
    }
    const clocks = checkClockOffset(answer.dateMs, edges.clock.nowMs());
    if (answer.status !== 200) {
      return warn(`${url} answers ${answer.status}${clocks}`, "look at the aggregator's own log");
    }
    const isFar = answer.dateMs !== null && Math.abs(answer.dateMs - edges.clock.nowMs()) > 60_000;
    return isFar
      ? warn(`${url} answers${clocks}`, "set the clock of one of them")
      : ok(`${url} answers${clocks}`);
  };
}

/** The brokers answer and have the topic. */
export function brokerCheck(
  options: Options<typeof shipOptions>,
  enrolment: Enrolment | null,
  edges: Edges,
): Check {
  return async () => {
    const isKafka = options.transport === "kafka" || options.brokers.length > 0 ||
      (options.transport === "auto" && enrolment?.kafka);
    if (!isKafka) return ok("not needed, batches travel over HTTP");
    const settings = await kafkaSettings(options, enrolment?.kafka ?? null, "picket-doctor", edges);
    const shown = settings.brokers.join(", ");
    // As in session.ts: loaded only where it is used.
    const { brokerFault, createKafka, disconnect } = await import("../../shared/kafka.ts");
    const admin = createKafka({ ...settings, connectTimeoutMs: 2_000, requestTimeoutMs: 3_000 }).admin();
    const topic = options.kafkaTopic || enrolment?.kafka?.topic || batchTopic;
    try {
      await admin.connect();
      const topics = await admin.listTopics();
      return topics.includes(topic) ? ok(`${shown} answers, topic ${topic} is there`) : warn(
        `${shown} answers, topic ${topic} is missing`,
        "the aggregator makes it when it starts with Kafka",
      );
    } catch (error) {
      const fault = await brokerFault((error as Error).message, settings);
      if (fault) return fail(`${shown} answers, but ${fault.cause}`, fault.cure);
      return fail(
        `${shown} is not reachable: ${(error as Error).message}`,
        "is the broker running, is TLS or SASL set as it wants? The sensor spools meanwhile",
      );
    } finally {
      await disconnect(admin);
    }
  };
}

type WallLists = { readonly standing: readonly string[]; readonly missing: readonly string[] };

/** A known packet goes through the deep lane and its name comes back;
 * says which walls stand around the tshark that counts. */
export function canaryCheck(
  stages: Stages,
  { tsharkPath, keyPath, running }: {
    tsharkPath: string;
    keyPath: string;
    /** Walls around the tshark of the sensor that runs here; null = none runs, or it has no tshark. */
    running: () => Promise<WallLists | null>;
  },
  edges: Edges,
): Check {
  return async () => {
    const { clock, reporter } = edges;
    const advice = "without tshark flows are complete, but have no facts";
    // No cache: the doctor asks tshark itself, and changes nothing.
    const options = { live: false, tsharkPath, socketPath: null, keyPath, cacheFolder: null };
    const deepLane = await stages.deepLane(options, { clock, reporter }).catch((error: Error) => error);
    if (deepLane instanceof Error) return warn(deepLane.message, advice);
    try {
      const { packet, name } = canaryPacket();
      const timeUs = Math.floor(clock.nowMs()) * 1_000;
      const startedMs = clock.monotonicMs();
      deepLane.lane.offer(packet, 0, packet.length, packet.length, timeUs, flowOfCanary);
      await deepLane.lane.turn();
      await deepLane.lane.drain();
      const facts = new Octets();
      deepLane.lane.takeFacts(flowOfCanary, 0, facts);
      const read = facts.length > 0 ? (JSON.parse(facts.toString()) as Facts).dns?.[0]?.name : null;
      const { walls } = deepLane.health();
      const tookMs = Math.round(clock.monotonicMs() - startedMs);
      if (read !== name) {
        return fail(`tshark read ${JSON.stringify(read ?? null)} instead of ${name}`, advice);
      }
      const ofService = await running();
      const { standing, missing } = ofService ?? walls ?? { standing: [], missing: ["all"] };
      const whose = ofService === null ? "a tshark of this user" : "the running sensor's tshark";
      const text = `a DNS packet was read in ${tookMs} ms; walls around ${whose}: ${
        standing.join(", ") || "none"
      }`;
      return missing.length === 0 ? ok(text) : warn(
        `${text}; missing: ${missing.join(", ")}`,
        "the shipped units have them all; else install util-linux",
      );
    } finally {
      await deepLane.stop();
    }
  };
}

/** From one check-in to the flow among those stored, when all is well and slow. */
const canaryMsMax = 300_000;

/** The running sensor's newest canary was found at the centre. */
export function arrivalCheck(running: () => Promise<Status | null>): Check {
  return async () => {
    const status = await running();
    const canary = status?.health.canary;
    if (!status) return ok("no sensor runs here; picket-sensor canary tries one once it does");
    const text = canaryText(status);
    const isLate = canary !== undefined && status.written_ms - canary.sent_ms > canaryMsMax &&
      status.canary_arrived_ms !== canary.sent_ms && canary.flows.some(({ problem }) => problem === null);
    return isLate
      ? warn(text, "is the spool empty (picket-sensor status), and does the aggregator store what it gets?")
      : ok(text);
  };
}

async function output(program: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout) || new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(text.trim().split("\n")[0] || `exit status ${code}`);
  return text;
}
