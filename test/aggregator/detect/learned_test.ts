/** What was learned over days survives a restart: nothing known is new again, nothing counts twice,
 * damage costs one part. @module */

import { assert, assertEquals } from "@std/assert";
import { newDevice } from "../../../aggregator/detect/detectors/new_device.ts";
import { newService } from "../../../aggregator/detect/detectors/new_service.ts";
import { startDetector } from "../../../aggregator/detect/detector.ts";
import { Engine } from "../../../aggregator/detect/engine.ts";
import { type LearnedFile, loadLearned, saveLearned } from "../../../aggregator/detect/learned.ts";
import { prepare, PrepareBooks } from "../../../aggregator/detect/prepared.ts";
import { ServiceBook } from "../../../aggregator/detect/signs/services.ts";
import type { FlowUpdate } from "../../../aggregator/model/flow.ts";
import { explainByRules } from "../../../aggregator/triage/rules.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { times, update } from "./updates.ts";

const hour = 3_600, day = 86_400;
const arp = { protocol: "arp", src_port: 1, dst_port: 0, bwd_packets: 0, fwd_packets: 1, dst_ip: "10.0.0.1" };
const speaks = (atS: number, src_mac: string) => update(atS, { ...arp, src_mac, src_ip: "10.0.0.20" });
const calls = (atS: number, dst_ip: string, dst_port: number) =>
  update(atS, { src_ip: "10.0.0.5", dst_ip, dst_port });
const watched = (hours: number) =>
  times(hours, (i) => [calls(i * hour, "10.0.0.1", 443), speaks(i * hour, "00:11:22:00:00:01")]).flat();
/** What a call of a service is told by. */
const callOf = (src_ip: string, dst_ip = "192.0.2.1", dst_port = 443) =>
  prepare([{ ...update(0, { src_ip, dst_ip, dst_port }), network: "lab" }], new PrepareBooks())[0];
const newAt = (atS: number) => [calls(atS, "10.0.0.9", 4_444), speaks(atS, "00:11:22:00:00:99")];
const newcomers = newAt(3 * day);

function start(file: LearnedFile) {
  const reporter = createReporter({ component: "test", write: () => {} });
  const detectors = [startDetector(newDevice), startDetector(newService)];
  const engine = new Engine({}, { detectors, reporter, explain: explainByRules });
  loadLearned(file, engine.learning, reporter);
  return {
    found: (updates: FlowUpdate[]) => {
      engine.step(updates, 0);
      engine.flush(0);
      return engine.threats.map(({ detector }) => detector).sort();
    },
    keep: () => saveLearned(file, engine.learning, reporter),
    failures: () => reporter.snapshot().get("learned_failures_total") ?? 0,
  };
}

function memory(text: string | null = null): LearnedFile & { text: string | null } {
  const file = { text, read: () => file.text, write: (written: string) => void (file.text = written) };
  return file;
}

/** What is found in `later` after a restart behind `earlier`. */
function across(earlier: FlowUpdate[], later: FlowUpdate[]): string[] {
  const file = memory();
  const first = start(file);
  first.found(earlier);
  first.keep();
  const second = start(file);
  const found = second.found(later);
  assertEquals(second.failures(), 0);
  return found;
}

Deno.test("devices and services are new after a restart too, and those that were known stay known", () => {
  assertEquals(across(watched(24), newcomers), ["new_device", "new_service"]);
  assertEquals(start(memory()).found(newcomers), [], "without what was learned nothing is new");
  assertEquals(across([...watched(24), ...newAt(2 * day)], newcomers), []);
  assertEquals(across(watched(24), newAt(3 * day - 1)), []);
});

Deno.test("hours that are stepped through again at the start count once", () => {
  assertEquals(across(watched(22), [...watched(22), ...newcomers]), [], "22 hours and the newcomers' own");
  assertEquals(across(watched(20), [...watched(24), ...newcomers]), ["new_device", "new_service"]);
});

