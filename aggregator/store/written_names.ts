/** Names of hosts that the store already has, so that they are not written again with every answer.
 *
 * In: a name or an answered question, and what a transaction would write of it.
 * Out: whether that is new, by whole hours.
 * Invariant: only what was committed counts as written.
 * Bounds: {@link namesMax} names and as many questions are remembered, then all are forgotten; after
 * {@link forgetWrites} writes as well, so that what retention or another instance deleted is written again. @module */

const namesMax = 50_000;
const forgetWrites = 10_000;

export interface WrittenName {
  network: number;
  ip: Uint8Array;
  name: string;
  sources: number;
  firstUs: number;
  lastUs: number;
}

/** A question and its answers, of flows from one time to another. */
export interface Answered {
  name: string;
  type: string;
  network: number;
  source: number;
  answers: readonly string[];
  first: number;
  last: number;
}

type Span = Pick<WrittenName, "sources" | "firstUs" | "lastUs">;

export class WrittenNames {
  #spans = new Map<string, Span>();
  #pending: [string, Span][] = [];
  #questions = new Map<string, Answered>();
  #answered: Answered[] = [];
  #writes = 0;

  begin(): void {
    this.#pending = [];
    this.#answered = [];
    const isFull = this.#spans.size > namesMax || this.#questions.size > namesMax;
    if (++this.#writes % forgetWrites !== 0 && !isFull) return;
    this.#spans.clear();
    this.#questions.clear();
  }

  isNewAnswer(asked: Answered): boolean {
    const { name, type, network, source, answers } = asked;
    const known = this.#questions.get(`${type} ${name}`);
    const first = hourOf(asked.first), last = hourOf(asked.last);
    if (
      known !== undefined && known.network === network && known.source === source && known.first <= first &&
      known.last >= last && isSame(known.answers, answers)
    ) return false;
    this.#answered.push({ name, type, network, source, answers, first, last });
    return true;
  }

  isNew({ network, ip, name, sources, firstUs, lastUs }: WrittenName): boolean {
    const key = `${network}|${octets(ip)}|${name}`;
    const span = this.#spans.get(key);
    const isWritten = span !== undefined && (span.sources & sources) === sources &&
      span.firstUs <= firstUs && span.lastUs >= lastUs;
    if (!isWritten) this.#pending.push([key, { sources, firstUs, lastUs }]);
    return !isWritten;
  }

  /** What was asked for since `begin` is stored. */
  commit(): void {
    for (const [key, fresh] of this.#pending) {
      const span = this.#spans.get(key);
      this.#spans.set(key, {
        sources: fresh.sources | (span?.sources ?? 0),
        firstUs: Math.min(fresh.firstUs, span?.firstUs ?? Infinity),
        lastUs: Math.max(fresh.lastUs, span?.lastUs ?? 0),
      });
    }
    this.#pending = [];
    for (const asked of this.#answered) this.#questions.set(`${asked.type} ${asked.name}`, asked);
    this.#answered = [];
  }
}

export function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The beginning of its hour. */
export function hourOf(us: number): number {
  return us - us % 3_600e6;
}

function octets(ip: Uint8Array): string {
  let text = "";
  for (let i = 0; i < ip.length; i++) text += String.fromCharCode(ip[i]);
  return text;
}
