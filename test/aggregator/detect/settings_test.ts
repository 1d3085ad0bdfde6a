/** Settings of detectors: limits within their ranges, detectors off, and the list of both. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  catalogue,
  describeDetectors,
  startDetectors,
} from "../../../aggregator/detect/detectors/catalogue.ts";
import { readSettings } from "../../../aggregator/detect/settings.ts";
import { refused, run, times, update } from "./updates.ts";

function settingsOf(limit: string[], detectorOff: string[] = []) {
  const read = readSettings({ limit, detectorOff }, catalogue);
  assert(read.ok, JSON.stringify(read));
  return read.settings;
}

function problemsOf(limit: string[], detectorOff: string[] = []): string[] {
  const read = readSettings({ limit, detectorOff }, catalogue);
  return read.ok ? [] : read.problems;
}

Deno.test("a limit that is set is in force, and the others stay", () => {
  const settings = settingsOf(["port_scan_vertical.tcpPortsMin=40", "port_scan_vertical.quietS=30"]);
  const set = settings.limits.get("port_scan_vertical")!;
  const [scan] = catalogue.filter(({ name }) => name === "port_scan_vertical");
  const ports = (count: number) => times(count, (i) => update(i, { ...refused, dst_port: 1_000 + i }));
  assertEquals(run(scan, ports(39), set), []);
  assertEquals(run(scan, ports(40), set).map(({ count }) => count), [40]);
  const entry = describeDetectors(settings).find(({ name }) => name === "port_scan_vertical")!;
  const shown = (name: string) => entry.limits.find((limit) => limit.name === name)!;
  assertEquals([shown("tcpPortsMin").value, shown("tcpPortsMin").default, shown("quietS").value], [
    40,
    15,
    30,
  ]);
  assertEquals(shown("udpPortsMin").value, 30);
});

Deno.test("a limit is refused outside its range, and both ends are inside", () => {
  for (const value of ["1", "1500", "1_500"]) {
    assertEquals(problemsOf([`port_scan_vertical.tcpPortsMin=${value}`]), []);
  }
  for (const value of ["0", "1501"]) {
    assertStringIncludes(problemsOf([`port_scan_vertical.tcpPortsMin=${value}`])[0], "be 1 to 1500 ports");
  }
  assertEquals(problemsOf(["port_scan_vertical.failedShareMin=1"]), []);
  assertStringIncludes(problemsOf(["port_scan_vertical.failedShareMin=1.1"])[0], "be 0 to 1 share");
});

Deno.test("every wrong setting is reported, each with what is right", () => {
  const problems = problemsOf(
    [
      "nothing",
      "nobody.portsMin=1",
      "syn_flood.portsMin=1",
      "syn_flood.constructor=1",
      "syn_flood.burstMin=NaN",
    ],
    ["nobody"],
  );
  const parts = [
    "NAME.LIMIT=VALUE",
    "name one of the detectors host_sweep",
    "halfOpenPerBinMin",
    "halfOpenPerBinMin",
    "NAME.LIMIT=VALUE",
    '"nobody"',
  ];
  assertEquals(problems.length, 6);
  problems.forEach((problem, i) => assertStringIncludes(problem, parts[i]));
});

Deno.test("a detector that is off does not run, and the list says so", () => {
  const settings = settingsOf([], ["beacon", "syn_flood"]);
  const running = startDetectors(settings).map(({ name }) => name);
  assertEquals([running.includes("beacon"), running.includes("syn_flood"), running.length], [
    false,
    false,
    catalogue.length - 2,
  ]);
  assertEquals(describeDetectors(settings).filter(({ isOn }) => !isOn).map(({ name }) => name), [
    "syn_flood",
    "beacon",
  ]);
});

Deno.test("every declaration has a name of its own, a technique, reasons for its limits and values within range", () => {
  assertEquals(new Set(catalogue.map(({ name }) => name)).size, catalogue.length);
  for (const { name, technique, about, limits } of describeDetectors()) {
    assert(/^[a-z0-9_]+$/.test(name) && /^T[0-9]{4}(\.[0-9]{3})?$/.test(technique), name);
    assert(about.endsWith(".") && about.length > 20, name);
    for (const limit of limits) {
      assert(limit.why.length > 5 && limit.unit.length > 0, `${name}.${limit.name}`);
      assert(limit.min <= limit.value && limit.value <= limit.max, `${name}.${limit.name}`);
    }
  }
});
