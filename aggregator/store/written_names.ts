/** Names of hosts that the store has, so that they are not written again with every answer.
 *
 * In: a name, and what a transaction would write of it. Out: whether that is new. Invariant: only what was committed counts as written.
 * Bounds: {@link namesMax} names are remembered, then all are forgotten; after {@link forgetWrites} writes as well, so that what
 * retention or another instance took away is written again. @module */

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

type Span = Pick<WrittenName, "sources" | "firstUs" | "lastUs">;

export class WrittenNames {
  #spans = new Map<string, Span>();
  #pending: [string, Span][] = [];
  #writes = 0;

  begin(): void {
    this.#pending = [];
    if (++this.#writes % forgetWrites === 0 || this.#spans.size > namesMax) this.#spans.clear();
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
  }
}

function octets(ip: Uint8Array): string {
  let text = "";
  for (let i = 0; i < ip.length; i++) text += String.fromCharCode(ip[i]);
  return text;
}
