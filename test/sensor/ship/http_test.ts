/** Tests of the HTTP transport against a server of our own. @module */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { zstdDecompressSync } from "node:zlib";
import { readHeader } from "../../../shared/batch.ts";
import { AggregatorClient } from "../../../sensor/aggregator_client.ts";
import { HttpTransport } from "../../../sensor/ship/http.ts";
import { packBatch, type PackedBatch, unpackBatch } from "../../../sensor/ship/packed_batch.ts";
import { batchOf } from "./helpers.ts";

const packed = (bucket: number, seq: number) =>
  unpackBatch(packBatch(batchOf(1, bucket, seq)).bytes) as PackedBatch;

async function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  use: (transport: HttpTransport, url: string) => Promise<void>,
  timeoutMs = 5_000,
): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const transport = new HttpTransport(new AggregatorClient({ url, timeoutMs }));
  try {
    await use(transport, url);
  } finally {
    await transport.close();
    await server.shutdown();
  }
}

Deno.test("HTTP transport posts header and zstd body, and takes stored and replay as taken", async () => {
  const seen: number[] = [];
  await withServer(async (request) => {
    assertEquals(new URL(request.url).pathname, "/api/v1/batches");
    assertEquals(request.headers.get("content-encoding"), "zstd");
    const header = readHeader((name) => request.headers.get(name) ?? undefined);
    assert(typeof header !== "string");
    const body = new Uint8Array(await request.arrayBuffer());
    assertEquals(new Uint8Array(zstdDecompressSync(body)), batchOf(1, header.bucket, header.seq).value);
    seen.push(header.seq);
    return Response.json({ outcome: seen.length % 2 ? "stored" : "replay" });
  }, async (transport) => {
    const { taken, refused, problem } = await transport.send([packed(0, 1), packed(0, 2), packed(0, 3)]);
    assertEquals([taken.length, refused.length, problem], [3, 0, null]);
    assertEquals(seen, [1, 2, 3]);
  });
});

Deno.test("HTTP transport tells refused for good from later, and keeps the order of a bucket", async () => {
  const cases: [number, unknown, "refused" | "overloaded" | "not_accepted" | "failed"][] = [
    [422, { reason: "signature" }, "refused"],
    [400, { reason: "header_missing" }, "refused"],
    [413, { code: "too_large", title: "too large" }, "refused"],
    [401, { reason: "unknown_sensor" }, "not_accepted"],
    [403, { reason: "revoked" }, "not_accepted"],
    [429, { code: "busy", title: "later" }, "overloaded"],
    [503, {}, "overloaded"],
    [500, {}, "failed"],
    [400, "<html>a proxy's page</html>", "failed"],
    [302, {}, "failed"],
    [200, { outcome: "perhaps" }, "failed"],
  ];
  for (const [status, body, expected] of cases) {
    const posted: (string | null)[] = [];
    await withServer(
      (request) => {
        if (request.headers.get("picket-bucket") === "1") return Response.json({ outcome: "stored" });
        posted.push(request.headers.get("picket-seq"));
        return Response.json(body, { status, headers: { "retry-after": "3" } });
      },
      async (transport) => {
        const { taken, refused, problem } = await transport.send([packed(0, 1), packed(1, 1), packed(0, 2)]);
        assertEquals(taken.map((batch) => batch.header.bucket), [1], `${status}`);
        if (expected === "refused") assertEquals([refused.length, problem], [2, null], `${status}`);
        else assertEquals([refused.length, problem?.code], [0, expected], `${status}`);
        if (expected === "overloaded") assertEquals(problem?.retryAfterMs, 3_000);
        assertEquals(posted, expected === "refused" ? ["1", "2"] : ["1"], `${status}`);
      },
    );
  }
});

Deno.test("HTTP transport says that nobody listens, and that nobody answers", async () => {
  const client = new AggregatorClient({ url: "http://127.0.0.1:9" });
  const nobody = await new HttpTransport(client).send([packed(0, 1)]);
  client.close();
  assertEquals(nobody.problem?.code, "unreachable");
  assert(nobody.problem?.message.includes("127.0.0.1:9"), nobody.problem?.message);
  const given = Promise.withResolvers<Response>();
  await withServer(() => given.promise, async (transport) => {
    const late = await transport.send([packed(0, 1)]);
    assertEquals(late.problem?.code, "timeout");
    given.resolve(new Response());
  }, 50);
});

Deno.test("HTTP transport refuses an address that is none", () => {
  assertThrows(
    () => new AggregatorClient({ url: "localhost:8600" }),
    TypeError,
    'must be like "http://host:8600"',
  );
});
