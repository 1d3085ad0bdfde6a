/** New device: a hardware address that was never seen in this network speaks,
 * after a time in which the others were learned.
 *
 * In: ARP flows. Out: one finding for each new hardware address.
 * Invariant: never above low; nothing is new before the network was watched for `learningS`. Addresses that several
 * machines share by design are not devices.
 * At most `knownMax` addresses and `networksMax` networks are known;
 * beyond that the half that was heard longest ago is forgotten.
 * Why ARP: behind a router all packets carry the router's hardware address. @module */

import { z } from "../../../shared/schema.ts";
import { detector } from "../detector.ts";
import { field, reason } from "../finding.ts";
import {
  isWatchedRow,
  learnedKey,
  type Learning,
  newWatched,
  rowOfWatched,
  watch,
  type Watched,
  watchedOfRow,
  watchedRow,
} from "../learned.ts";
import { Halves } from "../../model/halves.ts";
import { isSharedMac, isVirtualMac } from "../signs/arp_claims.ts";
import { Distinct } from "../signs/distinct.ts";

const knownMax = 65_536, addressesMax = 16, networksMax = 1_024;

const saved = z.strictObject({
  known: z.array(learnedKey).max(knownMax),
  networks: z.array(watchedRow).max(networksMax),
});

class KnownDevices implements Learning {
  readonly #networks = new Halves<string, Watched>(networksMax);
  readonly #known = new Halves<string, true>(knownMax);

  /** How long `network` was watched before `atS`. */
  watch(network: string, atS: number): Watched {
    const watched = this.#networks.get(network, () => newWatched(atS));
    watch(watched, atS);
    return watched;
  }

  save(): unknown {
    return {
      known: this.#known.all().map(([key]) => key),
      networks: this.#networks.all().map(([network, watched]) => rowOfWatched(network, watched))
        .filter(isWatchedRow),
    };
  }

  load(given: unknown): void {
    const { known, networks } = saved.parse(given);
    for (const key of known) this.#known.get(key, () => true);
    for (const row of networks) this.#networks.get(row[0], () => watchedOfRow(row));
  }

  /** Whether `mac` is new; from then on it is known. */
  add(network: string, mac: string): boolean {
    let isNew = false;
    this.#known.get(`${network}|${mac}`, () => isNew = true);
    return isNew;
  }
}

export const newDevice = detector({
  name: "new_device",
  technique: "T1200",
  title: "New device",
  about: "A device speaks that was not seen in this network before.",
  limits: {
    learningS: { value: 3 * 86_400, unit: "s", why: "a weekend passes before all machines were switched on" },
    hoursMin: {
      value: 24,
      unit: "h",
      why: "in which anybody spoke: a gap of days, or a few captures joined, teach nothing",
    },
  },
  window: {
    quietS: { value: 30 * 86_400, unit: "s", why: "a device that was away for a month is told once more" },
    ageS: { value: 30 * 86_400, unit: "s", why: "what was new a month ago is known" },
  },
  key({ src, segment: { protocol, src_mac, src_port } }) {
    if (protocol !== "arp" || src_mac === "" || src_port > 2 || !src.isOwn) return null;
    return isSharedMac(src_mac) ? null : src_mac;
  },
  shared: () => new KnownDevices(),
  open: ({ segment: { src_mac } }, _item: undefined, known) => ({
    known,
    mac: src_mac,
    isNew: false,
    isAsked: false,
    addresses: new Distinct<string>(addressesMax),
  }),
  step(device, { network, segment: { src_ip, start } }, { learningS, hoursMin }) {
    const { firstS, hours } = device.known.watch(network, start);
    if (!device.isAsked) {
      device.isAsked = true;
      device.isNew = device.known.add(network, device.mac) && start - firstS >= learningS &&
        hours >= hoursMin;
    }
    device.addresses.add(src_ip);
  },
  isThreat: ({ isNew }) => isNew,
  finding(device, { learningS }) {
    const { mac } = device;
    const isMadeUp = (parseInt(mac.slice(0, 2), 16) & 2) !== 0;
    const kind = isVirtualMac(mac)
      ? "a virtual machine's"
      : isMadeUp
      ? "made up, as phones do"
      : "its maker's";
    const evidence = {
      mac: field("hardware address", mac),
      kind: field("which is", kind),
      addresses: field("addresses", [...device.addresses].join(", ")),
    };
    const days = Math.round(learningS / 86_400);
    return {
      src_ips: device.addresses,
      dst_ips: [],
      dst_port: null,
      count: device.flows,
      summary: `The hardware address ${mac} (${evidence.addresses}) was not seen in this network before.`,
      reasons: [reason("never_seen", 20, `never seen since the network is watched, at least ${days} day(s)`)],
      evidence,
    };
  },
  meaning: "Most new devices are just that. One that nobody brought may be there to listen.",
  action: ({ mac }) =>
    `Nothing is urgent. Ask who brought the device with the hardware address ${mac}; your switches know where it is connected.`,
  falseAlarm: "Guests, new machines, and phones that make up another hardware address.",
});
