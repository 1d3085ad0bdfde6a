/** Several capture files as one: every packet in order, flows over the borders, and a bad file in nobody's way.
 * @module */

import { assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { FileSource } from "../../../sensor/capture/file_source.ts";
import { FileCapture } from "../../../sensor/run/file_capture.ts";
import { FileSeries } from "../../../sensor/run/file_series.ts";
import { pcap } from "../frames.ts";

const part = (from: number, count: number) =>
  pcap(Array.from({ length: count }, (_, i) => ({ timeUs: from + i, frame: new Uint8Array(60) })));

/** Reads files of these contents one after the other; null = a file that is not there. */
async function read(...contents: (Uint8Array | null)[]) {
  const folder = await Deno.makeTempDir();
  try {
    const paths = contents.map((content, i) => {
      if (content !== null) Deno.writeFileSync(`${folder}/${i}`, content);
      return `${folder}/${i}`;
    });
    const series = new FileSeries(paths.map((path) => new FileCapture(path, new FileSource(path))));
    await series.start();
    const stamps: number[] = [];
    series.attach({ packet: (_b, _o, _c, _w, timeUs) => void stamps.push(timeUs) });
    while (await series.next());
    await series.close();
    const { bytesRead, bytesTotal, problem } = series;
    const name = series.name.replaceAll(folder, "");
    return { stamps, bytesRead, bytesTotal, name, problem, folder };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("files are read in the order given, packed or not", async () => {
  const { stamps, bytesRead, bytesTotal, name, problem } = await read(part(1, 2), part(3, 1), part(4, 2));
  assertEquals([stamps, name, problem], [[1, 2, 3, 4, 5], "/0, /1, /2", null]);
  assertEquals([bytesRead, bytesTotal], [3 * 24 + 5 * 76, 3 * 24 + 5 * 76]);
  assertEquals((await read(part(9, 1), gzipSync(part(1, 1)))).stamps, [9, 1]);
  assertEquals((await read(part(1, 0), part(2, 0), part(3, 0), part(4, 1))).name, "/0, /1, /2 and 1 more");
});

Deno.test("a file that is damaged, empty or none costs itself alone, and is named", async () => {
  for (
    const [content, code, own] of [
      [new Uint8Array(0), "empty_file", []],
      [new Uint8Array(60), "not_a_capture", []],
      [part(2, 2).subarray(0, 24 + 76 + 10), "cut_capture", [2]],
    ] as const
  ) {
    const { stamps, problem, folder } = await read(part(1, 1), content, part(7, 1));
    assertEquals([stamps, problem!.code], [[1, ...own, 7], code]);
    assertEquals(problem!.message.startsWith(`"${folder}/1": `), true);
  }
});

Deno.test("a file that is not there is said before any packet is read", async () => {
  await assertRejects(() => read(part(1, 1), null), Error, "no such file");
});
