/** The detectors that Picket ships, in the order in which they see an update.
 *
 * Out: their declarations, and for people the list of them: in the API, in the documentation, in the help of options.
 * @module */

import {
  type Declaration,
  type Detector,
  type FactKind,
  settableLimits,
  startDetector,
} from "../detector.ts";
import { noPlaces, type Places } from "../../model/place.ts";
import { type DetectionSettings, rangeOf } from "../settings.ts";
import { amplification } from "./amplification.ts";
import { beacon } from "./beacon.ts";
import { dnsTunnel } from "./dns_tunnel.ts";
import { hostSweep } from "./host_sweep.ts";
import { intelligence } from "./intelligence.ts";
import { icmpTunnel } from "./icmp_tunnel.ts";
import { nxdomainBurst } from "./nxdomain_burst.ts";
import { passwordGuessing } from "./password_guessing.ts";
import { portScanHorizontal } from "./port_scan_horizontal.ts";
import { portScanDistributed } from "./port_scan_distributed.ts";
import { portScanSlow } from "./port_scan_slow.ts";
import { portScanVertical } from "./port_scan_vertical.ts";
import { synFlood } from "./syn_flood.ts";
import { coercion } from "./coercion.ts";
import { cleartextCredentials } from "./cleartext_credentials.ts";
import { dcsync } from "./dcsync.ts";
import { directoryReconnaissance } from "./directory_reconnaissance.ts";
import { dnsC2 } from "./dns_c2.ts";
import { executableDownload } from "./executable_download.ts";
import { exploitAttempt } from "./exploit_attempt.ts";
import { kerberoasting } from "./kerberoasting.ts";
import { obsoleteTls } from "./obsolete_tls.ts";
import { promptInjection } from "./prompt_injection.ts";
import { rpcAbuse } from "./rpc_abuse.ts";
import { remoteExecution } from "./remote_execution.ts";
import { webAttack } from "./web_attack.ts";
import { webScan } from "./web_scan.ts";
import { arpSpoofing } from "./arp_spoofing.ts";
import { arpStorm } from "./arp_storm.ts";
import { dhcpStarvation } from "./dhcp_starvation.ts";
import { rogueDhcp } from "./rogue_dhcp.ts";
import { passwordSpray } from "./password_spray.ts";
import { protocolScan } from "./protocol_scan.ts";
import { cryptomining } from "./cryptomining.ts";
import { lateralMovement } from "./lateral_movement.ts";
import { spam } from "./spam.ts";
import { icsCommand } from "./ics_command.ts";
import { icsReconnaissance } from "./ics_reconnaissance.ts";
import { exfiltration } from "./exfiltration.ts";
import { c2Session } from "./c2_session.ts";
import { namePoisoning } from "./name_poisoning.ts";
import { flood } from "./flood.ts";
import { reflection } from "./reflection.ts";
import { dga } from "./dga.ts";
import { longSession } from "./long_session.ts";
import { newCountry } from "./new_country.ts";
import { newDevice } from "./new_device.ts";
import { newService } from "./new_service.ts";
import { ftpBounce } from "./ftp_bounce.ts";
import { passTheHash } from "./pass_the_hash.ts";
import { stackFingerprinting } from "./stack_fingerprinting.ts";
import { httpC2 } from "./http_c2.ts";
import { sipScan } from "./sip_scan.ts";
import { c2Certificate } from "./c2_certificate.ts";
import type { Indicators } from "../signs/listed.ts";

/** The detectors that ship, over `lists` of threat intelligence, null = none are given, and over what is known of
 * places. */
export function catalogueWith(lists: Indicators | null, places: Places = noPlaces): readonly Declaration[] {
  return [...ofTraffic, newCountry(places), intelligence(lists)];
}

const ofTraffic: readonly Declaration[] = [
  hostSweep,
  arpSpoofing,
  arpStorm,
  dhcpStarvation,
  rogueDhcp,
  portScanVertical,
  portScanHorizontal,
  portScanDistributed,
  portScanSlow,
  protocolScan,
  stackFingerprinting,
  synFlood,
  amplification,
  flood,
  reflection,
  passwordGuessing,
  passwordSpray,
  beacon,
  dnsTunnel,
  icmpTunnel,
  nxdomainBurst,
  dga,
  webScan,
  sipScan,
  webAttack,
  coercion,
  cleartextCredentials,
  dcsync,
  directoryReconnaissance,
  dnsC2,
  httpC2,
  executableDownload,
  exploitAttempt,
  kerberoasting,
  passTheHash,
  obsoleteTls,
  remoteExecution,
  rpcAbuse,
  lateralMovement,
  cryptomining,
  spam,
  c2Session,
  c2Certificate,
  namePoisoning,
  longSession,
  exfiltration,
  icsCommand,
  icsReconnaissance,
  ftpBounce,
  newDevice,
  newService,
  promptInjection,
];

/** Without lists. */
export const catalogue: readonly Declaration[] = catalogueWith(null);

/** Starts detectors, without those that are off; each engine needs its own. */
export function startDetectors(
  settings?: DetectionSettings,
  declarations: readonly Declaration[] = catalogue,
): Detector[] {
  return declarations.filter(({ name }) => !settings?.off.has(name))
    .map((declaration) => startDetector(declaration, settings?.limits.get(declaration.name)));
}

/** A detector as the API and the documentation list it. */
export interface CatalogueEntry {
  name: string;
  title: string;
  technique: string;
  about: string;
  needs: readonly FactKind[];
  isOn: boolean;
  limits: {
    name: string;
    value: number;
    unit: string;
    why: string;
    default: number;
    min: number;
    max: number;
  }[];
}

export function describeDetectors(
  settings?: DetectionSettings,
  declarations: readonly Declaration[] = catalogue,
): CatalogueEntry[] {
  return declarations.map((declaration) => {
    const { name, title, technique, about, needs = [] } = declaration;
    const set = settings?.limits.get(name) ?? {};
    const limits = Object.entries(settableLimits(declaration)).map(([name, limit]) => {
      const [min, max] = rangeOf(limit);
      return {
        name,
        value: set[name] ?? limit.value,
        unit: limit.unit,
        why: limit.why,
        default: limit.value,
        min,
        max,
      };
    });
    return { name, title, technique, about, needs, isOn: !settings?.off.has(name), limits };
  });
}
