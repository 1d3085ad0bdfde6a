/** The filter line, completed word by word. @module */

import { assertEquals } from "@std/assert";
import { completionsOf } from "../../../aggregator/dashboard/browser/completion.ts";

const columns = [
  { name: "src_ip", type: "address", about: "", operators: ["=", "in"], examples: ["10.0.0.0/8"] },
  {
    name: "severity",
    type: "word",
    about: "",
    operators: [">="],
    examples: ["high"],
    words: ["low", "high"],
  },
];

Deno.test("a filter line goes on with a column, an operator, a value, and a joint", () => {
  const after = (text: string) => completionsOf(text, columns);
  assertEquals(after(""), ["src_ip", "severity", "not"]);
  assertEquals(after("s"), ["src_ip", "severity"]);
  assertEquals(after("SEV"), ["severity"]);
  assertEquals(after("severity "), ["severity >="]);
  assertEquals(after("severity >= h"), ["severity >= high"]);
  assertEquals(after("severity >= high "), ["severity >= high and", "severity >= high or"]);
  assertEquals(after("severity >= high and (not src"), ["severity >= high and (not src_ip"]);
  assertEquals(after("src_ip in ("), ["src_ip in (10.0.0.0/8"]);
  assertEquals(after("nothing "), ["nothing and", "nothing or"]);
  assertEquals(completionsOf("x ".repeat(500), []), [`${"x ".repeat(500)}and`, `${"x ".repeat(500)}or`]);
});
