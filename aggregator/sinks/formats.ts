/** Messages as EVE, ECS, OCSF and CEF: one table says where each value goes in each of them.
 *
 * In: a message. Out: an object of the format, or a CEF line. Invariant: a value that a format has no field for is left
 * out, never put into a field that means something else; strings lose control and bidirectional characters. EVE has no
 * alert without a signature number: it is derived from the detector's name. @module */

import { Buffer } from "node:buffer";
import { sha256Hex } from "../../shared/batch.ts";
import { escapeLine } from "../../shared/escape.ts";
import { version } from "../../shared/version.ts";
import type { SinkMessage } from "../model/message.ts";
import { rankOf } from "./rules.ts";
import type { LineFormat } from "./settings.ts";
import { oneLine } from "./words.ts";

type Scalar = string | number | boolean;
type Read = (message: SinkMessage) => Scalar | readonly Scalar[] | null;

interface Place {
  value: Read;
  /** A path with dots; absent = the format has no place for it. `raw`: a way to write the value in this format. */
  eve?: string;
  ecs?: string;
  ocsf?: string;
  cef?: string;
}

const ocsfSeverities = [1, 2, 3, 4, 5];
/** EVE counts down from 1, the gravest. */
const eveSeverities = [4, 3, 3, 2, 1];
const ecsVersion = "9.5.0-dev";
const ocsfVersion = "1.9.0-dev";

const iso = (ms: number) => new Date(ms).toISOString();
const first = (list: readonly string[]) => list[0] ?? null;
const notEmpty = (text: string) => text === "" ? null : text;
const constant = (value: Scalar | readonly Scalar[]): Read => () => value;

const table: readonly Place[] = [
  // Who, what, when.
  { value: ({ at_ms }) => iso(at_ms).replace("Z", "000+0000"), eve: "timestamp" },
  { value: ({ at_ms }) => iso(at_ms), ecs: "@timestamp" },
  { value: ({ at_ms }) => at_ms, ocsf: "time", cef: "rt" },
  { value: ({ id }) => id, ecs: "event.id", ocsf: "metadata.uid", cef: "externalId" },
  { value: ({ incident }) => notEmpty(incident), ecs: "labels.incident", cef: "cs1" },
  { value: ({ incident, id }) => incident || id, ocsf: "finding_info.uid" },
  { value: ({ first_seen }) => iso(first_seen * 1_000), ecs: "event.start" },
  { value: ({ last_seen }) => iso(last_seen * 1_000), ecs: "event.end" },
  {
    value: ({ first_seen }) => Math.round(first_seen * 1_000),
    ocsf: "finding_info.first_seen_time",
    cef: "start",
  },
  {
    value: ({ last_seen }) => Math.round(last_seen * 1_000),
    ocsf: "finding_info.last_seen_time",
    cef: "end",
  },
  { value: ({ title }) => title, eve: "alert.signature", ecs: "rule.name", ocsf: "finding_info.title" },
  { value: ({ summary }) => summary, ocsf: "message", cef: "msg" },
  { value: oneLine, ecs: "message" },
  { value: ({ action }) => notEmpty(action), ocsf: "remediation.desc" },
  {
    value: ({ detector }) => notEmpty(detector),
    eve: "alert.category",
    ecs: "rule.id",
    ocsf: "finding_info.analytic.name",
  },
  { value: ({ detector }) => detector === "" ? null : 1, ocsf: "finding_info.analytic.type_id" },
  { value: ({ detector }) => signatureOf(detector), eve: "alert.signature_id" },
  // How bad.
  { value: ({ severity }) => eveSeverities[rankOf(severity)], eve: "alert.severity" },
  { value: ({ severity }) => ocsfSeverities[rankOf(severity)], ocsf: "severity_id", ecs: "event.severity" },
  { value: ({ severity }) => severity, ecs: "labels.severity" },
  // Where.
  {
    value: ({ actors }) => first(actors),
    eve: "src_ip",
    ecs: "source.ip",
    ocsf: "evidences.0.src_endpoint.ip",
    cef: "src",
  },
  {
    value: ({ targets }) => first(targets),
    eve: "dest_ip",
    ecs: "destination.ip",
    ocsf: "evidences.0.dst_endpoint.ip",
    cef: "dst",
  },
  {
    value: ({ dst_port, targets }) => targets.length === 0 ? null : dst_port,
    eve: "dest_port",
    ecs: "destination.port",
    ocsf: "evidences.0.dst_endpoint.port",
    cef: "dpt",
  },
  { value: ({ actors, targets }) => [...new Set([...actors, ...targets])], ecs: "related.ip" },
  { value: ({ network }) => notEmpty(network), ecs: "network.name", cef: "cs2" },
  { value: ({ sensors }) => first(sensors), eve: "host", ecs: "observer.name", cef: "dvchost" },
  {
    value: ({ technique }) => notEmpty(technique),
    ecs: "threat.technique.id",
    ocsf: "finding_info.attacks.0.technique.uid",
  },
  { value: ({ threats }) => threats, ecs: "labels.threats", ocsf: "count", cef: "cnt" },
  // What the formats want said.
  { value: constant("alert"), eve: "event_type", ecs: "event.kind" },
  { value: constant("allowed"), eve: "alert.action" },
  { value: constant(1), eve: "alert.gid" },
  { value: constant(1), eve: "alert.rev" },
  { value: constant(["intrusion_detection"]), ecs: "event.category" },
  { value: constant(["info"]), ecs: "event.type" },
  { value: constant("picket"), ecs: "event.module" },
  { value: constant(ecsVersion), ecs: "ecs.version" },
  { value: ({ kind }) => kind === "rise" ? 2 : 1, ocsf: "activity_id" },
  { value: ({ kind }) => kind === "rise" ? 200_402 : 200_401, ocsf: "type_uid" },
  { value: constant(2), ocsf: "category_uid" },
  { value: constant(2_004), ocsf: "class_uid" },
  { value: constant(true), ocsf: "is_alert" },
  { value: constant(1), ocsf: "status_id" },
  { value: constant(ocsfVersion), ocsf: "metadata.version" },
  { value: constant("Picket"), ocsf: "metadata.product.name", ecs: "observer.product" },
  { value: constant(version), ocsf: "metadata.product.version" },
];

