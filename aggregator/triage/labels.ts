/** Labels: what stands for addresses and names in anything that leaves the site.
 *
 * In: a threat. Out: text with HOST_1, MAC_1, NAME_1, SENSOR_1, SITE_1 in place of what identifies; the way back.
 * Invariant: no value from the wire leaves at all, only its label and its shape; {@link Labels.leaks} is a second,
 * independent look at the finished text, and whoever sends must refuse when it finds anything.
 * Why by order of appearance: equal threats then have equal text and can share one answer. @module */

import type { Evidence, Threat } from "../model/threat.ts";
import { entropyOf } from "../detect/signs/statistics.ts";
import { parseIp } from "../../shared/ip.ts";

export const labelKinds = ["HOST", "MAC", "NAME", "SENSOR", "SITE"] as const;
export type LabelKind = typeof labelKinds[number];

const labelsMax = 1_000;
const macPattern = /\b[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}\b/gi;
const ipv4Pattern = /(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])/g;
const ipv6Pattern =
  /(?<![0-9a-z:])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![0-9a-z:])/gi;
/** Host names: at least two labels, the last one of letters. */
const namePattern =
  /(?<![\w.-])(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{2,59})(?![\w-])/gi;
/** A label wherever it stands in a text. */
export const labelPattern = /\b(?:HOST|MAC|NAME|SENSOR|SITE)_[0-9]{1,4}\b/g;
/** Shorter words are found inside our own sentences;
 * what they stand for is only ever sent as a label, never inside a text. */
const wordMin = 4;

export class Labels {
  readonly #labels = new Map<string, string>();
  readonly #originals = new Map<string, string>();
  readonly #counts = new Map<LabelKind, number>();

  /** Knows everything that identifies in `threat`. */
  constructor(threat: Pick<Threat, "src_ips" | "dst_ips" | "network" | "sensors" | "evidence">) {
    for (const ip of [...threat.src_ips, ...threat.dst_ips]) this.label("HOST", ip);
    if (threat.network !== "global") this.label("SITE", threat.network);
    for (const sensor of threat.sensors) this.label("SENSOR", sensor);
    for (const piece of threat.evidence) if (piece.hostile) this.label("NAME", String(piece.value));
  }

  /** The label of a value, made when it has none. */
  label(kind: LabelKind, original: string): string {
    const key = original.toLowerCase();
    const known = this.#labels.get(key);
    if (known !== undefined || key === "") return known ?? "";
    // Beyond the bound all share one label, which cannot be put back: never more than the bound leaves by mistake.
    if (this.#labels.size >= labelsMax) return `${kind}_OTHER`;
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const label = `${kind}_${number}`;
    this.#labels.set(key, label);
    this.#originals.set(label, original);
    return label;
  }

  /** Replaces all that identifies in a text of our own making. */
  hide(text: string): string {
    let hidden = text;
    for (const original of this.#words()) {
      hidden = hidden.replace(wordPattern(original, "gi"), () => this.#labels.get(original)!);
    }
    hidden = hidden.replace(macPattern, (mac) => this.label("MAC", mac));
    hidden = hidden.replace(ipv6Pattern, (ip) => parseIp(ip) ? this.label("HOST", ip) : ip);
    hidden = hidden.replace(ipv4Pattern, (ip) => this.label("HOST", ip));
    return hidden.replace(namePattern, (name) => this.label("NAME", name));
  }

  /** A piece of evidence as it may leave: hostile values as label and shape. */
  hideEvidence(piece: Evidence): { id: string; name: string; value: string | number; shape?: string } {
    const { id, value, hostile } = piece;
    const name = this.hide(piece.name);
    if (typeof value === "number") return { id, name, value };
    if (!hostile) return { id, name, value: this.hide(value).slice(0, 300) };
    return { id, name, value: this.label("NAME", value), shape: shapeOf(value) };
  }

  /** Everything that identifies and still stands in `text`; nothing may be sent unless this is empty. */
  leaks(text: string): string[] {
    return [
      ...this.#words().filter((original) => wordPattern(original, "i").test(text)),
      ...(text.match(ipv4Pattern) ?? []),
      ...(text.match(ipv6Pattern) ?? []).filter((ip) => parseIp(ip) !== null),
      ...(text.match(macPattern) ?? []),
      ...(text.match(namePattern) ?? []),
    ];
  }

  /** What a label stands for; undefined when it is not one of ours. */
  original(label: string): string | undefined {
    return this.#originals.get(label);
  }

  /** Labels and what they stand for, in order of appearance. */
  entries(): [string, string][] {
    return [...this.#originals];
  }

  /** Originals that can stand inside a text, the longest first:
   * a name must not be torn apart by a shorter one inside it. */
  #words(): string[] {
    const words = [...this.#labels.keys()].filter((word) => {
      // A sender who calls himself HOST_1 must not turn our own label into his.
      return word.length >= wordMin && word.replace(/[a-z]+_[0-9]{1,4}/g, "") !== "";
    });
    return words.sort((a, b) => b.length - a.length);
  }
}

/** What may be said about a hostile string: its length, its alphabet, its entropy. */
export function shapeOf(value: string): string {
  const alphabet = /^[0-9]*$/.test(value)
    ? "digits"
    : /^[0-9a-f.]*$/i.test(value)
    ? "hexadecimal"
    : /^[a-z.-]*$/i.test(value)
    ? "letters"
    : /^[a-z0-9._-]*$/i.test(value)
    ? "letters and digits"
    : "others";
  const labels = value.split(".").length;
  return `${value.length} characters, ${labels} parts, ${alphabet}, ${entropyOf(value).toFixed(1)} bits each`;
}

/** `word` as a whole word. The pattern is escaped in full: nothing from the wire is ever read as a pattern. */
function wordPattern(word: string, flags: string): RegExp {
  return new RegExp(`(?<!\\w)${word.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&")}(?!\\w)`, flags);
}
