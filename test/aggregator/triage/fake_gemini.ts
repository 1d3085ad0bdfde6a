/** A local server that speaks Gemini's wire format, with faults to order.
 *
 * In: a list of answers, one for each call; the last one repeats. Out: what was received.
 * Source of the format: ai.google.dev/api/generate-content, v1beta. @module */

export type FakeReply =
  | { kind: "text"; text: string }
  | {
    kind: "status";
    status: number;
    headers?: Record<string, string>;
    details?: unknown[];
    message?: string;
  }
  /** Thoughts took all the room. */
  | { kind: "cut" }
  | { kind: "blocked" }
  | { kind: "silence" };

export interface FakeGemini {
  url: string;
  requests: { path: string; key: string | null; body: string }[];
  stop(): Promise<void>;
}

/** Starts the server on a free port of the loopback. */
export function startFakeGemini(replies: FakeReply[]): FakeGemini {
  const requests: FakeGemini["requests"] = [];
  const released = Promise.withResolvers<void>();
  let calls = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const body = await request.text();
    requests.push({ path: pathname, key: request.headers.get("x-goog-api-key"), body });
    if (/^\/v1beta\/models\/[\w.-]+:countTokens$/.test(pathname)) {
      return Response.json({ totalTokens: Math.ceil(body.length / 4) });
    }
    if (!/^\/v1beta\/models\/[\w.-]+:generateContent$/.test(pathname)) {
      return Response.json({ error: { code: 404, message: "unknown method" } }, { status: 404 });
    }
    const reply = replies[Math.min(calls++, replies.length - 1)];
    if (reply.kind === "silence") {
      await released.promise;
      return new Response(null, { status: 503 });
    }
    return answer(reply);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    async stop() {
      released.resolve();
      await server.shutdown();
    },
  };
}

function answer(reply: Exclude<FakeReply, { kind: "silence" }>): Response {
  if (reply.kind === "status") {
    const error = {
      code: reply.status,
      message: reply.message ?? "refused",
      status: "X",
      details: reply.details,
    };
    return Response.json({ error }, { status: reply.status, headers: reply.headers ?? {} });
  }
  if (reply.kind === "blocked") {
    return Response.json({ promptFeedback: { blockReason: "SAFETY" } });
  }
  if (reply.kind === "cut") {
    return Response.json({
      candidates: [{ content: { role: "model" }, finishReason: "MAX_TOKENS", index: 0 }],
      usageMetadata: { promptTokenCount: 700, thoughtsTokenCount: 1_200, totalTokenCount: 1_900 },
    });
  }
  return Response.json({
    candidates: [{
      content: { role: "model", parts: [{ text: reply.text }] },
      finishReason: "STOP",
      index: 0,
    }],
    usageMetadata: { promptTokenCount: 700, candidatesTokenCount: 150, totalTokenCount: 850 },
    modelVersion: "fake",
  });
}
