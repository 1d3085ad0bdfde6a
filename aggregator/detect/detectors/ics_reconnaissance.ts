/** Industrial reconnaissance: a host finds out what controllers are there and what they do,
 * or reaches them from the Internet.
 *
 * In: messages of industrial protocols, and conversations at their ports with addresses outside.
 * Out: one finding for each asking host.
 * Invariant: polling, however often, is none: it asks the same few things and is answered. Discovery that building
 * control does all day (BACnet who-is) does not count.
 * Source: ATT&CK for ICS T0846 (remote system discovery), T0888 (remote system information discovery). @module */

import { detector } from "../detector.ts";
import { capScore, field, growingPoints, reason } from "../finding.ts";
import { findOut } from "../signs/advice.ts";
import { Distinct } from "../signs/distinct.ts";
import { icsActionOf, icsEnds } from "../signs/ics.ts";

const devicesMax = 1_024, unitsMax = 512, kindsMax = 64, lowMax = 35;
/** No other service uses Modbus's port; of the others only what was read counts. */
const modbusPort = 502;

export const icsReconnaissance = detector({
  name: "ics_reconnaissance",
  technique: "T0888",
  title: "Industrial reconnaissance",
  about: "A host explores controllers, or reaches them from the Internet.",
  limits: {
    refusedMin: {
      value: 10,
      unit: "refusals",
      why:
        "a master knows what its controllers have; one wrong address is refused again and again, but alike",
    },
    kindsMin: { value: 6, unit: "kinds of request", why: "a master uses two to four kinds" },
    unitsMin: { value: 40, unit: "units", why: "behind one address; a serial line has at most 32 devices" },
    identifiedMin: {
      value: 3,
      unit: "controllers",
      why: "asked who they are, as no master does in operation",
    },
  },
  window: {
    quietS: { value: 600, unit: "s", why: "tools ask at once" },
    ageS: { value: 3_600, unit: "s", why: "refusals of a day do not add up" },
  },
  key(update) {
    const { src, dst, probe, segment: { facts, dst_port, protocol, bwd_payload_bytes } } = update;
    if (facts?.ics !== undefined) return icsEnds(update).master.ip;
    const isOutside = src.isPrivate !== dst.isPrivate && !dst.isGroup;
    const isTalk = probe === "used" && protocol === "tcp" && bwd_payload_bytes > 0;
    return isTalk && isOutside && dst_port === modbusPort && (facts === null || facts.first !== undefined)
      ? src.ip
      : null;
  },
  open: (update) => ({
    src: icsEnds(update).master,
    devices: new Distinct<string>(devicesMax),
    identified: new Distinct<string>(devicesMax),
    across: new Distinct<string>(devicesMax),
    kinds: new Distinct<string>(kindsMax),
    units: new Distinct<string>(unitsMax),
    refusedKinds: new Distinct<string>(kindsMax),
    refused: 0,
    requests: 0,
  }),
  step(explorer, update) {
    const { facts } = update.segment;
    const { master: src, device: dst } = icsEnds(update);
    const dst_ip = dst.ip;
    explorer.devices.add(dst_ip);
    const asks = facts?.ics === undefined || facts.ics.some(({ response }) => !response);
    // Answers alone may be those of a flood by forged addresses.
    if (asks && src.isPrivate !== dst.isPrivate && !dst.isGroup) explorer.across.add(dst_ip);
    for (const { protocol, operation, unit, response, exception, count = 1 } of facts?.ics ?? []) {
      const kind = `${protocol} ${operation}`;
      if (response) {
        if (exception === undefined) continue;
        explorer.refused += count;
        explorer.refusedKinds.add(`${kind} ${exception}`);
        continue;
      }
      explorer.requests += count;
      if (protocol === "bacnet") continue;
      explorer.kinds.add(kind);
      if (unit !== undefined) explorer.units.add(`${dst_ip} ${unit}`);
      if (icsActionOf(operation) === "identify") explorer.identified.add(dst_ip);
    }
  },
  isThreat: (explorer, limits) => explorer.across.size > 0 || signsOf(explorer, limits) > 0,
  finding(explorer, limits) {
    const { refusedMin, kindsMin, unitsMin, identifiedMin } = limits;
    const { across, identified, units, kinds, refused, refusedKinds } = explorer;
    const evidence = {
      devices: field("controllers asked", explorer.devices.count),
      identified: field("of them asked who they are", identified.count),
      kinds: field("kinds of request", kinds.count),
      units: field("units", units.count),
      refused: field("requests refused", refused),
      refusedKinds: field("kinds of refusal", refusedKinds.count),
      requests: field("requests", explorer.requests),
    };
    const reasons = [];
    if (across.size > 0) {
      const text = `${
        [...across].slice(0, 5).join(", ")
      }: reached across the Internet, in a protocol that knows no password`;
      reasons.push(reason("across_the_internet", 50, text));
    }
    if (refused >= refusedMin && refusedKinds.size >= 2) {
      const points = growingPoints(refused, refusedMin, { base: 35, perTenfold: 10, max: 50 });
      reasons.push(
        reason(
          "refused",
          points,
          `${evidence.refused} requests of ${evidence.refusedKinds} kinds were refused`,
        ),
      );
    }
    if (kinds.size >= kindsMin) {
      reasons.push(reason("many_kinds", 30, `${evidence.kinds} kinds of request; a master uses a few`));
    }
    if (units.size >= unitsMin * explorer.devices.size) {
      reasons.push(
        reason(
          "many_units",
          45,
          `${evidence.units} units were asked; ${unitsMin} at an address are the threshold`,
        ),
      );
    }
    if (identified.size >= identifiedMin) {
      reasons.push(reason("identifies", 35, `${evidence.identified} controllers were asked who they are`));
    }
    if (explorer.src.isOwn && across.size === explorer.devices.size) {
      const text =
        "the host is one of yours: controllers far away are polled like this, by mobile networks for instance";
      capScore(reasons, lowMax, "own_master", text);
    }
    return {
      src_ips: [explorer.src.ip],
      dst_ips: explorer.devices,
      dst_port: null,
      count: Math.max(1, explorer.requests),
      summary: `${explorer.src.ip} ${
        across.size > 0 ? "reached across the Internet" : "explored"
      } ${evidence.devices} controller(s) with ${evidence.requests} request(s) that were read, ${evidence.refused} of which were refused.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Before attackers change a plant, they must learn which controllers there are, and what their values mean.",
  action: (_evidence, _finding, { src, across }) =>
    `${findOut(src, "asks the controllers")} Tell the people who run the plant.${
      across.size > 0 ? " Close industrial ports at the firewall, and let maintenance in through a VPN." : ""
    } Do not cut the controllers off.`,
  falseAlarm:
    "An engineering station that is being set up, or an inventory of the plant, asks as much; it is known to the plant's people.",
});

function signsOf(
  { refused, refusedKinds, kinds, units, devices, identified }: {
    refused: number;
    refusedKinds: Distinct<string>;
    kinds: Distinct<string>;
    units: Distinct<string>;
    devices: Distinct<string>;
    identified: Distinct<string>;
  },
  limits: { refusedMin: number; kindsMin: number; unitsMin: number; identifiedMin: number },
): number {
  return [
    refused >= limits.refusedMin && refusedKinds.size >= 2,
    kinds.size >= limits.kindsMin,
    units.size >= limits.unitsMin * devices.size,
    identified.size >= limits.identifiedMin,
  ].filter(Boolean).length;
}
