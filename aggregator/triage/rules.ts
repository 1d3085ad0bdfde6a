/** The explanation every threat has, model or not: from the detector's own words and measured values.
 *
 * In: a finding, its severity. Out: {@link Triage} with `engine: "rules"`.
 * Invariant: says what happened, who, to whom, when, how sure and why, what to do next and how to rule out a false
 * alarm; strings from the wire stand in it with control characters made visible. @module */

import { escapeLine } from "../../shared/escape.ts";
import { findingLimits } from "../detect/finding.ts";
import type { Finding, Reason, Severity, Triage } from "../model/threat.ts";

const certainty: Record<Severity, string> = {
  info: "This is a remark, not an alarm",
  low: "This is a weak sign",
  medium: "This is a clear sign",
  high: "This is a strong sign",
  critical: "This is a very strong sign",
};

/** Explains `finding`. `episodes`: how often it came, with pauses between. The first sentence stands on its own. */
export function explainByRules(finding: Finding, severity: Severity, episodes = 1): Triage {
  const { words, reasons } = finding;
  const listed = (part: Reason[]) => part.map(({ text }, i) => `(${i + 1}) ${text}`).join(", ");
  const against = reasons.filter(({ points }) => points < 0);
  const explanation = [
    words.summary,
    `It was seen ${spanOf(finding)}${sensorsOf(finding)}.`,
    ...episodes > 1 ? [`It came ${episodes} times, with pauses; the strongest time is described here.`] : [],
    words.meaning,
    `${certainty[severity]}: ${listed(reasons.filter(({ points }) => points >= 0))}.`,
    ...against.length > 0 ? [`Against it: ${listed(against)}.`] : [],
    ...finding.flows > findingLimits.linksMax
      ? [`Of its ${finding.flows} flows the first ${findingLimits.linksMax} are linked.`]
      : [],
    `To rule out a false alarm: ${lowerFirst(words.false_alarm)}`,
  ].join(" ");
  return {
    explanation: escapeLine(explanation),
    suggested_action: escapeLine(words.action),
    engine: "rules",
    confidence: 1,
    fallback: null,
  };
}

function spanOf({ first_seen, last_seen }: Finding): string {
  const from = timeText(first_seen), to = timeText(last_seen);
  if (from === to) return `at ${from}`;
  // On one day the date need not be read twice.
  return `from ${from} to ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}`;
}

function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "an impossible time";
  return date.toISOString().slice(0, 19).replace("T", " ") + " UTC";
}

function sensorsOf({ sensors }: Finding): string {
  if (sensors.length === 0) return "";
  return sensors.length === 1 ? ` by sensor ${sensors[0]}` : ` by ${sensors.length} sensors`;
}

/** "SNMP polls ..." keeps its capitals. */
function lowerFirst(text: string): string {
  return /^[A-Z]{2}/.test(text) ? text : text.slice(0, 1).toLowerCase() + text.slice(1);
}
