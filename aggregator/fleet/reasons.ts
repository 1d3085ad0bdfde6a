/** What is to be said of a sensor, reason by reason, in words with numbers.
 *
 * In: a sensor's row with its last check-in, the limits that hold for it, `nowMs`.
 * Out: reasons, each with the status that it asks for and its kind.
 * Invariant: a kind says what is wrong without its numbers, so that two moments can be compared. @module */

import type { CheckInRequest } from "../../shared/control.ts";
import { cardDrops } from "../../shared/control_messages.ts";
import { version } from "../../shared/version.ts";
import type { SensorRow } from "../model/sensor.ts";
import { canaryReason } from "./canary.ts";
import { conservationOf } from "./conservation.ts";
import { type FleetLimits, fleetLimits, limitsOf } from "./limits.ts";
import { filterWarning, policyReasons } from "./policy_reasons.ts";
import { span } from "./span.ts";
import { outdatedReasons, upgradeReasons } from "./upgrade_reasons.ts";

/** From worst to best; a sensor has the first that fits. */
export const sensorStatuses = [
  "revoked",
  "pending",
  "quarantined",
  "never_seen",
  "late",
  "blind",
  "lossy",
  "unwalled",
  "stopped",
  "healthy",
] as const;
export type SensorStatus = typeof sensorStatuses[number];

/** What is so just now: without what is missing of earlier times. */
export function foundNow(sensor: SensorRow, nowMs: number): Found[] {
  const { check_in: checkIn } = sensor;
  const limits = limitsOf(sensor);
  const found: Found[] = [...identity(sensor), ...silence(sensor, nowMs, limits)];
  if (checkIn) {
    found.push(
      ...sight(checkIn, limits),
      ...loss(checkIn, limits),
      ...walls(checkIn),
      ...clock(sensor, limits),
    );
    found.push(
      ...dissector(checkIn, limits),
      ...canary(sensor, nowMs, limits),
      ...copies(checkIn),
      ...ring(checkIn),
    );
    found.push(
      ...policyReasons(checkIn).map((text): Found => ["healthy", text, "policy"]),
      ...upgradeReasons(checkIn).map((text): Found => ["healthy", text, "upgrade"]),
      ...outdatedReasons(checkIn.version, version).map((text): Found => ["healthy", text, "outdated"]),
    );
  }
  return found;
}

/** What a reason is about, without its numbers. */
export const reasonKinds = [
  "revoked",
  "pending",
  "quarantined",
  "never_seen",
  "unreachable",
  "stopped",
  "blind",
  "broadcast_only",
  "capture_failed",
  "interface_lost",
  "kernel_drops",
  "card_drops",
  "sampling",
  "unaccounted",
  "facts_refused",
  "dissector_failing",
  "spool_dropped",
  "disk",
  "set_aside",
  "backlog",
  "canary_missing",
  "missing_batches",
  "missing_packets",
  "copies",
  "short_ring",
  "walls",
  "clock",
  "policy",
  "upgrade",
  "outdated",
] as const;
export type ReasonKind = typeof reasonKinds[number];

/** `since`: "start" = it counts since the sensor started, and says nothing of this moment. */
export type Found = [status: SensorStatus, text: string, kind: ReasonKind, since?: "start" | undefined];

function identity(sensor: SensorRow): Found[] {
  const found: Found[] = [];
  if (sensor.revoked_ms !== null) {
    found.push(["revoked", `Revoked at ${new Date(sensor.revoked_ms).toISOString()}`, "revoked"]);
  }
  if (sensor.approved_ms === null && sensor.revoked_ms === null) {
    found.push([
      "pending",
      "It waits for approval: picket-aggregator sensor approve, or the dashboard",
      "pending",
    ]);
  } else if (sensor.quarantined_ms !== null) {
    found.push([
      "quarantined",
      `Its batches are refused: ${sensor.quarantine_reason ?? "no reason is stored"}`,
      "quarantined",
    ]);
  }
  return found;
}

function silence(sensor: SensorRow, nowMs: number, { lateAfterMs }: FleetLimits): Found[] {
  if (sensor.last_check_in_ms === null) {
    return [["never_seen", "Enrolled, but it never checked in", "never_seen"]];
  }
  const silentMs = nowMs - sensor.last_check_in_ms;
  if (silentMs <= lateAfterMs) return [];
  // A sensor that said good-bye is not missing, but it sees nothing either.
  if (sensor.check_in?.capture.state === "idle") {
    return [["stopped", `It finished ${span(silentMs)} ago and captures nothing`, "stopped"]];
  }
  return [[
    "late",
    `No check-in for ${span(silentMs)} (limit ${span(lateAfterMs)})`,
    "unreachable",
  ]];
}

