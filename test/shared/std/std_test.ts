/** The stand-ins for JSR's std: the behaviour Picket relies on, so that the real packages can take their place.
 * @module */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { TextLineStream } from "@std/streams/text-line-stream";

Deno.test("parseArgs reads flags, texts, lists and positional arguments", () => {
  const args = parseArgs([
    "run",
    "--json",
    "--name=a",
    "--tag",
    "x",
    "--tag",
    "y",
    "--no-color",
    "--",
    "--rest",
  ], {
    boolean: ["json", "color"],
    negatable: ["color"],
    string: ["name"],
    collect: ["tag"],
    default: { color: true },
  });
  assertEquals(args, { _: ["run", "--rest"], json: true, color: false, name: "a", tag: ["x", "y"] });
});

Deno.test("parseArgs gives an option without a value an empty text, and stops early when asked", () => {
  assertEquals(parseArgs(["--name"], { string: ["name"] }).name, "");
  assertEquals(parseArgs(["--name", "--other"], { string: ["name"] }).name, "");
  assertEquals(parseArgs(["replay", "--flows"], { stopEarly: true })._, ["replay", "--flows"]);
});

Deno.test("parseArgs asks about unknown options", () => {
  const unknown: string[] = [];
  const args = parseArgs(["--odd=1", "file"], {
    unknown: (argument, key) => key === undefined ? true : (unknown.push(argument), false),
  });
  assertEquals([unknown, args], [["--odd=1"], { _: ["file"] }]);
});

Deno.test("TextLineStream joins chunks and keeps a last line without an end", async () => {
  const source = ReadableStream.from(["a\nb", "c\r", "\n\nlast"]);
  assertEquals(await Array.fromAsync(source.pipeThrough(new TextLineStream())), ["a", "bc", "", "last"]);
});

Deno.test("assertions fail when they should", async () => {
  assertThrows(() => assert(false), Error);
  assertThrows(() => assertEquals({ a: [1] }, { a: [2] }), Error);
  assertThrows(() => assertStringIncludes("abc", "x"), Error, "contain");
  assertThrows(() => assertMatch("abc", /x/), Error, "match");
  assertThrows(() => assertThrows(() => {}), Error, "Expected function to throw");
  assertThrows(
    () =>
      assertThrows(() => {
        throw new RangeError("a");
      }, TypeError),
    Error,
    "another error class",
  );
  await assertRejects(() => assertRejects(() => Promise.resolve()), Error, "Expected function to reject");
  assertEquals(
    (await assertRejects(() => Promise.reject(new TypeError("no")), TypeError, "no")).message,
    "no",
  );
});
