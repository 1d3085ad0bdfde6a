/** What sensor and aggregator say to each other over HTTP, besides batches.
 *
 * In, out: JSON bodies of `POST /api/v1/enrol` and `POST /api/v1/check-in`.
 * Invariant: a check-in is signed by the sensor's key over `checkInMessage` of control_messages.ts; how wrong its clock
 * is does not matter, as one that is not newer than the last is not stored. @module */

import { packetLimits } from "./packets.ts";
import { z } from "./schema.ts";

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
const communityId = z.string().regex(/^1:[A-Za-z0-9+/]{27}=$/);
const counters = z.record(z.string().max(200), z.number()).refine((all) => Object.keys(all).length <= 2_000);

export const enrolRequest = z.object({
  token: z.string().min(20).max(200),
  /** What people call the sensor; unique in the fleet. */
  name,
  /** Raw Ed25519 public key, 32 bytes, base64. */
  public_key: z.string().length(44),
  /** Signature of "picket.enrol.v1\n<token>\n<name>\n<public_key>" by that key, base64: proof of possession. */
  signature: z.string().length(88),
  version: z.string().max(40),
});
export type EnrolRequest = z.infer<typeof enrolRequest>;

export const enrolResponse = z.object({
  sensor_id: z.string(),
  name,
  site: name,
  /** Fleet-wide number of buckets. */
  buckets: z.int().min(1).max(1024),
  /** Where batches go; null = to this aggregator over HTTP. */
  kafka: z.object({ brokers: z.array(z.string()), topic: z.string() }).nullable(),
  /** Public key of releases, raw, base64: pinned with the identity. Null = the fleet has none. */
  release_key: z.string().length(44).nullable().optional(),
});
export type EnrolResponse = z.infer<typeof enrolResponse>;

export const captureStates = ["capturing", "replaying", "idle", "failed"] as const;

/** What the kernel counted for one interface since the capture began. */
const interfaceCounters = z.object({
  name: z.string().max(60),
  rx_packets: z.int().min(0),
  tx_packets: z.int().min(0),
  /** Lost before any capture could have them: in the kernel's way to it, in the card for want of room,
   * in the card's queue. */
  rx_dropped: z.int().min(0),
  rx_missed: z.int().min(0),
  rx_fifo: z.int().min(0),
  /** Broken frames: of the cable, not of the load. */
  rx_errors: z.int().min(0),
});
export type InterfaceCounters = z.infer<typeof interfaceCounters>;

/** `unable`: it takes no upgrade, whatever is offered. `switching`: the next start is of another program. */
export const upgradeStates = [
  "idle",
  "unable",
  "downloading",
  "switching",
  "trial",
  "failed",
] as const;

const wallList = z.array(z.string().regex(/^[a-z]{1,20}$/)).max(16);

