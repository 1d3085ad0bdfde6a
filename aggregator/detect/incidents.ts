/** Incidents: the threats of one attacker as one story, in the order in which an attack unfolds.
 *
 * In: threats. Out: incidents with their timeline, the most severe first; a threat is in exactly one.
 * Two threats belong together when one machine acts in both, or when the second's actor is a machine that the first had
 * reached into (beyond looking at it), and less than {@link incidentLimits.pauseS} lies between them. Sources beyond
 * `actorsMax` are a crowd: then the one target is the machine in question, unless they are known to work together.
 * Severity is that of the worst threat; each further stage of the chain that was reached raises it by one step, at most
 * to critical, as a scan, a break-in and a spread are more than the worst of the three.
 * Noise does not chain: threats below medium raise nothing.
 * Its status is that of its threats: a new threat of the same attacker within {@link incidentLimits.pauseS} opens a
 * closed one again; a later one begins another.
 * Why computed and not stored: it follows from the threats alone, so it can never contradict them. @module */

import { type Incident, type IncidentStep, type Stage, stages } from "../model/incident.ts";
import { severities, type Severity, type Threat, type ThreatStatus } from "../model/threat.ts";

export const incidentLimits = {
  /** Threats further apart than this are two stories: a day and a night. */
  pauseS: 86_400,
  /** More sources than this do not name an attacker. */
  actorsMax: 3,
  /** Machines of one story that may act next; those reached later are not followed. */
  reachedMax: 10_000,
  /** Targets named. */
  targetsMax: 100,
  /** Threats told one by one; the rest is counted. */
  timelineMax: 100,
} as const;

const stageOfDetector: Readonly<Record<string, Stage>> = {
  port_scan_vertical: "reconnaissance",
  port_scan_horizontal: "reconnaissance",
  port_scan_distributed: "reconnaissance",
  port_scan_slow: "reconnaissance",
  host_sweep: "reconnaissance",
  protocol_scan: "reconnaissance",
  stack_fingerprinting: "reconnaissance",
  ftp_bounce: "reconnaissance",
  web_scan: "reconnaissance",
  sip_scan: "reconnaissance",
  directory_reconnaissance: "reconnaissance",
  ics_reconnaissance: "reconnaissance",
  password_guessing: "access",
  password_spray: "access",
  exploit_attempt: "access",
  web_attack: "access",
  kerberoasting: "access",
  pass_the_hash: "access",
  coercion: "access",
  name_poisoning: "access",
  arp_spoofing: "access",
  rogue_dhcp: "access",
  remote_execution: "execution",
  executable_download: "execution",
  rpc_abuse: "execution",
  ics_command: "execution",
  beacon: "command",
  long_session: "command",
  c2_session: "command",
  c2_certificate: "command",
  dns_c2: "command",
  http_c2: "command",
  dns_tunnel: "command",
  icmp_tunnel: "command",
  nxdomain_burst: "command",
  dga: "command",
  intelligence: "command",
  lateral_movement: "spread",
  dcsync: "spread",
  exfiltration: "theft",
  syn_flood: "impact",
  flood: "impact",
  amplification: "impact",
  reflection: "impact",
  arp_storm: "impact",
  dhcp_starvation: "impact",
  cryptomining: "impact",
  spam: "impact",
};

/** "exposure" for what is a weakness rather than a step:
 * cleartext passwords, old TLS, new devices, operators' own detectors. */
export function stageOf(detector: string): Stage {
  return stageOfDetector[detector] ?? "exposure";
}

/** A story in the making. */
interface Draft {
  threats: Threat[];
  network: string;
  actors: Set<string>;
  /** Machines that were reached into, by when: they may act next. */
  reached: Map<string, number>;
  lastSeen: number;
}

/** An incident with all its threats, the first one first. */
export interface Story {
  incident: Incident;
  threats: readonly Threat[];
}

/** Groups threats into incidents. `threats` may come in any order. */
export function incidentsOf(threats: readonly Threat[]): Incident[] {
  return storiesOf(threats).map(({ incident }) => incident);
}

/** The same, with the threats of each. */
export function storiesOf(threats: readonly Threat[]): Story[] {
  const drafts: Draft[] = [];
  const byMachine = new Map<string, Draft[]>();
  for (const threat of [...threats].sort((a, b) => a.first_seen - b.first_seen || compare(a.id, b.id))) {
    const machines = actorsOf(threat);
    const draft = findDraft(threat, machines, byMachine) ?? open(threat, drafts);
    for (const machine of join(draft, threat, machines)) {
      const key = `${threat.network}|${machine}`;
      const known = byMachine.get(key);
      if (known === undefined) byMachine.set(key, [draft]);
      else known.push(draft);
    }
  }
  return drafts.map((draft) => ({ incident: finish(draft), threats: draft.threats })).sort((a, b) =>
    rankOf(b.incident.severity) - rankOf(a.incident.severity) || b.incident.last_seen - a.incident.last_seen
  );
}

