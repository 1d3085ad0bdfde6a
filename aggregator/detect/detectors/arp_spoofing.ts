/** ARP spoofing: one machine answers for the addresses of others, so that their packets pass through it.
 *
 * In: ARP flows. Out: one finding for each hardware address that claims what is another's.
 * Invariant: a network card that was replaced, a standby that took over, two cards of one host, and the shared
 * addresses of VRRP, HSRP, CARP and GLBP are none (signs/arp_claims.ts).
 * A bridge of virtual machines, a proxy and a wireless repeater stay low.
 * Where none of its own addresses is known, nobody is named: what it claims are its victims.
 * Why "asks for what it claims": whoever sits in between needs the true hardware address to pass packets on; an owner
 * never asks for its own address but to announce or probe it. @module */

import { arpKinds } from "../../../shared/segment.ts";
import type { Reason } from "../../model/threat.ts";
import { detector, type LimitValues } from "../detector.ts";
import { capScore, field, reason } from "../finding.ts";
import { isLikelyGateway } from "../signs/address.ts";
import { ArpClaims, isSharedMac, isVirtualMac } from "../signs/arp_claims.ts";
import { Distinct } from "../signs/distinct.ts";

const addressesMax = 256, askedMax = 1_024;
const reply = 2;
const lowMax = 35;
/** Network cards with four ports, and the address of the management beside them. */
const cardsApartMax = 8;

const limitsTable = {
  turnsMin: {
    value: 2,
    unit: "changes",
    why: "of the claimant within 10 minutes: a replaced card or a standby that takes over is one change",
  },
  unaskedMin: {
    value: 10,
    unit: "answers",
    why: "ettercap and arpspoof repeat them every 1 to 10 s; hosts answer when they are asked",
  },
  pressedMin: {
    value: 5,
    unit: "answers",
    why: "for an address whose owner is heard at the same time: a question or two may be lost, not five",
  },
  askedWithinS: {
    value: 60,
    unit: "s",
    why: "caches of neighbours live 30 s to 20 minutes; a standby that takes over asked long before",
  },
};

interface Claimant {
  book: ArpClaims;
  network: string;
  place: string;
  mac: string;
  claimed: Distinct<string>;
  told: Distinct<string>;
  askedItself: Distinct<string>;
}

/** Addresses that speak against a claimant, by what it did with them, and the owners' hardware addresses. */
interface Signs {
  contested: string[];
  pressed: string[];
  between: string[];
  rivals: ReadonlySet<string>;
  taken: string[];
  unasked: number;
}

