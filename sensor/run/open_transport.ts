/** How batches leave this sensor: over HTTP to its aggregator, or to the brokers that it was told at enrolment.
 *
 * In: options, enrolment. Out: a transport, and the peers whose traffic is the sensor's own. @module */

import type { Options } from "../../shared/options.ts";
import { CommandError, type Edges, exitCodes } from "../../shared/command.ts";
import type { Enrolment } from "../control/identity.ts";
import { HttpTransport } from "../ship/http.ts";
import type { Transport } from "../ship/transport.ts";
import { kafkaSettings, openAggregator, type shipOptions } from "./common_options.ts";
import type { Peer } from "./own_peers.ts";

/** @throws {CommandError} when the options name no broker that can be used */
export async function openTransport(
  { url, ca }: { url: string; ca: string | null },
  enrolment: Enrolment,
  options: Options<typeof shipOptions>,
  edges: Edges,
): Promise<{ transport: Transport; peers: Peer[] }> {
  const address = new URL(url);
  const port = Number(address.port) || (address.protocol === "https:" ? 443 : 80);
  const aggregator = { host: address.hostname.replace(/^\[|\]$/g, ""), port };
  const isKafka = options.transport === "kafka" || (options.transport === "auto" && enrolment.kafka !== null);
  if (!isKafka) {
    const client = openAggregator(url, ca, 30_000);
    return { transport: new HttpTransport(client), peers: [aggregator] };
  }
  const settings = await kafkaSettings(options, enrolment.kafka, enrolment.sensor_id, edges);
  const topic = options.kafkaTopic || enrolment.kafka?.topic;
  const brokers = settings.brokers.map((broker) => ({
    host: broker.slice(0, broker.lastIndexOf(":")).replace(/^\[|\]$/g, ""),
    port: Number(broker.slice(broker.lastIndexOf(":") + 1)),
  }));
  try {
    // Loaded only here: a sensor that ships over HTTP saves the client's 5 MB.
    const { brokerFault, createKafka } = await import("../../shared/kafka.ts");
    const { KafkaTransport } = await import("../ship/kafka.ts");
    const transport = new KafkaTransport(createKafka(settings), {
      ...(topic === undefined ? {} : { topic }),
      faultOf: (words) => brokerFault(words, settings),
    });
    return { transport, peers: [aggregator, ...brokers] };
  } catch (cause) {
    throw new CommandError(exitCodes.usage, (cause as Error).message, { cause });
  }
}
