/** Host sweep: one host asks a whole network who is there, by ARP or by ping.
 *
 * In: ARP and ICMP echo flows. Out: one finding for each asking host and protocol.
 * Invariant: an ARP reply is no question, and proves that its sender is there; so does whatever else a host sent in the last ten
 * minutes, as a sensor on an ordinary switch port sees questions but no replies. Announcements of one's own address are no question.
 * A fixed list asked again and again is no sweep. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import { AskedList } from "../signs/asked_list.ts";
import { Distinct } from "../signs/distinct.ts";
import { PeakRate } from "../signs/peak_rate.ts";

const hostsMax = 4_096;
/** A host that spoke this long before it was asked is there. */
const heardS = 600;
const echoTypes: Readonly<Record<string, number>> = { icmp: 8, icmp6: 128 };

export const hostSweep = detector({
  name: "host_sweep",
  technique: "T1018",
  title: "Ping sweep",
  about: "One host asks a whole network who is there, by ARP or by ping.",
  limits: {
    hostsMin: {
      value: 25,
      unit: "addresses",
      why: "as for a scan of one port (Zeek's addr_scan_threshold in 5 minutes)",
    },
    silentShareMin: {
      value: 0.5,
      unit: "share",
      why: "a router that looks for its clients and a pinging monitor know whom they ask",
    },
    hostsPerMinuteMin: {
      value: 5,
      unit: "addresses/min",
      why: "a host that looks for its neighbours over a day stays below",
    },
    rangeShareMin: {
      value: 0.8,
      unit: "share",
      why: "of the addresses between the lowest and the highest asked: a list has holes, a range has none",
    },
    fastHostsPerS: {
      value: 5,
      unit: "questions in a second",
      why: "ordinary hosts meet new ones more slowly",
    },
  },
  window: {
    quietS: { value: 300, unit: "s", why: "sweeps ask many addresses a minute" },
    ageS: { value: 3_600, unit: "s", why: "a network changes within a day, not within an hour" },
  },
  keysMax: 10_000,
  key(update) {
    const { protocol, src_ip, src_port, dst_ip, dst_mac, fwd_packets } = update.segment;
    const isQuestion = protocol === "arp"
      ? isBroadcast(dst_mac)
      : protocol in echoTypes && src_port === echoTypes[protocol];
    if (!isQuestion || !update.first || fwd_packets === 0 || src_ip === dst_ip || update.dst.isGroup) {
      return null;
    }
    // A host that looks whether its new address is free (RFC 5227).
    return src_ip === "0.0.0.0" ? null : `${protocol}|${src_ip}`;
  },
  open: ({ src, segment: { protocol } }) => ({
    protocol,
    src,
    rate: new PeakRate(),
    mac: "",
    hosts: new Distinct<string>(hostsMax),
    list: new AskedList(),
    asked: 0,
  }),
  step(sweep, { dst, segment: { src_mac, start } }) {
    sweep.mac = src_mac;
    sweep.asked++;
    sweep.rate.add(start);
    sweep.hosts.add(dst.ip);
    sweep.list.ask(dst, start);
  },
  isThreat(sweep, { hostsMin, silentShareMin, hostsPerMinuteMin }) {
    const { hosts, list, firstS, lastS } = sweep;
    if (hosts.size < hostsMin || hosts.size < hostsPerMinuteMin * (lastS - firstS) / 60) return false;
    if (list.isFixed) return false;
    return list.size - list.heardSince(firstS - heardS).length >= silentShareMin * list.size;
  },
  finding(sweep, { hostsMin, rangeShareMin, fastHostsPerS }) {
    const isArp = sweep.protocol === "arp";
    const heard = sweep.list.heardSince(sweep.firstS - heardS);
    const evidence = {
      asked: field("addresses asked", sweep.hosts.count),
      silent: field("addresses not heard of", sweep.hosts.size - heard.length),
      answered: field("addresses that are there", heard.slice(0, 20).join(", ") || "none"),
      mac: field("hardware address of the asker", sweep.mac || "unknown"),
      duration: field("duration in seconds", Math.round(sweep.lastS - sweep.firstS)),
      perS: field("questions in the busiest second", sweep.rate.peak),
      protocol: field("protocol", isArp ? "ARP" : "ping"),
    };
    const { asked, silent, protocol } = evidence;
    const size = sweep.hosts.size;
    const reasons = [reason(
      "addresses_asked",
      growingPoints(size, hostsMin, { base: 25, perTenfold: 15, max: 45 }),
      `${asked} addresses were asked; ${hostsMin} are enough to call it a sweep`,
    )];
    const share = sweep.list.rangeShare;
    if (share >= rangeShareMin) {
      reasons.push(reason(
        "whole_range",
        10,
        "nearly all addresses between the lowest and the highest were asked; a list of known hosts has holes",
      ));
    }
    if (sweep.rate.peak >= fastHostsPerS) {
      const text =
        `${evidence.perS} questions in the busiest second; ${fastHostsPerS} or more are faster than ordinary hosts meet others`;
      reasons.push(reason("fast", 10, text));
    }
    return {
      title: isArp ? "ARP sweep" : "Ping sweep",
      src_ips: [sweep.src.ip],
      dst_ips: sweep.hosts,
      dst_port: null,
      count: sweep.asked,
      summary:
        `${sweep.src.ip} asked ${asked} addresses by ${protocol} whether somebody is there; nothing was heard of ${silent} of them.`,
      reasons,
      evidence,
    };
  },
  meaning: "This is the first step of most attacks on a network: finding out which machines exist.",
  action: ({ answered }, _finding, { src }) =>
    `${findOut(src, "asks")}${
      answered.value === "none" ? "" : ` Then look at what it did to those that are there: ${answered}.`
    }`,
  falseAlarm:
    "Network inventory, printers' software and routers ask whole networks too; they do so from known addresses and again and again.",
});

/** Questions go to everybody; a reply, or a check on a known neighbour, to one. */
function isBroadcast(mac: string): boolean {
  return mac === "" || mac === "ff:ff:ff:ff:ff:ff" || mac === "00:00:00:00:00:00";
}
