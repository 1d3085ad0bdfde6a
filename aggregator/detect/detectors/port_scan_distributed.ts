/** Distributed port scan: several hosts divide the ports of one target among them, or the hosts of a network.
 *
 * In: the attempts without a conversation that TCP and UDP flows begin with. Out: one finding for each target whose
 * ports are tried, and for each port of which the own hosts are tried.
 * Invariant: the work is divided: hardly anything is tried by two sources. What comes to every public address all day
 * is not: a source tries one port there, and popular ports are tried by everybody. What is tried again and again, as
 * by clients whose server is down and by load balancers, does not count. UDP counts on service ports alone, as peers
 * of calls and games feel for each other's ephemeral ones. A source that tries much is a scanner by itself as well.
 * Sources of the idea: Gates, "Coordinated Scan Detection" (NDSS 2009): coordinated scanners cover a set with little
 * overlap. What comes all day: Durumeric et al., "An Internet-Wide View of Internet-Wide Scanning" (2014). @module */

import { isPrivateIp } from "../../../shared/ip.ts";
import { detector, type LimitValues } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Opening, PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";
import { TriedOnce } from "../signs/tried_once.ts";

const sourcesMax = 256, crowdMax = 64, portsMax = 4_096, triesEachMax = 256;
/** The lowest ephemeral port of common systems (Linux). */
const ephemeralMin = 32_768;

type Shape = "ports" | "hosts";
type Thing = string | number;
const both: readonly Shape[] = ["ports", "hosts"], neither: readonly Shape[] = [];

interface Divided {
  shape: Shape;
  protocol: string;
  target: Address;
  port: number;
  /** What each tried; the one thing while it is one. When there is no room these go: they divide no work. */
  sources: Map<string, Thing | TriedOnce<Thing>>;
  /** Some of those that tried anything. */
  crowd: Distinct<string>;
  /** Different ports, whoever tried them; no hosts. */
  ports: Distinct<Thing>;
  /** Ports or hosts that accepted. */
  open: Distinct<Thing>;
  attempts: number;
  rate: PeakRate;
}
type Worker = [ip: string, tried: TriedOnce<Thing>];

const limitsTable = {
  sourcesMin: {
    value: 5,
    unit: "sources",
    why: "a few clients of one server that is down may differ in what they ask",
  },
  triesEachMin: {
    value: 3,
    unit: "tries",
    why: "by each source: what comes to every public address tries one port there, or two",
  },
  portsMin: { value: 30, unit: "ports", why: "of one target: twice what is a scan by a single source" },
  hostsMin: { value: 50, unit: "hosts", why: "on one port: twice what is a scan by a single source" },
  crowdPortsMin: {
    value: 1_500,
    range: [15, portsMax],
    unit: "ports",
    why:
      "TCP ports of one target within an hour, however few by each: some hundred come to any public address",
  },
  overlapMax: {
    value: 1.25,
    unit: "sources",
    why: "that tried the same thing, on average: the work is divided",
  },
  failedShareMin: { value: 0.5, unit: "share", why: "as for scans by a single source" },
  perSMax: { value: 1_000, unit: "attempts in a second", why: "more is a flood" },
  crowdPerSMax: {
    value: 100,
    unit: "attempts in a second",
    why: "by a crowd: more may be a flood from forged sources",
  },
} as const;

const portsOfTarget = by.protocolDst.after("ports"), hostsOnPort = by.protocolPort.after("hosts");

