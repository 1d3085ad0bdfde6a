/** Options that several commands of the sensor share, each defined once.
 *
 * Out: tables to spread into a command's own; the folders, the aggregator and the Kafka settings they mean. @module */

import {
  brokerAccess,
  brokerAccessOptions,
  cacheFolderOf,
  readOptionFile,
  stateFolderOf,
} from "../../shared/common_options.ts";
import type { KafkaSettings } from "../../shared/kafka.ts";
import type { Options, OptionTable } from "../../shared/options.ts";
import { payloadPolicies, type PayloadPolicy, policyFields } from "../../shared/policy.ts";
import { flowDefaults } from "../flow/flow_options.ts";
import { PacketRing } from "../ring/packet_ring.ts";
import { AggregatorClient } from "../aggregator_client.ts";
import { checkAuthority } from "../authority.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";

export const generalOptions = {
  config: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Read options from this JSON file; /etc/picket/sensor.json when there is one",
  },
  state: {
    kind: "text",
    default: "",
    value: "DIR",
    help:
      "Folder of identity and spool; else $STATE_DIRECTORY, /var/lib/picket-sensor for root, ~/.local/state/picket-sensor",
  },
  json: { kind: "flag", default: false, help: "Print the result as JSON" },
  logJson: { kind: "flag", default: false, help: "Write log lines as JSON" },
} as const satisfies OptionTable;

export const aggregatorOptions = {
  aggregator: {
    kind: "text",
    default: "",
    value: "URL",
    help: "Address of the aggregator, such as http://10.0.0.5:8600; else the one it was enrolled at",
  },
  aggregatorCa: {
    kind: "text",
    default: "",
    value: "FILE",
    help: "Trust this certificate authority (PEM) for the aggregator; else the one it was enrolled with",
  },
} as const satisfies OptionTable;

export const shipOptions = {
  transport: {
    kind: "text",
    default: "auto",
    choices: ["auto", "http", "kafka"],
    help: "How batches travel; auto: as the aggregator said at enrolment",
  },
  brokers: {
    kind: "list",
    default: [],
    value: "HOST:PORT,..",
    help: "Kafka brokers, instead of those from the enrolment",
  },
  kafkaTopic: { kind: "text", default: "", help: "Kafka topic, instead of the one from the enrolment" },
  ...brokerAccessOptions,
  spoolMb: {
    kind: "number",
    default: 256,
    min: 1,
    max: 1_000_000,
    help: "Disk space for batches that wait, MiB; when full the oldest go first",
  },
  sealAgeMs: {
    kind: "number",
    default: 250,
    min: 100,
    max: 60_000,
    help:
      "Seal and spool the end of a connection at most this long after it, ms; other segments twelve times as long",
  },
  checkInS: {
    kind: "number",
    default: 10,
    min: 1,
    max: 3_600,
    help: "Report health to the aggregator this often, s",
  },
} as const satisfies OptionTable;

export const factsOptions = {
  facts: { kind: "flag", default: true, help: "Do not read payloads: flows only, tshark is not needed" },
  requireFacts: { kind: "flag", default: false, help: "Fail when tshark is missing instead of going on" },
  tsharkPath: { kind: "text", default: "tshark", value: "FILE", help: "Name or path of tshark" },
  dissector: {
    kind: "text",
    default: "",
    value: "SOCKET",
    help:
      "Socket behind which systemd starts tshark, as the shipped units have it; else it is a child of the sensor",
  },
} as const satisfies OptionTable;

export const captureOptions = {
  interface: {
    kind: "list",
    default: [],
    value: "IF,..",
    help: "Interfaces to capture on; else the first that is up and not loopback",
  },
  filter: {
    kind: "text",
    default: "",
    value: "BPF",
    help: "Capture filter; the sensor's own traffic is always left out",
  },
  snaplen: {
    kind: "number",
    default: 0,
    min: policyFields.snaplen.min,
    max: policyFields.snaplen.max,
    help: "Octets captured of each packet, 0 = all; facts need all",
  },
  bufferMb: { kind: "number", default: 32, min: 1, max: 2_048, help: "Kernel buffer of a capture, MiB" },
  sampleMax: {
    kind: "number",
    default: 1_024,
    min: policyFields.sampleMax.min,
    max: policyFields.sampleMax.max,
    help: "Under overload keep at least one flow in this many; 1 = never leave flows out",
  },
  dumpcapPath: { kind: "text", default: "dumpcap", value: "FILE", help: "Name or path of dumpcap" },
} as const satisfies OptionTable;

