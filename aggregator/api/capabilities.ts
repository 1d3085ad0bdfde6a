/** Everything a handler can ask for, by name. It gets what it names in `needs`, and nothing else.
 *
 * Out: the list of names with their types; the store's topics as capabilities. Wired in serve/start.ts, faked in tests.
 * Why by name: what a route can touch is read in its own declaration; a route whose needs are not there is not served.
 * @module */

import type { CheckedHeader } from "../../shared/batch.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Reporter } from "../../shared/reporter.ts";
import type { Place } from "../model/invitation.ts";
import type { Places } from "../model/place.ts";
import type { CatalogueEntry } from "../detect/detectors/catalogue.ts";
import type { PacketEvidence } from "../evidence/evidence.ts";
import type { CheckInWriter } from "../fleet/check_in_writer.ts";
import type { ClockOffsets } from "../fleet/clock_offsets.ts";
import type { SensorDirectory } from "../fleet/directory.ts";
import type { PolicyBook } from "../fleet/policies.ts";
import type { ListState } from "../intel/lists.ts";
import type { ReleaseFolder } from "../fleet/release_folder.ts";
import type { Rollouts } from "../fleet/rollouts.ts";
import type { IngestOutcome } from "../ingest/ingest.ts";
import type { ThreatStatus } from "../model/threat.ts";
import type {
  AuditStore,
  FeedbackStore,
  FlowStore,
  HealthStore,
  HostStore,
  IdentityStore,
  IngestStore,
  PolicyStore,
  RolloutStore,
  Store,
  SuppressionStore,
  ThreatStore,
  TrafficStore,
} from "../store/store.ts";
import type { ApiKeys } from "./api_keys.ts";
import type { ConcurrencyLimit } from "./concurrency_limit.ts";
import type { LiveFeed } from "./live/feed.ts";
import type { RateLimit } from "./rate_limit.ts";
import type { Sessions } from "./sessions.ts";
import type { Sinks } from "../sinks/sinks.ts";

/** How far the work behind the API has come. */
export interface Progress {
  /** Batches taken in, not yet stored. */
  pending: number;
  /** Aggregator's clock when the last batch was stored, or the program started. */
  lastMs: number;
  /** Since when each batch that was tried failed; null = the last one did not. */
  failingSinceMs: number | null;
  /** Why the data path stands still; null = it does not. */
  failure: string | null;
}

/** What the edge itself works with, whatever routes there are. */
export interface EdgeCapabilities {
  reporter: Reporter;
  clock: Clock;
  keys: ApiKeys;
  sessions: Sessions;
  /** Failed logins and failed keys. */
  guessRate: RateLimit;
  /** Queries of people; the key is the route, so that many slow ones of one kind leave places for the others. */
  queryLimit: ConcurrencyLimit;
}

export interface Capabilities extends EdgeCapabilities {
  ingestStore: IngestStore;
  flowStore: FlowStore;
  threatStore: ThreatStore;
  suppressionStore: SuppressionStore;
  feedbackStore: FeedbackStore;
  auditStore: AuditStore;
  identityStore: IdentityStore;
  trafficStore: TrafficStore;
  hostStore: HostStore;
  policyStore: PolicyStore;
  rolloutStore: RolloutStore;
  healthStore: HealthStore;
  /** All there are, those that are off included. */
  detectors: readonly CatalogueEntry[];
  /** Lists of threat intelligence; null = no folder of them is named. */
  intelligence(): readonly ListState[] | null;
  /** What has just been stored. */
  live: LiveFeed;
  /** Cheap round trip to the database. */
  ping(): Promise<void>;
  directory: SensorDirectory;
  policies: PolicyBook;
  places: Places;
  /** Signed programs of sensors. */
  releases: ReleaseFolder;
  rollouts: Rollouts;
  clockOffsets: ClockOffsets;
  checkIns: CheckInWriter;
  evidence: PacketEvidence;
  enrolRate: RateLimit;
  /** Exports on their way. */
  exportLimit: ConcurrencyLimit;
  /** Parts of programs on their way, and in a second. */
  releaseLimit: ConcurrencyLimit;
  releaseRate: RateLimit;
  /** Bodies of batches in memory. */
  uploadLimit: ConcurrencyLimit;
  submit(
    header: (name: string) => string | undefined,
    compressed: Uint8Array,
    checked: CheckedHeader,
  ): Promise<IngestOutcome>;
  /** A person set a threat's status: detection must know, or the next growth would set it back. */
  onThreatStatus(id: string, status: ThreatStatus): void;
  /** A suppression was made or ended. */
  onSuppressions(): void | Promise<void>;
  progress(): Progress;
  sinks: Pick<Sinks, "status" | "areWell" | "dead" | "test">;
  /** Which day of flows cannot be archived, and why; null = there is none. */
  archiveProblem(): string | null;
  randomBytes(length: number): Uint8Array;
  /** Answered to a sensor that enrols. */
  fleet: { buckets: number; kafka: { brokers: string[]; topic: string } | null };
  /** Site of a token that names none. */
  site: string;
  /** The own certificate authority, where its certificate is served. */
  authority: { pem: string; fingerprint: string } | null;
  /** Where sensors reach this server, when somebody asked it as `url`. */
  placeOf(url: URL): Place;
}

/** A store as the capabilities of its topics. */
export function topicsOf(
  store: Store,
): Pick<
  Capabilities,
  | "ingestStore"
  | "flowStore"
  | "threatStore"
  | "suppressionStore"
  | "feedbackStore"
  | "auditStore"
  | "identityStore"
  | "trafficStore"
  | "hostStore"
  | "policyStore"
  | "rolloutStore"
  | "healthStore"
  | "ping"
> {
  return {
    ingestStore: store,
    flowStore: store,
    threatStore: store,
    suppressionStore: store,
    feedbackStore: store,
    auditStore: store,
    identityStore: store,
    trafficStore: store,
    hostStore: store,
    policyStore: store,
    rolloutStore: store,
    healthStore: store,
    ping: () => store.ping(),
  };
}
