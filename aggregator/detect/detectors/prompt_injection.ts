/** Prompt injection: somebody writes orders to a language model into what a network monitor reads.
 *
 * In: facts of flows: requests, names, certificates, banners. Out: one finding for each pair of hosts.
 * Invariant: the attempt is found whoever it is meant for.
 * It moves nothing here: strings from the wire reach a model as labels only.
 * Limits: each string is looked at up to a length, and a flow's first strings only. @module */

import { detector } from "../detector.ts";
import { field, hostile, reason } from "../finding.ts";
import { by } from "../keys.ts";
import { promptInjectionIn } from "../signs/prompt_injection.ts";
import type { Facts } from "../../../shared/facts.ts";

const stringsMax = 64;
const exampleMax = 200;

interface Attempt {
  text: string;
  aim: string;
}

export const promptInjection = detector({
  name: "prompt_injection",
  technique: "T1562",
  title: "Orders to a language model",
  about: "A host writes orders to a language model into names, paths, agents or bodies.",
  limits: {
    stringsMin: { value: 1, unit: "strings", why: "no honest program writes such an order, not even once" },
    manyMin: { value: 5, unit: "strings", why: "variants are tried until one gets through" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "people who try by hand think between two attempts" },
    ageS: { value: 86_400, unit: "s", why: "an attempt is one however old" },
  },
  items: ({ segment }) => segment.facts === null ? [] : attemptsIn(segment.facts),
  key: () => by.pair,
  open: ({ segment: { src_ip, dst_ip, dst_port } }) => ({
    source: src_ip,
    target: dst_ip,
    port: dst_port,
    strings: 0,
    aims: new Set<string>(),
    example: "",
  }),
  step(attempts, _update, _limits, { text, aim }) {
    attempts.strings++;
    attempts.aims.add(aim);
    attempts.example ||= text.slice(0, exampleMax);
  },
  isThreat: ({ strings }, { stringsMin }) => strings >= stringsMin,
  finding(attempts, { manyMin }) {
    const aims = [...attempts.aims].join("; ");
    const evidence = {
      strings: field("strings with orders", attempts.strings),
      aims: field("what a model is to do", aims),
      example: hostile("first such string", attempts.example),
    };
    const reasons = [
      reason(
        "order",
        45,
        `${evidence.strings} string(s) order a language model to ${evidence.aims}; honest programs send none`,
      ),
    ];
    if (attempts.strings >= manyMin) {
      reasons.push(
        reason(
          "many_strings",
          15,
          `${evidence.strings} strings; from ${manyMin} on variants are being tried`,
        ),
      );
    }
    return {
      src_ips: [attempts.source],
      dst_ips: [attempts.target],
      dst_port: attempts.port,
      count: attempts.strings,
      summary:
        `A conversation of ${attempts.source} with ${attempts.target} (port ${attempts.port}) held ${evidence.strings} string(s) that order a language model to ${aims}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Somebody reckons that a language model reads along, here or in the service that was called, and wants it to look away or to give something out. In this monitor it moves nothing: such strings reach a model as labels only.",
  action: (_evidence, { src_ips }) =>
    `Look at what else ${src_ips[0]} did at that time: whoever wants a monitor to look away has a reason. ` +
    "If you run programs that hand logs or pages to a language model, check what they made of this string.",
  falseAlarm:
    "People who write about such attacks, or who test their own assistants, send these strings too: see whether the host asked for belongs to them.",
});

/** Strings of a flow that are orders; each is looked at once. */
function attemptsIn(facts: Facts): Attempt[] {
  const strings = new Set<string>();
  collect(facts, strings);
  return [...strings].flatMap((text) => {
    const aim = promptInjectionIn(text);
    return aim === "" ? [] : [{ text, aim }];
  });
}

/** Facts are checked to be shallow before they get here. */
function collect(part: unknown, strings: Set<string>): void {
  if (strings.size >= stringsMax) return;
  if (typeof part === "string") {
    if (part.length >= 12) strings.add(part);
  } else if (typeof part === "object" && part !== null) {
    for (const inner of Object.values(part)) collect(inner, strings);
  }
}