/** The open threat that says most about an incident: the gravest by the rules; of several the one that a model spoke
 * about already, else the first one. Null = none is open. */
export function leadOf({ threats }: Pick<Story, "threats">): Threat | null {
  let lead: Threat | null = null;
  for (const threat of threats) {
    if (threat.status !== "open") continue;
    if (lead === null || weightOf(threat) > weightOf(lead)) lead = threat;
  }
  return lead;
}

function weightOf({ rules_severity, engine }: Threat): number {
  return rankOf(rules_severity) * 2 + (engine === "rules" ? 0 : 1);
}

/** The machines whose doing a threat is. Those of a distributed scan work together, however many they are. */
function actorsOf({ detector, src_ips, dst_ips }: Threat): string[] {
  const areNamed = src_ips.length <= incidentLimits.actorsMax || detector === "port_scan_distributed";
  return areNamed ? src_ips : dst_ips.slice(0, 1);
}

function findDraft(
  threat: Threat,
  machines: readonly string[],
  byMachine: ReadonlyMap<string, Draft[]>,
): Draft | null {
  for (const machine of machines) {
    const drafts = byMachine.get(`${threat.network}|${machine}`) ?? [];
    for (let i = drafts.length - 1; i >= 0; i--) {
      const draft = drafts[i];
      if (threat.first_seen > draft.lastSeen + incidentLimits.pauseS) continue;
      const reachedS = draft.reached.get(machine);
      if (draft.actors.has(machine) || (reachedS !== undefined && threat.last_seen >= reachedS)) return draft;
    }
  }
  return null;
}

function open(threat: Threat, drafts: Draft[]): Draft {
  const draft: Draft = {
    threats: [],
    network: threat.network,
    actors: new Set(),
    reached: new Map(),
    lastSeen: threat.last_seen,
  };
  drafts.push(draft);
  return draft;
}

const reachingStages: readonly Stage[] = ["access", "execution", "spread"];

/** Returns the machines that the story knows only now: each is looked at once, however many threats name it. */
function join(draft: Draft, threat: Threat, machines: readonly string[]): string[] {
  const found: string[] = [];
  const isKnown = (machine: string) => draft.actors.has(machine) || draft.reached.has(machine);
  draft.threats.push(threat);
  for (const machine of machines) {
    if (!isKnown(machine)) found.push(machine);
    draft.actors.add(machine);
  }
  draft.lastSeen = Math.max(draft.lastSeen, threat.last_seen);
  if (!reachingStages.includes(stageOf(threat.detector))) return found;
  for (const target of threat.dst_ips) {
    if (draft.reached.size >= incidentLimits.reachedMax) break;
    if (!isKnown(target)) found.push(target);
    if (!draft.reached.has(target)) draft.reached.set(target, threat.first_seen);
  }
  return found;
}

function finish({ threats, network, actors, lastSeen }: Draft): Incident {
  const [first] = threats;
  const grave = threats.filter(({ severity }) => rankOf(severity) >= rankOf("medium"));
  const reached = stages.filter((stage) =>
    stage !== "exposure" && grave.some(({ detector }) => stageOf(detector) === stage)
  );
  const worst = Math.max(...threats.map(({ severity }) => rankOf(severity)));
  const raised = Math.min(severities.length - 1, worst + Math.max(0, reached.length - 1));
  return {
    id: first.id,
    network,
    actors: [...actors].slice(0, 100),
    targets: targetsOf(threats, actors),
    severity: severities[raised],
    stages: reached,
    status: statusOf(threats),
    first_seen: first.first_seen,
    last_seen: lastSeen,
    threats: threats.length,
    timeline: threats.slice(0, incidentLimits.timelineMax).map(stepOf),
  };
}

function targetsOf(threats: readonly Threat[], actors: ReadonlySet<string>): string[] {
  const targets = new Set<string>();
  for (const { dst_ips } of threats) {
    for (const target of dst_ips) {
      if (targets.size >= incidentLimits.targetsMax) return [...targets];
      if (!actors.has(target)) targets.add(target);
    }
  }
  return [...targets];
}

function statusOf(threats: readonly Threat[]): ThreatStatus {
  const has = (wanted: ThreatStatus) => threats.some(({ status }) => status === wanted);
  return has("open") ? "open" : has("acknowledged") ? "acknowledged" : "closed";
}

function stepOf(threat: Threat): IncidentStep {
  const { id, title, detector, severity, first_seen, last_seen, explanation } = threat;
  const summary = /^.*?[.!?](?=\s|$)/.exec(explanation)?.[0] ?? explanation;
  return {
    threat_id: id,
    stage: stageOf(detector),
    title,
    detector,
    severity,
    first_seen,
    last_seen,
    summary: summary.slice(0, 300),
  };
}

function rankOf(severity: Severity): number {
  return severities.indexOf(severity);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