/** Health of a sensor. All counters are totals of the epoch. Missing parts are unknown, not zero. */
export const checkInRequest = z.object({
  sensor_id: z.string().max(64),
  version: z.string().max(40),
  epoch: z.int().min(0),
  sent_ms: z.number(),
  started_ms: z.number(),
  capture: z.object({
    state: z.enum(captureStates),
    /** Interface or file. */
    source: z.string().max(400),
    error: z.string().max(400).nullable(),
    packets: z.int().min(0),
    bytes: z.int().min(0),
    in_flows: z.int().min(0),
    left_out: z.record(z.string().max(60), z.int().min(0)),
    /** Packets the kernel or dumpcap dropped before the sensor saw them. */
    dropped: z.int().min(0),
    /** Counters of the interfaces; absent = unknown. */
    interfaces: z.array(interfaceCounters).max(16).optional(),
    /** How each interface is; absent = a file is read. `error` null = packets of it are being captured. */
    links: z.array(z.object({
      name: z.string().max(60),
      error: z.string().max(400).nullable(),
      dropped: z.int().min(0),
      restarts: z.int().min(0),
    })).max(16).optional(),
    /** The part of the totals that is of the last minute or less; absent = unknown. */
    recent: z.object({
      seconds: z.number().min(0),
      packets: z.int().min(0),
      dropped: z.int().min(0),
      card_dropped: z.int().min(0),
    }).optional(),
    /** Last packet's time stamp, epoch seconds; canaries do not count. Null = none yet. */
    last_packet: z.number().nullable(),
    /** The same of packets to one host. Absent = unknown, as under a filter of the sensor's own. */
    last_unicast: z.number().nullable().optional(),
  }),
  flows: z.object({
    open: z.int().min(0),
    segments: z.int().min(0),
    evicted: z.int().min(0),
    factor: z.number().min(1),
  }),
  facts: z.object({
    offered: z.int().min(0),
    answered: z.int().min(0),
    refused: z.int().min(0),
    restarts: z.int().min(0),
    /** Ends of tshark that nobody asked for: since the start, and in the last ten minutes; words of the last one.
     * Absent = unknown. */
    failures: z.object({ total: z.int().min(0), lately: z.int().min(0), words: z.string().max(200) })
      .optional(),
    /** Walls around tshark, as its process has shown them, and those that should stand and do not; absent = unknown. */
    walls: z.object({ standing: wallList, missing: wallList }).optional(),
  }),
  spool: z.object({
    batches: z.int().min(0),
    bytes: z.int().min(0),
    bytes_max: z.int().min(0),
    dropped_batches: z.int().min(0),
    quarantined: z.int().min(0),
    /** Age of the oldest unacknowledged batch, seconds. */
    oldest_s: z.number().min(0),
    /** Batches that the disk has not taken: they are in memory only. Absent = unknown. */
    unwritten: z.int().min(0).optional(),
    /** What is wrong with the disk; null = nothing. Absent = unknown. */
    error: z.string().max(400).nullable().optional(),
  }),
  transport: z.object({
    kind: z.enum(["kafka", "http"]),
    /** Last error in words; null = the last send went through. */
    error: z.string().max(400).nullable(),
    sent_batches: z.int().min(0),
  }),
  /** Recent packets that it keeps for questions; absent = it keeps none.
   * Packets ever added = `packets` + `overwritten`. */
  ring: z.object({
    payload: z.string().regex(/^[a-z]{1,20}$/),
    bytes_max: z.int().min(0),
    packets: z.int().min(0),
    overwritten: z.int().min(0),
    /** Stamp of the oldest packet, epoch seconds; null = there is none. */
    oldest: z.number().nullable(),
  }).optional(),
  /** The policy it was offered last, and what holds. Absent = none was ever offered. */
  policy: z.object({
    /** Null = the fleet has none for it. */
    name: name.nullable(),
    /** Version that was offered, and the one that holds; 0 = none: its own options. */
    wanted: z.int().min(0),
    actual: z.int().min(0),
    /** Why the wanted one was rolled back; null = it was not. */
    problem: z.string().max(400).nullable(),
    /** Fields that its own options keep. */
    kept: z.array(z.string().max(40)).max(32),
    /** A filter of the policy holds. */
    filtered: z.boolean(),
  }).optional(),
  /** How upgrades from the centre go. Absent = it knows nothing of them. */
  upgrade: z.object({
    /** Machine that its program is built for. */
    target: z.string().max(60),
    /** Where its program lies; `none` = it was not started by its service. */
    slot: z.enum(["installed", "a", "b", "none"]),
    /** Id of the release key it trusts; null = none. */
    key: z.string().regex(/^[0-9a-f]{16}$/).nullable(),
    state: z.enum(upgradeStates),
    /** What it works on, or refused last. */
    offer: z.string().max(40).nullable(),
    version: z.string().max(40).nullable(),
    /** Why it refused, or cannot upgrade at all. */
    problem: z.string().max(400).nullable(),
    /** Octets of the download that are there. */
    received: z.int().min(0),
  }).optional(),
  /** The newest canary that it sent; see canary.ts. Absent = it has sent none yet. */
  canary: z.object({
    sent_ms: z.number(),
    /** The question of the centre that was answered last; null = none since the start. */
    asked: z.int().min(0).nullable(),
    /** By interface: the flow to be found, or why there is none. */
    flows: z.array(z.object({
      interface: z.string().max(60),
      community_id: communityId.nullable(),
      problem: z.string().max(200).nullable(),
    })).max(16),
  }).optional(),
  /** Highest seq sealed in each bucket of this epoch, by bucket number: what the aggregator should have seen. */
  sealed: z.record(z.string().regex(/^[0-9]{1,4}$/), z.int().min(0)),
  /** What is in these batches, as the ledger counts it; absent = unknown. `capture.in_flows` runs ahead of `packets` by
   * what is in open flows: that much is gone when the epoch ends without a last report. A packet in a tunnel counts
   * once for each of its headers here. */
  sealed_totals: z.object({
    batches: z.int().min(0),
    flows: z.int().min(0),
    packets: z.int().min(0),
  }).optional(),
  counters,
});
export type CheckInRequest = z.infer<typeof checkInRequest>;

/** Packets the aggregator wants; the sensor answers with `POST /api/v1/packets`.
 * Listed until it is answered or expires. */
export const packetRequest = z.object({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** Times are the sensor's own. */
  flows: z.array(z.object({
    community_id: communityId,
    from_us: z.int().min(0),
    to_us: z.int().min(0),
  })).min(1).max(packetLimits.flowsMax),
  /** Octets of the answer. */
  bytes_max: z.int().min(1).max(packetLimits.fileBytesMax),
});
export type PacketRequest = z.infer<typeof packetRequest>;

export const checkInResponse = z.object({
  /** Aggregator's clock when the request came in and when the answer left; with the sensor's own two stamps:
   * offset and delay. */
  received_ms: z.number(),
  answered_ms: z.number(),
  config_version: z.int().min(0),
  revoked: z.boolean(),
  /** Highest epoch the aggregator knows of this sensor.
   * One that starts below it, as from a backup, goes on above it. Absent = none. */
  epoch_max: z.int().min(0).optional(),
  packets: z.array(packetRequest).max(packetLimits.requestsMax).optional(),
  /** The policy that it should have, null = none.
   * Offered with each check-in, so that one that was missed is made up for. */
  policy: z.object({
    name,
    version: z.int().min(1),
    settings: z.record(z.string(), z.unknown()).describe("Fields as in shared/policy.ts"),
  }).nullable().optional(),
  /** `ask`: a canary is wanted, and this is to be said back. `arrived`: when the newest that was found here was sent,
   * by the sensor's clock; null = none was. */
  canary: z.object({ ask: z.int().min(0).optional(), arrived: z.number().nullable() }).optional(),
  /** The program that it should run, null = the one it has. Offered with each check-in until it runs. */
  upgrade: z.object({
    offer: z.string().describe("Rollout and attempt, like 7.1"),
    manifest: z.string().describe("JSON, as it was signed"),
    signature: z.string().describe("Ed25519 by the release key, base64"),
    allow_older: z.boolean(),
  }).nullable().optional(),
});
export type CheckInResponse = z.infer<typeof checkInResponse>;