function sight(checkIn: CheckInRequest, limits: FleetLimits): Found[] {
  const { capture, sent_ms, started_ms } = checkIn;
  if (capture.state === "failed") {
    const why = capture.error ?? "no reason was given";
    return [["blind", `Capture of ${capture.source} failed: ${why}`, "capture_failed"]];
  }
  if (capture.state !== "capturing") return [];
  // Compared with the sensor's own clock, so that a wrong one does not make it blind.
  const sinceS = sent_ms / 1_000 - (capture.last_packet ?? started_ms / 1_000);
  if (sinceS <= limits.blindAfterS) return broadcastOnly(checkIn, limits);
  const first = capture.last_packet === null ? "No packet at all" : "No packet";
  return [[
    "blind",
    `${first} on ${capture.source} for ${span(sinceS * 1_000)} (limit ${limits.blindAfterS} s)${
      filterWarning(checkIn)
    }`,
    "blind",
  ]];
}

/** A port that mirrors nothing carries what goes to everybody, and looks alive. */
function broadcastOnly(
  { capture, sent_ms, started_ms, policy }: CheckInRequest,
  { broadcastOnlyS }: FleetLimits,
): Found[] {
  if (capture.last_unicast === undefined || policy?.filtered) return [];
  const sinceS = sent_ms / 1_000 - (capture.last_unicast ?? started_ms / 1_000);
  if (sinceS <= broadcastOnlyS) return [];
  return [[
    "blind",
    `Only broadcast and multicast on ${capture.source} for ${span(sinceS * 1_000)} (limit ${
      span(broadcastOnlyS * 1_000)
    }): is the mirror port configured?`,
    "broadcast_only",
  ]];
}

/** tshark is made anew each time; what its packets said is gone. */
function dissector({ facts: { failures } }: CheckInRequest, { dissectorFailuresMin }: FleetLimits): Found[] {
  if (!failures || failures.lately < dissectorFailuresMin) return [];
  return [[
    "lossy",
    `Its tshark failed ${failures.lately} times in 10 min, last: ${
      failures.words || "no reason is known"
    }; flows are whole, facts of these moments are missing. picket-sensor doctor tries it`,
    "dissector_failing",
  ]];
}

function loss(checkIn: CheckInRequest, limits: FleetLimits): Found[] {
  const { capture, flows, facts, spool, transport } = checkIn;
  const found: Found[] = [...links(capture), ...drops(capture, limits)];
  const leftOut = capture.left_out.not_sampled ?? 0;
  if (flows.factor > 1) {
    found.push([
      "lossy",
      `It is overloaded and samples 1 flow in ${flows.factor}: ${leftOut} packets (${
        percent(share(leftOut, capture.packets))
      }) were left out since it started`,
      "sampling",
    ]);
  }
  const { unaccounted } = conservationOf([capture]);
  if (unaccounted !== 0) {
    found.push([
      "lossy",
      `${unaccounted} packets are neither in flows nor counted as left out`,
      "unaccounted",
      "start",
    ]);
  }
  const refusalShare = share(facts.refused, facts.offered + facts.refused);
  if (refusalShare > limits.factRefusalShareMax) {
    found.push([
      "lossy",
      `${facts.refused} packets (${percent(refusalShare)}) were not dissected as tshark was busy`,
      "facts_refused",
      "start",
    ]);
  }
  if (spool.dropped_batches > 0) {
    found.push([
      "lossy",
      `${spool.dropped_batches} batches were dropped as the spool was full`,
      "spool_dropped",
      "start",
    ]);
  }
  if (spool.error) {
    const unwritten = spool.unwritten ?? 0;
    found.push([
      "lossy",
      `Its disk takes no batches: ${spool.error}` +
      (unwritten > 0 ? `; ${unwritten} are in memory only` : ""),
      "disk",
    ]);
  }
  if (spool.quarantined > 0) {
    found.push([
      "lossy",
      `${spool.quarantined} spool files could not be delivered and are set aside`,
      "set_aside",
      "start",
    ]);
  }
  if (transport.error !== null && spool.batches > 0) {
    found.push([
      "lossy",
      `${spool.batches} batches wait in the spool since ${span(spool.oldest_s * 1_000)}: ${transport.error}`,
      "backlog",
    ]);
  }
  return found;
}

function canary(sensor: SensorRow, nowMs: number, { canariesMissedMin }: FleetLimits): Found[] {
  const text = canaryReason(sensor, nowMs, canariesMissedMin);
  return text === null ? [] : [["lossy", text, "canary_missing"]];
}

