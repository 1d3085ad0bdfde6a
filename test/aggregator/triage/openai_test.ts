/** The adapter for OpenAI-compatible endpoints, against servers that know more or less of the API,
 * and the answers' wrappings. @module */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { readAnswer } from "../../../aggregator/triage/answer.ts";
import { OpenAi } from "../../../aggregator/triage/openai.ts";
import { readModel } from "../../../aggregator/options/triage_options.ts";
import type { CommandError } from "../../../shared/command.ts";
import { sampleAnswer, sampleThreat } from "./sample_threat.ts";

type Handler = (body: Record<string, unknown>, call: number, request: Request) => Response;

const completion = (content: unknown, finish_reason = "stop") =>
  Response.json({
    choices: [{ index: 0, finish_reason, message: { role: "assistant", content } }],
    usage: { prompt_tokens: 700, completion_tokens: 150 },
  });

async function ask(handler: Handler, times = 1, apiKey = "") {
  const requests: { path: string; key: string | null; body: Record<string, unknown> }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = await request.json();
    requests.push({
      path: new URL(request.url).pathname,
      key: request.headers.get("authorization"),
      body,
    });
    return handler(body, requests.length, request);
  });
  const reporter = createReporter({ component: "test", write: () => {} });
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms < 30_000 ? 1 : ms, signal),
  };
  const model = new OpenAi(
    { baseUrl: `http://127.0.0.1:${server.addr.port}/v1/`, model: "small", apiKey },
    { clock, reporter, random: () => 0 },
  );
  const question = { instruction: "explain", content: "{}", answerTokensMax: 500, thinkingTokensMax: 700 };
  let answer;
  for (let i = 0; i < times; i++) answer = await model.ask(question, new AbortController().signal);
  await server.shutdown();
  return { answer: answer!, requests, model };
}

Deno.test("openai asks for JSON by a strict schema, and sends a key only where there is one", async () => {
  const { answer, requests, model } = await ask(() => completion(sampleAnswer()), 1, "k");
  assertEquals(answer, { ok: true, text: sampleAnswer(), inputTokens: 700, outputTokens: 150, tries: 1 });
  const [{ path, key, body }] = requests;
  assertEquals([path, key, body.model, model.name], [
    "/v1/chat/completions",
    "Bearer k",
    "small",
    "openai:small",
  ]);
  assertEquals(body.max_tokens, 1_200);
  const { schema, strict } = (body.response_format as { json_schema: Record<string, unknown> })
    .json_schema as {
      schema: { additionalProperties: boolean; properties: Record<string, Record<string, unknown>> };
      strict: boolean;
    };
  assertEquals([strict, schema.additionalProperties], [true, false]);
  assertEquals(Object.keys(schema.properties.severity), ["type", "enum"]);
  assertEquals((await ask(() => completion("{}"))).requests[0].key, null);
});

Deno.test("openai puts the question more plainly to who refuses its form, and remembers which", async () => {
  // One that knows only JSON mode.
  const { answer, requests } = await ask(
    ({ response_format }) =>
      (response_format as { type: string } | undefined)?.type === "json_schema"
        ? new Response("response_format: unknown type", { status: 400 })
        : completion("{}"),
    2,
  );
  assert(answer.ok && answer.tries === 1);
  const types = requests.map(({ body }) => (body.response_format as { type: string }).type);
  assertEquals(types, ["json_schema", "json_schema", "json_object", "json_object"]);
  // One that reasons, and takes neither a temperature nor the older limit.
  const reasoning = await ask(({ max_tokens, temperature }) =>
    max_tokens === undefined && temperature === undefined
      ? completion("{}")
      : new Response("unsupported", { status: 400 })
  );
  assert(reasoning.answer.ok);
  assertEquals(reasoning.requests[1].body.max_completion_tokens, 1_200);
  // One that refuses everything.
  const never = await ask(() => new Response("no", { status: 400 }));
  assertEquals([never.answer.ok, never.requests.length], [false, 4]);
});