export const arpSpoofing = detector({
  name: "arp_spoofing",
  technique: "T1557.002",
  title: "ARP spoofing",
  about: "One machine claims by ARP the addresses of others.",
  limits: limitsTable,
  window: {
    quietS: { value: 600, unit: "s", why: "spoofers repeat their claims within seconds" },
    ageS: { value: 3_600, unit: "s", why: "addresses change hands from day to day" },
  },
  key({ src, segment: { protocol, vlan, src_mac, dst_port } }) {
    if (protocol !== "arp" || src_mac === "" || dst_port === arpKinds.probe || !src.isOwn) return null;
    return isSharedMac(src_mac) ? null : `${vlan}|${src_mac}`;
  },
  shared: () => new ArpClaims(),
  notice(book, update) {
    if (update.begins && update.protocol !== "arp") book.send(update);
  },
  open: ({ network, segment: { vlan, src_mac } }, _item: undefined, book) => ({
    book,
    network,
    place: `${network}|${vlan}`,
    mac: src_mac,
    claimed: new Distinct<string>(addressesMax),
    told: new Distinct<string>(addressesMax),
    /** "address>asker" of its answers. */
    answers: new Distinct<string>(askedMax),
    asked: new Map<string, number>(),
    claimedS: new Map<string, number>(),
    askedItself: new Distinct<string>(addressesMax),
    packets: 0,
  }),
  step(claimant, { segment, dst }, { askedWithinS }) {
    const { src_ip, dst_ip, src_port, dst_port, start, end, fwd_packets } = segment;
    const { book, place, mac } = claimant;
    const isQuestion = src_port !== reply && dst_port === arpKinds.ordinary;
    claimant.packets += fwd_packets;
    claimant.claimed.add(src_ip);
    book.claim(
      place,
      src_ip,
      mac,
      start,
      end,
      fwd_packets,
      src_port === reply && dst_port === arpKinds.ordinary,
    );
    if (claimant.claimedS.size < addressesMax) claimant.claimedS.set(src_ip, end);
    if (!dst.isGroup && src_ip !== dst_ip) {
      claimant.told.add(dst_ip);
      if (src_port === reply) claimant.answers.add(`${src_ip}>${dst_ip}`);
    }
    if (isQuestion) {
      book.ask(place, dst_ip, fwd_packets);
      if (claimant.asked.size < askedMax) claimant.asked.set(dst_ip, end);
      const claimedS = claimant.claimedS.get(dst_ip);
      if (claimedS !== undefined && Math.abs(start - claimedS) <= askedWithinS) {
        claimant.askedItself.add(dst_ip);
      }
    }
    const askedS = claimant.asked.get(src_ip);
    if (askedS !== undefined && Math.abs(start - askedS) <= askedWithinS) claimant.askedItself.add(src_ip);
  },
  isThreat: (claimant, { turnsMin, unaskedMin, pressedMin }) =>
    pressedOf(claimant, pressedMin).length > 0 ||
    claimant.claimed.size > 1 &&
      (claimant.askedItself.size > 0 || contestedOf(claimant, turnsMin).length > 0 ||
        betweenOf(claimant, unaskedMin).length > 0),
  finding(claimant, limits) {
    const { turnsMin, unaskedMin, pressedMin } = limits;
    const { book, place, mac } = claimant;
    const contested = contestedOf(claimant, turnsMin), between = betweenOf(claimant, unaskedMin);
    const pressed = pressedOf(claimant, pressedMin).filter((ip) => !contested.includes(ip));
    const taken = [...new Set([...contested, ...claimant.askedItself, ...between, ...pressed])];
    const own = ownOf(claimant, taken);
    const unasked = taken.reduce((sum, ip) => sum + book.unasked(place, ip, mac), 0);
    const rivals = new Set([
      ...contested.flatMap((ip) => book.rivals(place, ip, mac, turnsMin)),
      ...pressed.flatMap((ip) => book.owners(place, ip, mac)),
    ]);
    const evidence = {
      mac: field("hardware address of the claimant", mac),
      taken: field("addresses it claims beside its own", taken.slice(0, 10).join(", ")),
      own: field("its own addresses", own.slice(0, 10).join(", ") || "not seen"),
      rivals: field("hardware addresses of the owners", [...rivals].slice(0, 10).join(", ") || "not seen"),
      unasked: field("answers nobody asked for", unasked),
      packets: field("ARP packets it sent", claimant.packets),
    };
    return {
      src_ips: own,
      dst_ips: new Set([...[...claimant.told].filter((ip) => !own.includes(ip)), ...taken]),
      dst_port: null,
      count: claimant.packets,
      summary: `The machine with the hardware address ${mac}${
        own.length > 0 ? ` (${own.slice(0, 3).join(", ")})` : ""
      } claims ${evidence.taken}, ${
        contested.length + pressed.length > 0
          ? "which other machines claim too."
          : between.length > 0
          ? "towards one another."
          : "though it asks who has it."
      }`,
      reasons: reasonsFor(claimant, { contested, pressed, between, rivals, taken, unasked }, limits),
      evidence,
    };
  },
  meaning:
    "Whoever answers for another host's address receives what is meant for it, and can read or change it on the way: passwords, web pages, commands to machines.",
  action: ({ mac, own, taken }) =>
    `Look for the hardware address ${mac} in the tables of your switches, and see what is connected to that port${
      own.value === "not seen" ? "" : ` (it also uses ${own})`
    }. If nobody can explain it, switch that port off unless it serves plant equipment. Change passwords that were sent unencrypted between ${taken} and others meanwhile, and switch on ARP inspection.`,
  falseAlarm:
    "A host of virtual machines, a wireless repeater, an ARP proxy and Apple's sleep proxy answer for others on purpose; the addresses are then those of their clients, never the gateway's.",
});