/** Interfaces that are not captured while others are; when none is, the capture itself has failed. */
function links({ state, links = [] }: CheckInRequest["capture"]): Found[] {
  if (state !== "capturing") return [];
  return links.filter(({ error }) => error !== null).map(({ name, error }): Found => [
    "lossy",
    `${name} is not captured: ${error}; its other interfaces go on`,
    "interface_lost",
  ]);
}

/** Nothing is wrong with the sensor, but a reader has to know. */
function copies({ capture, counters }: CheckInRequest): Found[] {
  const copied = counters.packets_copied_total ?? 0;
  const part = share(copied, capture.packets);
  if (part <= fleetLimits.copyShareMax) return [];
  return [[
    "healthy",
    `${copied} packets (${
      percent(part)
    }) are copies of others, as a mirror port makes them; flows count each`,
    "copies",
  ]];
}

/** What the sensor could still show of its packets. */
export function ringText({ ring, sent_ms, capture }: CheckInRequest): string {
  if (!ring) return "no packets are kept";
  if (ring.oldest === null) return "ring is empty";
  return `ring reaches back ${reachText(reachMs(ring.oldest, sent_ms, capture))}`;
}

function ring({ ring, sent_ms, capture }: CheckInRequest): Found[] {
  // A ring that has overwritten nothing reaches back as far as there were packets.
  if (!ring || ring.oldest === null || ring.overwritten === 0) return [];
  const backMs = reachMs(ring.oldest, sent_ms, capture);
  if (backMs >= fleetLimits.ringReachMsMin) return [];
  return [[
    "healthy",
    `Its packet ring reaches back ${
      reachText(backMs)
    } only: ${ring.overwritten} packets were overwritten by newer ones; --ring-mib gives it more room`,
    "short_ring",
  ]];
}

/** Of a capture file the newest packet is the present. */
function reachMs(oldest: number, sentMs: number, { state, last_packet }: CheckInRequest["capture"]): number {
  const presentMs = state === "replaying" && last_packet !== null ? last_packet * 1_000 : sentMs;
  return Math.max(0, presentMs - oldest * 1_000);
}

/** "4 min 10 s", "45 s", "3 h 20 min". */
function reachText(ms: number): string {
  const s = Math.floor(ms / 1_000);
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3_600)} h ${Math.floor(s % 3_600 / 60)} min`;
}

/** Nothing is lost by it, but a packet that takes over tshark gets what the wall should keep from it. */
function walls({ facts }: CheckInRequest): Found[] {
  const missing = facts.walls?.missing ?? [];
  if (missing.length === 0) return [];
  return [[
    "unwalled",
    `Walls around its tshark are missing: ${missing.join(", ")}; the shipped units have them all`,
    "walls",
  ]];
}

/** What kernel and card dropped, each for itself: the cures differ. What goes on now comes first. */
function drops(
  { packets, dropped, interfaces = [], recent }: CheckInRequest["capture"],
  { dropShareMax }: FleetLimits,
): Found[] {
  const found: Found[] = [];
  const say = (count: number, of: number, text: string, kind: ReasonKind, since?: "start") => {
    const part = share(count, of + count);
    if (part <= dropShareMax) return;
    found.push(["lossy", `${count} packets (${percent(part)}) ${text}`, kind, since]);
  };
  const kernel = "were dropped by the kernel before the sensor saw them";
  const card = "were dropped by the card or its driver before the kernel could hand them on";
  if (recent) {
    const lately = `in the last ${span(recent.seconds * 1_000)}`;
    say(recent.dropped, recent.packets, `${kernel}, ${lately}`, "kernel_drops");
    say(recent.card_dropped, recent.packets, `${card}, ${lately}`, "card_drops");
  }
  say(dropped, packets, `${kernel}, since it started`, "kernel_drops", "start");
  const names = interfaces.filter((one) => cardDrops([one]) > 0).map(({ name }) => name).join(", ");
  say(cardDrops(interfaces), packets, `${card} (${names}), since it started`, "card_drops", "start");
  return found;
}

function clock({ clock_offset_ms: offset }: SensorRow, { clockOffsetMsMax }: FleetLimits): Found[] {
  if (offset === null || Math.abs(offset) <= clockOffsetMsMax) return [];
  // Times are corrected for it, however far off, so nothing is lost; a person should still set the clock.
  return [[
    "healthy",
    `Its clock is ${span(Math.abs(offset))} ${offset > 0 ? "ahead" : "behind"}; times are corrected`,
    "clock",
  ]];
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function percent(of: number): string {
  return `${(of * 100).toPrecision(2)} %`;
}
