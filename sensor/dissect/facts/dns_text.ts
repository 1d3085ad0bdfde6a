/** One DNS message as it is written into facts: its questions and its answers.
 *
 * In: names and values, read on the spot or by the dissector.
 * Out: entries of {@link SegmentFacts}, once the whole message is known.
 * Invariant: what is left out is counted:
 * answers beyond `answersMax`, characters beyond `charactersMax`, a name's only where it is kept.
 * Reused from message to message: no allocation. @module */

import { factLimits } from "../../../shared/facts.ts";
import { FactText } from "./fact_text.ts";
import type { SegmentFacts } from "./segment_facts.ts";

const comma = 0x2c, bracketEnd = 0x5d;

export class DnsText {
  /** `{"name":..,"type":..` of each question, one after the other. */
  readonly #questions = new FactText();
  readonly #starts: number[] = [];
  /** Characters cut from the name of each; -1 = it has no name. */
  readonly #cuts: number[] = [];
  /** Values of the answer section, a comma behind each. */
  readonly #answers = new FactText();
  #answerCount = 0;
  #answersLeftOut = 0;

  /** A new message. */
  begin(): void {
    this.#questions.begin();
    this.#answers.begin();
    this.#starts.length = this.#cuts.length = 0;
    this.#answerCount = this.#answersLeftOut = 0;
  }

  /** A question whose name is `octets[0, length)`. */
  questionOctets(octets: Uint8Array, length: number, type: string): void {
    const text = this.#questions;
    this.#starts.push(text.length);
    text.cut = 0;
    text.words(`{"name":`);
    text.quotedOctets(octets, 0, length);
    this.#endQuestion(text.cut, type);
  }

  question(name: string, type: string): void {
    const text = this.#questions;
    this.#starts.push(text.length);
    text.cut = 0;
    text.words(`{"name":`);
    text.quoted(name);
    this.#endQuestion(name === "" ? -1 : text.cut, type);
  }

  answerOctets(octets: Uint8Array, start: number, end: number): void {
    if (!this.#hasRoom()) return;
    this.#answers.quotedOctets(octets, start, end);
    this.#endAnswer();
  }

  answer(value: string): void {
    if (!this.#hasRoom()) return;
    this.#answers.quoted(value);
    this.#endAnswer();
  }

  /** The address in `octets` at `at`. */
  answerIpv4(octets: Uint8Array, at: number): void {
    if (!this.#hasRoom()) return;
    const text = this.#answers;
    text.words(`"`);
    text.ensure(16);
    text.ipv4(octets[at] << 24 | octets[at + 1] << 16 | octets[at + 2] << 8 | octets[at + 3]);
    text.words(`"`);
    this.#endAnswer();
  }

  /** Adds the message, a response with the code `rcode` or a query (null). */
  addTo(facts: SegmentFacts, id: number, rcode: string | null): void {
    // A response that does not say of which question.
    if (this.#starts.length === 0 && rcode !== null) this.question("", "");
    const text = this.#questions;
    const rest = text.length;
    if (rcode !== null) {
      text.words(`,"rcode":"`);
      text.words(rcode);
      text.words(`"`);
    }
    const restBare = text.length;
    if (this.#answerCount > 0) {
      text.words(`,"answers":[`);
      text.append(this.#answers.bytes, 0, this.#answers.length);
      text.bytes[text.length - 1] = bracketEnd;
    }
    const starts = this.#starts;
    for (let i = 0; i < starts.length; i++) {
      const end = i + 1 < starts.length ? starts[i + 1] : rest;
      // The answers stand with the first question.
      const restEnd = i === 0 ? text.length : restBare;
      const cut = this.#cuts[i];
      const isKept = rcode === null
        ? facts.addDnsQuery(id, text, starts[i], end, rest, restEnd)
        : facts.addDnsResponse(id, cut >= 0, text, starts[i], end, rest, restEnd);
      if (isKept && cut > 0) facts.cut(cut);
    }
    facts.cut(this.#answers.cut + this.#answersLeftOut);
  }

  #endQuestion(cut: number, type: string): void {
    const text = this.#questions;
    text.words(`,"type":"`);
    text.words(type);
    text.words(`"`);
    this.#cuts.push(cut);
  }

  #hasRoom(): boolean {
    if (this.#answerCount < factLimits.answersMax) return true;
    this.#answersLeftOut++;
    return false;
  }

  #endAnswer(): void {
    this.#answerCount++;
    this.#answers.ensure(1);
    this.#answers.put(comma);
  }
}
