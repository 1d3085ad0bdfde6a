/** Slow port scan: one host tries a few ports or hosts an hour, so that no hour of it looks like a scan.
 *
 * In: the attempts without a conversation that TCP and UDP flows of own hosts begin with. Out: one finding for each
 * pair of hosts whose ports are tried, and for each source and port of which the own hosts are tried.
 * Invariant: what the other scan detectors find at their pace is not found twice. What is tried again and again, as a
 * client does whose server is down and a monitor does, does not count. Ephemeral ports do not count in a scan of
 * ports: servers that call their clients back meet closed ones (active FTP, DCOM). Sources outside are left out, as
 * research scanners try every public address like this all day.
 * Source: nmap's timing template "paranoid" (-T0) waits five minutes between two probes. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Opening, PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { TriedOnce } from "../signs/tried_once.ts";

const triedMax = 1_024, hoursMax = 192;
/** The lowest ephemeral port of common systems (Linux). */
const ephemeralMin = 32_768;

type Shape = "ports" | "hosts";
const both: readonly Shape[] = ["ports", "hosts"], neither: readonly Shape[] = [];

interface SlowScan {
  shape: Shape;
  protocol: string;
  src: Address;
  /** One of those tried. */
  dst: Address;
  port: number;
  tried: TriedOnce<string | number>;
  /** Those of them that accepted. */
  open: Distinct<string | number>;
  /** New ones, by hour. */
  hours: Map<number, number>;
  attempts: number;
}

const portsOfPair = by.protocolPair.after("ports"), hostsOfSource = by.protocolSrcPort.after("hosts");

export const portScanSlow = detector({
  name: "port_scan_slow",
  technique: "T1046",
  title: "Slow port scan",
  about: "One host tries ports of another, or one port of many own hosts, over hours, a few in each.",
  limits: {
    portsMin: {
      value: 30,
      unit: "ports",
      why: "twice what is a scan within an hour: failures of a day add up",
    },
    hostsMin: {
      value: 50,
      unit: "hosts",
      why: "twice what is a scan within an hour: failures of a day add up",
    },
    portsPerHourMax: { value: 14, unit: "ports", why: "from 15 on it is a vertical scan" },
    hostsPerHourMax: { value: 24, unit: "hosts", why: "from 25 on it is a horizontal scan" },
    failedShareMin: { value: 0.5, unit: "share", why: "as for scans of any pace" },
  },
  window: {
    quietS: { value: 14_400, unit: "s", why: "a probe in hours finds next to nothing in a year" },
    ageS: { value: 86_400, unit: "s", why: "at nmap's slowest a day holds 288 probes" },
  },
  keysMax: 5_000,
  items: shapesOf,
  key: (_update, _limits, shape) => shape === "ports" ? portsOfPair : hostsOfSource,
  slight: { isSlight: (_update, { portsMin, hostsMin }) => portsMin > 1 && hostsMin > 1 },
  open: ({ src, dst, segment: { protocol, dst_port } }: Opening, shape): SlowScan => ({
    shape,
    protocol,
    src,
    dst,
    port: dst_port,
    tried: new TriedOnce(triedMax),
    open: new Distinct(triedMax),
    hours: new Map(),
    attempts: 0,
  }),
  step(scan, { probe, dst, segment: { dst_port, start } }: Opening) {
    const thing = scan.shape === "ports" ? dst_port : dst.ip;
    scan.attempts++;
    if (probe === "open") scan.open.add(thing);
    if (!scan.tried.add(thing, start)) return;
    const hour = Math.floor(start / 3_600), before = scan.hours.get(hour);
    if (before !== undefined || scan.hours.size < hoursMax) scan.hours.set(hour, (before ?? 0) + 1);
  },
  isThreat({ shape, tried, open, hours }, limits) {
    const isPorts = shape === "ports";
    if (tried.size < (isPorts ? limits.portsMin : limits.hostsMin)) {
      return false;
    }
    if (Math.max(...hours.values()) > (isPorts ? limits.portsPerHourMax : limits.hostsPerHourMax)) {
      return false;
    }
    return !tried.isFixed && tried.size - open.size >= limits.failedShareMin * tried.size;
  },
  finding(scan, limits) {
    const { shape, protocol, src, dst, port, tried, open, hours, attempts } = scan;
    const isPorts = shape === "ports", thingsMin = isPorts ? limits.portsMin : limits.hostsMin;
    const evidence = {
      tried: field(`${shape} tried`, tried.count),
      open: field(`${shape} that accepted`, [...open].slice(0, 20).join(", ") || "none"),
      hours: field("hours in which something new was tried", hours.size),
      most: field("of them the most in an hour", Math.max(...hours.values())),
      protocol: field("protocol", protocol.toUpperCase()),
    };
    const reasons = [reason(
      "tried_slowly",
      growingPoints(tried.size, thingsMin, { base: 45, perTenfold: 10, max: 60 }),
      `${evidence.tried} ${shape} were tried in ${evidence.hours} different hours, at most ${evidence.most} in one; ${thingsMin} are enough to call it a scan`,
    )];
    return {
      src_ips: [src.ip],
      dst_ips: isPorts ? [dst.ip] : tried as Iterable<string>,
      dst_port: isPorts ? null : port,
      count: attempts,
      summary: isPorts
        ? `${src.ip} tried ${evidence.tried} ${evidence.protocol} ports of ${dst.ip}, spread over ${evidence.hours} hours.`
        : `${src.ip} tried ${evidence.protocol} port ${port} on ${evidence.tried} own hosts, spread over ${evidence.hours} hours.`,
      reasons,
      evidence,
    };
  },
  meaning: "Whoever scans so slowly does not want to be seen; an attacker inside looks around like this.",
  action: ({ open }, _finding, { src, shape }) =>
    `${findOut(src, "scans")} ${
      open.value === "none"
        ? "Nothing accepted, so nothing was found."
        : `Then look at what it did where it was accepted: ${shape} ${open}.`
    }`,
  falseAlarm:
    "Inventory and management tools that spread their work over the day; they do so from known addresses, every day.",
});

/** Ways in which an attempt may be part of a slow scan. */
function shapesOf({ probe, src, dst, serverName, segment: { dst_port } }: PreparedUpdate): readonly Shape[] {
  if (probe === null || probe === "used" || dst.isGroup || !src.isOwn) return neither;
  const isService = dst_port < ephemeralMin, isInside = dst.isOwn && serverName === "";
  if (isService && isInside) return both;
  return isService ? ["ports"] : isInside ? ["hosts"] : neither;
}
