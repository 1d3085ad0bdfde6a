/** What is wrong with a sensor as a threat: whoever watches threats must know where nobody looks.
 *
 * In: a sensor's row and `nowMs`. Out: its troubles, each of one kind, with a finding that explains it.
 * Invariant: a sensor that is out of contact is unreachable and nothing else, as what it said last is old. What counts
 * since its start and cannot go away again, as packets lost an hour ago, is no trouble of this moment: the fleet shows
 * it. What a sensor loses now is one, and so is a spool that nobody takes.
 * Each sentence is one that the fleet shows too.
 * Why ATT&CK T1562: who blinds a sensor impairs the defence; that a cable was pulled looks the same. @module */

import type { Finding, Reason } from "../model/threat.ts";
import type { SensorRow } from "../model/sensor.ts";
import { foundNow, type ReasonKind } from "./reasons.ts";

export const troubleKinds = [
  "sensor_unreachable",
  "sensor_blind",
  "sensor_cloned",
  "sensor_lossy",
  "sensor_backlog",
  "sensor_unwalled",
  "sensor_clock",
  "sensor_dissector",
  "sensor_outdated",
] as const;
export type TroubleKind = typeof troubleKinds[number];

export interface Trouble {
  kind: TroubleKind;
  /** Sentences of the fleet. */
  texts: string[];
}

interface Kind {
  title: string;
  /** Lasts so long before it is a threat. */
  afterMs: number;
  points: number;
  says: string;
  meaning: string;
  action: string;
  falseAlarm: string;
}

export const kinds: Readonly<Record<TroubleKind, Kind>> = {
  sensor_unreachable: {
    title: "Sensor unreachable",
    afterMs: 300_000,
    points: 40,
    says: "is out of contact",
    meaning:
      "What happens on its network meanwhile is seen late, or by nobody. A machine without power, a broken line " +
      "and somebody who switches the sensor off look alike from here.",
    action:
      "Look whether the machine runs and reaches the aggregator: `picket-sensor status` and `picket-sensor doctor` " +
      "on it say why. What it captures meanwhile is kept in its spool, as far as that reaches.",
    falseAlarm: "Was the machine, its line or the aggregator taken down on purpose at that time?",
  },
  sensor_blind: {
    title: "Sensor blind",
    afterMs: 120_000,
    points: 45,
    says: "sees nothing",
    meaning:
      "Attacks on its network are found by no detector as long as this lasts. A mirror port that was switched " +
      "off, a pulled cable and an interface that is down are the usual causes.",
    action:
      "Check the cable and whether the mirror port is configured; `picket-sensor doctor` on the machine says " +
      "whether the interface carries traffic.",
    falseAlarm: "Is the network itself idle or switched off, or does a filter leave everything out?",
  },
  sensor_cloned: {
    title: "Sensor cloned",
    afterMs: 0,
    points: 70,
    says: "exists twice, or somebody has its key",
    meaning:
      "Two machines used one identity at once, as after an SD card was copied. Its batches are refused, so that " +
      "neither can rewrite what the other saw; somebody who took its key could have forged flows.",
    action:
      "Find both machines. Give the copy an identity of its own with `picket-sensor enrol --new-key`, then lift " +
      "the quarantine: picket-aggregator sensor release.",
    falseAlarm: "Was a card copied or a backup restored, and did both run?",
  },
  sensor_lossy: {
    title: "Sensor loses packets",
    afterMs: 120_000,
    points: 40,
    says: "loses a part of what it should see",
    meaning:
      "Counts of its flows are too low, and what an attacker sent meanwhile may be among what is missing. More " +
      "traffic than the machine can take, a full disk and an interface that went away are the usual causes.",
    action:
      "The reason names the stage. For the kernel and the card: a filter or a policy that leaves noise out, or a " +
      "faster machine; for the disk: make room; for an interface: its cable. `picket-sensor doctor` says more.",
    falseAlarm: "Is it a backup or a copy between two machines that could be left out by a filter?",
  },
  sensor_backlog: {
    title: "Sensor cannot ship",
    afterMs: 300_000,
    points: 30,
    says: "has batches that it cannot ship",
    meaning:
      "It goes on capturing and keeps what it saw in its spool, so nothing is lost yet; detectors see it late, and " +
      "a spool that is full drops the oldest batches.",
    action: "The reason names the fault of the way: fix that, and the batches come by themselves.",
    falseAlarm: "Is the broker or the line down on purpose?",
  },
  sensor_unwalled: {
    title: "Sensor without walls",
    afterMs: 60_000,
    points: 40,
    says: "runs tshark without all its walls",
    meaning:
      "Packets that anybody on the wire may have made are dissected by a program that could do more on that " +
      "machine than it should, if one of them takes it over.",
    action:
      "Compare its units with those that are shipped, then restart the service; `picket-sensor doctor` names the " +
      "walls that stand.",
    falseAlarm: "Does it run in a container or by hand, where these walls cannot be built?",
  },
  sensor_clock: {
    title: "Sensor with a wrong clock",
    afterMs: 300_000,
    points: 20,
    says: "has a wrong clock",
    meaning:
      "Times of its flows are corrected, so nothing is lost; certificates may fail on it, and its own log " +
      "misleads who compares it with others.",
    action: "Set up time synchronisation on the machine: timedatectl set-ntp true.",
    falseAlarm: "Is it the aggregator's clock that is wrong? Then all sensors show this at once.",
  },
  sensor_dissector: {
    title: "Sensor whose tshark fails",
    afterMs: 300_000,
    points: 30,
    says: "cannot read what packets say",
    meaning:
      "Flows are whole, but names, questions and certificates of these moments are missing, and with them what " +
      "detectors find there. A packet made to crash it looks the same as a broken installation.",
    action:
      "Run `picket-sensor doctor` on it, and install the newest tshark of its distribution. If it goes on, fetch " +
      "the packets of flows around such a moment: one of them may be the cause.",
    falseAlarm: "Is the machine short of memory, so that its system ends what is large?",
  },
  sensor_outdated: {
    title: "Sensor of an old version",
    afterMs: 86_400_000,
    points: 10,
    says: "is outdated",
    meaning:
      "It misses what newer sensors read, and mended faults; two versions behind, it may not be understood.",
    action: "Install its package, or roll the version out: picket-aggregator upgrade start VERSION.",
    falseAlarm: "Is it kept back on purpose?",
  },
};

