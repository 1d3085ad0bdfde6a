/** What a detector says about one episode: who, to whom, how often, the reasons, and the measured values it rests on.
 *
 * In: fields, points and sentences of a detector. Out: the parts of a {@link Finding}.
 * Invariant: a measured value is one {@link Field}. Its label, its place among the evidence and its mark as hostile
 * belong to it, and the sentences use the field itself, so that text and evidence cannot disagree.
 * Why no lookup by label: a label may be reworded at any time; a field that does not exist does not compile. @module */

import { type Evidence, type Finding, type Reason, threatAddressesMax } from "../model/threat.ts";

/** Upper bounds of one finding. */
export const findingLimits = {
  addressesMax: threatAddressesMax,
  flowIdsMax: 50,
  sensorsMax: 50,
  linksMax: 100_000,
} as const;

/** A measured value with its label. In a template it reads as its value: `${ports} ports`. */
export class Field<Value extends string | number = string | number> {
  constructor(readonly label: string, readonly value: Value, readonly hostile: boolean) {}

  toString(): string {
    return String(this.value);
  }
}

/** The evidence of a finding, in the order in which it is shown. */
export type Fields = Readonly<Record<string, Field>>;

/** A value that was measured: a count, an address, a word of our own. */
export function field<Value extends string | number>(label: string, value: Value): Field<Value> {
  return new Field(label, value, false);
}

/** A value that the sender of the packets chose: a DNS name, a user agent, a user name. */
export function hostile<Value extends string | number>(label: string, value: Value): Field<Value> {
  return new Field(label, value, true);
}

/** What a detector says about an episode; identity, times, flows and sensors come from the episode. */
export interface Found<Evidences extends Fields = Fields> {
  /** Instead of the declaration's title, where it depends on the episode. */
  title?: string;
  /** Instead of the episode's key, where several episodes are one threat; without the network. */
  identity?: string;
  /** Instead of the declaration's technique. */
  technique?: string;
  src_ips: Iterable<string>;
  dst_ips: Iterable<string>;
  /** The one port concerned; null when many or none. */
  dst_port: number | null;
  /** Flows, packets or messages this rests on. */
  count: number;
  /** One sentence that stands on its own: who did what to whom, with the numbers that matter. */
  summary: string;
  reasons: Reason[];
  evidence: Evidences;
}

/** A finding, and the flows of its episode that were not handed on before. */
export interface FreshFinding extends Finding {
  new_flow_ids: string[];
}

export function reason(name: string, points: number, text: string): Reason {
  return { name, points, text };
}

/** Adds a reason against the threat that leaves it at most `scoreMax` points. */
export function capScore(reasons: Reason[], scoreMax: number, name: string, text: string): void {
  const sum = reasons.reduce((points, reason) => points + reason.points, 0);
  reasons.push(reason(name, Math.min(-5, scoreMax - sum), text));
}

/** A share as a percentage; 0 % and 100 % mean none and all. */
export function percentOf(part: number, whole = 1): string {
  if (whole <= 0 || part <= 0) return "0 %";
  return `${part >= whole ? 100 : Math.min(99, Math.max(1, Math.round(100 * part / whole)))} %`;
}

/** Numbers evidence e1, e2, ... in the order of its fields. */
export function numberEvidence(fields: Fields): Evidence[] {
  return Object.values(fields).map(({ label, value, hostile }, i) => ({
    id: `e${i + 1}`,
    name: label,
    value,
    hostile,
  }));
}

/** At most `max` of `values`. */
export function firstOf(values: Iterable<string>, max: number): string[] {
  const first: string[] = [];
  for (const value of values) {
    if (first.length >= max) break;
    first.push(value);
  }
  return first;
}

/** `base` points at `threshold`, `perTenfold` more for each tenfold, never above `max`. */
export function growingPoints(
  value: number,
  threshold: number,
  points: { base: number; perTenfold: number; max: number },
): number {
  const grown = points.base + points.perTenfold * Math.log10(Math.max(1, value / threshold));
  return Math.min(points.max, Math.round(grown));
}
