/** The simulated way of a sensor to the aggregators over HTTP: delays, duplicates, lost answers, partitions.
 *
 * In: a request of the real transport. Out: an aggregator's answer, or that there was none. A request may arrive long
 * after its sender gave up, and twice. @module */

import { HttpTransport } from "../../sensor/ship/http.ts";
import type { Transport } from "../../sensor/ship/transport.ts";
import type { AggregatorNode } from "./aggregator_node.ts";
import { Process, type World } from "./world.ts";

/** How often requests fail; each a probability. */
export interface HttpFaults {
  lost: number;
  late: number;
  twice: number;
  unanswered: number;
}

const timeoutMs = 10_000;

export class HttpWay {
  isReachable = true;
  readonly #way: Process;

  constructor(
    readonly world: World,
    readonly faults: HttpFaults,
    readonly aggregators: readonly AggregatorNode[],
  ) {
    this.#way = new Process(world, "http");
  }

  transportOf(process: Process): Transport {
    const { world, faults } = this;
    const unanswered = (message: string) => ({ ok: false as const, problem: "timeout" as const, message });
    /** The other half of the way: it goes on whatever becomes of the sender. */
    const deliver = async (headers: Record<string, string>, body: Uint8Array, delayMs: number) => {
      await this.#way.sleep(delayMs);
      const target = world.pick(this.aggregators);
      const reply = await target.post(headers, body);
      await this.#way.moment(30);
      return world.chance(faults.unanswered) ? new Promise<never>(() => {}) : reply;
    };
    return new HttpTransport({
      trust: () => {},
      close: () => {},
      postBytes: async (_path, body, headers) => {
        if (!this.isReachable || world.chance(faults.lost)) {
          await process.moment(1_000);
          return unanswered("no way to the aggregator");
        }
        const delayMs = () => world.chance(faults.late) ? world.between(1_000, 30_000) : world.between(1, 50);
        const given = new AbortController();
        const reply = deliver(headers, body, delayMs());
        if (world.chance(faults.twice)) world.spawn(this.#way, deliver(headers, body, delayMs()));
        const late = process.sleep(timeoutMs, given.signal).then(() => unanswered("no answer in time"));
        const answer = await Promise.race([reply, late]);
        given.abort();
        return answer;
      },
    });
  }
}
