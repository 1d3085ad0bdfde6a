/** Options: force of the sources, every problem at once, and help that names everything. @module */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dumpOptions, helpOptions, type OptionTable, resolveOptions } from "../../shared/options.ts";

const table = {
  idleTimeoutMs: {
    kind: "number",
    default: 30_000,
    min: 1_000,
    max: 60_000,
    help: "Close a flow after this silence.",
  },
  transport: { kind: "text", default: "http", choices: ["http", "kafka"], help: "Where batches go." },
  brokers: { kind: "list", default: [], help: "Brokers." },
  facts: { kind: "flag", default: true, help: "Do not run tshark." },
  password: { kind: "text", default: "", secret: true, help: "Broker password." },
} satisfies OptionTable;

function resolve(args: string[], env: Record<string, string> = {}, file: Record<string, unknown> = {}) {
  return resolveOptions(table, { args, env: (name) => env[name], file });
}

Deno.test("resolveOptions lets arguments win over environment over file over defaults", () => {
  const env = { PICKET_IDLE_TIMEOUT_MS: "3000", PICKET_TRANSPORT: "kafka" };
  const result = resolve(["--idle-timeout-ms", "2000", "capture.pcap"], env, {
    transport: "http",
    brokers: ["a:1"],
  });
  assert(result.ok);
  assertEquals(result.positional, ["capture.pcap"]);
  const { idleTimeoutMs, transport, brokers, facts } = result.options;
  assertEquals({ idleTimeoutMs, transport, brokers, facts }, {
    idleTimeoutMs: 2000,
    transport: "kafka",
    brokers: ["a:1"],
    facts: true,
  });
});

Deno.test("resolveOptions reads lists, negated flags and values after an equals sign", () => {
  const result = resolve(["--brokers", "a:1,b:2", "--brokers=c:3", "--no-facts", "--transport=kafka"]);
  assert(result.ok);
  assertEquals(result.options.brokers, ["a:1", "b:2", "c:3"]);
  assertEquals(result.options.facts, false);
  assertEquals(result.options.transport, "kafka");
});

Deno.test("resolveOptions takes the letter that stands for a flag, where there is one", () => {
  const short = { output: { kind: "text", default: "", short: "o", help: "File." } } satisfies OptionTable;
  const result = resolveOptions(short, { args: ["-o", "x.pcapng", "id"] });
  assert(result.ok);
  assertEquals([result.options.output, result.positional], ["x.pcapng", ["id"]]);
  assertStringIncludes(helpOptions(short), "-o, --output TEXT");
  assert(!resolve(["-o", "x"]).ok);
  assert(!resolve(["-undefined"]).ok);
});

Deno.test("resolveOptions says every problem at once, each with name, rule and value", () => {
  const result = resolve(["--idle-timeout-ms=5", "--transprt", "x", "--transport", "smoke"], {}, {
    colour: 1,
  });
  assert(!result.ok);
  const all = result.problems.join("\n");
  assertStringIncludes(all, 'Cannot use "idleTimeoutMs" as it must be >= 1000: current value is "5"');
  assertStringIncludes(all, 'Unknown option "--transprt": did you mean "--transport"?');
  assertStringIncludes(
    all,
    'Cannot use "transport" as it must be one of http, kafka: current value is "smoke"',
  );
  assertStringIncludes(all, 'Unknown configuration key "colour"');
});

Deno.test("resolveOptions refuses an option without its value", () => {
  const result = resolve(["--transport"]);
  assert(!result.ok);
  assertStringIncludes(result.problems.join(), 'Cannot read "--transport" as it needs a value');
});

Deno.test("a secret comes from the environment only and is never dumped", () => {
  const refused = resolve(["--password", "x"]);
  assert(!refused.ok);
  assertStringIncludes(refused.problems[0], "set PICKET_PASSWORD");
  const result = resolve([], { PICKET_PASSWORD: "hunter2" });
  assert(result.ok);
  assertEquals(result.options.password, "hunter2");
  assert(!dumpOptions(table, result.options).includes("hunter2"));
});

Deno.test("helpOptions shows every option with its default, and a dump resolves to itself", () => {
  const help = helpOptions(table);
  for (
    const word of ["--idle-timeout-ms N", "[30000]", "--transport TEXT", "--no-facts", "PICKET_PASSWORD"]
  ) {
    assertStringIncludes(help, word);
  }
  const first = resolve(["--brokers", "a:1"]);
  assert(first.ok);
  const again = resolve([], {}, JSON.parse(dumpOptions(table, first.options)));
  assertEquals(again, first);
});
