/** The detectors that Picket ships, in the order in which they are told of an update.
 *
 * Out: fresh detectors, one set for each engine.
 * Why a function: a detector holds state, and two engines must never share one. @module */

import { createAmplification } from "./amplification.ts";
import { createBeacon } from "./beacon.ts";
import type { Detector } from "../detector.ts";
import { createDnsTunnel } from "./dns_tunnel.ts";
import { createHostSweep } from "./host_sweep.ts";
import { createIcmpTunnel } from "./icmp_tunnel.ts";
import { createNxdomainBurst } from "./nxdomain_burst.ts";
import { createPasswordGuessing } from "./password_guessing.ts";
import { createPortScanHorizontal } from "./port_scan_horizontal.ts";
import { createPortScanVertical } from "./port_scan_vertical.ts";
import { createSynFlood } from "./syn_flood.ts";

/** All of them. */
export function createDetectors(): Detector[] {
  return [
    createHostSweep(),
    createPortScanVertical(),
    createPortScanHorizontal(),
    createSynFlood(),
    createAmplification(),
    createPasswordGuessing(),
    createBeacon(),
    createDnsTunnel(),
    createIcmpTunnel(),
    createNxdomainBurst(),
  ];
}
