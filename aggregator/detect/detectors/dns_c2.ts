/** Orders by DNS: a script, or a program in pieces, comes as the answer to a DNS question.
 *
 * In: DNS answers in facts. Out: one finding for each client and registered domain.
 * Invariant: the TXT records that honest zones hold (SPF, DKIM, verification tokens, DMARC) are none, however long.
 * Source: ATT&CK T1071.004; DNSMessenger (Talos, 2017): PowerShell in TXT records;
 * staged payloads of Cobalt Strike and Metasploit. @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { Distinct } from "../signs/distinct.ts";

const script =
  /\b(?:powershell|iex\b|invoke-expression|downloadstring|frombase64string|new-object\s+(?:net|system|io)\.|-enc(?:odedcommand)?\s|cmd(?:\.exe)?\s*\/c|wscript|bash\s+-c|curl\s+-|wget\s+http|eval\s*\(|\/bin\/(?:ba)?sh)/i;
const honestText =
  /^(?:v=(?:spf1|dkim1|dmarc1|stsv1|tlsrptv1|bimi1)|k=rsa|p=mi|google-site-verification|ms=|[a-z0-9-]+-(?:site-)?(?:domain-)?verification)/i;
/** Base64 of a program ("MZ"), of compressed data, or of UTF-16 text as PowerShell takes it. */
const payload = /^(?:TVqQ|TVpQ|H4sI|JAB[a-z0-9]|SQBFAFgA|cwBlAHQA)[A-Za-z0-9+/=]{40,}/;

export const dnsC2 = detector({
  name: "dns_c2",
  technique: "T1071.004",
  title: "Orders by DNS",
  about: "A script or a program in pieces comes in DNS answers.",
  needs: ["dns"],
  limits: {
    scriptsMin: { value: 1, unit: "answers", why: "no zone has a reason to answer with a command" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "stagers fetch all pieces within minutes" },
    ageS: { value: 86_400, unit: "s", why: "orders of a day belong together" },
  },
  items: ({ dns }) =>
    dns === null ? [] : dns.questions.filter(({ type, answers }) => type === "TXT" && answers?.some(isOrder)),
  key: ({ dns }, _limits, { domain }) => `${dns!.client}|${domain}`,
  open: ({ dns }, { domain }) => ({
    client: dns!.client,
    domain,
    resolvers: new Distinct<string>(64),
    answers: 0,
    example: "",
  }),
  step(orders, { dns }, _limits, { answers = [] }) {
    orders.answers += answers.filter(isOrder).length;
    orders.resolvers.add(dns!.resolver);
    orders.example ||= answers.find(isOrder)!.slice(0, 120);
  },
  isThreat: ({ answers }, { scriptsMin }) => answers >= scriptsMin,
  finding(orders) {
    const evidence = {
      answers: field("answers with commands or programs", orders.answers),
      domain: hostile("domain", orders.domain),
      example: hostile("beginning of the first", orders.example),
    };
    return {
      src_ips: [orders.client],
      dst_ips: orders.resolvers,
      dst_port: 53,
      count: orders.answers,
      summary:
        `${orders.client} asked for names below ${evidence.domain} and got ${evidence.answers} answer(s) that hold a command or a program.`,
      reasons: [
        reason(
          "commands",
          70,
          `${evidence.answers} TXT answer(s) hold a command or an encoded program; honest zones hold policies and tokens`,
        ),
      ],
      evidence,
    };
  },
  meaning: "Malware fetches its commands and further parts by DNS, as nearly every network lets it through.",
  action: (_evidence, { src_ips }) =>
    `Isolate ${
      src_ips[0]
    }, find the script that asked (often a scheduled PowerShell command), and block the domain at your resolver.`,
  falseAlarm: "A demonstration or a security test; nobody else keeps commands in DNS.",
});

function isOrder(answer: string): boolean {
  return !honestText.test(answer) && (script.test(answer) || payload.test(answer));
}
