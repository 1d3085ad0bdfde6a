/** Applies a policy's settings to a running sensor.
 *
 * In: the running stages, the sensor's own options. Out: a function that applies settings.
 * Invariant: a field that is not set has the sensor's own option. Only filter and snaplen restart capture, beside the
 * running one; when that fails, nothing else is changed either. @module */

import { type HealthField, policyFields, type PolicySettings } from "../../shared/policy.ts";
import type { OverloadGuard } from "../prefilter/overload.ts";
import type { PacketRing } from "../ring/packet_ring.ts";
import type { CaptureSource, FastLane } from "./stages.ts";

interface Parts {
  source: CaptureSource;
  fastLane: FastLane;
  guard: OverloadGuard;
  /** Octets a second of batches, 0 = no limit. */
  limitUpload: (bytesPerS: number) => void;
  /** Null = no packets are kept. */
  ring: PacketRing | null;
}

type Own = Required<Omit<PolicySettings, "noise" | "uploadBytesPerS" | "ringPayload" | HealthField>>;

/** Fields whose option was set on the sensor itself: those that have not its default. */
export function ownFields(
  given: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, { default: unknown }>>,
): string[] {
  return Object.keys(policyFields).filter((field) =>
    Object.hasOwn(options, field) && given[field] !== options[field].default
  );
}

export function policyApplier(
  own: Own,
  { source, fastLane, guard, limitUpload, ring }: Parts,
): (settings: PolicySettings) => Promise<string | null> {
  const ownPayload = ring?.payload;
  let { filter, snaplen } = own;
  return async (settings) => {
    const now = { ...own, ...settings };
    if (now.filter !== filter || now.snaplen !== snaplen) {
      const problem = await source.retune?.({ filter: now.filter, snaplen: now.snaplen }) ?? null;
      if (problem !== null) return problem;
      ({ filter, snaplen } = now);
    }
    const { tcpIdleMs, otherIdleMs, unansweredIdleMs, activeMs, noise = [], facts } = now;
    fastLane.tune({ timeouts: { tcpIdleMs, otherIdleMs, unansweredIdleMs, activeMs }, noise, facts });
    guard.limit(Math.floor(Math.log2(now.sampleMax)));
    fastLane.sample(guard.level);
    limitUpload(now.uploadBytesPerS ?? 0);
    if (ring && ownPayload) ring.keep(now.ringPayload ?? ownPayload);
    return null;
  };
}
