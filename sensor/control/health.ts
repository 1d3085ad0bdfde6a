/** The health report of a sensor, put together from its parts at one moment.
 *
 * In: capture account, counters, spool, shipper, sealer. Out: the body of a check-in, also written to the status file.
 * Invariant: only reads; a part that does not run reports zero of what it would have done, never an error. @module */

import type { captureStates, CheckInRequest, InterfaceCounters } from "../../shared/control.ts";
import type { Reporter } from "../../shared/reporter.ts";
import { version } from "../../shared/version.ts";
import type { LinkState } from "../capture/several_sources.ts";
import type { PacketRing } from "../ring/packet_ring.ts";
import type { Shipper } from "../ship/shipper.ts";
import type { Spool } from "../ship/spool.ts";

/** What capture and fast lane say about themselves. */
export interface CaptureHealth {
  state: typeof captureStates[number];
  /** Interfaces or file. */
  source: string;
  error: string | null;
  packets: number;
  bytes: number;
  in_flows: number;
  left_out: Record<string, number>;
  dropped: number;
  /** What the kernel counted for the interfaces; undefined = unknown. */
  interfaces?: InterfaceCounters[] | undefined;
  /** How each interface is; undefined = it is a file. */
  links?: LinkState[] | undefined;
  recent?: CheckInRequest["capture"]["recent"];
  last_packet: number | null;
  /** Undefined = unknown. */
  last_unicast?: number | null | undefined;
  flows_open: number;
  /** New flows are kept one in this many. */
  factor: number;
  facts: Omit<CheckInRequest["facts"], "restarts">;
}

export interface HealthSources {
  sensorId: string;
  epoch: number;
  startedMs: number;
  transportKind: "http" | "kafka";
  capture: () => CaptureHealth;
  sealing: {
    readonly sealed: Record<string, number>;
    readonly totals: { batches: number; flows: number; packets: number };
  };
  spool: Spool;
  shipper: Shipper;
  /** Null = no packets are kept. */
  ring: PacketRing | null;
  /** Undefined = there is nothing to say of one. */
  policy: () => CheckInRequest["policy"];
  /** Undefined = none was sent yet. */
  canary: () => CheckInRequest["canary"];
  /** Undefined = this run takes no upgrades. */
  upgrade: () => CheckInRequest["upgrade"];
  reporter: Reporter;
}

const countersMax = 1_500;
const textCharactersMax = 400;

/** The report of this moment, all but `sent_ms`. */
export function healthReport(sources: HealthSources, nowMs: number): Omit<CheckInRequest, "sent_ms"> {
  const { spool, shipper, sealing, reporter } = sources;
  const { flows_open, factor, facts, ...capture } = sources.capture();
  const counters = reporter.snapshot();
  const error = shipper.problem?.message ?? null;
  const policy = sources.policy(), upgrade = sources.upgrade(), canary = sources.canary();
  return {
    sensor_id: sources.sensorId,
    version,
    epoch: sources.epoch,
    started_ms: sources.startedMs,
    capture: {
      ...capture,
      source: capture.source.slice(0, textCharactersMax),
      error: capture.error?.slice(0, textCharactersMax) ?? null,
      links: capture.links?.map((link) => ({
        ...link,
        name: link.name.slice(0, 60),
        error: link.error?.slice(0, textCharactersMax) ?? null,
      })),
    },
    flows: {
      open: flows_open,
      segments: counterSum(counters, "segments_sealed_total"),
      evicted: counterSum(counters, "flows_evicted_total"),
      factor,
    },
    facts: { ...facts, restarts: counterSum(counters, "dissector_starts_total", 'reason="restart"') },
    spool: {
      batches: spool.batches,
      bytes: spool.bytes,
      bytes_max: spool.bytesMax,
      dropped_batches: spool.droppedBatches,
      quarantined: spool.quarantined,
      oldest_s: spool.oldestS(nowMs),
      unwritten: spool.unwritten,
      error: spool.problem?.slice(0, textCharactersMax) ?? null,
    },
    transport: {
      kind: sources.transportKind,
      error: error?.slice(0, textCharactersMax) ?? null,
      sent_batches: shipper.sentBatches,
    },
    ...(sources.ring && { ring: ringHealth(sources.ring) }),
    ...(policy && { policy }),
    ...(upgrade && { upgrade }),
    ...(canary && { canary }),
    sealed: sealing.sealed,
    sealed_totals: sealing.totals,
    counters: Object.fromEntries(
      [...counters].filter(([name, value]) => name.length <= 200 && Number.isFinite(value)).slice(
        0,
        countersMax,
      ),
    ),
  };
}

function ringHealth(ring: PacketRing): NonNullable<CheckInRequest["ring"]> {
  return {
    payload: ring.payload,
    bytes_max: ring.bytesMax,
    packets: ring.count,
    overwritten: ring.overwritten,
    oldest: ring.count === 0 ? null : ring.oldestUs / 1e6,
  };
}

/** Sum of a counter over its labels; with `label` only of series that carry it. */
export function counterSum(counters: Map<string, number>, name: string, label = ""): number {
  let sum = 0;
  for (const [key, value] of counters) {
    if ((key === name || key.startsWith(`${name}{`)) && key.includes(label)) sum += value;
  }
  return sum;
}
