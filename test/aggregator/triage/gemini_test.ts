/** The Gemini adapter against a server that speaks its wire format. @module */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../../shared/clock.ts";
import { createReporter } from "../../../shared/reporter.ts";
import { Gemini, type GeminiOptions } from "../../../aggregator/triage/gemini.ts";
import { instruction } from "../../../aggregator/triage/prompt.ts";
import { type FakeReply, startFakeGemini } from "./fake_gemini.ts";
import { sampleAnswer } from "./sample_threat.ts";

/** Sleeps up to `cutMs` of real time for what is asked, and remembers what was asked. */
function shortClock(cutMs: number): { clock: Clock; slept: number[] } {
  const slept: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep(ms, signal) {
      slept.push(ms);
      return systemClock.sleep(Math.min(ms, cutMs), signal);
    },
  };
  return { clock, slept };
}

async function ask(replies: FakeReply[], options: Partial<GeminiOptions> = {}, cutMs = 20_000) {
  const server = startFakeGemini(replies);
  const reporter = createReporter({ component: "test", write: () => {} });
  const { clock, slept } = shortClock(cutMs);
  const model = new Gemini({ apiKey: "k", baseUrl: server.url, model: "gemini-test", ...options }, {
    clock,
    reporter,
    random: () => 0,
  });
  const question = {
    instruction,
    content: '{"detector":"dns_tunnel"}',
    answerTokensMax: 500,
    thinkingTokensMax: 700,
  };
  const answer = await model.ask(question, new AbortController().signal);
  await server.stop();
  return { answer, server, slept, reporter };
}

Deno.test("gemini asks for JSON by schema, with the key in a header, and reads answer and tokens", async () => {
  const { answer, server } = await ask([{ kind: "text", text: sampleAnswer() }]);
  assertEquals(answer, { ok: true, text: sampleAnswer(), inputTokens: 700, outputTokens: 150, tries: 1 });
  const [{ path, key, body }] = server.requests;
  assertEquals([path, key], ["/v1beta/models/gemini-test:generateContent", "k"]);
  const sent = JSON.parse(body);
  assertEquals(sent.generationConfig.responseMimeType, "application/json");
  assertEquals(sent.generationConfig.responseSchema.required.includes("claims"), true);
  assertEquals(sent.systemInstruction.parts[0].text, instruction);
  assertEquals(sent.generationConfig.maxOutputTokens, 1_200);
  assertEquals(sent.generationConfig.thinkingConfig, { thinkingBudget: 700 });
  assertEquals(sent.contents[0].parts[0].text, '{"detector":"dns_tunnel"}');
});

Deno.test("gemini waits as long as Retry-After says, then succeeds", async () => {
  const replies: FakeReply[] = [
    { kind: "status", status: 429, headers: { "retry-after": "7" } },
    { kind: "text", text: "{}" },
  ];
  const { answer, slept, reporter } = await ask(replies, {}, 5);
  assert(answer.ok && answer.tries === 2);
  assert(slept.includes(7_000), `slept ${slept}`);
  assertEquals(reporter.snapshot().get('model_try_failures_total{reason="quota"}'), 1);
});

Deno.test("gemini reads the wait from the body where Google puts it", async () => {
  const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "3s" }];
  const replies: FakeReply[] = [{ kind: "status", status: 429, details }, { kind: "text", text: "{}" }];
  const { answer, slept } = await ask(replies, {}, 5);
  assert(answer.ok);
  assert(slept.includes(3_000), `slept ${slept}`);
});

Deno.test("gemini gives up after three refusals", async () => {
  const { answer, server } = await ask([{ kind: "status", status: 503 }], {}, 5);
  assertEquals(answer, { ok: false, reason: "unavailable", inputTokens: 0, outputTokens: 0, tries: 3 });
  assertEquals(server.requests.length, 3);
});

Deno.test("gemini does not wait for a quota that comes back after its deadline", async () => {
  const { answer, server } = await ask([{ kind: "status", status: 429, headers: { "retry-after": "3600" } }]);
  assertEquals(answer, { ok: false, reason: "quota", inputTokens: 0, outputTokens: 0, tries: 1 });
  assertEquals(server.requests.length, 1);
});

Deno.test("gemini does not repeat what was refused for good", async () => {
  const { answer, server } = await ask([{ kind: "status", status: 403 }]);
  assertEquals(answer, { ok: false, reason: "refused", inputTokens: 0, outputTokens: 0, tries: 1 });
  assertEquals(server.requests.length, 1);
});

Deno.test("gemini ends a try that hangs", async () => {
  const { answer, server } = await ask([{ kind: "silence" }], { tryTimeoutMs: 50, triesMax: 1 });
  assertEquals(answer, { ok: false, reason: "timeout", inputTokens: 0, outputTokens: 0, tries: 1 });
  assertEquals(server.requests.length, 1);
});

Deno.test("gemini says when a safety filter took the answer", async () => {
  const { answer } = await ask([{ kind: "blocked" }]);
  assertEquals(answer, { ok: false, reason: "blocked", inputTokens: 0, outputTokens: 0, tries: 1 });
});

Deno.test("gemini says when the server cannot be reached", async () => {
  const { answer } = await ask([{ kind: "text", text: "" }], { baseUrl: "http://127.0.0.1:9", triesMax: 1 });
  assertEquals(answer, { ok: false, reason: "network", inputTokens: 0, outputTokens: 0, tries: 1 });
});

const limits = (body: string) => {
  const { maxOutputTokens, thinkingConfig } = JSON.parse(body).generationConfig;
  return [maxOutputTokens, thinkingConfig?.thinkingBudget];
};

Deno.test("gemini asks once more, with four times the room, when thoughts left none for the answer", async () => {
  const { answer, server, reporter } = await ask([{ kind: "cut" }, { kind: "text", text: "{}" }]);
  assertEquals(answer, { ok: true, text: "{}", inputTokens: 1_400, outputTokens: 1_350, tries: 2 });
  assertEquals(server.requests.map(({ body }) => limits(body)), [[1_200, 700], [4_800, 700]]);
  assertEquals(reporter.snapshot().get('model_try_failures_total{reason="max_tokens"}'), 1);
});

Deno.test("gemini gives up on an answer that is cut twice, and counts what that took", async () => {
  const { answer, server } = await ask([{ kind: "cut" }]);
  assertEquals(answer, {
    ok: false,
    reason: "max_tokens",
    inputTokens: 1_400,
    outputTokens: 2_400,
    tries: 2,
  });
  assertEquals(server.requests.length, 2);
});

Deno.test("gemini does without a thinking budget where the model knows none", async () => {
  const replies: FakeReply[] = [
    {
      kind: "status",
      status: 400,
      message: "Unable to submit request because Thinking_config is not supported",
    },
    { kind: "text", text: "{}" },
  ];
  const { answer, server } = await ask(replies);
  assert(answer.ok && answer.tries === 1);
  assertEquals(server.requests.map(({ body }) => limits(body)), [[1_200, 700], [1_200, undefined]]);
});
