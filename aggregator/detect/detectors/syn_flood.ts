/** SYN flood: far more connection attempts than completions at one host, so that real clients find no room.
 *
 * In: updates of TCP flows. Out: one finding for each flooded host.
 * Invariant: attempts of a single host spread over many ports are a scan, not a flood. Where the attempts name the
 * flooded host as their source ("land"), it is not called the attacker. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, percentOf, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Opening } from "../prepared.ts";
import { Distinct } from "../signs/distinct.ts";
import { DistinctIps } from "../signs/distinct_ips.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const binS = 10, binsMax = 64, addressesMax = 8_192, portsMax = 1_024, macsMax = 16;
const syn = 2, ack = 16;

export const synFlood = detector({
  name: "syn_flood",
  technique: "T1499.001",
  title: "SYN flood",
  about: "One host receives far more connection attempts than are ever completed.",
  limits: {
    halfOpenPerBinMin: {
      value: 128,
      unit: "attempts in 10 s",
      why: "half-open connections that Linux holds on a small host (net.ipv4.tcp_max_syn_backlog)",
    },
    durationMinS: {
      value: 3,
      unit: "s",
      why:
        "a load test opens hundreds of connections at one moment, and a capture that ends then shows none completed",
    },
    burstMin: { value: 1_000, unit: "attempts", why: "more at one moment is a flood however short" },
    halfOpenShareMin: { value: 0.8, unit: "share", why: "attempts at the host that were never completed" },
    scanSourcesMax: { value: 4, unit: "sources", why: "a scan has few sources" },
    scanPortShare: { value: 0.2, unit: "share", why: "a scan tries many ports an attempt" },
  },
  window: {
    quietS: { value: 300, unit: "s", why: "floods pause between waves" },
    ageS: { value: 3_600, unit: "s", why: "failures of an hour do not add up to a flood" },
  },
  key({ segment: { protocol, fwd_tcp_flags, fwd_syn_count } }) {
    return protocol === "tcp" && (fwd_tcp_flags & syn) !== 0 && fwd_syn_count > 0 ? by.dst : null;
  },
  opens: ({ segment }) => isHalfOpen(segment),
  slight: {
    isSlight: ({ segment }, { halfOpenPerBinMin }) =>
      segment.fwd_syn_count * segment.factor < halfOpenPerBinMin,
  },
  open: ({ dst }: Opening) => ({
    dst,
    rate: new PeakRate(),
    halfOpen: 0,
    completed: 0,
    peakPerBin: 0,
    firstStartS: Infinity,
    lastStartS: -Infinity,
    bins: new Map<number, number>(),
    sources: new DistinctIps(addressesMax),
    isInOwnName: true,
    macs: new Distinct<string>(macsMax),
    ports: new Map<number, number>(),
  }),
  step(flood, { src, dst, segment }: Opening) {
    if (!isHalfOpen(segment)) {
      flood.completed++;
      return;
    }
    const attempts = segment.fwd_syn_count * segment.factor;
    flood.halfOpen += attempts;
    flood.rate.add(segment.start, segment.end, attempts);
    flood.firstStartS = Math.min(flood.firstStartS, segment.start);
    flood.lastStartS = Math.max(flood.lastStartS, segment.start);
    const bin = Math.floor(segment.start / binS);
    const inBin = (flood.bins.get(bin) ?? 0) + attempts;
    if (!flood.bins.has(bin) && flood.bins.size >= binsMax) {
      flood.bins.delete(flood.bins.keys().next().value!);
    }
    flood.bins.set(bin, inBin);
    flood.peakPerBin = Math.max(flood.peakPerBin, inBin);
    flood.sources.add(src);
    flood.isInOwnName &&= src.ip === dst.ip;
    if (segment.src_mac !== "") flood.macs.add(segment.src_mac);
    const seen = flood.ports.get(segment.dst_port);
    if (seen !== undefined || flood.ports.size < portsMax) {
      flood.ports.set(segment.dst_port, (seen ?? 0) + attempts);
    }
  },
  isThreat(flood, limits) {
    if (flood.peakPerBin < limits.halfOpenPerBinMin) return false;
    const isBurst = flood.lastStartS - flood.firstStartS < limits.durationMinS;
    if (isBurst && flood.halfOpen < limits.burstMin) return false;
    if (flood.halfOpen < limits.halfOpenShareMin * (flood.halfOpen + flood.completed)) return false;
    return flood.sources.size > limits.scanSourcesMax ||
      flood.ports.size < limits.scanPortShare * flood.halfOpen;
  },
  finding(flood, { halfOpenPerBinMin, halfOpenShareMin }) {
    const ports = [...flood.ports].sort((a, b) => b[1] - a[1]);
    // One port takes nearly all of a flood, or none does.
    const dst_port = ports[0][1] >= 0.9 * flood.halfOpen ? ports[0][0] : null;
    const evidence = {
      halfOpen: field("attempts never completed", flood.halfOpen),
      completed: field("connections completed", flood.completed),
      peak: field("attempts in the busiest second", flood.rate.peak),
      peak10: field(`attempts in the busiest ${binS} seconds`, flood.peakPerBin),
      sources: field("source addresses", String(flood.sources.count)),
      macs: field(
        "hardware addresses that sent them",
        flood.macs.size > 4 ? flood.macs.count : [...flood.macs].join(", ") || "not seen",
      ),
      ports: field("ports", ports.slice(0, 10).map(([port]) => port).join(", ")),
      duration: field("duration in seconds", Math.round(flood.lastS - flood.firstS)),
    };
    const { halfOpen, peak, sources } = evidence;
    const reasons = [
      reason(
        "half_open_rate",
        growingPoints(flood.peakPerBin, halfOpenPerBinMin, { base: 45, perTenfold: 15, max: 70 }),
        `${evidence.peak10} attempts in ${binS} s were never completed; ${halfOpenPerBinMin} fill a small host's table`,
      ),
      reason(
        "never_completed",
        10,
        `${
          percentOf(flood.halfOpen, flood.halfOpen + flood.completed)
        } of all attempts at this host were never completed; ${halfOpenShareMin * 100} % is the threshold`,
      ),
    ];
    if (flood.sources.size >= 100) {
      reasons.push(reason(
        "many_sources",
        10,
        `${sources} source addresses; so many at once are forged or a botnet`,
      ));
    }
    return {
      ...flood.isInOwnName ? { title: "SYN flood in the victim's own name (land)" } : {},
      src_ips: flood.isInOwnName ? [] : flood.sources,
      dst_ips: [flood.dst.ip],
      dst_port,
      count: flood.halfOpen,
      summary: `${flood.dst.ip} received ${halfOpen} connection attempts${
        dst_port === null ? "" : ` on port ${dst_port}`
      } that were never completed, ${peak} of them in the busiest second, ${
        flood.isInOwnName
          ? "each with its own address forged as the source"
          : `from ${sources} source ${flood.sources.size === 1 ? "address" : "addresses"}`
      }.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Half-open connections fill the table of the attacked machine until real clients are turned away. With many sources the addresses are usually forged.",
  action: ({ ports, macs }, { src_ips }, { dst, sources, isInOwnName }) =>
    `${
      dst.isPrivate
        ? `Check whether ${dst.ip} still answers (ports ${ports}). Switch on its SYN cookies, and filter at the firewall; if the line is full, ask your provider to filter upstream.`
        : `If ${dst.ip} is yours, switch on its SYN cookies and filter in front of it; if not, look for the machines of yours that send this.`
    } ${
      isInOwnName
        ? `The source is forged: find the machine whose hardware address is ${macs} (the switch knows its port) and disconnect it.`
        : sources.size <= 4
        ? `Stop the ${sources.size === 1 ? "source" : "sources"}: ${src_ips.join(", ")}.`
        : "Do not block the sources one by one: so many are usually forged."
    }`,
  falseAlarm:
    "A service that crashed while many clients keep calling it, or a load test, looks similar; then the sources are your own clients.",
});

function isHalfOpen(segment: { fwd_tcp_flags: number; fwd_payload_bytes: number }): boolean {
  return (segment.fwd_tcp_flags & ack) === 0 && segment.fwd_payload_bytes === 0;
}