export const portScanDistributed = detector({
  name: "port_scan_distributed",
  technique: "T1046",
  title: "Distributed port scan",
  about:
    "Several hosts divide the ports of a target, or the hosts of a network, among them and try each once.",
  limits: limitsTable,
  window: {
    quietS: { value: 600, unit: "s", why: "as for scans by a single source" },
    ageS: { value: 3_600, unit: "s", why: "a few failures an hour are ordinary" },
  },
  keysMax: 2_500,
  items: shapesOf,
  key: (_update, _limits, shape) => shape === "ports" ? portsOfTarget : hostsOnPort,
  // One attempt divides nothing.
  slight: { isSlight: () => true },
  open: ({ dst, segment: { protocol, dst_port } }: Opening, shape): Divided => ({
    shape,
    protocol,
    target: dst,
    port: dst_port,
    sources: new Map(),
    crowd: new Distinct(crowdMax),
    ports: new Distinct(portsMax),
    open: new Distinct(portsMax),
    attempts: 0,
    rate: new PeakRate(),
  }),
  step(scan, { probe, src, dst, segment: { dst_port, start } }: Opening) {
    const thing = scan.shape === "ports" ? dst_port : dst.ip;
    scan.attempts++;
    scan.rate.add(start);
    if (probe === "open") scan.open.add(thing);
    if (scan.shape === "ports") scan.ports.add(thing);
    const tried = scan.sources.get(src.ip);
    if (typeof tried === "object") return void tried.add(thing, start);
    if (tried === thing) return;
    if (tried === undefined) {
      scan.crowd.add(src.ip);
      if (hasRoom(scan.sources)) scan.sources.set(src.ip, thing);
      return;
    }
    const both = new TriedOnce<Thing>(triesEachMax);
    both.add(tried, start);
    both.add(thing, start);
    scan.sources.set(src.ip, both);
  },
  isThreat: (scan, limits) => dividedWork(scan, limits) !== null,
  finding(scan, limits) {
    const { shape, protocol, target, port, attempts } = scan;
    const { sources, sourceCount, things, tries, isCrowd } = dividedWork(scan, limits)!;
    const isPorts = shape === "ports", thingsMin = isPorts ? limits.portsMin : limits.hostsMin;
    const open = [...scan.open].filter((thing) => things.has(thing));
    const inside = sources.filter(isPrivateIp);
    const evidence = {
      sources: field("sources", sourceCount),
      tried: field(`${shape} tried`, things.size),
      tries: field("tries by all sources", tries),
      open: field(`${shape} that accepted`, open.slice(0, 20).join(", ") || "none"),
      inside: field("sources inside", inside.slice(0, 20).join(", ") || "none"),
      protocol: field("protocol", protocol.toUpperCase()),
    };
    const reasons = [reason(
      "divided",
      growingPoints(things.size, isCrowd ? limits.crowdPortsMin : thingsMin, {
        base: 50,
        perTenfold: 11,
        max: 70,
      }),
      `${evidence.tried} ${shape} were tried in ${evidence.tries} tries by ${evidence.sources} sources: they divide the work`,
    )];
    if (inside.length > 0) {
      reasons.push(reason("inside", 10, "sources inside take part, so somebody steers them"));
    }
    return {
      src_ips: sources,
      dst_ips: isPorts ? [target.ip] : things as Iterable<string>,
      dst_port: isPorts ? null : port,
      count: attempts,
      summary: `${evidence.sources} sources together tried ${
        isPorts
          ? `${evidence.tried} ${evidence.protocol} ports of ${target.ip}`
          : `${evidence.protocol} port ${port} on ${evidence.tried} own hosts`
      }, each a part of them.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Whoever divides a scan among many machines, such as those of a botnet, wants each of them to stay below what is noticed.",
  action: ({ open, inside }, _finding, { shape }) =>
    `${
      inside.value === "none"
        ? "Block the sources at the firewall while it lasts."
        : `Find out which program scans on the sources inside (${inside}), and stop it if nobody can explain it.`
    } ${
      open.value === "none"
        ? "Nothing accepted, so nothing was found."
        : `Then look at what accepted: ${shape} ${open}.`
    }`,
  falseAlarm:
    "A vulnerability scanner with several addresses, or a service that checks your network from many places on your behalf.",
});

interface DividedWork {
  sources: string[];
  sourceCount: number | string;
  things: ReadonlySet<Thing>;
  tries: number;
  isCrowd: boolean;
}

/** Null: nobody divides anything. */
function dividedWork(
  { shape, protocol, sources, crowd, ports, open, attempts, rate }: Divided,
  limits: LimitValues<typeof limitsTable>,
): DividedWork | null {
  const { sourcesMin, triesEachMin, overlapMax, failedShareMin, crowdPortsMin } = limits;
  const thingsMin = shape === "ports" ? limits.portsMin : limits.hostsMin;
  if (attempts < thingsMin || crowd.size < sourcesMin || rate.peak > limits.perSMax) return null;
  const isDivided = (together: ReadonlySet<Thing>, tries: number, least: number) =>
    together.size >= least && tries <= overlapMax * together.size &&
    together.size - [...open].filter((thing) => together.has(thing)).length >= failedShareMin * together.size;
  const workers: Worker[] = [];
  for (const [ip, tried] of sources) {
    if (typeof tried === "object" && tried.size >= triesEachMin && !tried.isFixed) workers.push([ip, tried]);
  }
  if (workers.length >= sourcesMin) {
    const together = new Set(workers.flatMap(([, tried]) => [...tried]));
    const tries = workers.reduce((sum, [, tried]) => sum + tried.size, 0);
    if (isDivided(together, tries, thingsMin)) {
      const names = workers.map(([ip]) => ip);
      return { sources: names, sourceCount: names.length, things: together, tries, isCrowd: false };
    }
  }
  // One or two ports by each of a crowd: more than comes to any address, and each port once.
  if (
    shape !== "ports" || ports.size < crowdPortsMin || protocol !== "tcp" || rate.peak > limits.crowdPerSMax
  ) return null;
  const all = new Set(ports);
  if (!isDivided(all, attempts, crowdPortsMin)) return null;
  return { sources: [...crowd], sourceCount: crowd.count, things: all, tries: attempts, isCrowd: true };
}

/** Whether one more fits in; those that tried one thing make room. */
function hasRoom(sources: Divided["sources"]): boolean {
  if (sources.size < sourcesMax) return true;
  for (const [ip, tried] of sources) if (typeof tried !== "object") sources.delete(ip);
  return sources.size < sourcesMax;
}

/** Ways in which an attempt may be part of a divided scan. */
function shapesOf(
  { probe, dst, serverName, segment: { protocol, dst_port } }: PreparedUpdate,
): readonly Shape[] {
  if (probe === null || probe === "used" || dst.isGroup) return neither;
  const mayBePort = protocol === "tcp" || dst_port < ephemeralMin, isInside = dst.isOwn && serverName === "";
  if (mayBePort && isInside) return both;
  return mayBePort ? ["ports"] : isInside ? ["hosts"] : neither;
}