Deno.test("openai gives a cut answer more room once, and waits for what passes", async () => {
  const cut = await ask((_, call) => call === 1 ? completion("", "length") : completion("{}"));
  assertEquals(cut.requests.map(({ body }) => body.max_tokens), [1_200, 4_800]);
  assertEquals([cut.answer.ok, cut.answer.inputTokens], [true, 1_400]);
  const busy = await ask((_, call) => call < 3 ? new Response("", { status: 503 }) : completion("{}"));
  assertEquals([busy.answer.ok, busy.answer.tries], [true, 3]);
  const reasons: [Handler, string][] = [
    [() => new Response("", { status: 429 }), "quota"],
    [() => new Response("", { status: 401 }), "refused"],
    [() => completion("", "length"), "max_tokens"],
    [() => completion("", "content_filter"), "blocked"],
    [() => completion(null), "refused"],
    [() => new Response("<html>"), "refused"],
    [() => Response.json(null), "refused"],
    [() => Response.json({ choices: "none" }), "refused"],
    [() => new Response("x".repeat(1_100_000)), "network"],
    [() => Response.redirect("http://127.0.0.1:9/elsewhere", 307), "network"],
  ];
  for (const [handler, reason] of reasons) {
    const { answer } = await ask(handler);
    assertEquals(answer.ok ? "ok" : answer.reason, reason);
  }
});

Deno.test("an answer between fences, or after thoughts, is unwrapped; prose around it is not", () => {
  const good = sampleAnswer();
  const read = (text: string) => {
    const result = readAnswer(text, sampleThreat());
    return result.ok ? "read" : result.fault;
  };
  for (
    const wrapped of [
      good,
      `\`\`\`json\n${good}\n\`\`\``,
      `\`\`\`\n${good}\n\`\`\`\n`,
      `  \r\n\`\`\`JSON\r\n${good}\r\n\`\`\``,
      `<think>The host is odd {"a": 1}.</think>\n${good}`,
      `<thinking>\n</thinking>\`\`\`json\n${good}\`\`\``,
      `\ufeff${good}`,
    ]
  ) {
    assertEquals(read(wrapped), "read", wrapped.slice(0, 40));
  }
  for (const wrapped of [`Here it is: ${good}`, `${good} Anything else?`, "```json\n```", "<think>", ""]) {
    assertEquals(read(wrapped), "not_json", wrapped.slice(0, 40));
  }
});

Deno.test("options name the model, and say what is missing", () => {
  const options = {
    triageProvider: "auto",
    triageBaseUrl: "",
    triageModel: "",
    geminiModel: "g",
    geminiBaseUrl: "",
  };
  const reporter = createReporter({ component: "test", write: () => {} });
  const edges = (env: Record<string, string>) => ({
    env: (name: string) => env[name],
    clock: systemClock,
    reporter,
    randomBytes: (count: number) => new Uint8Array(count),
  });
  const named = (change: Partial<typeof options>, env: Record<string, string> = {}) => {
    try {
      return readModel({ ...options, ...change }, edges(env))?.name ?? null;
    } catch (error) {
      return (error as CommandError).message;
    }
  };
  const url = "http://127.0.0.1:11434/v1";
  assertEquals(named({}), null);
  assertEquals(named({}, { GEMINI_API_KEY: "k" }), "gemini:g");
  assertEquals(named({ triageProvider: "none" }, { GEMINI_API_KEY: "k" }), null);
  assertEquals(named({ triageProvider: "openai", triageModel: "m", triageBaseUrl: url }), "openai:m");
  assertEquals(named({ triageProvider: "openai", triageModel: "m" }, { OPENAI_API_KEY: "k" }), "openai:m");
  assertEquals(
    named({ triageProvider: "openai", triageModel: "m" }),
    'Cannot use OpenAI as the variable OPENAI_API_KEY must be set, or "triageBaseUrl" given',
  );
  assertEquals(
    named({ triageProvider: "openai", triageBaseUrl: url }),
    'Cannot use an OpenAI-compatible model as "triageModel" must name one',
  );
  assertEquals(
    named({ triageProvider: "gemini" }),
    "Cannot use Gemini as the variable GEMINI_API_KEY must be set",
  );
  assertEquals(
    named({ triageProvider: "openai", triageModel: "m", triageBaseUrl: "ftp://x" }),
    'Cannot use model as "triageBaseUrl" must begin with http:// or https://: current value is "ftp://x"',
  );
});
