/** Facts as tests look at them: parsed again from what the sensor writes. @module */

import type { Facts } from "../../../shared/facts.ts";
import { FactPool } from "../../../sensor/dissect/facts/fact_pool.ts";
import { SegmentFacts } from "../../../sensor/dissect/facts/segment_facts.ts";
import { Octets } from "../../../sensor/flow/octets.ts";

export interface Reading {
  app_protocol: string;
  facts: Facts | null;
}

/** Facts of one segment, with room for a million characters. */
export function newFacts(pool: FactPool = new FactPool(1_000_000)): SegmentFacts {
  return new SegmentFacts(0, pool);
}

/** What `facts` hold, which are empty afterwards; {} = nothing. */
export function written(facts: SegmentFacts): Facts {
  const out = new Octets();
  facts.writeTo(out);
  return out.length === 0 ? {} : JSON.parse(out.toString());
}

/** Takes the facts of a segment out of a lane. */
export function takenFrom(
  lane: { takeFacts(flowId: number, segment: number, out: Octets): string },
  flowId: number,
  segment = 0,
): Reading {
  const out = new Octets();
  const app_protocol = lane.takeFacts(flowId, segment, out);
  return { app_protocol, facts: out.length === 0 ? null : JSON.parse(out.toString()) };
}
