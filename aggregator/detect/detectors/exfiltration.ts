/** Exfiltration: an own host sends far more to one place outside than it ever sends,
 * to a place that no other own host calls.
 *
 * In: updates of TCP and UDP flows from own hosts to hosts outside. Out: one finding for each host and destination.
 * Invariant: what other hosts call too (clouds, backup services) stays low, as do replies to whoever called from
 * outside. Without a history of the host a large transfer alone stays low: in its first hour a sensor knows no host.
 * Source: ATT&CK T1048; the volume follows the host's own past, as services differ by orders of magnitude. @module */

import { detector } from "../detector.ts";
import { capScore, field, growingPoints, reason } from "../finding.ts";
import { by } from "../keys.ts";
import type { Address } from "../signs/address.ts";
import { findOut } from "../signs/advice.ts";
import { OutboundBook, type OutboundHistory } from "../signs/outbound.ts";
import { isNewCountry } from "../signs/countries.ts";
import { oddSignsOf } from "../signs/odd_service.ts";
import type { Service } from "../signs/services.ts";

const lowMax = 35;
/** A part of a transfer that is worth following: most flows send far less in a minute,
 * and they are nearly all there are. */
const partMin = 20_000;

interface Transfer {
  src: Address;
  dst: Address;
  port: number;
  history: OutboundHistory;
  /** The most that was sent there before this began. */
  usual: number;
  service: Service | null;
  /** Since when its network is watched. */
  watchedS: number;
  sent: number;
  received: number;
  odd: Map<string, string>;
  /** The country it goes to, where nobody here called it before; "" = somebody did, or it is not known. */
  newCountry: string;
}

export const exfiltration = detector({
  name: "exfiltration",
  technique: "T1048",
  title: "Data leaving",
  about: "An own host sends far more to one place outside than it did to any before.",
  limits: {
    octetsMin: {
      value: 100_000_000,
      unit: "octets",
      why: "sent to one place; mail takes attachments of 25 MB, and photos go one by one",
    },
    sentShareMin: { value: 5, unit: "times", why: "sent over received: what is fetched comes the other way" },
    historyTimes: { value: 10, unit: "times", why: "the most that the host sent to any other place before" },
    historyS: {
      value: 3_600,
      unit: "s",
      why: "for which the network was watched before the past of a host says anything",
    },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "a transfer in pieces pauses for minutes" },
    ageS: { value: 86_400, unit: "s", why: "what a host sends in a day" },
  },
  key: ({ src, dst, segment: { protocol, fwd_payload_bytes } }) =>
    (protocol === "tcp" || protocol === "udp") && src.isOwn && !dst.isPrivate && !dst.isGroup &&
      fwd_payload_bytes > 0
      ? by.pairPort
      : null,
  opens: ({ segment }) => segment.fwd_payload_bytes >= partMin,
  shared: () => new OutboundBook(),
  open({ src, dst, network, service, country, serverName, segment }, _item: undefined, book): Transfer {
    const history = book.of(`${network}|${src.ip}`);
    return {
      src,
      dst,
      port: segment.dst_port,
      history,
      usual: history.sentTo(dst.ip),
      service: service?.byAddress ?? null,
      sent: 0,
      received: 0,
      watchedS: service?.network.firstS ?? Infinity,
      odd: oddSignsOf(segment, serverName),
      newCountry: isNewCountry(country) ? country.place.country_name ?? country.code : "",
    };
  },
  step(transfer, { service, segment }) {
    transfer.service ??= service?.byAddress ?? null;
    transfer.sent += segment.fwd_payload_bytes;
    transfer.received += segment.bwd_payload_bytes;
    transfer.history.add(transfer.dst.ip, transfer.sent);
    if (service !== null) transfer.watchedS = service.network.firstS;
  },
  isThreat: ({ sent, received }, { octetsMin, sentShareMin }) =>
    sent >= octetsMin && sent >= sentShareMin * received,
  finding(transfer, { octetsMin, historyTimes, historyS }) {
    const { src, dst, history, service, sent } = transfer;
    const seenS = transfer.firstS - transfer.watchedS;
    const most = history.mostBesides(dst.ip);
    const callers = service?.callers.size ?? 1;
    const evidence = {
      sent: field("octets sent", sent),
      received: field("octets received", transfer.received),
      most: field("octets sent to any other place before", most),
      usual: field("octets sent to this place before", transfer.usual),
      seen: field("seconds the network was watched before", Math.max(0, Math.round(seenS))),
      callers: field("own hosts that call this place", service?.callers.count ?? callers),
      duration: field("duration in seconds", Math.round(transfer.lastS - transfer.firstS)),
      ...transfer.newCountry === ""
        ? {}
        : { country: field("country called for the first time", transfer.newCountry) },
    };
    const reasons = [reason(
      "much_sent",
      growingPoints(sent, octetsMin, { base: 20, perTenfold: 3, max: 25 }),
      `${evidence.sent} octets left for one place; ${octetsMin} are the threshold`,
    )];
    if (seenS >= historyS && sent >= historyTimes * most) {
      const text = `before, it sent at most ${evidence.most} octets to any other place outside`;
      reasons.push(reason("more_than_ever", 25, text));
    }
    if (transfer.newCountry !== "") {
      reasons.push(reason("new_country", 10, `nobody here called ${evidence.country} before`));
    }
    for (const [sign, text] of [...transfer.odd].slice(0, 2)) reasons.push(reason(sign, 7, text));
    if (transfer.usual * historyTimes >= sent) {
      capScore(reasons, lowMax, "usual", `${src.ip} sent ${evidence.usual} octets to this place before`);
    } else if (callers >= 3) {
      capScore(reasons, lowMax, "others_call_it", `${evidence.callers} own hosts call this place`);
    }
    return {
      src_ips: [src.ip],
      dst_ips: [dst.ip],
      dst_port: transfer.port,
      count: transfer.flows,
      summary:
        `${src.ip} sent ${evidence.sent} octets to ${dst.ip} (port ${transfer.port}) within ${evidence.duration} seconds, and received ${evidence.received}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Before attackers encrypt or sell data, they copy it out, mostly by ordinary means: web uploads, file transfer, remote shells.",
  action: (_evidence, { dst_ips }, { src }) =>
    `Find out who owns ${dst_ips[0]} and what was sent. ${findOut(src, "sent it")}`,
  falseAlarm:
    "A new backup service, a video call or a large upload looks the same; then its user knows of it.",
});
