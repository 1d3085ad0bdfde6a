/** Industrial protocols: commands of strangers, stops and exploration are found; polling, operators' writes and
 * refusals of one wrong address are not. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { icsCommand } from "../../../aggregator/detect/detectors/ics_command.ts";
import { icsReconnaissance } from "../../../aggregator/detect/detectors/ics_reconnaissance.ts";
import { icsActionOf, isIcsChange } from "../../../aggregator/detect/signs/ics.ts";
import type { IcsFact } from "../../../shared/facts.ts";
import type { Segment } from "../../../shared/segment.ts";
import { run, severity, times, update } from "./updates.ts";

const ask = (atS: number, src_ip: string, ics: Partial<IcsFact>[], change: Partial<Segment> = {}) =>
  update(atS, {
    src_ip,
    dst_ip: "10.0.0.77",
    dst_port: 502,
    app_protocol: "modbus",
    facts: { ics: ics.map((fact) => ({ protocol: "modbus", operation: "read_coils", ...fact })) },
    ...change,
  });
const write = { operation: "write_single_coil" };
const panel = "10.0.0.10", evil = "10.0.0.66";
const polls = (count: number) => ask(0, panel, [{ count }, { response: true, count }, write]);

Deno.test("a write by a host that is not in charge is found, and advice spares the controller", () => {
  const [finding] = run(icsCommand, [polls(100), ask(40, evil, [write])]);
  assertEquals([finding.src_ips, finding.dst_ips, severity(finding)], [[evil], ["10.0.0.77"], "medium"]);
  assertStringIncludes(finding.words.action, "Do not cut the controller off");
  assert(!/isolate/i.test(finding.words.action));
  const [outside] = run(icsCommand, [polls(100), ask(40, "203.0.113.9", [write])]);
  assertEquals(severity(outside), "high");
});

Deno.test("the host in charge may write; so may a second panel, and one that was there from the beginning", () => {
  assertEquals(run(icsCommand, [polls(100)]), []);
  assertEquals(
    run(icsCommand, [polls(100), ask(40, evil, [{ count: 20 }, write])]),
    [],
    "21 requests of 101",
  );
  assertEquals(run(icsCommand, [polls(100), ask(29, evil, [write])]), []);
  assertEquals(run(icsCommand, [polls(100), ask(40, evil, [{ count: 3 }])]), [], "it only reads");
  assertEquals(run(icsCommand, [polls(15), ask(40, evil, [write])]), [], "nobody is known to be in charge");
});

Deno.test("whoever stops a controller is told, the host in charge as well; loading by an engineer is low, by a stranger more", () => {
  const does = (operation: string) => run(icsCommand, [ask(0, panel, [{ count: 100 }, { operation }])]);
  for (const operation of ["plc_stop", "cold_restart", "delete_file"]) {
    assertEquals(does(operation).map((one) => [one.src_ips, severity(one)]), [[[panel], "medium"]]);
  }
  for (const operation of ["request_download", "plc_control", "start"]) {
    assertEquals(does(operation).map(severity), ["low"], operation);
  }
  assertEquals(run(icsCommand, [polls(100), ask(40, evil, [{ operation: "plc_control" }])]).map(severity), [
    "medium",
  ]);
  const outside = run(icsCommand, [ask(0, "203.0.113.9", [{ operation: "request_download" }])]);
  assertEquals(outside.map(severity), ["high"]);
  const elsewhere = ask(0, "203.0.113.9", [{ operation: "plc_stop" }], { dst_ip: "203.0.113.77" });
  assertEquals(
    run(icsCommand, [elsewhere]).map(severity),
    ["medium"],
    "their own network, on public addresses",
  );
  assertEquals(run(icsCommand, [ask(0, panel, [{ operation: "plc_stop", response: true }])]), []);
  const later = (atS: number, before: number) =>
    run(icsCommand, [ask(0, panel, [{ count: before }]), ask(atS, panel, [{ operation: "cold_restart" }])])
      .map(severity);
  assertEquals([later(600, 20), later(599, 20), later(600, 19)], [["low"], ["medium"], ["medium"]]);
});

Deno.test("exploring controllers is found by units, by refusals of several kinds, and by questions who they are", () => {
  const units = (count: number) => run(icsReconnaissance, [ask(0, evil, times(count, (unit) => ({ unit })))]);
  assertEquals([units(40).map(severity), units(39)], [["medium"], []]);
  const refused = (count: number, exceptions: number) =>
    run(icsReconnaissance, [
      ask(
        0,
        evil,
        times(exceptions, (i) => ({ response: true, exception: i + 1, count: count / exceptions })),
      ),
    ]);
  assertEquals([refused(10, 2).map(severity), refused(8, 2)], [["low"], []]);
  assertEquals(refused(900, 1), [], "one wrong address, again and again");
  const who = (count: number) =>
    run(
      icsReconnaissance,
      times(count, (i) => ask(i, evil, [{ operation: "report_server_id" }], { dst_ip: `10.0.0.${70 + i}` })),
    );
  assertEquals([who(3).map(severity), who(2)], [["low"], []]);
  assertEquals(run(icsReconnaissance, times(500, (i) => ask(i, panel, [{ count: 60 }]))), [], "polling");
});

Deno.test("a controller that is reached across the Internet is medium; an attempt without a conversation is a scan", () => {
  const [finding] = run(icsReconnaissance, [ask(0, "203.0.113.9", [{}])]);
  assertEquals([finding.src_ips, severity(finding)], [["203.0.113.9"], "medium"]);
  assertStringIncludes(finding.words.action, "Block 203.0.113.9 at the firewall");
  assertStringIncludes(finding.words.action, "Do not cut the controllers off");
  assertEquals(run(icsReconnaissance, [ask(0, evil, [{}])]), []);
  const probe = ask(0, "203.0.113.9", [], { facts: null, fwd_payload_bytes: 0, bwd_payload_bytes: 0 });
  assertEquals(run(icsReconnaissance, [probe]), []);
});

Deno.test("operations are read, written, identified or change the device", () => {
  const classes = ["read_holding_registers", "write_tag", "plc_stop", "list_identity", "i_am", "C_SC_NA_1"]
    .map(icsActionOf);
  assertEquals(classes, ["read", "write", "operate", "identify", null, "write"]);
  assert(isIcsChange("read_write_multiple_registers") && !isIcsChange("read_coils"));
});

Deno.test("a flow seen from its middle is turned by the industrial port, and answers that nobody asked for are no exploration", () => {
  const turned = { src_ip: "10.0.0.77", src_port: 502, dst_ip: evil, dst_port: 2_927 };
  const [finding] = run(icsCommand, [ask(0, "", [{ operation: "plc_stop" }], turned)]);
  assertEquals([finding.src_ips, finding.dst_ips, finding.dst_port], [[evil], ["10.0.0.77"], 502]);
  const answer = [{ protocol: "bacnet", operation: "read_property", response: true }] as const;
  const flood = times(50, (i) => ask(i, `203.0.113.${i}`, [...answer], { dst_port: 30_120 }));
  assertEquals(run(icsReconnaissance, flood), []);
});

Deno.test("an own master of controllers far away stays low, a stranger who reaches a controller does not", () => {
  const far = times(9, (i) => ask(i, panel, [{ operation: `function_${i}` }], { dst_ip: "203.0.113.77" }));
  assertEquals(run(icsReconnaissance, far).map(severity), ["low"]);
  const near = ask(10, panel, [{}]);
  assertEquals(run(icsReconnaissance, [...far, near]).map(severity), ["high"], "and controllers at home");
  assertEquals(run(icsReconnaissance, [ask(0, "203.0.113.9", [{}])]).map(severity), ["medium"]);
});
