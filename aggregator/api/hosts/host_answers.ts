/** Shapes of answers about hosts. Names, and all text below them, were chosen by whoever sent the packets. @module */

import { z } from "../../../shared/schema.ts";
import { placeAnswer } from "../places.ts";
import { port } from "../schemas.ts";
import { placedThreatAnswer } from "../threats/threats.ts";

const count = z.int().min(0);
const time = z.number().min(0).describe("Epoch milliseconds");
const network = z.string().describe("Site, or global where both ends have public addresses");

const service = {
  protocol: z.string(),
  port: port,
  app: z.string().describe('"" = not recognised'),
  first_seen_ms: time,
  last_seen_ms: time,
  flows: count,
};

const host = {
  ip: z.string(),
  place: placeAnswer,
  network,
  inside: z.boolean().describe("Its address is private"),
  first_seen_ms: time,
  last_seen_ms: time,
  names: z.array(z.string()).describe(
    "By DNS, mDNS, DHCP and clients (SNI, Host); the newest first, at most 20",
  ),
  macs: z.array(z.string()).describe("By ARP, or where its packets crossed no router"),
  ports: z.array(port).describe("Of services that it offers, in order; at most 20"),
  flows: count,
  packets: count,
  bytes: count,
  threats: count,
};

export const hostAnswer = z.object(host);
export const hostDetailsAnswer = z.object({
  ...host,
  services: z.array(z.object({ ...service, clients: count })).describe("Offered; at most 100"),
  uses: z.array(z.object({ ip: z.string().describe("The server"), ...service })).describe("At most 100"),
  peers: z.array(z.object({ ip: z.string(), flows: count, bytes: count })).describe(
    "The largest first; at most 100",
  ),
  series: z.array(z.object({ at_ms: time, bytes: count, packets: count })).describe(
    "Traffic of flows by the hour in which they began; hours without are left out; at most 720",
  ),
  threats: z.array(placedThreatAnswer).describe("Last seen first; at most 50"),
  sensors: z.array(z.string()).describe("Ids of the sensors whose counts its newest flows have"),
});

export const serviceAnswer = z.object({ ip: z.string(), network, ...service, bytes: count });

export const domainAnswer = z.object({
  name: z.string().describe("What was registered of the names that were asked for"),
  network,
  first_seen_ms: time,
  last_seen_ms: time,
  queries: count,
  hosts: count.describe("How many addresses asked: an estimate, which ends at about 620"),
});

export const conversationAnswer = z.object({
  src_ip: z.string().describe("Who began"),
  dst_ip: z.string(),
  network,
  ...service,
  port: port.describe("0 = no service"),
  packets: count,
  bytes: count,
  sent_bytes: count.describe("By who began"),
});
