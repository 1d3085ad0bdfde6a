/** FTP bounce: a client tells an FTP server to open its data connection to another machine,
 * to scan or attack it in the server's name.
 *
 * In: FTP commands PORT and EPRT of flows.
 * Out: one finding for each client and server; the attacker is whoever sends the command.
 * Invariant: a client behind address translation names its own private address, always the same one; that is none, but
 * for ports of services, on which no client waits for data.
 * Sources: RFC 2577, section 3; CVE-1999-0017. @module */

import { formatIp, isPrivateIp, parseIp } from "../../../shared/ip.ts";
import { detector } from "../detector.ts";
import { capScore, field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { isNear } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";
import type { PreparedUpdate } from "../prepared.ts";

const placesMax = 1_024, lowMax = 35;
/** Ports below belong to services (RFC 6335); RFC 2577 tells servers to refuse them. */
const servicePortsMax = 1_023;

interface Place {
  ip: string;
  port: number;
}

export const ftpBounce = detector({
  name: "ftp_bounce",
  technique: "T1090",
  title: "FTP bounce",
  about: "A client makes an FTP server connect to other machines.",
  needs: ["ftp"],
  limits: {
    placesMin: { value: 1, unit: "places", why: "a client has its data brought to itself" },
    scanMin: { value: 10, unit: "places", why: "nobody has files sent to so many places" },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "each try waits for the server's connection to fail" },
    ageS: { value: 86_400, unit: "s", why: "tries of a day are one story" },
  },
  items: placesOf,
  key: () => by.pair,
  open: ({ src, dst, segment: { dst_port } }) => ({
    client: src,
    server: dst,
    port: dst_port,
    hosts: new Distinct<string>(placesMax),
    places: new Distinct<string>(placesMax),
    services: new Distinct<number>(placesMax),
    commands: 0,
  }),
  step(bounce, _update, _limits, { ip, port }) {
    bounce.commands++;
    bounce.hosts.add(ip);
    bounce.places.add(`${ip}:${port}`);
    if (port <= servicePortsMax) bounce.services.add(port);
  },
  isThreat: ({ places, hosts, services, client }, { placesMin }) =>
    places.size >= placesMin &&
    (client.isOwn || hosts.size > 1 || services.size > 0 || ![...hosts].every(isPrivateIp)),
  finding(bounce, { scanMin }) {
    const { hosts, places, services, client, server } = bounce;
    const evidence = {
      hosts: field("other machines named", [...hosts].slice(0, 10).join(", ")),
      places: field("addresses and ports named", places.count),
      services: field("ports of services among them", [...services].slice(0, 10).join(", ") || "none"),
      commands: field("commands", bounce.commands),
    };
    const reasons = [reason("third_machine", 40, `data was to go to ${evidence.hosts}, not to ${client.ip}`)];
    if (services.size > 0) {
      reasons.push(
        reason(
          "service_ports",
          20,
          `${evidence.services}: ports of services, where no client waits for data`,
        ),
      );
    }
    if (places.size >= scanMin) {
      const points = growingPoints(places.size, scanMin, { base: 15, perTenfold: 10, max: 30 });
      reasons.push(reason("scan", points, `${evidence.places} places were named; ${scanMin} are a scan`));
    }
    if (hosts.size === 1 && services.size === 0 && isNear([...hosts][0], client.ip)) {
      const text =
        "it is a neighbour of the client, and no port of a service: the client may have two addresses";
      capScore(reasons, lowMax, "neighbour", text);
    }
    return {
      src_ips: [client.ip],
      dst_ips: [server.ip, ...hosts],
      dst_port: bounce.port,
      count: bounce.commands,
      summary:
        `${client.ip} told the FTP server ${server.ip} ${evidence.commands} time(s) to connect to ${evidence.hosts}, at ${evidence.places} place(s).`,
      reasons,
      evidence,
    };
  },
  meaning:
    "The server connects in the attacker's place: past a firewall that trusts it, and with its address in every log.",
  action: (_evidence, { src_ips, dst_ips }) =>
    `Block ${src_ips[0]}, which sends the commands; ${
      dst_ips[0]
    } is misused and not the attacker. Set that server to refuse PORT for other addresses than the client's.`,
  falseAlarm: "Transfers from server to server (FXP) name another server on purpose; they use high ports.",
});

/** Places named that are not the client's own. */
function placesOf({ segment: { facts, src_ip } }: PreparedUpdate): Place[] {
  const places: Place[] = [];
  for (const { command, argument } of facts?.ftp ?? []) {
    const place = command.toUpperCase() === "PORT"
      ? placeOfPort(argument)
      : command.toUpperCase() === "EPRT"
      ? placeOfEprt(argument)
      : null;
    if (place !== null && place.ip !== src_ip) places.push(place);
  }
  return places;
}

function placeOfPort(argument: string): Place | null {
  const numbers = /^\s*(\d{1,3}(?:,\d{1,3}){5})\s*$/.exec(argument)?.[1].split(",").map(Number);
  if (numbers === undefined || numbers.some((number) => number > 255)) return null;
  return { ip: numbers.slice(0, 4).join("."), port: 256 * numbers[4] + numbers[5] };
}

/** The address in its canonical text: a client that spells its own address another way names no other machine. */
function placeOfEprt(argument: string): Place | null {
  const [, ip = "", port] = /^\|[12]\|([0-9a-fA-F.:]{2,45})\|(\d{1,5})\|$/.exec(argument) ?? [];
  const bytes = parseIp(ip);
  return bytes === null || Number(port) > 65_535 ? null : { ip: formatIp(bytes), port: Number(port) };
}
