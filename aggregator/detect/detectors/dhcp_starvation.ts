/** DHCP starvation: one machine asks for addresses in the name of many, until the server has none left.
 *
 * In: DHCP messages of clients. Out: one finding for each VLAN.
 * Invariant: a network that gets its power back asks fast too, so that many clients alone stay low; computed hardware
 * addresses show themselves by having as many makers as there are addresses. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, percentOf, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const clientsMax = 4_096;
const asks = new Set(["DISCOVER", "REQUEST"]);

export const dhcpStarvation = detector({
  name: "dhcp_starvation",
  technique: "T1499.003",
  title: "DHCP starvation",
  about: "Addresses are asked for in the name of many machines that do not exist.",
  needs: ["dhcp"],
  limits: {
    clientsMin: {
      value: 50,
      unit: "hardware addresses",
      why: "ask within the window; in a network of 250 addresses a handful joins in a minute",
    },
    makersShareMin: {
      value: 0.5,
      unit: "share",
      why: "makers (the first three octets) over hardware addresses: a real network has a few dozen makers",
    },
    packetsPerSMin: {
      value: 50,
      unit: "packets in a second",
      why: "500 hosts that get their power back start within half a minute and more",
    },
  },
  window: {
    quietS: { value: 60, unit: "s", why: "starvation does not pause" },
    ageS: { value: 300, unit: "s", why: "guests who come over a morning do not add up" },
  },
  keysMax: 1_024,
  key: ({ segment: { vlan, facts } }) =>
    facts?.dhcp?.some(({ message_type = "" }) => asks.has(message_type)) ? String(vlan) : null,
  open: ({ src, segment: { src_mac } }) => ({
    src,
    mac: src_mac,
    clients: new Distinct<string>(clientsMax),
    makers: new Distinct<string>(clientsMax),
    named: new Distinct<string>(clientsMax),
    servers: new Distinct<string>(16),
    packets: 0,
    rate: new PeakRate(),
  }),
  step(network, { segment: { facts, start, end, fwd_packets } }) {
    network.packets += fwd_packets;
    network.rate.add(start, end, fwd_packets);
    for (const { message_type = "", mac, hostname, server } of facts?.dhcp ?? []) {
      if (server !== undefined) network.servers.add(server);
      if (!asks.has(message_type) || mac === undefined) continue;
      network.clients.add(mac);
      network.makers.add(mac.slice(0, 8));
      if (hostname) network.named.add(mac);
    }
  },
  isThreat: ({ clients }, { clientsMin }) => clients.size >= clientsMin,
  finding(network, { clientsMin, makersShareMin, packetsPerSMin }) {
    const { clients, makers, named } = network;
    const evidence = {
      clients: field("hardware addresses that asked, of those told apart", clients.count),
      makers: field("makers among them", makers.count),
      named: field("of them with a host name", named.count),
      packets: field("packets of clients", network.packets),
      peak: field("of them in the busiest second", network.rate.peak),
      duration: field("duration in seconds", Math.round(network.lastS - network.firstS)),
    };
    const reasons = [reason(
      "many_clients",
      growingPoints(clients.size, clientsMin, { base: 20, perTenfold: 10, max: 30 }),
      `${evidence.clients} hardware addresses asked for an address; ${clientsMin} are the threshold`,
    )];
    if (makers.size >= makersShareMin * clients.size) {
      const share = percentOf(makers.size, clients.size);
      const text = `${evidence.makers} makers, ${share} of the hardware addresses: they look computed`;
      reasons.push(reason("computed_addresses", 25, text));
    }
    if (network.rate.peak >= packetsPerSMin) {
      const text = `${evidence.peak} packets in the busiest second; ${packetsPerSMin} are the threshold`;
      reasons.push(reason("fast", 15, text));
    }
    if (named.size === 0) {
      reasons.push(reason("nameless", 10, "none of them says its host name, as nearly all systems do"));
    }
    return {
      src_ips: [network.src.ip],
      dst_ips: network.servers.size > 0 ? network.servers : ["255.255.255.255"],
      dst_port: 67,
      count: network.packets,
      summary:
        `${evidence.clients} different hardware addresses asked the DHCP server for an address within ${evidence.duration} seconds.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "When the server has no addresses left, new machines get none, or take those that the attacker's own server offers them.",
  action:
    "Find the switch port with many hardware addresses and see what is connected to it. Limit the number of hardware addresses a port, switch on DHCP snooping, and delete the leases that nobody uses.",
  falseAlarm:
    "After a power cut, at the beginning of a lesson or of an event, many real machines ask at once; then most say a host name and come from a few makers.",
});
