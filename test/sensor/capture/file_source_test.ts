/** Capture files as a source of bytes, and the pump that moves them on. @module */

import { assertEquals, assertRejects } from "@std/assert";
import { FileSource } from "../../../sensor/capture/file_source.ts";
import { pump } from "../../../sensor/capture/pump.ts";
import { bytes, pcap } from "../frames.ts";

const capture = pcap(
  Array.from({ length: 50 }, (_, i) => ({ timeUs: i, frame: new Uint8Array(100).fill(i) })),
);

async function run(content: Uint8Array, signal?: AbortSignal) {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/a.pcap`;
    await Deno.writeFile(path, content);
    const source = new FileSource(path);
    await source.start();
    let packets = 0, turns = 0;
    const result = await pump(
      source,
      { packet: () => void packets++ },
      () => Promise.resolve(void turns++),
      signal,
    );
    await source.stop();
    return { packets, turns, ...result };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function gzip(content: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([content as Uint8Array<ArrayBuffer>]).stream().pipeThrough(
    new CompressionStream("gzip"),
  );
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("file source reads a capture to its end, with a turn after each chunk", async () => {
  assertEquals(await run(capture), { packets: 50, turns: 2, error: null, drops: 0 });
});

Deno.test("file source reads a gzipped capture, and says when it is cut", async () => {
  const packed = await gzip(capture);
  assertEquals((await run(packed)).packets, 50);
  assertEquals((await run(packed.subarray(0, packed.length - 20))).error, "cut_capture");
});

Deno.test("pump says what is wrong with the capture, but not that a stopped one is incomplete", async () => {
  assertEquals((await run(bytes(capture, 1, 2, 3))).error, "cut_capture");
  assertEquals((await run(bytes())).error, "empty_file");
  assertEquals((await run(capture, AbortSignal.abort())).error, null);
});

Deno.test("file source names a file that cannot be opened, and why", async () => {
  await assertRejects(() => new FileSource("no/such.pcap").start(), Error, `"no/such.pcap": no such file`);
  await assertRejects(() => new FileSource(".").start(), Error, "it is a folder");
});
