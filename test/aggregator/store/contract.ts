/** What every store must do: a suite for each topic, run by each implementation.
 *
 * In: a function that opens a new, empty, started store, and one that opens the same data again. Invariant: nothing
 * here knows which database it is; a case that needs to has no place here. @module */

import type { Store } from "../../../aggregator/store/store.ts";
import { archiveCases } from "./contract/archive_cases.ts";
import { decisionCases } from "./contract/decision_cases.ts";
import { flowCases, queryCases } from "./contract/flow_cases.ts";
import { filterCases } from "./contract/filter_cases.ts";
import { healthCases } from "./contract/health_cases.ts";
import { hostCases } from "./contract/host_cases.ts";
import { identityCases } from "./contract/identity_cases.ts";
import { ledgerCases } from "./contract/ingest_cases.ts";
import { changeCases, leaseCases } from "./contract/lease_cases.ts";
import { packetCases } from "./contract/packet_cases.ts";
import { rolloutCases } from "./contract/rollout_cases.ts";
import { policyCases } from "./contract/policy_cases.ts";
import { retentionCases } from "./contract/retention_cases.ts";
import { threatCases } from "./contract/threat_cases.ts";
import { sinkCases } from "./contract/sink_cases.ts";
import { statisticsCases } from "./contract/traffic_cases.ts";

export interface Subject {
  store: Store;
  /** Closes and opens the same data. */
  reopen(): Promise<Store>;
  close(): Promise<void>;
}

/** Runs the suite over the stores that `open` makes. */
export function storeContract(
  name: string,
  open: () => Promise<Subject>,
  options: { ignore?: boolean } = {},
): void {
  const test = (behaviour: string, work: (subject: Subject) => Promise<void>) =>
    Deno.test({
      name: `${name} store ${behaviour}`,
      ignore: options.ignore ?? false,
      // A pool that was crowded opens further connections, some of which are there only when the next test has begun.
      sanitizeOps: name === "sqlite",
      sanitizeResources: name === "sqlite",
      fn: async () => {
        const subject = await open();
        try {
          await work(subject);
        } finally {
          await subject.close();
        }
      },
    });
  flowCases(test);
  ledgerCases(test);
  queryCases(test);
  statisticsCases(test);
  hostCases(test);
  identityCases(test);
  threatCases(test);
  decisionCases(test);
  // A server takes four times as long; every night both answer as many as find what is rare.
  const isNightly = Deno.env.get("PICKET_TEST_NIGHTLY") === "1";
  filterCases(test, isNightly ? 10_000 : name === "sqlite" ? 2_500 : 1_500);
  retentionCases(test);
  leaseCases(test);
  changeCases(test);
  archiveCases(test);
  packetCases(test);
  sinkCases(test);
  policyCases(test);
  rolloutCases(test);
  healthCases(test);
}

export type Test = (behaviour: string, work: (subject: Subject) => Promise<void>) => void;
