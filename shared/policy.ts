/** Policies: what a fleet may set on its sensors from one place. One table of fields, which both programs use.
 *
 * In: settings, as an operator writes them or an aggregator offers them.
 * Out: the settings, or which field is wrong and how.
 * Invariant: what passes the check is in the ranges of the sensor's own options;
 * a field that is not in the table is refused, never ignored.
 * Precedence: an option set on the sensor itself wins over a policy. Whoever set it is on site and may have a reason
 * that the centre does not know, such as a network that must not be captured; and a compromised centre cannot undo it.
 * An option that has its default counts as not set.
 * The sensor says in its check-in, and in `status`, which fields it keeps for that reason. @module */

/** Classes of noise a sensor can leave out, each counted. */
export const noiseClasses = [
  "arp",
  "mdns",
  "ssdp",
  "llmnr",
  "netbios",
  "dhcp",
  "igmp",
  "broadcast",
  "loopback",
] as const;
export type NoiseClass = typeof noiseClasses[number];

/** What the ring keeps of a packet: its headers, its headers and the first octets of its payload, or all of it. */
export const payloadPolicies = ["headers", "start", "full"] as const;
export type PayloadPolicy = typeof payloadPolicies[number];

const timeoutMs = { kind: "number", min: 1, max: 86_400_000 } as const;

/** Each field with its range. A field that has the name of an option of `run` means what that option means. */
export const policyFields = {
  /** BPF; what the sensor itself leaves out it goes on leaving out. */
  filter: { kind: "text", charactersMax: 2_000 },
  /** Octets captured of each packet, 0 = all. */
  snaplen: { kind: "number", min: 0, max: 262_144 },
  /** Classes of noise that are left out. */
  noise: { kind: "list", choices: noiseClasses },
  tcpIdleMs: timeoutMs,
  otherIdleMs: timeoutMs,
  unansweredIdleMs: timeoutMs,
  activeMs: timeoutMs,
  /** Payloads are read. A sensor that was started without facts cannot begin. */
  facts: { kind: "flag" },
  /** Under overload at least one flow in this many is kept. */
  sampleMax: { kind: "number", min: 1, max: 1_024 },
  /** Octets a second of batches on their way to the aggregator, 0 = no limit. */
  uploadBytesPerS: { kind: "number", min: 0, max: 1_000_000_000 },
  ringPayload: { kind: "choice", choices: payloadPolicies },
  /** Without a check-in for so long a sensor is late; it checks in every 10 s unless told otherwise. */
  lateAfterS: { kind: "number", min: 15, max: 86_400 },
  /** Without a packet for so long it is blind. */
  blindAfterS: { kind: "number", min: 10, max: 86_400 },
  /** Without a packet to one host for so long, as on a port that mirrors nothing, it is blind. */
  broadcastOnlyS: { kind: "number", min: 60, max: 604_800 },
  /** With more than this part of its packets dropped it is lossy. */
  lossPermille: { kind: "number", min: 1, max: 1_000 },
  /** With so many ends of tshark in ten minutes that nobody asked for, it is lossy. */
  tsharkFailures: { kind: "number", min: 1, max: 100 },
  /** With so many canaries in a row that did not arrive it is lossy. */
  canariesMissed: { kind: "number", min: 1, max: 100 },
  /** A clock that is further off is said to be wrong. */
  clockOffsetMs: { kind: "number", min: 100, max: 3_600_000 },
} as const;
/** Those that the centre heeds, and sensors do not. */
export type HealthField =
  | "lateAfterS"
  | "blindAfterS"
  | "broadcastOnlyS"
  | "lossPermille"
  | "tsharkFailures"
  | "canariesMissed"
  | "clockOffsetMs";
export type PolicyField = keyof typeof policyFields;

export interface PolicySettings {
  filter?: string;
  snaplen?: number;
  noise?: NoiseClass[];
  tcpIdleMs?: number;
  otherIdleMs?: number;
  unansweredIdleMs?: number;
  activeMs?: number;
  facts?: boolean;
  sampleMax?: number;
  uploadBytesPerS?: number;
  ringPayload?: PayloadPolicy;
  lateAfterS?: number;
  blindAfterS?: number;
  broadcastOnlyS?: number;
  lossPermille?: number;
  tsharkFailures?: number;
  canariesMissed?: number;
  clockOffsetMs?: number;
}

