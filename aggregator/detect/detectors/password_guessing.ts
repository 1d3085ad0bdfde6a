/** Password guessing: one host tries to log in to a service again and again.
 *
 * In: updates of TCP flows to SSH, FTP, Telnet, RDP, SMB, VNC, mail and web logins, on whatever port they are. Out: one finding for
 * each attacker, victim and port.
 * Invariant: a few typos are none; a client that mostly gets in is none.
 * ATT&CK T1110.001, Brute Force: Password Guessing. @module */

import type { FlowUpdate } from "../../model/flow.ts";
import type { Finding, Reason } from "../../model/threat.ts";
import { type Advice, type Detector, evidenceValue, growingPoints, numberEvidence } from "../detector.ts";
import { type Episode, episodeDetector, episodeParts, Episodes } from "../episodes.ts";
import { readLoginAttempts, unnamedService } from "../signs/login_attempts.ts";
import { deviationOf, medianOf } from "../signs/statistics.ts";

export const passwordGuessingLimits = {
  /** Attempts without success. Zeek's ftp/detect-bruteforcing.zeek: 20 in 15 minutes; its SSH sibling: 30 in 30 minutes. */
  attemptsMin: 20,
  /** Attempts a minute: scripts that check on a service every minute or more rarely stay below. */
  attemptsPerMinuteMin: 2,
  /** Share of attempts among all sessions of the pair. */
  failedShareMin: 0.8,
  /** Without readable answers the flows must look alike: median absolute deviation of the answers' size over their median. */
  sizeDeviationMax: 0.3,
  /** An unrecognised service must show more: many attempts, fast, nearly identical. */
  unnamedAttemptsMin: 40,
  unnamedSizeDeviationMax: 0.1,
  /** Attempts a second above which nobody types them in. */
  fastPerS: 0.5,
  quietS: 300,
  ageMaxS: 900,
  keysMax: 20_000,
  usersMax: 50,
  sizesMax: 256,
} as const;
const limits = passwordGuessingLimits;

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
  users: Set<string>;
  answerBytes: number[];
}

const advice: Advice = {
  summary: (finding) =>
    `${finding.src_ips[0]} tried to log in to ${evidenceValue(finding, "service")} on ${
      finding.dst_ips[0]
    } (port ${finding.dst_port}) ${evidenceValue(finding, "attempts")} times within ${
      evidenceValue(finding, "duration in seconds")
    } seconds${
      finding.reasons.some((reason) => reason.name === "possible_success")
        ? " and may have got in"
        : " without getting in"
    }.`,
  meaning:
    "Somebody, usually a program with a list of common passwords, is trying to guess the password of an account.",
  action:
    "Block the source at the firewall. Then look into the service's own log for a successful login from this address; if there is one, treat the machine as taken over. Switch to keys or a second factor, and limit who may reach this port.",
  falseAlarm:
    "A backup job or script with an expired password repeats the same login; then source and user are your own and the user is always the same.",
};

/** Makes the detector; it holds all state. */
export function createPasswordGuessing(): Detector {
  const pairs = new Episodes<Guessing>({
    keysMax: limits.keysMax,
    quietS: limits.quietS,
    ageMaxS: limits.ageMaxS,
    create: () => ({
      srcIp: "",
      dstIp: "",
      dstPort: 0,
      service: "",
      attempts: 0,
      refused: 0,
      accepted: 0,
      acceptedLate: 0,
      isRead: false,
      users: new Set(),
      answerBytes: [],
    }),
    isAboveThreshold: isGuessing,
  });

  function step(update: FlowUpdate): void {
    const login = readLoginAttempts(update);
    if (!login) return;
    const { src_ip, dst_ip, dst_port } = update.segment;
    const pair = pairs.touch(`${update.network}|${src_ip}|${dst_ip}|${dst_port}`, update);
    pair.srcIp = src_ip;
    pair.dstIp = dst_ip;
    pair.dstPort = dst_port;
    pair.service = login.service;
    if (login.accepted > 0 && isGuessing(pair)) pair.acceptedLate += login.accepted;
    pair.attempts += login.attempts;
    pair.refused += login.refused;
    pair.accepted += login.accepted;
    pair.isRead ||= login.isRead;
    for (const user of login.users) if (pair.users.size < limits.usersMax) pair.users.add(user);
    if (login.answerBytes >= 0) {
      if (pair.answerBytes.length >= limits.sizesMax) pair.answerBytes.shift();
      pair.answerBytes.push(login.answerBytes);
    }
  }

  return episodeDetector("password_guessing", advice, pairs, step, describe);
}

function isGuessing(pair: Guessing & Episode): boolean {
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

function describe(pair: Guessing & Episode): Finding {
  const perS = pair.attempts / Math.max(1, pair.lastS - pair.firstS);
  return {
    detector: "password_guessing",
    identity: `password_guessing|${pair.key}`,
    technique: "T1110.001",
    title: `Password guessing against ${pair.service}`,
    src_ips: [pair.srcIp],
    dst_ips: [pair.dstIp],
    dst_port: pair.dstPort,
    count: pair.attempts,
    reasons: reasonsFor(pair, perS),
    evidence: numberEvidence([
      ["attempts", pair.attempts],
      ["attempts refused by the service", pair.isRead ? pair.refused : "not readable"],
      ["service", pair.service],
      ["duration in seconds", Math.round(pair.lastS - pair.firstS)],
      ["attempts per second", perS.toFixed(2)],
      ["user names tried", [...pair.users].slice(0, 10).join(", ") || "not readable", true],
      ["sessions that may have been let in", pair.acceptedLate],
    ]),
    ...episodeParts(pair),
  };
}

function reasonsFor(pair: Guessing, perS: number): Reason[] {
  const reasons: Reason[] = [{
    name: "attempts",
    points: growingPoints(pair.attempts, limits.attemptsMin, { base: 45, perTenfold: 12, max: 65 }),
    text: `${pair.attempts} attempts without success; ${limits.attemptsMin} are enough to call it guessing`,
  }];
  if (pair.refused >= limits.attemptsMin) {
    reasons.push({
      name: "refused",
      points: 15,
      text: `the service itself refused ${pair.refused} logins; people make up to about 5 typos in a row`,
    });
  } else if (pair.service === unnamedService) {
    reasons.push({
      name: "unrecognised",
      points: -10,
      text: "the service could not be recognised: only the shape of the sessions speaks for guessing",
    });
  } else if (!pair.isRead) {
    reasons.push({
      name: "alike",
      points: 5,
      text: `the sessions are of nearly the same size: they deviate by ${
        Math.round(100 * sizeDeviation(pair))
      } %, ${limits.sizeDeviationMax * 100} % is the threshold`,
    });
  }
  if (perS >= limits.fastPerS) {
    reasons.push({
      name: "fast",
      points: 10,
      text: `${perS.toFixed(1)} attempts a second; a person stays below ${limits.fastPerS}`,
    });
  }
  if (pair.acceptedLate > 0) {
    reasons.push({
      name: "possible_success",
      points: 20,
      text: `${pair.acceptedLate} session(s) after the guessing look as if they were let in`,
    });
  }
  return reasons;
}
