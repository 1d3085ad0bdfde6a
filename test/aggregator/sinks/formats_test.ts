/** EVE, ECS and OCSF as their published schemas have them, CEF and templates as their escapes demand:
 * hostile strings are inert.
 *
 * The schemas are in ../shared/data/schemas; without them their cases are left out, and say so. @module */

import { assert, assertEquals } from "@std/assert";
import type { SinkMessage } from "../../../aggregator/model/message.ts";
import { mailHtml } from "../../../aggregator/sinks/email.ts";
import { cefLine, lineOf, objectOf } from "../../../aggregator/sinks/formats.ts";
import { blankMessage, digestOf } from "../../../aggregator/sinks/message.ts";
import { lineFormats, webhookTemplates } from "../../../aggregator/sinks/settings.ts";
import { syslogLine } from "../../../aggregator/sinks/syslog.ts";
import { webhookBody } from "../../../aggregator/sinks/webhook.ts";
import { z } from "../../../shared/schema.ts";
import { skipLoudly } from "../../services/services.ts";

const schemas = new URL("../../../../shared/data/schemas/", import.meta.url).pathname;
const hasSchemas = await Deno.stat(schemas).then(() => true, () => false);
if (!hasSchemas) skipLoudly("formats against published schemas", "../shared/data/schemas is absent");

const nowMs = Date.UTC(2027, 0, 15, 12, 0, 0, 5);
const full: SinkMessage = {
  ...blankMessage("00112233aabbccdd", "test", nowMs),
  kind: "incident",
  severity: "high",
  title: "Vertical port scan",
  summary: "10.0.0.5 tried 40 ports of 10.0.0.9.",
  action: "Ask its owner.",
  incident: "ffeeddccbbaa9988",
  network: "office",
  detector: "port_scan_vertical",
  technique: "T1046",
  actors: ["10.0.0.5"],
  targets: ["10.0.0.9", "10.0.0.10"],
  dst_port: 22,
  sensors: ["roof"],
  threats: 3,
  incidents: 1,
};
const evil =
  '\r\n<script>alert(1)</script>\u202e|a=b\\]"*x*_y_ <!channel> @everyone [l](http://e.example)\0\x1b[2J` ~';
