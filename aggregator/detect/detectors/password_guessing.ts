/** Password guessing: one host tries to log in to a service again and again.
 *
 * In: updates of TCP flows to SSH, FTP, Telnet, RDP, SMB, VNC, mail, database and web logins, on whatever port they
 * are, and of SNMP. Out: one finding for each attacker, victim and port.
 * Invariant: a few typos are none; a client that mostly gets in is none;
 * an own host's program that tries a wrong saved password again and again stays low. @module */

import { detector, type LimitValues } from "../detector.ts";
import type { Episode } from "../episodes.ts";
import { capScore, field, growingPoints, hostile, percentOf, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { Distinct } from "../signs/distinct.ts";
import type { Reason } from "../../model/threat.ts";
import type { Address } from "../signs/address.ts";
import { capital, stopHost } from "../signs/advice.ts";
import { PeakRate } from "../signs/peak_rate.ts";
import { readLoginAttempts, snmpService, unnamedService } from "../signs/login_attempts.ts";
import { deviationOf, medianOf } from "../signs/statistics.ts";

const usersMax = 50, sizesMax = 256;
const lowMax = 35;
/** Of which programs log in with what was saved once: keys, mail, databases. */
const savedServices = new Set(["SSH", "POP3", "IMAP", "SMTP", "MySQL", "PostgreSQL", "SQL Server", "Redis"]);
/** OpenSSH's MaxAuthTries. */
const sshGuessesMax = 6;

const limitsTable = {
  attemptsMin: {
    value: 20,
    unit: "attempts",
    why: "Zeek's ftp/detect-bruteforcing.zeek: 20 in 15 minutes; its SSH sibling: 30 in 30 minutes",
  },
  attemptsPerMinuteMin: {
    value: 2,
    unit: "attempts/min",
    why: "scripts that check on a service every minute or more rarely stay below",
  },
  failedShareMin: { value: 0.8, unit: "share", why: "attempts among all sessions of the pair" },
  sizeDeviationMax: {
    value: 0.3,
    unit: "share",
    why:
      "without readable answers the flows must look alike: deviation of the answers' size over their median",
  },
  unnamedAttemptsMin: { value: 40, unit: "attempts", why: "an unrecognised service must show more" },
  unnamedSizeDeviationMax: { value: 0.1, unit: "share", why: "and answers that are nearly identical" },
  fastPerS: { value: 2, unit: "attempts in a second", why: "nobody types passwords in so fast" },
  savedPerMinuteMax: {
    value: 12,
    unit: "attempts/min",
    why: "of an own host, on one account: programs whose saved password is wrong try again after 5 s or more",
  },
  unnamedPerMinuteMin: { value: 30, unit: "attempts/min", why: "an unrecognised service must be tried fast" },
};

interface Guessing {
  src: Address;
  dst: Address;
  rate: PeakRate;
  dstPort: number;
  service: string;
  attempts: number;
  refused: number;
  accepted: number;
  /** Accepted after the threshold was reached: a guess may have been right. */
  acceptedLate: number;
  isRead: boolean;
  users: Distinct<string>;
  answerBytes: number[];
}

export const passwordGuessing = detector({
  name: "password_guessing",
  technique: "T1110.001",
  title: "Password guessing",
  about: "One host tries to log in to a service again and again without success.",
  limits: limitsTable,
  window: {
    quietS: { value: 300, unit: "s", why: "guessing programs wait less" },
    ageS: { value: 900, unit: "s", why: "typos of a day do not add up" },
  },
  items(update) {
    const login = readLoginAttempts(update.segment, update.begins);
    return login === null ? [] : [login];
  },
  key: () => by.pairPort,
  open: ({ src, dst, segment: { dst_port } }): Guessing => ({
    src,
    dst,
    rate: new PeakRate(),
    dstPort: dst_port,
    service: "",
    attempts: 0,
    refused: 0,
    accepted: 0,
    acceptedLate: 0,
    isRead: false,
    users: new Distinct(usersMax),
    answerBytes: [],
  }),
  step(pair, { segment: { start, end } }, limits, login, episode) {
    if (login.attempts > 0) pair.rate.add(start, end, login.attempts);
    pair.service = login.service;
    if (login.accepted > 0 && isGuessing(pair, episode, limits)) pair.acceptedLate += login.accepted;
    pair.attempts += login.attempts;
    pair.refused += login.refused;
    pair.accepted += login.accepted;
    pair.isRead ||= login.isRead;
    for (const user of login.users) pair.users.add(user);
    if (login.answerBytes >= 0) {
      if (pair.answerBytes.length >= sizesMax) pair.answerBytes.shift();
      pair.answerBytes.push(login.answerBytes);
    }
  },
  isThreat: (pair, limits, episode) => isGuessing(pair, episode, limits),
  finding(pair, limits) {
    const evidence = {
      attempts: field(pair.isRead ? "attempts" : "sessions that look like failed logins", pair.attempts),
      refused: field("attempts refused by the service", pair.isRead ? pair.refused : "not readable"),
      service: field("service", pair.service),
      duration: field("duration in seconds", Math.round(pair.lastS - pair.firstS)),
      perS: field("attempts in the busiest second", pair.rate.peak),
      users: hostile("user names tried", [...pair.users].slice(0, 10).join(", ") || "not readable"),
      acceptedLate: field("sessions that may have been let in", pair.acceptedLate),
    };
    const { service, attempts, duration } = evidence;
    return {
      title: `Password guessing against ${service}`,
      src_ips: [pair.src.ip],
      dst_ips: [pair.dst.ip],
      dst_port: pair.dstPort,
      count: pair.attempts,
      summary: `${pair.src.ip} tried to log in to ${service} on ${pair.dst.ip} (port ${pair.dstPort}) ${
        pair.isRead ? `${attempts} times` : `in ${sessionsText(pair)}`
      } within ${duration} seconds${outcomeText(pair)}.`,
      reasons: reasonsFor(pair, limits, pair),
      evidence,
    };
  },
  meaning:
    "Somebody, usually a program with a list of common passwords, is trying to guess the password of an account.",
  action: ({ service, acceptedLate }, _finding, { src, dst, dstPort }) =>
    `${capital(stopHost(src))}${
      src.isPrivate && !src.isPlant ? " unless its user can explain it, and look for what guesses on it" : ""
    }. ${
      acceptedLate.value > 0
        ? `Treat ${dst.ip} as taken over until its log shows that no login from ${src.ip} succeeded.`
        : `Look into the log of ${service} on ${dst.ip} for a login from ${src.ip} that succeeded.`
    } Switch to keys or a second factor, and limit who may reach port ${dstPort}.`,
  falseAlarm:
    "A backup job or script with an expired password repeats the same login; then source and user are your own and the user is always the same.",
});

function isGuessing(
  pair: Guessing,
  { firstS, lastS }: Episode,
  limits: LimitValues<typeof limitsTable>,
): boolean {
  if (pair.attempts < limits.attemptsMin) return false;
  // Whoever asks a silent host with one community again and again guesses nothing.
  if (pair.service === snmpService && pair.users.size < limits.attemptsMin) return false;
  if (pair.attempts < limits.failedShareMin * (pair.attempts + pair.accepted)) return false;
  const minutes = (lastS - firstS) / 60;
  if (pair.attempts < limits.attemptsPerMinuteMin * minutes) return false;
  if (pair.isRead) return true;
  if (pair.service !== unnamedService) return sizeDeviation(pair) <= limits.sizeDeviationMax;
  return pair.attempts >= limits.unnamedAttemptsMin &&
    pair.attempts >= limits.unnamedPerMinuteMin * minutes &&
    sizeDeviation(pair) <= limits.unnamedSizeDeviationMax;
}

function sizeDeviation(pair: Guessing): number {
  const median = medianOf(pair.answerBytes);
  return median > 0 ? deviationOf(pair.answerBytes, median) / median : 0;
}

/** A session that cannot be read holds one guess or several. */
function sessionsText({ attempts, service }: Guessing): string {
  return `at least ${attempts} sessions${
    service === "SSH" ? `, up to ${attempts * sshGuessesMax} guesses,` : ""
  }`;
}

function outcomeText({ acceptedLate, isRead }: Guessing): string {
  if (acceptedLate > 0) return " and may have got in";
  return isRead ? " without getting in" : "; no session looks as if it got in";
}

function reasonsFor(
  pair: Guessing,
  limits: LimitValues<typeof limitsTable>,
  { firstS, lastS }: Episode,
): Reason[] {
  const { attemptsMin, sizeDeviationMax, fastPerS } = limits;
  const reasons = [reason(
    "attempts",
    growingPoints(pair.attempts, attemptsMin, { base: 45, perTenfold: 12, max: 65 }),
    `${pair.attempts} ${
      pair.isRead ? "attempts without success" : "sessions that look like failed logins"
    }; ${attemptsMin} are enough to call it guessing`,
  )];
  if (pair.refused >= attemptsMin) {
    reasons.push(reason(
      "refused",
      15,
      `the service itself refused ${pair.refused} logins; people make up to about 5 typos in a row`,
    ));
  } else if (pair.service === unnamedService) {
    reasons.push(reason(
      "unrecognised",
      -10,
      "the service could not be recognised: only the shape of the sessions speaks for guessing",
    ));
  } else if (!pair.isRead) {
    reasons.push(reason(
      "alike",
      5,
      `the sessions are of nearly the same size: they deviate by ${percentOf(sizeDeviation(pair))}, ${
        sizeDeviationMax * 100
      } % is the threshold`,
    ));
  }
  if (pair.rate.peak >= fastPerS) {
    reasons.push(
      reason(
        "fast",
        10,
        `${pair.rate.peak} attempts in the busiest second; a person makes fewer than ${fastPerS}`,
      ),
    );
  }
  if (pair.acceptedLate > 0) {
    reasons.push(reason(
      "possible_success",
      20,
      `${pair.acceptedLate} session(s) after the guessing look as if they were let in`,
    ));
  }
  const isSlow = pair.attempts <= limits.savedPerMinuteMax * (lastS - firstS) / 60;
  if (pair.isRead && isSlow && pair.src.isOwn && pair.users.size <= 1 && savedServices.has(pair.service)) {
    const text = `an own host that tries ${
      pair.users.size === 1 ? "one account" : "no account that could be read"
    } at most ${limits.savedPerMinuteMax} times a minute may be a program whose saved password or key is wrong`;
    capScore(reasons, lowMax, "may_be_saved", text);
  }
  return reasons;
}
