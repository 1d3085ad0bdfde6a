/** SIP scan: a program that exists to find and try telephone systems names itself in its requests.
 *
 * In: the user agent of SIP requests. Out: one finding for each source.
 * Invariant: only names of such programs count;
 * a scanner that hides its name is found by the ports it scans and the passwords it guesses.
 * Sources: SIPVicious ("friendly-scanner"), SIPPTS, sipcli, sundayddr, VaxSIPUserAgent, SIP Army Knife,
 * iWar, smap; ATT&CK T1595. @module */

import { detector } from "../detector.ts";
import { field, growingPoints, hostile, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";

const hostsMax = 1_024;
const scanners =
  /friendly-scanner|sipvicious|sip-?scan|sipptsr?|sipcli|sundayddr|vaxsipuseragent|siparmyknife|\b(?:iwar|smap)\b/i;

export const sipScan = detector({
  name: "sip_scan",
  technique: "T1595",
  title: "SIP scan",
  about: "A program that looks for telephone systems names itself in its requests.",
  needs: ["other"],
  limits: {
    hostsMin: { value: 1, unit: "hosts", why: "no telephone calls itself so" },
    manyHostsMin: { value: 10, unit: "hosts", why: "a test of one's own system goes to one or two" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "scanners send several requests a second" },
    ageS: { value: 86_400, unit: "s", why: "a scan of a day is one story" },
  },
  keysMax: 5_000,
  key: ({ src, segment: { facts } }) => scanners.test(facts?.other?.["sip.User-Agent"] ?? "") ? src.ip : null,
  open: ({ src, segment: { dst_port, facts } }) => ({
    src,
    port: dst_port,
    agent: facts!.other!["sip.User-Agent"].slice(0, 80),
    hosts: new Distinct<string>(hostsMax),
    requests: 0,
  }),
  step(scan, { segment: { dst_ip } }) {
    scan.requests++;
    scan.hosts.add(dst_ip);
  },
  isThreat: ({ hosts }, { hostsMin }) => hosts.size >= hostsMin,
  finding(scan, { manyHostsMin }) {
    const evidence = {
      hosts: field("hosts asked", scan.hosts.count),
      agent: hostile("it calls itself", scan.agent),
      flows: field("flows", scan.requests),
    };
    const reasons = [reason("tool", 45, "it calls itself what only scanners of telephone systems do")];
    if (scan.hosts.size >= manyHostsMin) {
      const points = growingPoints(scan.hosts.size, manyHostsMin, { base: 10, perTenfold: 10, max: 30 });
      reasons.push(
        reason("many_hosts", points, `${evidence.hosts} hosts; ${manyHostsMin} are the threshold`),
      );
    }
    return {
      src_ips: [scan.src.ip],
      dst_ips: scan.hosts,
      dst_port: scan.port,
      count: scan.requests,
      summary:
        `${scan.src.ip} asked ${evidence.hosts} host(s) by SIP, with a program that looks for telephone systems.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Whoever finds a telephone system that takes calls from outside makes calls at its owner's expense.",
  action: (_evidence, _finding, { src }) =>
    `${
      findOut(src, "scans")
    } Let the telephone system take requests from your provider and your telephones only.`,
  falseAlarm: "A test of your own telephone system.",
});
