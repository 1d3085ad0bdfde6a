/** Password guessing: one host tries to log in to a service again and again.
 *
 * In: updates of TCP flows to SSH, FTP, Telnet, RDP, SMB, VNC, mail and web logins, on whatever port they are. Out: one finding for
 * each attacker, victim and port.
 * Invariant: a few typos are none; a client that mostly gets in is none. @module */

import { detector, type LimitValues } from "../detector.ts";
import type { Episode } from "../episodes.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";
import type { Reason } from "../../model/threat.ts";
import { readLoginAttempts, unnamedService } from "../signs/login_attempts.ts";
import { deviationOf, medianOf } from "../signs/statistics.ts";

const usersMax = 50, sizesMax = 256;

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
  fastPerS: { value: 0.5, unit: "attempts/s", why: "nobody types passwords in faster" },
};

interface Guessing {
  srcIp: string;
  dstIp: string;
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
  key: (update) => `${update.pair}|${update.segment.dst_port}`,
  open: ({ segment: { src_ip, dst_ip, dst_port } }): Guessing => ({
    srcIp: src_ip,
    dstIp: dst_ip,
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
  step(pair, _update, limits, login) {
    pair.service = login.service;
    if (login.accepted > 0 && isGuessing(pair, limits)) pair.acceptedLate += login.accepted;
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
  isThreat: isGuessing,
  finding(pair, limits) {
    const perS = pair.attempts / Math.max(1, pair.lastS - pair.firstS);
    const evidence = {
      attempts: field("attempts", pair.attempts),
      refused: field("attempts refused by the service", pair.isRead ? pair.refused : "not readable"),
      service: field("service", pair.service),
      duration: field("duration in seconds", Math.round(pair.lastS - pair.firstS)),
      perS: field("attempts per second", perS.toFixed(2)),
      users: hostile("user names tried", [...pair.users].slice(0, 10).join(", ") || "not readable"),
      acceptedLate: field("sessions that may have been let in", pair.acceptedLate),
    };
    const { service, attempts, duration } = evidence;
    return {
      title: `Password guessing against ${service}`,
      src_ips: [pair.srcIp],
      dst_ips: [pair.dstIp],
      dst_port: pair.dstPort,
      count: pair.attempts,
      summary:
        `${pair.srcIp} tried to log in to ${service} on ${pair.dstIp} (port ${pair.dstPort}) ${attempts} times within ${duration} seconds${
          pair.acceptedLate > 0 ? " and may have got in" : " without getting in"
        }.`,
      reasons: reasonsFor(pair, perS, limits),
      evidence,
    };
  },
  meaning:
    "Somebody, usually a program with a list of common passwords, is trying to guess the password of an account.",
  action:
    "Block the source at the firewall. Then look into the service's own log for a successful login from this address; if there is one, treat the machine as taken over. Switch to keys or a second factor, and limit who may reach this port.",
  falseAlarm:
    "A backup job or script with an expired password repeats the same login; then source and user are your own and the user is always the same.",
});

function isGuessing(pair: Guessing & Episode, limits: LimitValues<typeof limitsTable>): boolean {
  if (pair.attempts < limits.attemptsMin) return false;
  if (pair.attempts < limits.failedShareMin * (pair.attempts + pair.accepted)) return false;
  const minutes = (pair.lastS - pair.firstS) / 60;
  if (pair.attempts < limits.attemptsPerMinuteMin * minutes) return false;
  if (pair.isRead) return true;
  if (pair.service !== unnamedService) return sizeDeviation(pair) <= limits.sizeDeviationMax;
  return pair.attempts >= limits.unnamedAttemptsMin && pair.attempts >= limits.fastPerS * 60 * minutes &&
    sizeDeviation(pair) <= limits.unnamedSizeDeviationMax;
}

function sizeDeviation(pair: Guessing): number {
  const median = medianOf(pair.answerBytes);
  return median > 0 ? deviationOf(pair.answerBytes, median) / median : 0;
}

function reasonsFor(pair: Guessing, perS: number, limits: LimitValues<typeof limitsTable>): Reason[] {
  const { attemptsMin, sizeDeviationMax, fastPerS } = limits;
  const reasons = [reason(
    "attempts",
    growingPoints(pair.attempts, attemptsMin, { base: 45, perTenfold: 12, max: 65 }),
    `${pair.attempts} attempts without success; ${attemptsMin} are enough to call it guessing`,
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
    const percent = Math.round(100 * sizeDeviation(pair));
    reasons.push(reason(
      "alike",
      5,
      `the sessions are of nearly the same size: they deviate by ${percent} %, ${
        sizeDeviationMax * 100
      } % is the threshold`,
    ));
  }
  if (perS >= fastPerS) {
    reasons.push(
      reason("fast", 10, `${perS.toFixed(1)} attempts a second; a person stays below ${fastPerS}`),
    );
  }
  if (pair.acceptedLate > 0) {
    reasons.push(reason(
      "possible_success",
      20,
      `${pair.acceptedLate} session(s) after the guessing look as if they were let in`,
    ));
  }
  return reasons;
}
