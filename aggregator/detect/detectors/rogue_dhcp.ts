/** Rogue DHCP: a second server hands out addresses, with another gateway or other name servers than the first.
 *
 * In: DHCP offers and acknowledgements that go to clients. Out: one finding for each server that came later.
 * Invariant: two servers that say the same are a pair that shares the work, and stay low. Answers to relays belong to
 * other networks and do not count. Where no client hears both, and their addresses are far apart,
 * a sensor may see two networks: that stays low, too. @module */

import { detector } from "../detector.ts";
import { capScore, field, hostile, reason } from "../finding.ts";
import { isNear } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";

const serversMax = 16, clientsMax = 256, lowMax = 35;
const answers = new Set(["OFFER", "ACK"]);

interface Server {
  ip: string;
  mac: string;
  firstS: number;
  answers: number;
  routers: string;
  dns: string;
  clients: Distinct<string>;
}

export const rogueDhcp = detector({
  name: "rogue_dhcp",
  technique: "T1557.003",
  title: "Second DHCP server",
  about: "A second DHCP server answers clients, and sends them elsewhere.",
  needs: ["dhcp"],
  limits: {
    answersMin: { value: 1, unit: "answers", why: "one is enough to send a machine elsewhere" },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "leases are renewed after half of a day or less" },
    ageS: { value: 7 * 86_400, unit: "s", why: "a server that moved is seen no more after a week" },
  },
  keysMax: 1_024,
  key({ segment: { vlan, src_port, dst_port, facts } }) {
    if (facts?.dhcp === undefined || (src_port !== 68 && dst_port !== 68)) return null;
    return facts.dhcp.some(({ message_type = "", server }) => answers.has(message_type) && server)
      ? String(vlan)
      : null;
  },
  open: () => ({ servers: new Map<string, Server>() }),
  step({ servers }, { segment: { facts, start, src_ip, src_mac, dst_mac } }) {
    for (const fact of facts?.dhcp ?? []) {
      const { server: ip, message_type = "", routers = [], dns_servers = [], mac, count = 1 } = fact;
      if (!ip || !answers.has(message_type) || ip === "0.0.0.0") continue;
      let server = servers.get(ip);
      if (server === undefined) {
        if (servers.size >= serversMax) continue;
        const hardware = src_ip === ip ? src_mac : dst_mac;
        const clients = new Distinct<string>(clientsMax);
        server = { ip, mac: hardware, firstS: start, answers: 0, routers: "", dns: "", clients };
        servers.set(ip, server);
      }
      server.answers += count;
      if (routers.length > 0) server.routers = routers.join(", ");
      if (dns_servers.length > 0) server.dns = dns_servers.join(", ");
      if (mac) server.clients.add(mac);
    }
  },
  isThreat: ({ servers }, { answersMin }) =>
    [...servers.values()].filter((server) => server.answers >= answersMin).length > 1,
  finding({ servers }) {
    const [first, ...others] = [...servers.values()].sort((a, b) => a.firstS - b.firstS);
    const later = others.find((one) => differs(one.routers, first.routers)) ??
      others.find((one) => differs(one.dns, first.dns)) ?? others[0];
    const evidence = {
      server: field("server that came later", later.ip),
      mac: field("its hardware address", later.mac || "unknown"),
      router: hostile("gateway it names", later.routers || "none"),
      dns: hostile("name servers it names", later.dns || "none"),
      answers: field("answers it gave", later.answers),
      clients: field("clients it answered", later.clients.count),
      known: field("server that was there before", first.ip),
      knownRouter: hostile("gateway that one names", first.routers || "none"),
      knownDns: hostile("name servers that one names", first.dns || "none"),
    };
    const reasons = [reason("second_server", 25, `${first.ip} and ${later.ip} both answer clients`)];
    if (differs(later.routers, first.routers)) {
      const text = `it names the gateway ${evidence.router}, the other names ${evidence.knownRouter}`;
      reasons.push(reason("other_gateway", 25, text));
    }
    if (differs(later.dns, first.dns)) {
      const text = `it names the name servers ${evidence.dns}, the other names ${evidence.knownDns}`;
      reasons.push(reason("other_name_servers", 20, text));
    }
    if (
      reasons.length > 1 && ![...later.clients].some((mac) => first.clients.has(mac)) &&
      !isNear(later.ip, first.ip)
    ) {
      const text = "no client was answered by both, so that they may serve networks of their own";
      capScore(reasons, lowMax, "apart", text);
    }
    return {
      src_ips: [later.ip],
      dst_ips: [first.ip],
      dst_port: 68,
      count: later.answers,
      summary: `${later.ip} answers DHCP clients beside ${first.ip}, which was there before${
        reasons.length > 1 ? ", and sends them elsewhere" : " and says the same"
      }.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Who hands out addresses also says which gateway and which name servers to use, and can so read or redirect what its clients do. Most second servers are small routers that somebody plugged in.",
  action: ({ server, mac, known }) =>
    `Ask which of ${known} and ${server} is meant to be there. If it is not ${server} (hardware address ${mac}), find its switch port and unplug it; then let the clients it answered renew their addresses. Switch on DHCP snooping.`,
  falseAlarm:
    "Two servers that share the work, and a server that is being replaced; the gateways they name are then the same.",
});

/** Both are known, and not the same. */
function differs(a: string, b: string): boolean {
  return a !== "" && b !== "" && a !== b;
}
