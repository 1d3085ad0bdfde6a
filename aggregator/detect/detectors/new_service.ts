/** New service: an own host answers on a port on which nobody called anything before,
 * after a time in which the others were learned.
 *
 * In: beginnings of TCP conversations between own hosts. Out: one finding for each serving host, with its new ports.
 * Invariant: never above low; nothing is new before the network was watched for `learningS`. Ports that systems hand
 * out to clients, and to services for a moment (FTP, RPC), are none.
 * ATT&CK T1543, T1205: a back door listens. @module */

import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const portsMax = 64;
/** Where Linux begins with ports for clients; Windows begins later. */
const ephemeralMin = 32_768;

export const newService = detector({
  name: "new_service",
  technique: "T1543",
  title: "New service",
  about: "An own host answers on a port on which nobody called anything before.",
  limits: {
    learningS: { value: 3 * 86_400, unit: "s", why: "a weekend passes before all services were used" },
    hoursMin: {
      value: 24,
      unit: "h",
      why: "in which anything was called: a gap of days, or a few captures joined, teach nothing",
    },
    portsMin: { value: 1, unit: "ports", why: "one way back in is enough" },
  },
  window: {
    quietS: { value: 86_400, unit: "s", why: "the ports of a day are one story" },
    ageS: { value: 86_400, unit: "s", why: "as long as a program takes to be set up" },
  },
  keysMax: 5_000,
  key({ service, probe, dst, segment: { protocol, dst_port, start } }, { learningS, hoursMin }) {
    // Most calls end at the first comparison: only the first call of a service is its beginning.
    if (service === null || service.byAddress.firstS !== start) return null;
    if (protocol !== "tcp" || dst_port >= ephemeralMin || !dst.isOwn || probe !== "used") return null;
    const { network, hours } = service;
    return start - network.firstS >= learningS && hours >= hoursMin ? dst.ip : null;
  },
  open: ({ segment: { dst_ip } }) => ({
    host: dst_ip,
    ports: new Distinct<number>(portsMax),
    callers: new Distinct<string>(portsMax),
  }),
  step(server, { segment: { src_ip, dst_port } }) {
    server.ports.add(dst_port);
    server.callers.add(src_ip);
  },
  isThreat: ({ ports }, { portsMin }) => ports.size >= portsMin,
  finding({ host, ports, callers }, { learningS }) {
    const evidence = {
      ports: field("ports", [...ports].slice(0, 10).join(", ")),
      callers: field("first called by", [...callers].slice(0, 5).join(", ")),
    };
    const days = Math.round(learningS / 86_400);
    return {
      src_ips: [host],
      dst_ips: callers,
      dst_port: ports.size === 1 ? [...ports][0] : null,
      count: ports.size,
      summary: `${host} answers on port ${evidence.ports}, which nobody was seen to call before.`,
      reasons: [
        reason("never_called", 20, `never called since the network is watched, at least ${days} day(s)`),
      ],
      evidence,
    };
  },
  meaning:
    "Most new services were installed on purpose. A program that an intruder left behind waits on a port, too.",
  action: ({ ports }, { src_ips }) =>
    `Nothing is urgent. Find out which program on ${
      src_ips[0]
    } listens on port ${ports}, and who installed it.`,
  falseAlarm: "Updates, new programs, and services that are used once a month.",
});