/** What an aggregator offers. Versions are unique in a fleet: a number says which settings. */
export interface Policy {
  name: string;
  version: number;
  settings: PolicySettings;
}

export type PolicyCheck = { ok: true; settings: PolicySettings } | {
  ok: false;
  field: string;
  message: string;
};

/** Below this a batch of a busy second would wait for minutes. */
const uploadBytesPerSMin = 1_000;
/** Below this the addresses of many packets are cut off, and nothing of them can be counted. */
const snaplenMin = 68;

export function checkPolicy(given: unknown): PolicyCheck {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return wrong("settings", "an object of fields", given);
  }
  for (const [field, value] of Object.entries(given)) {
    if (!Object.hasOwn(policyFields, field)) {
      return {
        ok: false,
        field,
        message: `Cannot set "${field.slice(0, 60)}" as no policy has such a field`,
      };
    }
    const rule = ruleOf(field as PolicyField, value);
    if (rule !== null) return wrong(field, rule, value);
  }
  return { ok: true, settings: given as PolicySettings };
}

/** Null = the value is fine; else what it must be. */
function ruleOf(field: PolicyField, value: unknown): string | null {
  const rule = policyFields[field];
  switch (rule.kind) {
    case "text": {
      // It becomes an argument of a program.
      const isFine = typeof value === "string" && value.length <= rule.charactersMax &&
        !/\p{Cc}/u.test(value);
      return isFine ? null : `text without control characters, <= ${rule.charactersMax} characters`;
    }
    case "flag":
      return typeof value === "boolean" ? null : "true or false";
    case "choice":
      return rule.choices.some((choice) => choice === value) ? null : `one of ${rule.choices.join(", ")}`;
    case "list": {
      const isFine = Array.isArray(value) && new Set(value).size === value.length &&
        value.every((one) => rule.choices.some((choice) => choice === one));
      return isFine ? null : `a list of ${rule.choices.join(", ")}, each once`;
    }
    default:
      return numberRule(field, value, rule);
  }
}

function numberRule(
  field: PolicyField,
  value: unknown,
  { min, max }: { min: number; max: number },
): string | null {
  const least = field === "snaplen" ? snaplenMin : field === "uploadBytesPerS" ? uploadBytesPerSMin : min;
  const isWhole = Number.isInteger(value) && (value as number) <= max;
  if (isWhole && ((value as number) >= least || (least > min && value === 0))) return null;
  return `${least > min ? "0, or " : ""}a whole number from ${least} to ${max}`;
}

function wrong(field: string, rule: string, value: unknown): PolicyCheck {
  const text = JSON.stringify(value) ?? "undefined";
  return {
    ok: false,
    field,
    message: `Cannot set "${field}" as it must be ${rule}: current value is ${text.slice(0, 100)}`,
  };
}

/** The settings that hold on a sensor: those of the policy, without the fields that its own options keep. */
export function withoutKept(settings: PolicySettings, kept: readonly string[]): PolicySettings {
  return Object.fromEntries(Object.entries(settings).filter(([field]) => !kept.includes(field)));
}

/** Which fields differ, for people: "snaplen: 0 -> 256", in the order of the table. */
export function policyDifference(before: PolicySettings, after: PolicySettings): string[] {
  const words = (value: unknown) => value === undefined ? "not set" : JSON.stringify(value);
  return (Object.keys(policyFields) as PolicyField[])
    .filter((field) => words(before[field]) !== words(after[field]))
    .map((field) => `${field}: ${words(before[field])} -> ${words(after[field])}`);
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** A policy as it came over the wire; else null. */
export function readPolicy(given: unknown): Policy | null {
  if (typeof given !== "object" || given === null) return null;
  const { name, version, settings } = given as Record<string, unknown>;
  const isNamed = typeof name === "string" && namePattern.test(name);
  if (!isNamed || !Number.isSafeInteger(version) || (version as number) < 1) return null;
  const checked = checkPolicy(settings);
  return checked.ok ? { name, version: version as number, settings: checked.settings } : null;
}