function reasonsFor(
  { mac, askedItself }: Claimant,
  { contested, pressed, between, rivals, taken, unasked }: Signs,
  { unaskedMin, pressedMin }: LimitValues<typeof limitsTable>,
): Reason[] {
  const reasons: Reason[] = [], gateways = taken.filter(isLikelyGateway);
  const owners = [...rivals].slice(0, 10).join(", ");
  if (contested.length > 0) {
    reasons.push(reason(
      "two_claim_it",
      35,
      `${contested.slice(0, 5).join(", ")}: claimed in turns by ${mac} and ${owners}`,
    ));
  }
  if (pressed.length > 0) {
    const text = `${
      pressed.slice(0, 5).join(", ")
    }: ${mac} says again and again, unasked, that it has it, while ${owners} has it too; ${pressedMin} times are the threshold`;
    reasons.push(reason("unasked_claims", 40, text));
  }
  if (between.length > 0) {
    const text = `${between.slice(0, 5).join(", ")}: ${mac} tells each that it is the other`;
    reasons.push(reason("between_two", 35, text));
  }
  if (askedItself.size > 0) {
    reasons.push(reason(
      "asks_for_what_it_claims",
      25,
      `${mac} asked who has ${
        [...askedItself].slice(0, 5).join(", ")
      }, and claims to have it; an owner does not ask`,
    ));
  }
  if (gateways.length > 0) {
    const text = `${
      gateways.slice(0, 3).join(", ")
    } is likely a gateway by its number: what leaves the network passes there`;
    reasons.push(reason("gateway", 20, text));
  }
  if (unasked >= unaskedMin) {
    const text = `${unasked} answers that nobody was seen to ask for; ${unaskedMin} are the threshold`;
    reasons.push(reason("unasked_answers", 20, text));
  }
  if (gateways.length === 0) {
    capBridge(reasons, mac, rivals);
    capSecondCard(reasons, mac, rivals);
  }
  return reasons;
}

/** Over wireless a host must put its own hardware address in place of those of its virtual machines. */
function capBridge(reasons: Reason[], mac: string, rivals: ReadonlySet<string>): void {
  if (rivals.size === 0 || isVirtualMac(mac) || ![...rivals].every(isVirtualMac)) return;
  const text = `the owners are virtual machines, and ${mac} is none: it may be the machine that they run on`;
  capScore(reasons, lowMax, "bridge", text);
}

/** A host that shares its load among its network cards tells each neighbour another one's address. */
function capSecondCard(reasons: Reason[], mac: string, rivals: ReadonlySet<string>): void {
  if (rivals.size === 0 || ![...rivals].every((rival) => areNeighbours(mac, rival))) return;
  const text = "the hardware addresses follow one another: they may be two cards of one machine";
  capScore(reasons, lowMax, "second_card", text);
}

/** Whether a maker may have put both in one machine. Addresses that were made up follow one another for no reason. */
function areNeighbours(mac: string, other: string): boolean {
  const isMadeUp = (parseInt(mac.slice(0, 2), 16) & 2) !== 0;
  return !isMadeUp && mac.slice(0, 15) === other.slice(0, 15) &&
    Math.abs(parseInt(mac.slice(15), 16) - parseInt(other.slice(15), 16)) <= cardsApartMax;
}

/** Addresses of its own: those it claims beside what it takes, else one that it sends from. */
function ownOf(
  { book, network, mac, claimed, told }: Claimant,
  taken: readonly string[],
): string[] {
  const own = [...claimed].filter((ip) => !taken.includes(ip));
  if (own.length > 0) return own;
  const sender = book.senderOf(network, mac);
  return sender === "" || taken.includes(sender) || told.has(sender) ? [] : [sender];
}

/** Addresses that it claims by answers that nobody asked for, while another machine has them. */
function pressedOf({ book, place, mac, claimed }: Claimant, pressedMin: number): string[] {
  return [...claimed].filter((ip) =>
    book.unasked(place, ip, mac) >= pressedMin && book.owners(place, ip, mac).length > 0
  );
}

function contestedOf(
  { book, place, mac, claimed }: { book: ArpClaims; place: string; mac: string; claimed: Distinct<string> },
  turnsMin: number,
): string[] {
  return [...claimed].filter((ip) => book.rivals(place, ip, mac, turnsMin).length > 0);
}

/** Addresses that it claims towards one another, by answers that nobody asked for,
 * as whoever sits between two hosts does. */
function betweenOf(
  { book, place, mac, claimed, answers }: {
    book: ArpClaims;
    place: string;
    mac: string;
    claimed: Distinct<string>;
    answers: Distinct<string>;
  },
  unaskedMin: number,
): string[] {
  const both = [...answers].map((answer) => answer.split(">")).filter(([ip, asker]) =>
    claimed.has(asker) && answers.has(`${asker}>${ip}`)
  );
  const ips = [...new Set(both.map(([ip]) => ip))];
  return ips.filter((ip) => book.unasked(place, ip, mac) >= unaskedMin);
}
