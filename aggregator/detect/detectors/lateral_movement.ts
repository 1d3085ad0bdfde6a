/** Lateral movement: one own host has working sessions of remote control or file shares with many own hosts that nobody
 * else uses so.
 *
 * In: the beginnings of SMB, RDP, WinRM, SSH and DCE/RPC flows between own hosts. Out: one finding for each source.
 * Invariant: a service that three or more hosts use is a server and does not count, so that domain controllers, file
 * servers and jump hosts are none; attempts that fail are a scan. A server of software distribution does the same every
 * day, so that the fan alone stays low until it is wide; administrative shares, or several ways in, raise it.
 * SSH alone stays low however wide, as that is how machines are administered.
 * Controllers answer; a session between two of them is told at once, but for what controllers do: exchange values, and
 * report to servers.
 * Source: ATT&CK T1021. @module */

import { detector } from "../detector.ts";
import { capScore, field, growingPoints, reason } from "../finding.ts";
import type { PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import type { Service } from "../signs/services.ts";

const hostsMax = 256, lowMax = 35;
const ways: Readonly<Record<number, string>> = {
  22: "SSH",
  23: "Telnet",
  135: "DCE/RPC",
  139: "SMB",
  445: "SMB",
  3389: "RDP",
  5900: "VNC",
  5985: "WinRM",
  5986: "WinRM",
};
/** What controllers call by themselves: names, time, web, mail, logs, MQTT, databases;
 * and the ports of industrial protocols. */
const controllerPorts = new Set([
  ...[
    25,
    53,
    80,
    102,
    123,
    443,
    502,
    514,
    587,
    789,
    1433,
    1883,
    1911,
    2222,
    2404,
    2455,
    3306,
    4840,
    5432,
    8080,
  ],
  ...[8883, 9600, 18245, 20000, 34962, 34963, 34964, 44818, 47808],
]);
const adminShare = /\\(?:admin|[a-z])\$$/i;

interface Reached {
  address: Address;
  service: Service;
  way: string;
}

export const lateralMovement = detector({
  name: "lateral_movement",
  technique: "T1021",
  title: "Lateral movement",
  about: "One own host reaches into many own hosts by remote control or file shares.",
  limits: {
    hostsMin: {
      value: 8,
      unit: "hosts",
      why: "that nobody else uses so; people share files with a few neighbours at most",
    },
    adminHostsMin: {
      value: 3,
      unit: "hosts",
      why: "whose administrative shares were opened; a technician opens one",
    },
    callersMax: { value: 2, unit: "hosts", why: "a service that more hosts use is a server" },
    fastHostsPerMinute: { value: 4, unit: "hosts/min", why: "nobody logs in to so many by hand" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "attackers look around between two hosts" },
    ageS: { value: 14_400, unit: "s", why: "the help desk reaches a dozen hosts in a day" },
  },
  key(update) {
    const { src, dst, service, probe, segment: { protocol, fwd_payload_bytes, bwd_payload_bytes } } = update;
    if (
      protocol !== "tcp" || !src.isOwn || !dst.isOwn || fwd_payload_bytes === 0 || bwd_payload_bytes === 0
    ) {
      return null;
    }
    const isWay = service !== null && probe === "used" && update.segment.dst_port in ways;
    return isWay || isAmongControllers(update) ? src.ip : null;
  },
  open: ({ src }) => ({
    src,
    reached: new Map<string, Reached>(),
    admin: new Distinct<string>(hostsMax),
    plant: new Distinct<string>(hostsMax),
  }),
  step(spread, update) {
    const { dst, service, segment: { dst_ip, dst_port, facts } } = update;
    if (isAmongControllers(update)) spread.plant.add(dst_ip);
    if (service === null || !(dst_port in ways)) return;
    const key = `${dst_ip}|${dst_port}`;
    if (!spread.reached.has(key) && spread.reached.size < hostsMax) {
      spread.reached.set(key, { address: dst, service: service.byAddress, way: ways[dst_port] });
    }
    if (facts?.smb?.some(({ tree = "" }) => adminShare.test(tree))) spread.admin.add(dst_ip);
  },
  isThreat(spread, { hostsMin, adminHostsMin, callersMax }) {
    return spread.reached.size >= hostsMin && hostsOf(spread, callersMax).size >= hostsMin ||
      spread.admin.size >= adminHostsMin || spread.plant.size > 0;
  },
  finding(spread, limits) {
    const { hostsMin, adminHostsMin, callersMax, fastHostsPerMinute } = limits;
    const own = hostsOf(spread, callersMax);
    const hosts = new Set([...own, ...spread.admin, ...spread.plant]);
    const used = new Set([...spread.reached.values()].map(({ way }) => way));
    const minutes = (spread.lastS - spread.firstS) / 60;
    const evidence = {
      hosts: field("hosts reached that hardly anybody else uses so", own.size),
      admin: field("hosts whose administrative shares were opened", spread.admin.count),
      plant: field(
        "controllers reached by a controller",
        [...spread.plant].slice(0, 10).join(", ") || "none",
      ),
      ways: field("ways in", [...used].join(", ") || "other ports"),
      sessions: field("sessions", spread.flows),
      duration: field("duration in seconds", Math.round(spread.lastS - spread.firstS)),
    };
    const reasons = [];
    if (own.size >= hostsMin) {
      const text =
        `${evidence.hosts} hosts that at most ${callersMax} hosts use so; ${hostsMin} are the threshold`;
      reasons.push(
        reason("wide_fan", growingPoints(own.size, hostsMin, { base: 30, perTenfold: 20, max: 50 }), text),
      );
      if (own.size >= fastHostsPerMinute * minutes && minutes < 30) {
        reasons.push(reason("fast", 5, `within ${evidence.duration} s; nobody logs in so fast by hand`));
      }
    }
    if (spread.admin.size >= adminHostsMin) {
      const text =
        `administrative shares of ${evidence.admin} hosts were opened; ${adminHostsMin} are the threshold`;
      reasons.push(reason("admin_shares", 40, text));
    }
    if (spread.plant.size > 0) {
      const text =
        `${spread.src.ip} serves plant equipment, as do ${evidence.plant}; controllers exchange values and report to servers, no more`;
      reasons.push(reason("from_controller", 45, text));
    }
    if (used.size >= 3) {
      reasons.push(reason("several_ways", 15, `${evidence.ways}: one host in so many ways`));
    }
    if (used.size === 1 && used.has("SSH") && spread.plant.size === 0) {
      capScore(reasons, lowMax, "ssh_alone", "administrators' tools reach all hosts by SSH and nothing else");
    }
    return {
      src_ips: [spread.src.ip],
      dst_ips: hosts,
      dst_port: null,
      count: spread.flows,
      summary: `${spread.src.ip} had ${evidence.sessions} working sessions (${evidence.ways}) with own hosts${
        spread.plant.size > 0
          ? `, though it serves plant equipment, as do ${evidence.plant}.`
          : `, ${evidence.hosts} of which hardly anybody else uses so.`
      }`,
      reasons,
      evidence,
    };
  },
  meaning:
    "After a first machine was taken over, attackers and worms go on to its neighbours with the passwords and keys they found there.",
  action: (_evidence, { dst_ips }, { src }) =>
    `${findOut(src, "opens these sessions")} Then look for new services, tasks and log-ins on ${
      dst_ips.slice(0, 5).join(", ")
    }${dst_ips.length > 5 ? " and the others" : ""}.`,
  falseAlarm:
    "Software distribution, backup, inventory and administrators do the same from known hosts, every day.",
});

function hostsOf({ reached }: { reached: Map<string, Reached> }, callersMax: number): Set<string> {
  return new Set(
    [...reached.values()].filter(({ service }) => service.callers.size <= callersMax).map(({ address }) =>
      address.ip
    ),
  );
}

/** A session between two controllers that is none of theirs, seen from its beginning or not. */
function isAmongControllers({ src, dst, segment: { dst_port, src_port } }: PreparedUpdate): boolean {
  return src.isPlant && dst.isPlant && !controllerPorts.has(dst_port) && !controllerPorts.has(src_port);
}