Deno.test("hours that come in turns count once each", () => {
  const turns = times(40, (i) => [0, 5, 1][i % 3] * hour + i);
  assertEquals(
    across(
      turns.flatMap((atS) => [calls(atS, "10.0.0.1", 443), speaks(atS, "00:11:22:00:00:01")]),
      newcomers,
    ),
    [],
  );
  const book = new ServiceBook();
  for (const atS of turns) book.call(callOf("10.0.0.1"), "", 1_700_000_000 + atS);
  assertEquals(book.call(callOf("10.0.0.1"), "", 1_700_000_000).network.hours, 3);
});

Deno.test("who calls a service is known after a restart, up to four hosts", () => {
  const book = new ServiceBook(), again = new ServiceBook();
  for (let i = 1; i <= 6; i++) book.call(callOf(`10.0.0.${i}`), "a.example", 100 + i);
  again.load(JSON.parse(JSON.stringify(book.save())));
  const { byAddress, byName, network } = again.call(callOf("10.0.0.1"), "a.example", 9_000);
  assertEquals([byAddress.firstS, byAddress.callers.size, byName?.firstS], [101, 4, 101]);
  assertEquals([network.firstS, network.callers.size, network.hours], [101, 4, 2]);
});

Deno.test("after a restart a service is found by its address and by its name, and one is not taken for the other", () => {
  const book = new ServiceBook(), again = new ServiceBook();
  book.call(callOf("10.0.0.1"), "a.example", 100);
  book.call(callOf("10.0.0.1", "2001:db8::7", 8_443), "", 200);
  again.load(JSON.parse(JSON.stringify(book.save())));
  assertEquals(again.save(), book.save());
  const firsts = (dst_ip: string, dst_port: number, name: string) => {
    const { byAddress, byName } = again.call(callOf("10.0.0.2", dst_ip, dst_port), name, 900);
    return [byAddress.firstS, byName?.firstS ?? null];
  };
  assertEquals(firsts("2001:db8::7", 8_443, ""), [200, null]);
  assertEquals(firsts("192.0.2.1", 443, "b.example"), [100, 900]);
  assertEquals(firsts("192.0.2.1", 444, "a.example"), [900, 100]);
  assertEquals(firsts("192.0.2.2", 443, "192.0.2.1|443"), [900, 900]);
});

Deno.test("a part that is damaged begins anew and is counted, and the others stay", () => {
  const file = memory();
  const first = start(file);
  first.found(watched(24));
  first.keep();
  const whole = JSON.parse(file.text!);
  const after = (change: Record<string, unknown>) => {
    const second = start(memory(JSON.stringify({ ...whole, parts: { ...whole.parts, ...change } })));
    return [second.failures(), ...second.found(newcomers)];
  };
  assertEquals(after({}), [0, "new_device", "new_service"]);
  assertEquals(after({ new_device: { known: "x" } }), [1, "new_service"]);
  assertEquals(after({ services: { services: [["k", -1, []]], networks: [] } }), [1, "new_device"]);
  assertEquals(after({ services: null, new_device: [] }), [2]);
  for (const text of ["", "{", "[]", '{"version":2,"parts":{}}', file.text!.slice(0, -9)]) {
    const second = start(memory(text));
    assertEquals([second.failures(), ...second.found(newcomers)], [1], text.slice(0, 30));
  }
  const unreadable = start({
    read: () => {
      throw new Error("no right");
    },
    write: () => {
      throw new Error("disk full");
    },
  });
  unreadable.keep();
  assertEquals(unreadable.failures(), 2);
});

Deno.test("what is kept is bounded, and what cannot be read again is left out", () => {
  const book = new ServiceBook();
  for (let i = 0; i < 40_000; i++) book.call(callOf("10.0.0.1", "192.0.2.1", i), "", 100);
  book.call(callOf("10.0.0.1", "192.0.2.9"), "x".repeat(600), 100);
  book.call({ ...callOf("10.0.0.1", "192.0.2.9"), network: "odd" }, "", -5);
  const saved = book.save() as { services: unknown[]; networks: unknown[] };
  assert(saved.services.length > 16_000 && saved.services.length <= 32_768, `${saved.services.length}`);
  assertEquals(saved.networks.length, 1);
  new ServiceBook().load(JSON.parse(JSON.stringify(saved)));
});
