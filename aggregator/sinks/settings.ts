/** The file of sinks: whom to notify of what, and how.
 *
 * In: JSON. Out: settings, or every problem in words. Invariant: a secret is in a file or an environment variable,
 * never here: `{"file": PATH}` or `{"env": NAME}`; names are unique. @module */

import { z } from "../../shared/schema.ts";
import { severities } from "../model/threat.ts";
import { weekdays } from "./schedule.ts";

export const webhookTemplates = ["json", "eve", "ecs", "ocsf", "slack", "teams", "discord", "ntfy"] as const;
export const lineFormats = ["text", "json", "cef", "eve", "ecs", "ocsf"] as const;
export type LineFormat = typeof lineFormats[number];
const sinksMax = 32;

const secret = z.union([
  z.strictObject({ file: z.string().min(1).max(1_000) }),
  z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/) }),
]);
export type Secret = z.infer<typeof secret>;
const clock = z.string().regex(/^(?:[01][0-9]|2[0-3]):[0-5][0-9]$/, "must be like 22:00");
const words = z.array(z.string().min(1).max(100)).max(100).default([]);
const host = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, "must be a host name or an address");
const mailbox = z.string().max(254).regex(
  /^[^\s<>@,;:"\\]+@[A-Za-z0-9.-]+$/,
  "must be an address like a@example.com",
);
const port = z.int().min(1).max(65_535);
const zone = z.string().max(60).refine((name) => {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}, "must be a time zone like Europe/Berlin");

/** A page about the network, each day or each week. */
const schedule = {
  every: z.enum(["day", "week"]),
  day: z.enum(weekdays).default("monday"),
  at: clock.default("07:00"),
  zone: zone.default("UTC"),
  /** No incidents are sent to this sink. */
  only: z.boolean().default(false),
};

const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, "must be 1-32 of a-z, 0-9, _ and -"),
  severity_min: z.enum(severities).default("medium"),
  sites: words,
  tags: words,
  detectors: words,
  quiet: z.strictObject({ from: clock, to: clock, zone: zone.default("UTC") }).optional(),
  /** This severe and it comes at once, also in quiet hours and beside a digest. */
  urgent: z.enum(severities).default("critical"),
  /** 0 = each message by itself. */
  digest_minutes: z.int().min(0).max(1_440).default(0),
  messages_per_hour: z.int().min(1).max(200).default(20),
};

export const sinkSettings = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("webhook"),
    ...common,
    url: z.union([z.string().max(2_000), secret]),
    template: z.enum(webhookTemplates).default("json"),
    secret: secret.optional(),
    private: z.boolean().default(false),
  }),
  z.strictObject({
    kind: z.literal("email"),
    ...common,
    host,
    port: port.default(587),
    security: z.enum(["starttls", "tls"]).default("starttls"),
    ca_file: z.string().max(1_000).optional(),
    user: z.string().max(254).optional(),
    password: secret.optional(),
    from: mailbox,
    to: z.array(mailbox).min(1).max(20),
    report: z.strictObject(schedule).optional(),
  }),
  z.strictObject({
    kind: z.literal("syslog"),
    ...common,
    host,
    port: port.default(6_514),
    transport: z.enum(["tls", "tcp", "udp"]).default("tls"),
    ca_file: z.string().max(1_000).optional(),
    format: z.enum(lineFormats).default("text"),
  }),
  z.strictObject({
    kind: z.literal("file"),
    ...common,
    path: z.string().min(1).max(1_000),
    format: z.enum(lineFormats).default("json"),
    max_megabytes: z.int().min(1).max(10_000).default(10),
    files: z.int().min(1).max(100).default(5),
    report: z.strictObject({ ...schedule, path: z.string().min(1).max(1_000) }).optional(),
  }),
]);
export type SinkSettings = z.infer<typeof sinkSettings>;
export type SettingsOf<Kind extends SinkSettings["kind"]> = Extract<SinkSettings, { kind: Kind }>;

const file = z.strictObject({ sinks: z.array(sinkSettings).max(sinksMax) });

/** When reports are due, and that nothing else is wanted; undefined = none are. */
export function reportOf(settings: SinkSettings): z.infer<z.ZodObject<typeof schedule>> | undefined {
  return "report" in settings ? settings.report : undefined;
}

export type ReadSettings = { ok: true; sinks: SinkSettings[] } | { ok: false; problems: string[] };

/** Reads the file's text. Problems never repeat a value: it could be a secret in the wrong place. */
export function readSinkSettings(text: string): ReadSettings {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, problems: ['Cannot use "sinks" as the file must be JSON'] };
  }
  const read = file.safeParse(json);
  if (!read.success) {
    const problems = read.error.issues.slice(0, 20).map(({ path, message }) =>
      `Cannot use "sinks" at ${path.join(".") || "the top"}: ${message}`
    );
    return { ok: false, problems };
  }
  const names = read.data.sinks.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    return {
      ok: false,
      problems: [`Cannot use "sinks" as each name must be there once: "${twice}" is there twice`],
    };
  }
  return { ok: true, sinks: read.data.sinks };
}