/** The ring of recent packets: `standard` is what a command keeps unless told otherwise. */
export function ringOptionsOf(standard: PayloadPolicy | "off") {
  return {
    ringPayload: {
      kind: "text",
      default: standard,
      choices: ["off", ...payloadPolicies],
      help:
        "Keep recent packets in memory, for an analyst to ask for: their headers, these and the start of the payload (64 octets), all, or none",
    },
    ringMib: { kind: "number", default: 32, min: 1, max: 2_048, help: "Memory for recent packets, MiB" },
  } as const satisfies OptionTable;
}

/** Null = no packets are kept. */
export function openRing(options: Options<ReturnType<typeof ringOptionsOf>>): PacketRing | null {
  const payload = payloadPolicies.find((policy) => policy === options.ringPayload);
  if (payload === undefined) return null;
  return new PacketRing({ bytesMax: Math.round(options.ringMib) * 1024 * 1024, payload });
}

function flowTime(standard: number, help: string) {
  const { min, max } = policyFields.activeMs;
  return { kind: "number", default: standard, min, max, help } as const;
}

/** Packet time, not wall time: a replayed capture gives the flows of the live one. */
export const flowOptions = {
  flowsMax: {
    kind: "number",
    default: flowDefaults.flowsMax,
    min: 16,
    max: 4_194_304,
    help: "Open flows; when there are more, the one due next is reported early",
  },
  tcpIdleMs: flowTime(flowDefaults.tcpIdleMs, "End an answered TCP flow after this silence, ms"),
  otherIdleMs: flowTime(flowDefaults.otherIdleMs, "End a flow of another protocol after this silence, ms"),
  unansweredIdleMs: flowTime(
    flowDefaults.unansweredIdleMs,
    "End an unanswered TCP flow after this silence, ms",
  ),
  activeMs: flowTime(flowDefaults.activeMs, "Report a flow that goes on this often, ms"),
} as const satisfies OptionTable;

/** The options above as the flow table takes them. */
export function flowSettings(options: Options<typeof flowOptions>): Record<string, number> {
  const { flowsMax, tcpIdleMs, otherIdleMs, unansweredIdleMs, activeMs } = options;
  return { flowsMax, tcpIdleMs, otherIdleMs, unansweredIdleMs, activeMs };
}

/** The state folder meant by `--state` and the environment. */
export function stateFolder(state: string, env: (name: string) => string | undefined): string {
  return stateFolderOf("picket-sensor", state, env);
}

/** The folder of what an earlier start found out, null = none. It may be emptied at any time. */
export function cacheFolder(env: (name: string) => string | undefined): string | null {
  return cacheFolderOf("picket-sensor", env);
}

/** The authority in force: of the option, else what was remembered.
 * @throws {CommandError} when the file cannot be used. */
export async function authorityFor(file: string, remembered: string | null): Promise<string | null> {
  if (file === "") return remembered;
  const pem = await readOptionFile("--aggregator-ca", file);
  try {
    checkAuthority(pem);
    return pem;
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CommandError(
      exitCodes.usage,
      `Cannot use "--aggregator-ca" as "${file}" is not right: ${why}`,
      {
        cause,
      },
    );
  }
}

/** A client for the aggregator at `url`, which trusts `ca` too.
 * @throws {CommandError} when one of them is not usable. */
export function openAggregator(url: string, ca: string | null, timeoutMs = 10_000): AggregatorClient {
  try {
    return new AggregatorClient({ url, ca, timeoutMs });
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}

/** What `createKafka` needs, from options and enrolment. */
export async function kafkaSettings(
  options: Options<typeof shipOptions>,
  enrolled: { brokers: string[] } | null,
  clientId: string,
  edges: Pick<Edges, "reporter">,
): Promise<KafkaSettings> {
  const brokers = options.brokers.length > 0 ? options.brokers : enrolled?.brokers ?? [];
  if (brokers.length === 0) {
    throw new CommandError(
      exitCodes.usage,
      'Cannot ship over Kafka as no broker is known: name one with "--brokers"',
    );
  }
  return { brokers, clientId, reporter: edges.reporter, retriesMax: 3, ...await brokerAccess(options) };
}
