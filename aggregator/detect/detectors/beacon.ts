/** Beacon: one host calls the same outside service at regular times with calls of regular size,
 * as implants do to fetch orders.
 *
 * In: beginnings of TCP and UDP flows, and the later segments of quiet TCP sessions. Out: one finding for each caller,
 * callee and port; one for a source that polls several targets alike.
 * Invariant: regularity alone is never more than low, as most programs poll; more needs a second, independent sign. A
 * service inside, an inbound caller, a service that several own hosts call, a poller of several targets, and calls that
 * are not answered stay low whatever else. Calls inside one connection are reported with a second sign only:
 * keep-alives are regular by design. Services that are regular by design (time, names, discovery) are not followed.
 * ATT&CK T1573 where it is encrypted. @module */

import type { Segment } from "../../../shared/segment.ts";
import type { Reason } from "../../model/threat.ts";
import { detector, type LimitValues } from "../detector.ts";
import type { Episode } from "../episodes.ts";
import { capScore, field, type Found, growingPoints, hostile, percentOf, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { type Opening, PreparedUpdate } from "../prepared.ts";
import type { Address } from "../signs/address.ts";
import { stopHost } from "../signs/advice.ts";
import { type OddSign, oddSignsOf } from "../signs/odd_service.ts";
import { Pollers } from "../signs/pollers.ts";
import { type Regularity, regularityOf, regularityOfGaps } from "../signs/regularity.ts";
import type { ServiceView } from "../signs/services.ts";
import { medianOf } from "../signs/statistics.ts";

const callsMax = 256;
/** Scored again when there are so many times the calls. */
const rescoreFactor = 1.1;
const lowMax = 35;
/** Signs are read from so many calls after the first. */
const signsFrom = 4;
const noNumbers: number[] = [];
const noPeers: readonly Calls[] = [];
const noSigns: ReadonlyMap<OddSign, string> = new Map();

const limitsTable = {
  callsMin: { value: 10, unit: "calls", why: "RITA wants 20; half of them show regularity, not yet much" },
  durationMinS: { value: 300, unit: "s", why: "a page that reloads itself while it is read stays below" },
  sessionMinS: {
    value: 1_800,
    unit: "s",
    why: "a connection kept open for a single piece of work ends earlier",
  },
  scoreMin: { value: 0.75, unit: "share", why: "mean of RITA's sub-scores that it calls medium" },
  coverageMin: {
    value: 0.6,
    unit: "share",
    why: "of the expected calls that were seen; below, the caller has pauses of its own",
  },
  jitterMax: {
    value: 0.35,
    unit: "share",
    why: "intervals spread evenly by half either way deviate by 0.25",
  },
  callersMin: {
    value: 3,
    unit: "hosts",
    why: "what several hosts call is a service, not one host's control server",
    range: [2, 4],
  },
  pollTargetsMin: {
    value: 3,
    unit: "targets",
    why: "an implant has one or two control servers, a monitor many targets",
  },
  learningS: { value: 86_400, unit: "s", why: "a day shows most of what hosts call by habit" },
  renewS: {
    value: 10,
    unit: "s",
    why: "HTTP clients that ask so often keep their connection open (RFC 9112, 9.3)",
  },
  renewalsMin: { value: 100, unit: "connections", why: "many more than a page or a retry opens" },
} as const;
type Limits = LimitValues<typeof limitsTable>;

/** Ports of services whose clients ask at fixed times by specification: DNS, DHCP, NTP, NetBIOS, SNMP, syslog, SSDP,
 * STUN, Teredo, NAT-PMP, mDNS, LLMNR, IPsec keep-alive, DHCPv6, RIP. */
const regularByDesign = new Set([
  ...[53, 67, 68, 123, 137, 138, 161, 162, 500, 514, 520, 546, 547, 1_900, 3_478, 3_544, 3_702, 4_500],
  ...[5_350, 5_351, 5_353, 5_355],
]);
const rst = 4;

interface Calls {
  src: Address;
  dst: Address;
  dstPort: number;
  protocol: string;
  isInside: boolean;
  isInbound: boolean;
  /** The calls are those inside one connection. */
  isSession: boolean;
  app: string;
  name: string;
  startsS: number[];
  gaps: number[];
  bytes: number[];
  total: number;
  unanswered: number;
  signs: ReadonlyMap<OddSign, string>;
  service: ServiceView | null;
  peers: readonly (Calls & Partial<Episode>)[];
  pollers: Pollers<Calls & Partial<Episode>>;
  score: Regularity | null;
  scoredTotal: number;
}

const session = by.call.after("session");

export const beacon = detector({
  name: "beacon",
  technique: "T1071",
  title: "Beacon",
  about: "One host calls the same service at regular times with calls of regular size.",
  limits: limitsTable,
  window: {
    quietS: { value: 86_400, unit: "s", why: "one missed day ends an episode" },
    ageS: { value: 7 * 86_400, unit: "s", why: "slow implants call once a day" },
  },
  shared: () => new Pollers<Calls & Partial<Episode>>(),
  key(update) {
    const { protocol, dst_port } = update.segment;
    if (regularByDesign.has(dst_port) || update.dst.isGroup) return null;
    if (update.begins && (protocol === "udp" || isOpened(update.segment))) return by.call;
    return isQuietSession(update.segment) ? session : null;
  },
  // Of calls inside a connection more is read than stays.
  slight: {
    isSlight: ({ begins, segment }, { callsMin }) =>
      callsMin > 1 && begins && (segment.protocol === "udp" || isOpened(segment)),
  },
  open({ segment, src, dst, service }: Opening, _item, pollers): Calls {
    const { dst_port, protocol } = segment;
    return {
      src,
      dst,
      dstPort: dst_port,
      protocol,
      isInside: dst.isPrivate,
      isInbound: !src.isPrivate && dst.isPrivate,
      isSession: protocol === "tcp" && !isOpened(segment),
      app: "",
      name: "",
      startsS: noNumbers,
      gaps: noNumbers,
      bytes: noNumbers,
      total: 0,
      unanswered: 0,
      signs: noSigns,
      service,
      peers: noPeers,
      pollers,
      score: null,
      scoredTotal: 0,
    };
  },
  step(calls, update: Opening) {
    const { segment, serverName } = update, whole = update instanceof PreparedUpdate ? update.segment : null;
    calls.app = segment.app_protocol || calls.app;
    calls.name = serverName || calls.name;
    // Not from the first call: most pairs never call again.
    if (whole !== null && calls.total >= 1 && calls.total <= signsFrom) {
      const signs = oddSignsOf(whole, calls.name);
      if (signs.size > 0) calls.signs = new Map([...calls.signs, ...signs]);
    }
    calls.total++;
    if (calls.total === 2 && !calls.isSession) {
      const { network, protocol, src, port } = update;
      calls.peers = calls.pollers.add(`${network}|${protocol}|${src.ip}|${port}`, calls);
    }
    const isRefused = segment.bwd_packets === 0 ||
      (segment.bwd_payload_bytes === 0 && (segment.bwd_tcp_flags & rst) !== 0);
    if (isRefused) calls.unanswered++;
    const gap = whole !== null && calls.isSession ? sessionGap(whole, calls.startsS.at(-1)) : null;
    if (gap !== null) calls.gaps = added(calls.gaps, gap);
    calls.startsS = added(calls.startsS, segment.start);
    calls.bytes = added(calls.bytes, segment.fwd_payload_bytes);
  },
  isThreat(calls, limits, { firstS, lastS }) {
    if (calls.total < limits.callsMin) return false;
    if (calls.score === null || calls.total >= calls.scoredTotal * rescoreFactor) {
      calls.score = calls.isSession
        ? regularityOfGaps(calls.gaps, calls.bytes)
        : regularityOf(calls.startsS, calls.bytes);
      calls.scoredTotal = calls.total;
    }
    const { score } = calls;
    if (score.calls < limits.callsMin || score.total < limits.scoreMin) return false;
    if (score.coverage < limits.coverageMin || score.jitter > limits.jitterMax) return false;
    if (!calls.isSession) return score.durationS >= limits.durationMinS;
    return lastS - firstS >= limits.sessionMinS && signsOf(calls, limits).length > 0;
  },
  finding(calls, limits): Found {
    const alike = calls.peers.filter((peer) => isAlike(peer, calls));
    return alike.length >= limits.pollTargetsMin ? pollerFinding(calls, alike) : callFinding(calls, limits);
  },
  meaning: (evidence) =>
    "targets" in evidence
      ? "A monitor, a backup or a fleet of printers is asked like this. So would be several machines of a botnet, which is rare."
      : "Malware that waits for orders calls its master like this: regularly, with small calls of the same size, day and night. Most regular calls are a program's that polls.",
  action: (_evidence, { dst_ips, dst_port, reasons }, { src }) =>
    reasons.some(({ points }) => points < 0) || reasons.every(({ name }) => !isSign(name))
      ? `Nothing is urgent. Note which program on ${src.ip} makes these calls; if it is known to you, close this.`
      : `Find out which program on ${src.ip} makes these calls and whether ${
        dst_ips[0]
      } (port ${dst_port}) is known to you. If nobody can explain it, ${
        stopHost(src)
      }, keep its memory and disk for examination, and block ${dst_ips[0]}.`,
  falseAlarm:
    "Update checks, monitoring agents, chat and mail programs poll too; a well-known name and a program you installed explain them.",
});

function isOpened({ fwd_syn_count }: Pick<Segment, "fwd_syn_count">): boolean {
  return fwd_syn_count > 0;
}

/** A part of a TCP session that only keeps contact: little is said, and there is a pause in it. Two service ports: the
 * direction is not known. */
function isQuietSession(segment: Segment): boolean {
  if (segment.protocol !== "tcp" || isOpened(segment) || segment.src_port < 1024) return false;
  if (segment.fwd_payload_bytes === 0 || segment.fwd_payload_bytes + segment.bwd_payload_bytes > 16_384) {
    return false;
  }
  return segment.interarrival_us_max >= 2e6 || segment.segment === 0;
}

/** Seconds between calls inside a session: since the part before it, when it was silent between them, else the longest
 * pause in this part. */
function sessionGap(segment: Segment, lastS: number | undefined): number | null {
  const sinceS = lastS === undefined ? 0 : segment.start - lastS;
  if (sinceS > 90) return sinceS;
  return segment.interarrival_us_max >= 2e6 ? segment.interarrival_us_max / 1e6 : null;
}

/** The list with one more value. The first makes a list of exactly one: most pairs never call again. */
function added(list: number[], value: number): number[] {
  if (list.length === 0) return [value];
  if (list.length >= callsMax) list.shift();
  list.push(value);
  return list;
}

/** Whether another target of the same source and port is asked like this one. */
function isAlike(peer: Calls & Partial<Episode>, calls: Calls): boolean {
  if (peer === calls) return true;
  if (peer.isOver || peer.total < 0.7 * calls.total || calls.total < 0.7 * peer.total) return false;
  const mine = medianOf(calls.bytes), theirs = medianOf(peer.bytes);
  const period = calls.score?.periodS ?? 0;
  const score = peer.score ?? regularityOf(peer.startsS, peer.bytes);
  return Math.abs(theirs - mine) <= 0.25 * Math.max(mine, theirs) &&
    Math.abs(score.periodS - period) <= 0.25 * period;
}

const signNames = new Set<string>([
  ...["raw_address", "odd_port", "odd_name", "random_name", "odd_certificate"],
  ...["lonely_and_late", "always_new"],
]);
function isSign(name: string): boolean {
  return signNames.has(name);
}

/** Second signs, independent of regularity. */
function signsOf(calls: Calls, limits: Limits): [string, string][] {
  const signs: [string, string][] = [...calls.signs];
  const { service, score, isSession } = calls;
  if (service !== null) {
    const { byAddress, byName, network } = service;
    const lateS = byAddress.firstS - network.firstS;
    const callers = Math.max(byAddress.callers.size, byName?.callers.size ?? 0);
    if (lateS >= limits.learningS && callers === 1 && network.callers.size >= limits.callersMin) {
      signs.push([
        "lonely_and_late",
        `no other host calls this service, and it was first called ${
          Math.round(lateS / 3_600)
        } hours after the network was first seen`,
      ]);
    }
  }
  // Where nothing was read the port stands for the protocol.
  const isEncrypted = calls.app === "tls" || (calls.app === "" && calls.dstPort === 443);
  if (
    !isSession && isEncrypted && score !== null && score.periodS < limits.renewS &&
    calls.total >= limits.renewalsMin
  ) {
    signs.push([
      "always_new",
      `each of ${calls.total} calls opens a new connection to an encrypted service; programs that ask more often than every ${limits.renewS} s keep one open`,
    ]);
  }
  return signs;
}

function callFinding(calls: Calls, limits: Limits) {
  const score = calls.score!;
  const evidence = {
    calls: field("calls", calls.total),
    interval: field("interval in seconds", Number(score.periodS.toPrecision(3))),
    jitter: field("jitter", percentOf(score.jitter)),
    octets: field("octets sent per call", Math.round(medianOf(calls.bytes))),
    regularity: field(
      "regularity of time, size, coverage, evenness",
      [score.interval, score.size, score.coverage, score.evenness].map((part) => percentOf(part)).join(", "),
    ),
    name: hostile("name of the service", calls.name || "unknown"),
    callers: field(
      "own hosts that call it",
      calls.service === null ? "unknown" : calls.service.byAddress.callers.count,
    ),
    unanswered: field("calls not answered or refused", calls.unanswered),
  };
  const isEncrypted = calls.app === "tls" || calls.app === "quic" || calls.dstPort === 443;
  const name = calls.name === "" ? "" : ` (${calls.name})`;
  const how = calls.isSession ? " inside one connection" : "";
  return {
    ...isEncrypted && { technique: "T1573" },
    src_ips: [calls.src.ip],
    dst_ips: [calls.dst.ip],
    dst_port: calls.dstPort,
    count: calls.total,
    summary:
      `${calls.src.ip} called ${calls.dst.ip}${name} on port ${calls.dstPort} ${evidence.calls} times${how}, about every ${evidence.interval} seconds.`,
    reasons: reasonsFor(calls, score, limits),
    evidence,
  };
}

function reasonsFor(calls: Calls, score: Regularity, limits: Limits): Reason[] {
  const period = Number(score.periodS.toPrecision(3));
  const reasons = [reason(
    "regular_calls",
    growingPoints(calls.total, limits.callsMin, { base: 22, perTenfold: 8, max: 30 }),
    `${calls.total} calls at intervals that deviate by ${
      percentOf(score.jitter)
    } from ${period} s; the pace of people deviates by more than ${percentOf(limits.jitterMax)}`,
  )];
  if (score.total >= 0.9) {
    reasons.push(reason(
      "very_regular",
      5,
      `time, size, coverage and evenness score ${
        score.total.toFixed(2)
      } of 1; ${limits.scoreMin} is the threshold`,
    ));
  }
  const signs = signsOf(calls, limits);
  signs.forEach(([name, text], i) => reasons.push(reason(name, i === 0 ? 20 : 10, text)));
  const cap = (name: string, text: string) => capScore(reasons, lowMax, name, text);
  const { service } = calls;
  const callers = Math.max(service?.byAddress.callers.size ?? 0, service?.byName?.callers.size ?? 0);
  if (calls.isInbound) cap("inbound", "the caller is outside: it polls a service of yours");
  else if (calls.isInside) {
    cap("inside", "the service called is on your own network, where monitoring and polling are common");
  } else if (callers >= limits.callersMin) {
    cap("shared_service", `${callers >= 4 ? "4 or more" : callers} of your hosts call this service`);
  }
  if (calls.isSession && signs.length < 2) {
    cap("keep_alive", "calls inside one connection may only keep it alive");
  }
  if (calls.protocol === "udp" && signs.every(([name]) => name === "odd_port")) {
    cap("datagrams", "games, calls and their keep-alives use datagrams to odd ports all the time");
  }
  if (calls.unanswered > 0.5 * calls.total) {
    cap(
      "unanswered",
      `${calls.unanswered} calls were not answered or refused: a program that retries a service that is gone looks the same`,
    );
  }
  return reasons;
}

function pollerFinding(calls: Calls, alike: readonly Calls[]) {
  const period = Number(calls.score!.periodS.toPrecision(3));
  const total = alike.reduce((sum, peer) => sum + peer.total, 0);
  const evidence = {
    targets: field("targets", alike.length),
    calls: field("calls", total),
    interval: field("interval in seconds", period),
    unanswered: field(
      "calls not answered or refused",
      alike.reduce((sum, peer) => sum + peer.unanswered, 0),
    ),
  };
  const reasons = [
    reason("regular_calls", 25, `${total} calls, to each target about every ${period} s`),
  ];
  capScore(reasons, 20, "poller", `${alike.length} targets are polled alike; malware has one or two masters`);
  return {
    identity: `poller|${calls.protocol}|${calls.src.ip}|${calls.dstPort}`,
    title: "Poller",
    src_ips: [calls.src.ip],
    dst_ips: alike.map(({ dst }) => dst.ip),
    dst_port: calls.dstPort,
    count: total,
    summary:
      `${calls.src.ip} polls port ${calls.dstPort} of ${evidence.targets} targets alike, each about every ${evidence.interval} seconds.`,
    reasons,
    evidence,
  };
}