/** A reason of another kind is no trouble, or is one no longer. */
const kindOfReason: Partial<Record<ReasonKind, TroubleKind>> = {
  unreachable: "sensor_unreachable",
  blind: "sensor_blind",
  broadcast_only: "sensor_blind",
  capture_failed: "sensor_blind",
  quarantined: "sensor_cloned",
  kernel_drops: "sensor_lossy",
  card_drops: "sensor_lossy",
  sampling: "sensor_lossy",
  disk: "sensor_lossy",
  interface_lost: "sensor_lossy",
  backlog: "sensor_backlog",
  canary_missing: "sensor_lossy",
  walls: "sensor_unwalled",
  clock: "sensor_clock",
  dissector_failing: "sensor_dissector",
  outdated: "sensor_outdated",
};
const unheard: ReadonlySet<ReasonKind> = new Set(["unreachable", "stopped", "never_seen"]);

export function troublesOf(sensor: SensorRow, nowMs: number): Trouble[] {
  if (sensor.revoked_ms !== null || sensor.approved_ms === null) return [];
  const found = foundNow(sensor, nowMs);
  const isUnheard = found.some(([, , reason]) => unheard.has(reason));
  const byKind = new Map<TroubleKind, string[]>();
  for (const [, text, reason, since] of found) {
    const kind = kindOfReason[reason];
    if (kind === undefined || since === "start") continue;
    if (isUnheard && kind !== "sensor_unreachable" && kind !== "sensor_cloned") continue;
    byKind.set(kind, [...byKind.get(kind) ?? [], text]);
  }
  return [...byKind].map(([kind, texts]) => ({ kind, texts }));
}

/** Since when it may have been so: a sensor that is silent was last heard from earlier than that was noticed. */
export function beganMs({ last_check_in_ms }: SensorRow, kind: TroubleKind, noticedMs: number): number {
  return kind === "sensor_unreachable" ? Math.min(last_check_in_ms ?? noticedMs, noticedMs) : noticedMs;
}

export function identityOf(kind: TroubleKind, sensorId: string): string {
  return `${kind}|${sensorId}`;
}

export function findingOf(
  { kind, texts }: Trouble,
  sensor: SensorRow,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Finding {
  const { title, points, says, meaning, action, falseAlarm } = kinds[kind];
  const reasons: Reason[] = texts.slice(0, 8).map((text, at) => ({
    name: kind,
    points: at === 0 ? points : 0,
    text,
  }));
  return {
    detector: kind,
    identity: identityOf(kind, sensor.sensor_id),
    technique: "T1562",
    title,
    network: sensor.site,
    src_ips: [],
    dst_ips: [],
    dst_port: null,
    first_seen: fromMs / 1_000,
    last_seen: toMs / 1_000,
    count: 1,
    reasons,
    evidence: texts.slice(0, 8).map((text, at) => ({
      id: `e${at + 1}`,
      name: "said of the sensor",
      value: text,
      // An interface or a policy may be called anything.
      hostile: true,
    })),
    words: {
      summary: `Sensor ${sensor.name} at site ${sensor.site} ${says}: ${texts[0]}.`,
      meaning,
      action,
      false_alarm: falseAlarm,
    },
    flow_ids: [],
    flows: 0,
    sensors: [sensor.sensor_id],
  };
}