/** An object as JSON writes it. */
export function objectOf(message: SinkMessage, format: "eve" | "ecs" | "ocsf"): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const place of table) {
    const path = place[format], value = path === undefined ? null : place.value(message);
    if (path !== undefined && value !== null) put(object, path.split("."), inert(value));
  }
  return object;
}

/** ArcSight's Common Event Format, version 0. */
export function cefLine(message: SinkMessage): string {
  const { severity, detector, kind, title } = message;
  const head = ["Picket", "Picket", version, detector || kind, title, `${[1, 3, 5, 8, 10][rankOf(severity)]}`]
    .map((text) => escapeLine(text).replace(/[\\|]/g, "\\$&"));
  const labels: Record<string, string> = { cs1: "incident", cs2: "site" };
  const fields = table.flatMap(({ cef, value }) => {
    const found = cef === undefined ? null : value(message);
    if (cef === undefined || found === null) return [];
    const text = `${cef}=${escapeLine(String(found)).replace(/[\\=]/g, "\\$&")}`;
    return labels[cef] === undefined ? [text] : [text, `${cef}Label=${labels[cef]}`];
  });
  return `CEF:0|${head.join("|")}|${fields.join(" ")}`;
}

/** One line in this format. */
export function lineOf(message: SinkMessage, format: LineFormat): string {
  if (format === "text") return oneLine(message);
  if (format === "cef") return cefLine(message);
  return JSON.stringify(format === "json" ? inertMessage(message) : objectOf(message, format));
}

/** The message itself, its strings made inert. */
export function inertMessage(message: SinkMessage): SinkMessage {
  return JSON.parse(
    JSON.stringify(message),
    (_key, value) => typeof value === "string" ? escapeLine(value) : value,
  );
}

function inert(value: Scalar | readonly Scalar[]): unknown {
  if (typeof value === "string") return escapeLine(value);
  return typeof value === "object"
    ? value.map((one) => typeof one === "string" ? escapeLine(one) : one)
    : value;
}

function put(into: Record<string, unknown>, [name, next, ...rest]: string[], value: unknown): void {
  if (next === undefined) into[name] = value;
  else if (next === "0") put(((into[name] ??= [{}]) as Record<string, unknown>[])[0], rest, value);
  else put((into[name] ??= {}) as Record<string, unknown>, [next, ...rest], value);
}

/** Signature numbers from 1,000,000 up are for local use. */
function signatureOf(detector: string): number {
  return 1_000_000 + Buffer.from(sha256Hex(detector), "hex").readUInt32BE(0) % 900_000;
}
