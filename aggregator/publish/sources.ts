/** What is published: flows as merged so far, and threats, one JSON object per record, keyed by source address.
 *
 * In: the store. Out: chunks for {@link Publisher}. A flow or threat is published again whenever it changed; the record
 * with the greatest `updated_ms` is valid. A threat is left out while a suppression hides it. Invariant: no value
 * passes {@link valueBytesMax}: facts that are larger are left out and counted, and lists of a threat are cut.
 * flow.schema.json and threat.schema.json in shared/ describe the values. @module */

import { Buffer } from "node:buffer";
import type { Reporter } from "../../shared/reporter.ts";
import type { Flow } from "../model/flow.ts";
import type { Threat } from "../model/threat.ts";
import type { FlowStore, ThreatStore } from "../store/store.ts";
import type { PublishedRecord, Source } from "./publisher.ts";

/** The topic's name is the version of the format. */
export const publishedTopics = { flows: "picket.flows.v1", threats: "picket.threats.v1" } as const;

/** Below the broker's standard limit of 1 MiB. */
const valueBytesMax = 900_000;
const flowsPerChunk = 2_000;
const threatsPerChunk = 200;
const listMax = 1_000;

export function flowSource(store: Pick<FlowStore, "readFlowChanges">, reporter: Reporter): Source {
  return {
    name: "flows",
    async read(from) {
      const { flows, position, missed, gone, behind } = await store.readFlowChanges(from, flowsPerChunk);
      reporter.count("publish_gone_total", { topic: "flows" }, gone);
      return { records: flows.map((flow) => flowRecord(flow, reporter)), position, missed, behind };
    },
  };
}

export function threatSource(
  store: Pick<ThreatStore, "readThreatChanges" | "forgetThreatChanges">,
  reporter: Reporter,
): Source {
  return {
    name: "threats",
    async read(position) {
      const changes = await store.readThreatChanges(threatsPerChunk);
      const present = changes.map(({ threat }) => threat).filter((threat) => threat !== null);
      reporter.count("publish_gone_total", { topic: "threats" }, changes.length - present.length);
      // The end of its suppression is a change, with which it comes again.
      const threats = present.filter(({ suppressed_by }) => !suppressed_by);
      reporter.count("publish_suppressed_total", undefined, present.length - threats.length);
      return {
        records: threats.map(threatRecord),
        position,
        missed: 0,
        behind: null,
        ...(changes.length === 0 ? {} : { done: () => store.forgetThreatChanges(changes) }),
      };
    },
  };
}

function flowRecord(flow: Flow, reporter: Reporter): PublishedRecord {
  const value = JSON.stringify(flow);
  if (value.length * 3 < valueBytesMax || Buffer.byteLength(value) <= valueBytesMax) {
    return { key: flow.src_ip, value };
  }
  reporter.count("publish_facts_left_out_total");
  return { key: flow.src_ip, value: JSON.stringify({ ...flow, facts: null }) };
}

function threatRecord(threat: Threat): PublishedRecord {
  const { src_ips, dst_ips, flow_ids, sensors } = threat;
  const lists = { src_ips, dst_ips, flow_ids, sensors };
  const cut = Object.fromEntries(
    Object.entries(lists).map(([name, list]) => [name, list.slice(0, listMax)]),
  );
  return { key: src_ips[0] ?? "", value: JSON.stringify({ ...threat, ...cut }) };
}
