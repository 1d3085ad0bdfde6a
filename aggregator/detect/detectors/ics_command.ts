/** Industrial command: a host that is not the one in charge changes a controller, or any host stops or loads it.
 *
 * In: requests of Modbus, DNP3, S7, CIP, IEC 104 and BACnet. Out: one finding for each controller.
 * Invariant: the host that asks a controller most is in charge of it, and may change values as it likes; an engineering
 * station that was there from the beginning, too. Loading a program into a controller that nobody else is in charge of
 * is engineering, and stays low; stopping or restarting it is not, but by a host that has asked it for long. Plant
 * equipment is never told to be isolated.
 * Sources: ATT&CK for ICS T0855 (unauthorized command message), T0816 (restart), T0858 (operating mode). @module */

import { detector } from "../detector.ts";
import { capScore, field, reason } from "../finding.ts";
import type { Address } from "../signs/address.ts";
import { icsActionOf, icsEnds, isIcsChange, isIcsStop } from "../signs/ics.ts";

const mastersMax = 16, namesMax = 8, lowMax = 35;

interface Master {
  address: Address;
  firstS: number;
  requests: number;
  changes: number;
  /** Names of what it changed. */
  names: Set<string>;
  operates: Set<string>;
  /** Those that stop or restart it, or take something away, before it had asked for long. */
  stops: Set<string>;
}

export const icsCommand = detector({
  name: "ics_command",
  technique: "T0855",
  title: "Industrial command",
  about: "A host that is not in charge of a controller changes it, or a controller is stopped or loaded.",
  needs: ["ics"],
  limits: {
    changesMin: { value: 1, unit: "requests", why: "one write can open a valve" },
    knownRequestsMin: {
      value: 20,
      unit: "requests",
      why: "of the host in charge, which polls every second or so; before that nobody is known to be",
    },
    masterShareMax: {
      value: 0.1,
      unit: "share",
      why: "of the requests of the host in charge: who asks more often is a second panel or a recorder",
    },
    inChargeS: {
      value: 600,
      unit: "s",
      why: "who has asked a controller for so long, and asks it most, works for the plant",
    },
    laterS: { value: 30, unit: "s", why: "panels of one plant are all there from the beginning" },
  },
  window: {
    quietS: { value: 3_600, unit: "s", why: "controllers are polled every few seconds" },
    ageS: { value: 30 * 86_400, unit: "s", why: "who is in charge of a plant changes over years" },
  },
  key: (update) =>
    update.segment.facts?.ics?.some(({ response }) => !response) ? icsEnds(update).device.ip : null,
  open: (update) => ({ ...icsEnds(update), masters: new Map<string, Master>() }),
  step({ masters }, update, { inChargeS, knownRequestsMin }) {
    const { facts, start } = update.segment;
    const { master: address } = icsEnds(update);
    let master = masters.get(address.ip);
    if (master === undefined) {
      if (masters.size >= mastersMax) return;
      const fresh = { names: new Set<string>(), operates: new Set<string>(), stops: new Set<string>() };
      master = { address, firstS: start, requests: 0, changes: 0, ...fresh };
      masters.set(address.ip, master);
    }
    const isKnown = start - master.firstS >= inChargeS && master.requests >= knownRequestsMin;
    for (const { operation, response, count = 1 } of facts!.ics!) {
      if (response) continue;
      master.requests += count;
      if (!isIcsChange(operation)) continue;
      master.changes += count;
      if (master.names.size < namesMax) master.names.add(operation);
      if (icsActionOf(operation) === "operate" && master.operates.size < namesMax) {
        master.operates.add(operation);
        if (isIcsStop(operation) && !isKnown) master.stops.add(operation);
      }
    }
  },
  isThreat: ({ masters }, limits) =>
    strangersOf(masters, limits).length > 0 || operatorsOf(masters).length > 0,
  finding({ device, port, masters }, limits) {
    const strangers = strangersOf(masters, limits), operators = operatorsOf(masters);
    const known = inCharge(masters);
    const actors = [...new Set([...strangers, ...operators])];
    const operations = new Set(actors.flatMap(({ names }) => [...names]));
    const outside = device.isPrivate ? actors.filter(({ address }) => !address.isPrivate) : [];
    const evidence = {
      device: field("controller", device.ip),
      actors: field("hosts that changed it", actors.map(({ address }) => address.ip).join(", ")),
      operations: field("requests", [...operations].slice(0, namesMax).join(", ")),
      changes: field("changes", actors.reduce((sum, { changes }) => sum + changes, 0)),
      requests: field(
        "requests of those hosts in all",
        actors.reduce((sum, { requests }) => sum + requests, 0),
      ),
      knownRequests: field("requests of the host that asks most", known.requests),
      known: field("host in charge", strangers.length > 0 ? known.address.ip : "not told apart"),
    };
    const reasons = [];
    if (strangers.length > 0) {
      const text = `${
        strangers[0].address.ip
      } changes it, and ${evidence.known} is in charge of it, with ${evidence.knownRequests} requests`;
      reasons.push(reason("second_master", 45, text));
    }
    if (operators.length > 0) {
      const names = [...new Set(operators.flatMap(({ operates }) => [...operates]))].join(", ");
      reasons.push(
        reason(
          "changes_the_device",
          strangers.length > 0 ? 20 : 40,
          `${names}: stops, restarts or loads the controller`,
        ),
      );
    }
    if (outside.length > 0) {
      reasons.push(reason("from_outside", 30, `${outside[0].address.ip} is an address of the Internet`));
    }
    if (outside.length + strangers.length === 0 && operators.every(({ stops }) => stops.size === 0)) {
      const text =
        "loading is what engineers do, and who has asked a controller for long may restart it; nobody else is in charge";
      capScore(reasons, lowMax, "engineering", text);
    }
    return {
      src_ips: actors.map(({ address }) => address.ip),
      dst_ips: [device.ip],
      dst_port: port,
      count: evidence.changes.value,
      summary:
        `${evidence.actors} changed the controller ${device.ip} ${evidence.changes} time(s): ${evidence.operations}.`,
      reasons,
      evidence,
    };
  },
  meaning:
    "Industrial protocols ask for no password: whoever reaches a controller can move what it moves. The wrong command may stop a plant or hurt people.",
  action: ({ actors, device }) =>
    `Tell the people who run the plant now, and ask whether ${actors} was meant to change ${device}. Do not cut the controller off: look at its state first. Then limit which hosts may reach it.`,
  falseAlarm:
    "Maintenance: an engineer loads a program or tries something out; the people who run the plant know of it.",
});

function inCharge(masters: Map<string, Master>): Master {
  return [...masters.values()].reduce((a, b) => b.requests > a.requests ? b : a);
}

/** Hosts that change the controller though another is in charge. */
function strangersOf(
  masters: Map<string, Master>,
  limits: { changesMin: number; knownRequestsMin: number; masterShareMax: number; laterS: number },
): Master[] {
  if (masters.size < 2) return [];
  const known = inCharge(masters);
  if (known.requests < limits.knownRequestsMin) return [];
  return [...masters.values()].filter((master) =>
    master !== known && master.changes >= limits.changesMin &&
    master.requests <= limits.masterShareMax * known.requests && master.firstS >= known.firstS + limits.laterS
  );
}

function operatorsOf(masters: Map<string, Master>): Master[] {
  return [...masters.values()].filter(({ operates }) => operates.size > 0);
}
