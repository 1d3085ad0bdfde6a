/** What meets a suppression: every condition, every address of a side, and no list that is full. @module */

import { assertEquals } from "@std/assert";
import { meets } from "../../../aggregator/filter/evaluate.ts";
import { threatTable } from "../../../aggregator/filter/threat_table.ts";
import {
  faultOf,
  filterOf,
  isInForce,
  matcherOf,
  type SuppressionConditions,
} from "../../../aggregator/model/suppression.ts";
import type { Threat } from "../../../aggregator/model/threat.ts";
import { sampleThreat } from "../api/samples.ts";

function isMet(conditions: SuppressionConditions, change: Partial<Threat> = {}): boolean {
  const threat = sampleThreat(change), filter = filterOf(conditions);
  const found = matcherOf(conditions)(threat);
  if (found && filter) {
    assertEquals(meets(filter, threatTable, threat), true, "the filter leaves nothing out");
  }
  return found;
}

const named = (value: string | number) => ({
  evidence: [{ id: "e1", name: "domain", value, hostile: true }],
});

Deno.test("a suppression is met when every condition holds", () => {
  const both = { detector: "port_scan_vertical", network: "lab" };
  assertEquals([isMet(both), isMet({ ...both, network: "office" })], [true, false]);
  assertEquals([isMet({ ...both, dst_port: 22 }), isMet({ ...both, dst_port: 22 }, { dst_port: 22 })], [
    false,
    true,
  ]);
  assertEquals([isMet({ dst_port: 0 }, { dst_port: 0 }), isMet({ dst_port: 0 })], [true, false]);
});

Deno.test("an address condition is met by a threat whose addresses of that side all lie in it", () => {
  const inside = (src_ips: string[]) => isMet({ src_ip: "10.0.0.0/30" }, { src_ips });
  assertEquals(inside(["10.0.0.3"]), true);
  assertEquals(inside(["10.0.0.4"]), false);
  assertEquals(inside(["10.0.0.1", "10.0.0.2"]), true);
  assertEquals(inside(["10.0.0.1", "203.0.113.7"]), false);
  assertEquals(inside([]), false, "nobody is nobody's scanner");
  assertEquals(inside(["nonsense"]), false);
  assertEquals(inside(["::ffff:10.0.0.1"]), false);
  assertEquals(isMet({ dst_ip: "2001:DB8::/32" }, { dst_ips: ["2001:db8:1::5"] }), true);
  assertEquals(isMet({ dst_ip: "10.0.0.9" }, { src_ips: ["10.0.0.9"], dst_ips: ["10.0.0.8"] }), false);
  const many = (count: number) => Array.from({ length: count }, (_, n) => `10.0.1.${n}`);
  assertEquals(isMet({ dst_ip: "10.0.0.0/8" }, { dst_ips: many(99) }), true);
  assertEquals(isMet({ dst_ip: "10.0.0.0/8" }, { dst_ips: many(100) }), false, "there may be others");
});

Deno.test("a name is met by itself and by domains below it, in any case, and not by what only holds it", () => {
  const is = (value: string | number) => isMet({ name: "example.com" }, named(value));
  assertEquals([is("example.com"), is("A.Example.COM."), is("x.example.com, example.com")], [
    true,
    true,
    true,
  ]);
  assertEquals(
    [is("badexample.com"), is("example.com.evil.test"), is("example.com, evil.test"), is(7), is("")],
    [false, false, false, false, false],
  );
});

Deno.test("a suppression without a condition, or of every address, is refused", () => {
  assertEquals(faultOf({})?.field, "");
  assertEquals(faultOf({ src_ip: "0.0.0.0/0" })?.field, "src_ip");
  assertEquals(faultOf({ detector: "beacon", dst_ip: "::/0" })?.field, "dst_ip");
  assertEquals(faultOf({ src_ip: "128.0.0.0/1" }), null);
  assertEquals(faultOf({ dst_port: 0 }), null);
});

Deno.test("a suppression is in force until the moment it expires or ends", () => {
  const row = { id: "a", reason: "r", made_by: "b", made_ms: 0, expires_ms: 100, ended_ms: null };
  assertEquals([isInForce(row, 99), isInForce(row, 100), isInForce({ ...row, ended_ms: 50 }, 10)], [
    true,
    false,
    false,
  ]);
});