const hostile: SinkMessage = {
  ...full,
  title: evil,
  summary: evil,
  action: evil,
  network: evil,
  detector: evil,
  technique: evil,
  actors: [evil],
  targets: [evil],
  sensors: [evil],
};
const samples: SinkMessage[] = [
  full,
  { ...full, kind: "rise", severity: "critical", dst_port: null },
  blankMessage("0011223344556677", "test", nowMs),
  digestOf("0011223344556677", nowMs),
  hostile,
];
// deno-lint-ignore no-control-regex -- these are what must not be there.
const controls = /[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/;

Deno.test({
  name: "EVE keeps Suricata's schema",
  ignore: !hasSchemas,
  fn: async () => {
    const schema = JSON.parse(await Deno.readTextFile(`${schemas}eve/schema.json`));
    const checked = z.fromJSONSchema(schema);
    for (const sample of samples) assertEquals(checked.safeParse(objectOf(sample, "eve")).error, undefined);
    assert(!checked.safeParse({ ...objectOf(full, "eve"), made_up: 1 }).success, "the schema is strict");
    assert(!checked.safeParse({ ...objectOf(full, "eve"), timestamp: "2027-01-15T12:00:00Z" }).success);
  },
});

Deno.test({
  name: "ECS has no field of its own",
  ignore: !hasSchemas,
  fn: async () => {
    const types = new Map(
      (await Deno.readTextFile(`${schemas}ecs/fields.csv`)).split("\n").map((line) => line.split(","))
        .map((cells) => [cells[3], cells[4]]),
    );
    const walk = (value: unknown, path: string) => {
      if (types.get(path) === "object" || types.has(path)) {
        if (path === "labels") return;
        const one = Array.isArray(value) ? value[0] : value;
        const isNumber = ["long", "float"].includes(types.get(path)!);
        if (one !== undefined) assertEquals(typeof one, isNumber ? "number" : "string", path);
        return;
      }
      assert(
        typeof value === "object" && value !== null && !Array.isArray(value),
        `${path} is no field of ECS`,
      );
      for (const [name, inner] of Object.entries(value)) walk(inner, path === "" ? name : `${path}.${name}`);
    };
    for (const sample of samples) walk(objectOf(sample, "ecs"), "");
  },
});

Deno.test({
  name: "OCSF is a Detection Finding, with every attribute that one must have",
  ignore: !hasSchemas,
  fn: async () => {
    const read = async (path: string) => JSON.parse(await Deno.readTextFile(`${schemas}ocsf/${path}.json`));
    const dictionary = (await read("dictionary")).attributes;
    const attributesOf = async (path: string): Promise<Record<string, { requirement?: string }>> => {
      const { attributes, extends: base } = await read(path);
      const folder = path.slice(0, path.lastIndexOf("/"));
      const parent = base === "base_event"
        ? "events/base_event"
        : base === "object"
        ? null
        : `${folder}/${base}`;
      return { ...parent === null || base === undefined ? {} : await attributesOf(parent), ...attributes };
    };
    const walk = async (value: Record<string, unknown>, path: string) => {
      const attributes = await attributesOf(path);
      for (const [name, { requirement }] of Object.entries(attributes)) {
        if (requirement === "required") assert(value[name] !== undefined, `${path} must have ${name}`);
      }
      for (const [name, inner] of Object.entries(value)) {
        assert(attributes[name] !== undefined, `${name} is no attribute of ${path}`);
        const { type, is_array } = dictionary[name];
        if (is_array) assert(Array.isArray(inner), `${name} is a list`);
        const one = is_array ? (inner as unknown[])[0] : inner;
        const isObject = !type.endsWith("_t");
        assertEquals(typeof one === "object", isObject, name);
        if (isObject) await walk(one as Record<string, unknown>, `objects/${type}`);
        else if (/^(?:integer|long|timestamp)_t$/.test(type)) assert(Number.isInteger(one), name);
      }
    };
    for (const sample of samples) {
      const object = objectOf(sample, "ocsf");
      await walk(object, "events/findings/detection_finding");
      assertEquals(object.type_uid, 2_004 * 100 + (object.activity_id as number));
    }
  },
});

Deno.test("one table fills every format", () => {
  assertEquals(objectOf(full, "eve"), {
    timestamp: "2027-01-15T12:00:00.005000+0000",
    event_type: "alert",
    src_ip: "10.0.0.5",
    dest_ip: "10.0.0.9",
    dest_port: 22,
    host: "roof",
    alert: {
      action: "allowed",
      gid: 1,
      rev: 1,
      category: "port_scan_vertical",
      severity: 2,
      signature: "Vertical port scan",
      signature_id: (objectOf(full, "eve").alert as { signature_id: number }).signature_id,
    },
  });
  const ecs = JSON.stringify(objectOf(full, "ecs")), ocsf = JSON.stringify(objectOf(full, "ocsf"));
  for (const word of ["10.0.0.5", "10.0.0.9", "T1046", "Vertical port scan", "port_scan_vertical", "22"]) {
    assert(ecs.includes(word) && ocsf.includes(word), word);
  }
  assertEquals(objectOf(full, "ocsf").severity_id, 4);
  assertEquals(
    cefLine(full).replace(/\|[^|]*\|port_scan/, "|V|port_scan"),
    "CEF:0|Picket|Picket|V|port_scan_vertical|Vertical port scan|8|rt=1800014400005 externalId=00112233aabbccdd " +
      "cs1=ffeeddccbbaa9988 cs1Label=incident start=1800014400005 end=1800014400005 " +
      "msg=10.0.0.5 tried 40 ports of 10.0.0.9. src=10.0.0.5 dst=10.0.0.9 dpt=22 cs2=office cs2Label=site " +
      "dvchost=roof cnt=3",
  );
});

Deno.test("hostile strings stay one line without control characters in every format and template", () => {
  for (const format of lineFormats) assert(!controls.test(lineOf(hostile, format)), format);
  for (const template of webhookTemplates) {
    const { body, type, headers } = webhookBody(hostile, template);
    const texts = type === "application/json" ? [] : body.split("\n");
    if (type === "application/json") {
      JSON.parse(body, (_key, value) => {
        if (typeof value === "string") texts.push(...value.split("\n"));
        return value;
      });
    }
    for (const text of [...texts, ...Object.values(headers)]) {
      assert(!controls.test(text), `${template}: ${text}`);
    }
  }
});

Deno.test("hostile strings mean nothing in mark-up", () => {
  const slack = webhookBody(hostile, "slack").body;
  assert(!slack.includes("<!channel>") && slack.includes("&lt;!channel&gt;") && !slack.includes("*x*"));
  const discord = JSON.parse(webhookBody(hostile, "discord").body);
  assertEquals(discord.allowed_mentions, { parse: [] });
  for (const body of [webhookBody(hostile, "discord").body, webhookBody(hostile, "teams").body]) {
    assert(!body.includes("@everyone") && !body.includes("[l](") && !/[^\\]\*x/.test(body));
  }
  const html = mailHtml(hostile);
  assert(!/<script|<img|<a /i.test(html) && html.includes("&lt;script&gt;"));
  assertEquals(
    html.match(/<[a-z0-9]+/g)?.every((tag) =>
      ["<meta", "<h3", "<p", "<table", "<tr", "<th", "<td"].includes(tag)
    ),
    true,
  );
});

Deno.test("hostile strings cannot leave a field of CEF or a parameter of syslog", () => {
  const cef = cefLine(hostile);
  const bars = [...cef.matchAll(/(\\*)\|/g)].filter(([, slashes]) => slashes.length % 2 === 0);
  assert(bars.length >= 7);
  assertEquals([...cef.split(/(?<=[^\\](?:\\\\)*)\|/).slice(0, 3)], ["CEF:0", "Picket", "Picket"]);
  const extension = cef.slice(cef.indexOf("|rt=") + 1);
  const keys = [...extension.matchAll(/(\\*)=/g)].filter(([, slashes]) => slashes.length % 2 === 0);
  assertEquals(keys.length, 14);
  const line = syslogLine(hostile, "text", "host name\n");
  const match =
    /^<10[0-9]>1 \S+ hostname picket - incident \[picket@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")+)\] \ufeff/
      .exec(line);
  assert(match !== null, line);
});
