/** The file of sinks: refused with its reason, never with a secret in it. @module */

import { assert, assertEquals } from "@std/assert";
import { readSinkSettings } from "../../../aggregator/sinks/settings.ts";

const problems = (value: unknown) => {
  const read = readSinkSettings(typeof value === "string" ? value : JSON.stringify({ sinks: [value] }));
  return read.ok ? [] : read.problems;
};
const hook = { name: "chat", kind: "webhook", url: "https://hooks.example/x" };

Deno.test("a sink has defaults for all but name, kind and place", () => {
  const read = readSinkSettings(JSON.stringify({ sinks: [hook] }));
  assert(read.ok);
  const { severity_min, messages_per_hour, digest_minutes, urgent } = read.sinks[0];
  assertEquals([severity_min, messages_per_hour, digest_minutes, urgent], ["medium", 20, 0, "critical"]);
});

Deno.test("what is wrong is named, and a secret in the wrong place is not repeated", () => {
  assertEquals(problems("{"), ['Cannot use "sinks" as the file must be JSON']);
  assertEquals(problems(JSON.stringify({ sinks: [hook, hook] })), [
    'Cannot use "sinks" as each name must be there once: "chat" is there twice',
  ]);
  const [inline] = problems({ ...hook, secret: "hunter2-secret" });
  assert(inline.startsWith('Cannot use "sinks" at sinks.0.secret') && !inline.includes("hunter2"), inline);
  for (
    const wrong of [
      { name: "Chat room" },
      { quiet: { from: "25:00", to: "06:00" } },
      { quiet: { from: "22:00", to: "06:00", zone: "Mars/Olympus" } },
      { severity_min: "terrible" },
      { messages_per_hour: 201 },
      { colour: "red" },
      { kind: "pigeon" },
    ]
  ) assertEquals(problems({ ...hook, ...wrong }).length, 1, JSON.stringify(wrong));
  const mail = {
    name: "mail",
    kind: "email",
    host: "mail.example",
    from: "p@example.com",
    to: ["a@example.com"],
  };
  assertEquals(problems(mail), []);
  const report = { every: "week", day: "friday", at: "18:00", zone: "Europe/Berlin", only: true };
  assertEquals(problems({ ...mail, report }), []);
  assertEquals(problems({ ...mail, report: { every: "day" } }), []);
  for (const wrong of [{ every: "hour" }, { day: "Friday" }, { at: "7:00" }, { zone: "x" }, { path: "/x" }]) {
    assertEquals(problems({ ...mail, report: { ...report, ...wrong } }).length, 1, JSON.stringify(wrong));
  }
  assertEquals(problems({ ...hook, report }).length, 1);
  const file = { name: "page", kind: "file", path: "/tmp/lines" };
  assertEquals(problems({ ...file, report }).length, 1);
  assertEquals(problems({ ...file, report: { ...report, path: "/tmp/report.html" } }), []);
  for (const to of ["a@example.com\nBcc: b@example.com", "a@example.com, b@example.com", "<a@example.com>"]) {
    assertEquals(problems({ ...mail, to: [to] }).length, 1, to);
  }
});
