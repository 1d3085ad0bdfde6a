/** Calls of the API: what is cut short or cannot be reached is a problem, never an empty answer. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { call, get, Problem } from "../../../aggregator/dashboard/browser/call.ts";

async function answering(
  answer: () => Response | Promise<Response>,
  work: () => Promise<void>,
): Promise<string[]> {
  const before = globalThis.fetch;
  const asked: string[] = [];
  globalThis.fetch = (input) => {
    asked.push(String(input));
    return Promise.resolve().then(answer);
  };
  try {
    await work();
  } finally {
    globalThis.fetch = before;
  }
  return asked;
}

Deno.test("an answer that ends early, or is no JSON, is a problem and not an empty answer", async () => {
  for (const text of ['{"rows": [', "", "<html>"]) {
    await answering(() => new Response(text), async () => {
      const problem = await assertRejects(() => call("GET", "x"), Problem);
      assertEquals([problem.status, problem.message], [0, "The aggregator's answer was cut short"]);
    });
  }
});

Deno.test("a call that was given up ends as that, whatever had come by then", async () => {
  const controller = new AbortController();
  await answering(() => {
    controller.abort();
    return new Response('{"rows": []}');
  }, async () => {
    const error = await assertRejects(() => call("GET", "x", undefined, controller.signal));
    assertEquals((error as Error).name, "AbortError");
  });
});

Deno.test("an error without a body, and a server that is away, are said in words", async () => {
  await answering(() => new Response("", { status: 502 }), async () => {
    assertEquals((await assertRejects(() => call("GET", "x"), Problem)).message, "Error 502");
  });
  await answering(() => Promise.reject(new TypeError("failed")), async () => {
    const problem = await assertRejects(() => call("GET", "x"), Problem);
    assertEquals(problem.message, "The aggregator does not answer");
  });
});

Deno.test("a question leaves out what is empty, and answers come inert", async () => {
  const asked = await answering(() => Response.json({ name: "\u202eb" }), async () => {
    assertEquals(await get("/flows", { ip: "", port: undefined, name: "a&b", limit: 5 }), {
      name: "\\u{202e}b",
    });
  });
  assertEquals(asked, ["api/v1/flows?name=a%26b&limit=5"]);
});
