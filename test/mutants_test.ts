/** The mutation runner itself: what it applies, and what it concludes. @module */

import { assertEquals } from "@std/assert";
import { mutants } from "./mutant_list.ts";
import { mutated, verdictOf } from "./mutants.ts";

Deno.test("a mutant applies at one place, and changes it", () => {
  const text = "a < 10; b < 20;";
  assertEquals(mutated(text, { from: "a < 10", to: "a < 11" }), { text: "a < 11; b < 20;" });
  assertEquals(mutated(text, { from: "c < 10", to: "c < 11" }), "its line is found 0 times");
  assertEquals(mutated(text, { from: " < ", to: " > " }), "its line is found 2 times");
  assertEquals(mutated(text, { from: "a < 10", to: "a < 10" }), "changes nothing");
});

Deno.test("a mutant is killed by a test that fails, not by a file that does not load", () => {
  const run = (code: number, output: string, isOver = false) => verdictOf({ code, output, isOver });
  assertEquals(run(0, "ok | 3 passed | 0 failed (9ms)"), "survived");
  assertEquals(run(1, "FAILED | 2 passed | 1 failed (9ms)"), "killed");
  assertEquals(run(1, "error: SyntaxError: Expression expected"), "broken");
  assertEquals(run(1, "a_test.ts (uncaught error)\nFAILED | 0 passed | 1 failed"), "broken");
  assertEquals(run(143, "", true), "killed");
});

Deno.test("each mutant of the list applies to the source as it is", async () => {
  const faults: string[] = [];
  for (const mutant of mutants) {
    const answer = mutated(await Deno.readTextFile(new URL(`../${mutant.file}`, import.meta.url)), mutant);
    if (typeof answer === "string") faults.push(`${mutant.name}: ${answer} in ${mutant.file}`);
  }
  assertEquals(faults, []);
});

Deno.test("mutants have names of their own", () => {
  const names = mutants.map(({ name }) => name);
  assertEquals(names.filter((name, i) => names.indexOf(name) !== i), []);
});
